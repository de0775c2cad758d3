"""Sheets, merged cells, escapes and formulas of workbooks, as spreadsheets and libraries write them."""

from __future__ import annotations

import datetime
import io
import zipfile

import openpyxl
import pytest

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.readers import read_tables
from emo_hf.data.sources.tables import FOUND_OUT, Layout, Table
from emo_hf.errors import UserError

LABELS = ["공포", "놀람", "분노", "슬픔", "중립", "행복", "혐오"]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def body(count: int, start: int = 0) -> list[list[str]]:
    return [[f"{n}번째 문장은 참 길고 {n * 7}쪽이야", LABELS[n % 7]] for n in range(start, start + count)]


def workbook(sheets: dict[str, list[list]], merged: tuple[str, ...] = (), hidden: tuple[str, ...] = ()) -> bytes:
    """Sheets by their titles; ranges are merged in the first."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if title in hidden else "visible"
    for cells in merged:
        book.worksheets[0].merge_cells(cells)
    book.save(file)
    return file.getvalue()


def crafted(rows: str, *, strings: str = "", after: str = "", calculate: bool = False, prefix: str = "") -> bytes:
    """A workbook of one sheet, as XML, by a program that is none of those installed."""

    def links(*named: tuple[str, str, str]) -> str:
        inner = "".join(f'<Relationship Id="{i}" Type="{OFFICE}/{kind}" Target="{to}"/>' for i, kind, to in named)
        return f'<Relationships xmlns="{PACKAGE}">{inner}</Relationships>'

    space = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    asks = '<calcPr fullCalcOnLoad="1"/>' if calculate else '<calcPr calcId="191029"/>'
    parts = {
        "_rels/.rels": links(("a", "officeDocument", "/xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": links(
            ("b", "worksheet", "worksheets/one.xml"), ("c", "sharedStrings", "/xl/strings.xml")
        ),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="하나" sheetId="1" '
        f'r:id="b"/></sheets>{asks}</workbook>',
        "xl/strings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
        "xl/worksheets/one.xml": f'<{prefix}worksheet {space}="{MAIN}"><{prefix}sheetData>{rows}</{prefix}sheetData>'
        f"{after}</{prefix}worksheet>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def inline(row: int, *texts: str) -> str:
    cells = "".join(f'<c r="{chr(65 + n)}{row}" t="inlineStr"><is><t>{t}</t></is></c>' for n, t in enumerate(texts))
    return f'<row r="{row}">{cells}</row>'


def read(data: bytes, **layout) -> list[Table]:
    return read_tables("a.xlsx", data, Layout(**layout) if layout else FOUND_OUT)


def one(data: bytes, **layout) -> Table:
    (table,) = read(data, **layout)
    return table


def cells(table: Table) -> list[list[str]]:
    return table.frame.to_numpy().tolist()


def loaded(tmp_path, data: bytes, **arguments):
    (tmp_path / "a.xlsx").write_bytes(data)
    return load_emotion_data(str(tmp_path / "a.xlsx"), labels="all", **arguments)


# Sheets


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


# Headers and merged cells


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


# Cells


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
