"""Predictions in files: every row, in order, beside its other columns; whole, or not there."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import places
import pytest

from emo_hf.data.sources import streams
from emo_hf.errors import UserError
from emo_hf.inference import prediction_writers
from emo_hf.inference.prediction_files import SUFFIXES
from emo_hf.inference.predictions import column_names
from emo_hf.inference.predictor import Predictor

LABELS = ["불안", "기쁨", "=슬픔"]
OUTPUTS = list(SUFFIXES)
# An id, a text, and how both stand in CSV where a spreadsheet would take one for a formula.
ROWS = [
    ("007", "오늘 친구랑 웃었어"),
    ("-1", ""),
    ("+82-10-1234", '"따옴표"로 시작해'),
    ("a;b", "쉼표, 세미콜론; 탭\t줄\n바꿈"),
    ("=1+1", '=HYPERLINK("http://x")'),
    ("한\r\n칸", "\r\n앞뒤에 줄바꿈\r"),
    ("#N/A", "\u200b\u3164 "),
    ("_x000D_", "_x0041_ 말"),
    ("1e5", "  빈칸  "),
    ("", "NULL"),
    ("true", "007"),
    ("끝", "\x01\x1f제어"),
]
FORMULAS = ("+82-10-1234", "=1", "=1+1", "=넷 다섯", '=HYPERLINK("http://x")', "\r\n앞뒤에 줄바꿈\r")
EMPTY = [2, 7]


class Known:
    """A model of which every text has its own probabilities."""

    labels = LABELS
    thresholds = None
    promises: dict[str, Any] = {}  # noqa: RUF012
    named, label_sets = Predictor.named, Predictor.label_sets

    def __init__(self, model: str, **_: Any):
        pass

    def scores(self, texts: list[str]) -> np.ndarray:
        return np.array([scores(text) for text in texts])


def scores(text: str) -> list[float]:
    first = (len(text) * 7 + sum(map(ord, text))) % 97 / 100
    return [first, (1 - first) * 0.3, (1 - first) * 0.7]


def label(text: str) -> str:
    return LABELS[max(range(3), key=scores(text).__getitem__)]


@pytest.fixture
def predict(monkeypatch) -> Callable[..., int]:
    """The recipe with a model that computes nothing."""
    recipe: ModuleType = places.recipe("predict")
    monkeypatch.setattr("emo_hf.inference.predictor.Predictor", Known)
    return lambda *words: recipe.main(["model", *map(str, words)])


def read_back(path: Path) -> list[dict[str, Any]]:
    """The rows of a file as somebody else's program reads them; empty cells are ""."""
    if path.suffix == ".jsonl":
        lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
        return [json.loads(line) for line in lines]
    if path.suffix == ".xlsx":
        header, *rows = openpyxl.load_workbook(path)["predictions"].iter_rows(values_only=True)
        rows = [[decoded(cell) for cell in row] for row in rows]
        return [dict(zip(map(decoded, header), row, strict=True)) for row in rows]
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True))
    read = pd.read_csv(
        path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )
    assert read.to_dict("records") == rows
    return [{unguarded(key): unguarded(cell) for key, cell in row.items()} for row in rows]


