"""Which sheets of a workbook are tables, and which are asked for."""

from __future__ import annotations

import pandas as pd
import pytest
from workbooks import body, loaded, one, read, workbook

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.streams import open_rows
from emo_hf.data.sources.tables import Layout, header_row
from emo_hf.errors import UserError


def test_sheets_are_the_splits_that_their_titles_say(tmp_path):
    head = ["문장", "감정"]
    sizes = {"train": 120, "valid": 56, "test": 56}
    data = workbook({name: [head, *body(size, 1000 * len(name) + size)] for name, size in sizes.items()})
    found = loaded(tmp_path, data)
    assert {split: len(part) for split, part in found.splits.items()} == {"train": 120, "validation": 56, "test": 56}
    assert found.report["notes"] == [
        "training: a.xlsx, sheet 'train' (120 rows); validation: a.xlsx, sheet 'valid' (56 rows); "
        "test: a.xlsx, sheet 'test' (56 rows)"
    ]


@pytest.mark.parametrize("first", [True, False])
def test_a_cover_is_not_read_and_said(first):
    cover = {"안내": [["감성 대화 말뭉치"], ["만든 때", "2024"], ["문의", "누구"]]}
    sheets = {"자료": [["번호", "발화", "감정"], *([n, *row] for n, row in enumerate(body(9)))]}
    table = one(workbook(cover | sheets if first else sheets | cover))
    assert (table.name, table.sheet, len(table.frame)) == ("a.xlsx", "자료", 9)
    assert table.notes == ("a.xlsx: not read: sheet '안내'; --sheet NAME reads one",)


def test_of_sheets_without_usual_names_those_that_look_like_tables_are_taken():
    sheets = {"표지": [["말뭉치"], ["2024"]], "자료": [["내용", "기분"], *body(9)], "빈": []}
    assert [table.sheet for table in read(workbook(sheets))] == ["자료"]
    sheets["다른 자료"] = [["글", "값"], *body(5)]
    assert [table.name for table in read(workbook(sheets))] == ["a.xlsx, sheet '자료'", "a.xlsx, sheet '다른 자료'"]
    assert one(workbook(sheets), text_column="글").sheet == "다른 자료"


def test_a_sheet_that_says_a_split_is_not_passed_over():
    good = [["문장", "감정"], *body(9)]
    for rows, said in (
        ([], "is empty"),
        ([["준비 중"]], "has no column of texts (columns found: 준비 중)"),
        ([["내용", "기분"], *body(9)], "has no column of texts (columns found: 내용, 기분)"),
    ):
        with pytest.raises(UserError) as caught:
            read(workbook({"train": good, "test": rows}))
        assert str(caught.value) == (
            f"a.xlsx, sheet 'test' says test, but {said}; mend it, call it otherwise, or name the sheet to read with "
            "--sheet."
        )
        assert one(workbook({"train": good, "test": rows}), sheet="train").sheet == "train"


def test_of_splits_without_usual_names_each_is_a_table():
    data = workbook(
        {"train": [["내용", "기분"], *body(9)], "test": [["내용", "기분"], *body(1)], "표지": [["말뭉치"]]}
    )
    assert [table.sheet for table in read(data)] == ["train", "test"]
    with pytest.raises(
        UserError, match=r"sheet 'test' says test, but has no column '글' \(columns found: 내용, 기분\);"
    ):
        read(workbook({"train": [["글", "기분"], *body(9)], "test": [["내용", "기분"], *body(9)]}), text_column="글")


@pytest.mark.parametrize("asked, found", [("둘", "둘"), ("2", "둘"), (" 둘 ", "둘"), ("3", "3"), ("숨김", "숨김")])
def test_a_sheet_is_asked_for_by_its_title_or_its_number(asked, found):
    head = ["문장", "감정"]
    sheets = {"3": [head, *body(3)], "둘": [head, *body(4)], "숨김": [head, *body(5)]}
    assert one(workbook(sheets, hidden=("숨김",)), sheet=asked).sheet == found


