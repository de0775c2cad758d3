"""Sheets that are splits, or one table, alone and beside other files."""

from __future__ import annotations

import pandas as pd
import pytest
from folders import fill, read, refusal
from tables import rows

from emo_hf.data.assembly import Place, assemble_sheets, read_as
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.errors import UserError

# Sheets, and what they are: those of the test set, or None where all are one table, or the words of the refusal.
SHEETS = [
    ("train valid test", "test", "training: a.xlsx/train (12 rows); validation: a.xlsx/valid (12 rows)"),
    ("학습 평가", "평가", "carved out of training: validation"),
    ("감정_Training 감정_Test 설명", "감정_Test", "in the name: 설명; --sheet NAME reads one alone"),
    ("전체 test", "test", "training: a.xlsx/전체"),
    ("1월 2월 3월", None, "read as one table: a.xlsx/1월, a.xlsx/2월, a.xlsx/3월 (36 rows)"),
]  # fmt: skip


def sheet(name: str, start: int, **more: str) -> Table:
    frame = pd.DataFrame([row | more for row in rows(12, start)], index=range(2, 14), dtype="str")
    return Table(f"a.xlsx/{name}", frame, sheet=name)


@pytest.mark.parametrize(("names", "test", "note"), SHEETS)
def test_sheets_are_splits_or_one_table(names, test, note):
    tables, notes = assemble_sheets([sheet(name, 50 * n) for n, name in enumerate(names.split())], PLACE)
    assert note in "\n".join([read_as(tables), *notes])
    assert [table.sheet for split, table in tables if split == "test"] == ([test] if test else [])
    assert {split for split, _ in tables} == ({None} if test is None else {"train", "test"} | {s for s, _ in tables})


PLACE = Place("a.xlsx", Layout())


def test_sheets_of_other_columns():
    prose = Table("a.xlsx/표지", pd.DataFrame({"감성 대화": ["2020"]}, dtype="str"), sheet="표지")
    tables, notes = assemble_sheets([prose, sheet("자료", 0)], PLACE)
    assert [(split, table.sheet) for split, table in tables] == [(None, "자료")]
    assert notes == ["not read, as its columns are others: a.xlsx/표지; --sheet NAME reads one"]
    with pytest.raises(UserError, match=r"only a\.xlsx/b has age; name one with --sheet"):
        assemble_sheets([sheet("a", 0), sheet("b", 50, age="20")], PLACE)
    with pytest.raises(UserError, match="val and valid are each the validation split; keep one sheet"):
        assemble_sheets([sheet("train", 0), sheet("val", 50), sheet("valid", 100)], PLACE)


@pytest.mark.parametrize("words", [("test", "train"), ("Sheet1", "Sheet2")])
def test_a_workbook_with_several_sheets_beside_other_files(tmp_path, monkeypatch, words):
    fill(tmp_path, "train.csv test.csv")
    both = [sheet(word, 50 * n) for n, word in enumerate(words)]
    monkeypatch.setattr(
        "emo_hf.data.pieces.read_tables", lambda name, *_: both if "test" in name else [sheet("", 200)]
    )
    data = read(tmp_path)
    assert len(data.splits["test"]) == (12 if words[0] == "test" else 24)
    both[:] = [sheet(word, 50 * n) for n, word in enumerate(("train", "dev"))]
    assert "test.csv holds splits in its sheets (train, dev); give it alone" in refusal(tmp_path)