def decoded(cell: Any) -> Any:
    """What Excel shows of a cell."""
    if isinstance(cell, str):
        return re.sub("_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), cell)
    return "" if cell is None else cell


def unguarded(cell: str) -> str:
    assert cell not in FORMULAS and cell != "=슬픔"
    return cell[1:] if cell.startswith("'") else cell


def shown(row: dict[str, Any], suffix: str) -> tuple[str | None, list[float] | None]:
    """Label and probabilities of a row, None where they are empty."""
    if suffix == ".jsonl":
        assert row["scores"] is None or list(row["scores"]) == LABELS
        return row["label"], row["scores"] and list(row["scores"].values())
    values = [row[name] for name in LABELS]
    if suffix == ".xlsx":
        assert all(value == "" or isinstance(value, float) for value in values)
    return row["label"] or None, None if "" in values else [float(value) for value in values]


def check(path: Path, texts: list[str], others: list[dict[str, str]]) -> None:
    found = read_back(path)
    assert len(found) == len(texts) and [row["sentence"] for row in found] == texts
    own = ["sentence", "label", *(["scores"] if path.suffix == ".jsonl" else LABELS)]
    assert list(found[0]) == [*others[0], *own]
    for number, (row, text, beside) in enumerate(zip(found, texts, others, strict=True), 1):
        assert {name: row[name] for name in beside} == beside
        name, values = shown(row, path.suffix)
        if number in EMPTY and texts[1] == "":
            assert (name, values) == (None, None)
        else:
            assert name == label(text) and values == pytest.approx(scores(text), abs=1e-4)


def write_input(path: Path, rows: list[tuple[str, ...]], columns: tuple[str, ...]) -> Path:
    frame = pd.DataFrame(rows, columns=list(columns), dtype="str")
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            # With a bare carriage return in a cell, `csv` quotes only what ends its own lines.
            table = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\r\n")
            table.writerows([columns, *rows])
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row, cells in enumerate([columns, *rows], 1):
            for column, cell in enumerate(cells, 1):
                book.active.cell(row, column, cell).data_type = "s"  # else "=1" would be a formula
        book.save(path)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=path.suffix == ".jsonl", force_ascii=False)
    return path


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_every_cell_comes_back(predict, tmp_path, capsys, kind, suffix) -> None:
    source = write_input(tmp_path / f"input{kind}", [(a, b, a) for a, b in ROWS], ("id", "text", "label"))
    out = tmp_path / f"out{suffix}"
    assert predict(source, "--output", out) == 0
    check(out, [text for _, text in ROWS], [{"id": name, "input_label": name} for name, _ in ROWS])
    numbers = "3, 8" if kind in (".csv", ".tsv") else "2, 7"
    said = capsys.readouterr()
    assert said.out == f"wrote {out}, 12 rows\n"
    assert said.err.splitlines()[-1] == f"{source.name}: 2 rows have no text and an empty prediction: {numbers}"


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_a_workbook_and_predictions_are_read_again(predict, tmp_path, capsys, suffix) -> None:
    rows = [("007", "오늘 웃었어", ""), ("-1", "", "x"), ("008", "=1+1 울었어", "=1"), ("12.50", "줄\n바꿈", "ㅋ")]
    source = write_input(tmp_path / "후기.xlsx", rows, ("번호", "후기 글", "불안"))
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    assert predict(source, "--output", first, "--text_column", "후기 글") == 0
    assert predict(first, "--output", second) == 0
    kept = "불안" if suffix == ".jsonl" else "input_불안"
    check(first, [row[1] for row in rows], [{"번호": row[0], kept: row[2]} for row in rows])
    again = read_back(second)
    assert [row["번호"] for row in again] == ["007", "-1", "008", "12.50"]
    given = [None if not row[1] else label(row[1]) for row in rows]
    assert [row["input_label"] or None for row in again] == given


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_lines_and_tables_without_a_header(predict, tmp_path, monkeypatch, suffix) -> None:
    texts = ["하나, 둘", "", '"셋', "-넷"]
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    out = tmp_path / f"out{suffix}"
    columns = {"sentence", "label", *(["scores"] if suffix == ".jsonl" else LABELS)}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    for words in ([lines], ["-"]):
        assert predict(*words, "--output", out) == 0
        found = read_back(out)
        assert [row["sentence"] for row in found] == texts and set(found[0]) == columns
        assert [shown(row, suffix)[0] for row in found] == [label(text) if text else None for text in texts]
    blocks = iter([streams.Block([1, 2], {"1": ["a", "b"], "2": ["가 나", "다 라"], "3": ["", "-1"]})])
    opened = streams.Opened("t.csv", ["1", "2", "3"], "2", False, ("no header",), blocks)
    monkeypatch.setattr(streams, "open_rows", lambda *_, **__: opened)
    assert predict(lines, "--output", out) == 0
    assert [(row["1"], row["3"], row["sentence"]) for row in read_back(out)] == [
        ("a", "", "가 나"),
        ("b", "-1", "다 라"),
    ]


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json", ".xlsx", ".parquet"])
def test_standard_input_is_a_table_too(predict, tmp_path, monkeypatch, kind) -> None:
    rows = [("007", "오늘, 웃었어"), ("-1", ""), ("=1", '"셋"이'), ("9", "=넷 다섯")]
    source = write_input(tmp_path / f"input{kind}", rows, ("id", "text"))
    with source.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert predict("--output", tmp_path / "out.csv") == 0
    check(tmp_path / "out.csv", [text for _, text in rows], [{"id": name} for name, _ in rows])