def test_sheets_that_are_not_there_are_said():
    data = workbook({"하나": [["문장", "감정"], *body(3)], "둘": []})
    with pytest.raises(
        UserError, match=r"^--sheet '셋': a\.xlsx has no such sheet; it has 하나, 둘; name one, or a n"
    ):
        read(data, sheet="셋")
    with pytest.raises(UserError, match=r"^a\.xlsx, sheet '둘' is empty; a header and rows are needed\.$"):
        read(data, sheet="2")


def test_a_hidden_sheet_is_said_where_it_has_rows():
    rows = [["문장", "감정"], *body(3)]
    table = one(workbook({"하나": rows, "옛것": rows, "빈": []}, hidden=("옛것", "빈")))
    assert table.notes == ("a.xlsx: not read, as it is hidden: sheet '옛것'; --sheet NAME reads one",)
    with pytest.raises(UserError, match=r"^a\.xlsx is empty; .*; --sheet NAME reads one that is hidden: 옛것\.$"):
        read(workbook({"하나": [], "옛것": rows}, hidden=("옛것",)))


def test_of_two_workbooks_no_sheet_is_proposed(tmp_path):
    (tmp_path / "자료").mkdir()
    (tmp_path / "자료" / "하나.xlsx").write_bytes(workbook({"Sheet": [["문장", "감정"], *body(70)]}))
    (tmp_path / "자료" / "둘.xlsx").write_bytes(workbook({"Sheet": [["글", "값"], *body(9)]}))
    found = load_emotion_data(str(tmp_path / "자료"), labels="all")
    assert sum(map(len, found.splits.values())) == 70
    assert found.report["notes"][-1] == "not read, as its columns are others: 둘.xlsx"


@pytest.mark.parametrize("cover", [[["설명"], ["여기"]], [["항목", "뜻"], ["가", "나"], ["다", "라"]], []])
def test_a_header_deep_in_a_sheet_is_proposed(cover):
    deep = [*[["가", "나", "다"]] * 25, ["문장", "감정", "번호"], *[[*row, n] for n, row in enumerate(body(9))]]
    data = workbook({"표지": cover, "자료": deep})
    with pytest.raises(UserError, match=r"^a\.xlsx, sheet '자료', row 26: names of columns .* --header 26,"):
        read(data)
    table = one(data, header=26)
    assert list(table.frame) == ["문장", "감정", "번호"] and len(table.frame) == 9


@pytest.mark.parametrize("given", [{"sheet": "1"}, {"header": "1"}, {"header": "none"}])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_a_sheet_or_a_header_that_no_file_can_have_is_refused(tmp_path, given, suffix):
    path, frame = tmp_path / f"train{suffix}", pd.DataFrame(body(70), columns=["문장", "감정"])
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=suffix == ".jsonl")
    (word, value), layout = *given.items(), Layout(header_row(given.get("header")), given.get("sheet"))
    if suffix != ".csv" or word == "sheet":
        for run in (lambda: load_emotion_data(str(path), labels="all", **given), lambda: open_rows(path, layout)):
            with pytest.raises(UserError, match=rf"^--{word} '?{value}'?: .*; leave it out\.$"):
                run()
    if value == "1":  # beside a workbook, which has both
        (tmp_path / "test.xlsx").write_bytes(workbook({"하나": [["문장", "감정"], *body(70, 70)]}))
        assert len(load_emotion_data(str(tmp_path), labels="all", **given).splits["test"]) == 70


def test_a_copied_sheet_is_read_once(tmp_path):
    """As a spreadsheet program calls it; one that differs in a row is a table of its own."""
    rows = body(30)
    found = loaded(tmp_path, workbook({title: [["문장", "감정"], *rows] for title in ("자료", "자료 (2)")}))
    assert sum(map(len, found.splits.values())) == 30
    assert (
        "a.xlsx, sheet '자료 (2)' holds the same rows as a.xlsx, sheet '자료', and is read once"
        in (found.report["notes"])
    )
    changed = [*rows[:9], ["다른 문장이야", rows[9][1]], *rows[10:]]
    sheets = {"자료": [["문장", "감정"], *rows], "자료 (2)": [["문장", "감정"], *changed]}
    assert sum(map(len, loaded(tmp_path, workbook(sheets)).splits.values())) == 60
