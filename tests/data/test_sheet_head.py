"""Headers of sheets, titles above them, and merged cells."""

from __future__ import annotations

import pytest
from workbooks import LABELS, body, cells, loaded, one, workbook


def test_a_continuous_dialogue_with_its_mark_above_a_blank(tmp_path):
    rows = [["S" if n % 7 == 0 else None, *row] for n, row in enumerate(body(140))]
    data = workbook({"Sheet": [["dialog #"], [None, "발화", "감정"], *rows]})
    table = one(data)
    assert list(table.frame) == ["dialog #", "발화", "감정"] and table.frame.index.tolist() == [*range(3, 143)]
    found = loaded(tmp_path, data)
    assert sum(map(len, found.splits.values())) == 140 and list(found.labels) == LABELS
    of_split = {split: set(part["dialogue"]) for split, part in found.splits.items()}
    assert sum(map(len, of_split.values())) == len(set().union(*of_split.values())) == 20
    for part in found.splits.values():
        assert len(part) == 7 * len(set(part["dialogue"]))
    order = {text: n // 7 for n, (text, _) in enumerate(body(140))}
    rows_of = [(order[row["text"]], row["dialogue"]) for part in found.splits.values() for row in part]
    assert len(set(rows_of)) == 20


def test_a_merged_label_counts_for_all_its_rows(tmp_path):
    rows = [[LABELS[n // 18] if n % 18 == 0 else None, f"{n}번째 문장은 참 길어"] for n in range(126)]
    merged = tuple(f"A{2 + 18 * n}:A{19 + 18 * n}" for n in range(7))
    data = workbook({"Sheet": [["감정", "문장"], *rows]}, merged)
    assert cells(one(data)) == [[LABELS[n // 18], row[1]] for n, row in enumerate(rows)]
    found = loaded(tmp_path, data)
    counts = [sum(found.report["counts"][split][label] for split in found.splits) for label in LABELS]
    assert counts == [18] * 7


def test_merged_cells_make_no_rows_of_blank_ones():
    rows = [["문장", "감정"], ["가 나", "기쁨"], [None, None], ["다 라", "슬픔"], [None, "불안"]]
    table = one(workbook({"하나": rows}, ("A2:A3", "B2:B3", "A4:A5")))
    assert cells(table) == [["가 나", "기쁨"], ["다 라", "슬픔"], ["다 라", "불안"]]
    assert table.frame.index.tolist() == [2, 4, 5]


def test_a_cell_merged_over_columns_counts_for_each():
    rows = [["문장", "감정", "다른 감정"], ["가 나", "기쁨", None], ["다 라", "슬픔", "불안"]]
    assert cells(one(workbook({"하나": rows}, ("B2:C2",)))) == [["가 나", "기쁨", "기쁨"], ["다 라", "슬픔", "불안"]]


HEADERS = {
    "a title over all": ([["감정 말뭉치"], ["문장", "감정", "n"]], ("A1:C1",), ["문장", "감정", "n"]),
    "a title of several rows": ([["감정 말뭉치"], [], ["문장", "감정", "n"]], ("A1:C2",), ["문장", "감정", "n"]),
    "unusual names": ([["말뭉치"], ["내용", "기분", "n"]], ("A1:C1",), ["내용", "기분", "n"]),
    "a group beside a name of two rows": (
        [["문장", "표시"], [None, "기분", "n"]], ("A1:A2", "B1:C1"), ["문장", "기분", "n"]
    ),
    "a group that is a usual name": (
        [["문장", "감정"], [None, "첫째", "둘째"]], ("A1:A2", "B1:C1"), ["문장", "첫째", "둘째"]
    ),
    "a group beside a name above a blank": (
        [["문장", "감정"], [None, "첫째", "둘째"]], ("B1:C1",), ["문장", "첫째", "둘째"]
    ),
    "a group that makes usual names": (
        [["감정 조사"], ["문장", "감정"], [None, "대분류", "소분류"]],
        ("A1:C1", "A2:A3", "B2:C2"),
        ["문장", "감정_대분류", "감정_소분류"],
    ),
    "a blank that a group stands above": (
        [["자료"], [None, "문장", "감정"]], ("A1:C1",), ["Unnamed: 0", "문장", "감정"]
    ),
    "two columns of one name": ([["문장", "감정"]], ("B1:C1",), ["문장", "감정", "Unnamed: 2"]),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_the_lowest_row_of_a_header_names_the_columns(case):
    header, merged, names = HEADERS[case]
    rows = [["가 나다", "기쁨", "슬픔"], ["라 마바", "슬픔", "기쁨"], ["사 아자", "기쁨", "기쁨"]] * 3
    table = one(workbook({"하나": [*header, *rows]}, merged))
    assert list(table.frame) == names and cells(table) == rows


@pytest.mark.parametrize(
    "header, names, first", [("none", ["1", "2"], 1), ("3", ["다 라", "슬픔"], 4), (None, None, 1)]
)
def test_the_header_is_asked_for(tmp_path, header, names, first):
    data = workbook({"하나": [["가 나", "기쁨"], [], ["다 라", "슬픔"], ["마 바", "기쁨"], ["사 아", "슬픔"]]})
    table = one(data, header={"none": 0, "3": 3, None: None}[header])
    assert list(table.frame) == (names or ["1", "2"])
    assert table.headed is (header == "3") and table.frame.index.tolist()[0] == first


def test_a_title_above_data_without_a_header_is_no_data():
    table = one(workbook({"하나": [["감정 말뭉치"], [None, "2024"], *body(9), ["문장 하나"], *body(2)]}))
    assert not table.headed and table.frame.index.tolist() == [*range(3, 15)] and cells(table)[9] == ["문장 하나", ""]
    assert table.notes == ("a.xlsx: rows above row 3 not read",)
    lines = [[text] for text, _ in body(9)]
    lines[5].append("메모")
    assert len(one(workbook({"하나": lines}), header=0).frame) == 9


def test_a_name_over_two_columns_takes_no_row_of_data():
    rows = [["발화", None, "감정"], *[[text, f"{text} 그리고 또", label] for text, label in body(30)]]
    table = one(workbook({"하나": rows}, ("A1:B1",)))
    assert list(table.frame) == ["발화", "Unnamed: 1", "감정"] and cells(table) == rows[1:]


def test_blank_rows_and_cells_beyond_the_columns():
    rows = [["문장", "감정"], ["가 나", "기쁨"], [None, " "], [], ["다 라", "슬픔"], ["마 바"], [None, None]]
    table = one(workbook({"하나": rows}))
    assert cells(table) == [["가 나", "기쁨"], ["다 라", "슬픔"], ["마 바", ""]]
    assert table.frame.index.tolist() == [2, 5, 6] and table.notes == ()
    long = [["문장", "감정"], *body(1100)]
    long[1100].append("메모")
    table = one(workbook({"하나": long}))
    assert cells(table) == body(1100)
    assert table.notes == ("a.xlsx: not read, as no rows above reach so far: cell C1101",)