@pytest.mark.parametrize("kind", ["text", "csv", "tsv", "jsonl"])
def test_standard_output_is_as_the_file(predict, tmp_path, capsys, monkeypatch, kind) -> None:
    """In UTF-8, whatever encoding the system has, but for a terminal, which gets no mark."""
    source = write_input(tmp_path / "input.csv", ROWS, ("id", "text"))
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", out := io.TextIOWrapper(raw, encoding="utf-8" if kind == "text" else "cp949"))
    assert predict(source, "--format", kind) == 0
    out.flush()
    if kind == "text":
        lines = raw.getvalue().decode("utf-8").removesuffix("\n").split("\n")
        assert len(lines) == len(ROWS)
        assert [line.split("\t")[0] for line in lines] == [
            "" if number in EMPTY else label(text) for number, (_, text) in enumerate(ROWS, 1)
        ]
    else:
        assert predict(source, "--output", tmp_path / f"out.{kind}") == 0
        assert raw.getvalue().splitlines()[:3] == (tmp_path / f"out.{kind}").read_bytes().splitlines()[:3]
        assert raw.getvalue().startswith((tmp_path / f"out.{kind}").read_bytes())
    monkeypatch.setattr("sys.stdout", out := io.TextIOWrapper(raw := io.BytesIO(), encoding="utf-8"))
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    assert predict(source, "--format", kind) == 0
    out.flush()
    assert not raw.getvalue().startswith(b"\xef\xbb\xbf")


def test_notes_of_the_reader_are_the_last_lines(predict, tmp_path, capsys, monkeypatch) -> None:
    """Also those that it makes on its way, below the speed."""
    opened = streams.Opened("t.csv", ["1"], "1", False, ("first",), iter(()))

    def blocks() -> Iterator[streams.Block]:
        for start in range(0, 3000, 1000):
            yield streams.Block(range(start, start + 1000), {"1": [""] * 999 + ["말"]})
        opened.notes += ("second",)

    opened.blocks = blocks()
    monkeypatch.setattr(streams, "open_rows", lambda *_, **__: opened)
    (tmp_path / "t.csv").touch()
    assert predict(tmp_path / "t.csv") == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 3000
    speed, *last = said.err.splitlines()
    assert speed.startswith("3,000 sentences in ") and last == [
        "data: first",
        "data: second",
        "t.csv: 2,997 rows have no text and an empty prediction: 0, 1, 2, 3, 4 and 2,992 more",
    ]


# --- whole or absent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, b"as it was"])
@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("error", [UserError("t.csv, row 4098: 3 cells"), KeyboardInterrupt()])
def test_a_contradiction_in_the_middle_leaves_no_file(predict, tmp_path, capsys, monkeypatch, error, suffix, before):
    def blocks() -> Iterator[streams.Block]:
        yield streams.Block(range(4096), {"1": ["말"] * 4096})
        raise error

    monkeypatch.setattr(
        streams, "open_rows", lambda *_, **__: streams.Opened("t.csv", ["1"], "1", False, (), blocks())
    )
    (tmp_path / "t.csv").touch()
    out = tmp_path / f"out{suffix}"
    if before:
        out.write_bytes(before)
    assert predict(tmp_path / "t.csv", "--output", out) == (2 if isinstance(error, UserError) else 130)
    said = capsys.readouterr()
    assert said.err.strip() == ("error: t.csv, row 4098: 3 cells" if isinstance(error, UserError) else "stopped")
    assert not said.out and (out.read_bytes() if out.exists() else None) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["t.csv", *([out.name] if before else [])])


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_a_full_disk_is_one_line(predict, tmp_path, capsys, monkeypatch, suffix) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert predict("오늘", "--output", tmp_path / f"out{suffix}") == 2
    said = capsys.readouterr().err
    assert "can't be written (No space left on device)" in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_a_workbook_can_not_hold(predict, tmp_path, capsys, monkeypatch) -> None:
    out = tmp_path / "out.xlsx"

    def refused(*words: str | Path) -> str:
        assert predict(*words, "--output", out) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "name that ends in .csv" in said and not out.exists(), said
        assert predict(*words, "--output", out.with_suffix(".csv")) == 0
        capsys.readouterr()
        return said

    assert "row 2 has a text of 32,768 characters" in refused("말", "가" * 32_768)
    assert "row 1 has a text of 16,384 characters" in refused("🎉" * 16_384)
    assert predict("가" * 32_767, "🎉" * 16_383, "--output", out) == 0
    assert [len(row["sentence"]) for row in read_back(out)] == [32_767, 16_383]
    out.unlink()
    monkeypatch.setattr(prediction_writers, "MOST_ROWS", 4)
    assert "a sheet holds 3 rows below its header" in refused("하나", "둘", "셋", "넷")
    assert predict("하나", "둘", "셋", "--output", out) == 0
    out.unlink()
    monkeypatch.setattr(prediction_writers, "MOST_COLUMNS", 4)
    assert "5 columns, but a sheet holds 4" in refused("하나")


