"""Workbooks to be read: by openpyxl, and crafted as programs write them that are not installed."""

from __future__ import annotations

import io
import zipfile

import openpyxl

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.readers import read_tables
from emo_hf.data.sources.tables import FOUND_OUT, Layout, Table

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
