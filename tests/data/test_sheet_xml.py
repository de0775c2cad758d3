"""Cells of workbooks: escapes, formulas, errors, numbers and dates, as spreadsheets and libraries write them."""

from __future__ import annotations

import datetime

import pytest
from workbooks import LABELS, body, cells, crafted, inline, loaded, one, read, workbook

from emo_hf.errors import UserError


def test_escapes_are_read_in_every_kind_of_string():
    shared = [
        "<si><t>문장_x000D_\n</t></si>",
        '<si><t xml:space="preserve">가_x000D_\n나</t></si>',
        "<si><r><t>가_x000D_</t></r><r><t>\n다</t></r><rPh><t>소리</t></rPh></si>",
        "<si><t>_x005F_x000D_ _xD83D_ _x00e9_</t></si>",
    ]
    strings = '<row r="1"><c t="s"><v>0</v></c><c t="inlineStr"><is><t>감정_x000D_</t></is></c></row>'
    strings += "".join(
        f'<row><c t="s"><v>{n}</v></c><c t="str"><f>A1</f><v>기쁨_x000D_</v></c></row>' for n in (1, 2, 3)
    )
    table = one(crafted(strings, strings="".join(shared)))
    assert list(table.frame) == ["문장", "감정"]
    texts = ["가\r\n나", "가\r\n다", "_x000D_ _xD83D_ é"]
    assert cells(table) == [[text, "기쁨\r"] for text in texts]


def test_line_breaks_of_xlsxwriter_are_none_of_text_or_label(tmp_path):
    rows = [inline(1, "문장", "감정")]
    rows += [inline(n, f"{n}번째 줄은_x000D_\n길어", f"{LABELS[n % 2]}_x000D_\n") for n in range(2, 62)]
    found = loaded(tmp_path, crafted("".join(rows)))
    assert list(found.labels) == LABELS[:2]
    texts = {text for part in found.splits.values() for text in part["text"]}
    assert texts == {f"{n}번째 줄은\r\n길어" for n in range(2, 62)}


FORMULAS = {
    "no value": ("<c r='B2'><f>A1</f></c>", False, "", True),
    "an empty value": ("<c r='B2'><f>A1</f><v></v></c>", False, "", True),
    "a zero that nobody calculated": ("<c r='B2'><f>A1</f><v>0</v></c>", True, "", True),
    "a zero": ("<c r='B2'><f>A1</f><v>0</v></c>", False, "0", False),
    "a number typed": ("<c r='B2'><v>0</v></c>", True, "0", False),
    "a result": ("<c r='B2'><f>A1</f><v>2</v></c>", True, "2", False),
    "a text": ("<c r='B2' t='str'><f>A1</f><v>기쁨</v></c>", True, "기쁨", False),
    "a text that is empty": ("<c r='B2' t='str'><f>A1</f><v></v></c>", False, "", False),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_a_formula_counts_as_its_stored_result(case):
    cell, calculate, value, said = FORMULAS[case]
    row = f'<row r="2"><c r="A2" t="inlineStr"><is><t>가 나</t></is></c>{cell}</row>'
    table = one(crafted(inline(1, "문장", "감정") + row + inline(3, "다 라", "슬픔"), calculate=calculate))
    assert cells(table) == [["가 나", value], ["다 라", "슬픔"]]
    note = "a.xlsx: formulas that were saved without their results are read as empty: cell B2; open and save it in a "
    assert table.notes == ((note + "spreadsheet program",) if said else ())


def test_formulas_and_errors_are_counted_and_the_first_named():
    rows = [["문장", "감정"], *[[text, '=CONCAT("기","쁨")'] for text, _ in body(7)], ["가 나", "#N/A"]]
    table = one(workbook({"하나": rows}))
    assert set(table.frame["감정"]) == {""}
    assert table.notes == (
        "a.xlsx: formulas that were saved without their results are read as empty: cells B2, B3, B4, B5, B6 and 2 "
        "more; open and save it in a spreadsheet program",
        "a.xlsx: errors are read as empty: cell B9 (#N/A); mend them in a spreadsheet program",
    )


def test_numbers_dates_and_truth_are_read_as_a_sheet_shows_them():
    when = datetime.datetime(2024, 1, 31)
    row = ["가 나", 1.0, 1.5, when, when.replace(hour=12), datetime.time(9, 30), True, 1004, -2, 0]
    names = ["문장", "a", "b", "c", "d", "e", "f", "g", "h", "i"]
    shown = ["가 나", "1", "1.5", "2024-01-31", "2024-01-31 12:00:00", "09:30:00", "True", "1004", "-2", "0"]
    assert cells(one(workbook({"하나": [names, row, row]}))) == [shown, shown]
    numbers = "".join(f'<c r="B{n}"><v>{value}</v></c>' for n, value in ((2, "1.0"),))
    row2 = (
        f'<row r="2"><c r="A2" t="inlineStr"><is><t>가 나</t></is></c>{numbers}<c><v>0.30000000000000004</v></c></row>'
    )
    assert cells(one(crafted(inline(1, "문장", "a", "b") + row2))) == [["가 나", "1", "0.3"]]


def test_xml_with_a_prefix_and_merged_cells_with_one():
    rows = "".join(
        f'<x:row r="{n}"><x:c r="A{n}" t="inlineStr"><x:is><x:t>{text}</x:t></x:is></x:c>'
        + (f'<x:c r="B{n}" t="inlineStr"><x:is><x:t>{label}</x:t></x:is></x:c>' if label else "")
        + "</x:row>"
        for n, (text, label) in enumerate([("문장", "감정"), ("가 나", "기쁨"), ("다 라", "")], 1)
    )
    merged = '<x:mergeCells count="1"><x:mergeCell ref="B2:B3"/></x:mergeCells>'
    assert cells(one(crafted(rows, after=merged, prefix="x:"))) == [["가 나", "기쁨"], ["다 라", "기쁨"]]


def test_a_range_over_the_whole_sheet_fills_no_memory():
    rows = inline(1, "문장", "감정") + "".join(inline(n, "가 나", "기쁨") for n in range(2, 4000))
    merged = '<mergeCells><mergeCell ref="A2:XFD1048576"/></mergeCells>'
    with pytest.raises(UserError, match=r"^a\.xlsx, row \d+: more than 50,000,000 cells up to here; delete what is"):
        read(crafted(rows, after=merged))