def test_a_file_that_can_not_be_written_is_refused_before_anything(predict, tmp_path, capsys, monkeypatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("emo_hf.inference.predictor.Predictor", never)
    source, link = write_input(tmp_path / "in.csv", ROWS, ("id", "text")), tmp_path / "link.csv"
    link.symlink_to(source)
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    before = source.read_bytes()

    def refused(*words: str | Path) -> str:
        assert predict(*words) == 2
        said = capsys.readouterr()
        assert said.err.count("\n") == 1 and not said.out and source.read_bytes() == before
        return said.err

    for name, said in {
        "out.xls": "has .xls suffix; give a file whose name ends in .csv .tsv .xlsx .jsonl",
        "out": "has no suffix",
        ".": "is a folder",
        "folder.csv": "is a folder; give a file in it, as",
        "nowhere/out.csv": "there is no folder",
        "in.csv": "is the file that is read",
        "link.csv": "is the file that is read",
        "pipe.csv": "is no regular file",
        f"{'가' * 82}.csv": "the name is too long",
        f"{'가' * 300}.csv": "can't be written (File name too long)",
    }.items():
        assert said in refused(source, "--output", tmp_path / name), name
    for name, kind in (("a.csv", "tsv"), ("a.xlsx", "csv"), ("a.jsonl", "text")):
        assert f"and --format says {kind}; leave --format out" in refused(source, "--output", name, "--format", kind)
    assert "--header is 'x'; allowed: none" in refused(source, "--header", "x")
    assert f"--sheet '1': {source.name} has no sheets" in refused(source, "--sheet", "1")
    assert "--header 1: the command line has no row of column names" in refused("좋은 날이야", "--header", "1")
    with source.open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert "is the file that is read" in refused("-", "--output", source)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "nothing may be written into" in refused(source, "--output", tmp_path / "out.csv")


def test_a_link_goes_on_to_lead_to_the_file(predict, tmp_path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "out.csv", tmp_path / "real" / "table.csv"
    real.write_bytes(b"old")
    link.symlink_to(real)
    assert predict("오늘", "--output", link) == 0
    assert link.is_symlink() and real.read_bytes().startswith(b"\xef\xbb\xbfsentence,label")


@pytest.mark.parametrize(
    ("others", "own", "names"),
    [
        (["id", "label"], ["sentence", "label", "1"], ["id", "input_label", "sentence", "label", "1"]),
        (["1", "input_1"], ["sentence", "label", "1"], ["input_1_2", "input_1", "sentence", "label", "1"]),
        (["input_1", "1"], ["sentence", "label", "1"], ["input_1", "input_1_2", "sentence", "label", "1"]),
        (["a", "a"], ["sentence"], ["a", "input_a", "sentence"]),
        (["Label"], ["sentence", "label"], ["Label", "sentence", "label"]),
        ([], ["sentence", "label", "label", "class_label"], ["sentence", "label", "class_label_2", "class_label"]),
    ],
)
def test_no_column_stands_twice(others, own, names) -> None:
    assert column_names(others, own) == names and len(set(names)) == len(names)
