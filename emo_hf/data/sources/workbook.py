"""The sheets of an XLSX file that are tables, as tables of strings."""

from __future__ import annotations

import io
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from emo_hf.data.sources.archives import Unpacked, open_archive
from emo_hf.data.sources.header import LOOKED_AT, clean_name, find_header, named_rows
from emo_hf.data.sources.names import TEXT_COLUMNS, matched
from emo_hf.data.sources.sheet_xml import MOST_CELLS, Range, SheetXml, Unread, letters_of
from emo_hf.data.sources.tables import Layout, Table, check_size
from emo_hf.data.sources.workbook_parts import Parts, Sheet
from emo_hf.data.split_names import split_of
from emo_hf.errors import UserError

_OLE = b"\xd0\xcf\x11\xe0"  # the container of .xls, and of a workbook with a password
_LOOKED_AT_CELLS = 1_000_000
_DEEPEST = 10  # rows of a header of several
_SHOWN = 10
Cells = list[tuple[int, list[str]]]


@dataclass
class Head:
    """The first rows of a sheet that has any, and what they tell.

    Attributes:
        name: what errors call the sheet.
        rows: its first rows, and those after them.
        start: the place in `rows` of the column names, or of the first row of data where there are none.
        names: of the columns; none where the sheet has none.
        error: why it is no table.
    """

    name: str
    sheet: Sheet
    xml: SheetXml
    rows: Cells
    rest: Iterator[tuple[int, list[str]]]
    start: int = 0
    names: Sequence[str] = ()
    error: UserError | None = None

    @property
    def is_tabular(self) -> bool:
        """Whether it has two columns and two rows at least."""
        below = len(self.rows) - self.start - bool(self.names)
        return self.error is None and below > 1 and max(map(len, self._below())) > 1

    def _below(self) -> list[list[str]]:
        return [cells for _, cells in self.rows[self.start :]]


def read_xlsx(name: str, data: bytes, layout: Layout) -> list[Table]:
    """Read the sheets of a workbook that are tables, or the one asked for; rows have the numbers of the sheet.

    A sheet is a table where a column has a usual name of texts, or the one asked for; if none is, where it looks like
    one. A formula counts as its stored result, and a merged cell for all that it covers.

    Raises:
        UserError: no workbook, no rows, no such sheet, one that says a split and is no table, or is too large.
    """
    if data.startswith(_OLE):
        raise UserError(
            f"{name} has a password or is an old .xls; open it and save it as .xlsx without password, or as CSV UTF-8."
        )
    if not data.startswith(b"PK"):
        raise _unreadable(name)
    archive = open_archive(name, io.BytesIO(data))
    Unpacked().add(name, archive.infolist())
    try:
        parts = Parts(archive)
        if not parts.sheets:
            raise _unreadable(name)
        heads, notes = _asked_for(name, parts, layout) if layout.sheet else _found(name, parts, layout)
        return [_table(head, layout, notes) for head in _called(name, heads)]
    except UserError:
        raise
    except Exception as error:  # XML that is none, parts that are missing, numbers that are none
        raise _unreadable(name) from error


def _unreadable(name: str) -> UserError:
    return UserError(f"{name} is not a readable XLSX file; save it again as .xlsx or as CSV UTF-8.")


def _asked_for(name: str, parts: Parts, layout: Layout) -> tuple[list[Head], list[str]]:
    """The sheet of that title, or of that number from 1."""
    wanted = _title(layout.sheet or "")
    titles = [_title(sheet.title) for sheet in parts.sheets]
    if wanted in titles:
        place = titles.index(wanted)
    elif wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(titles):
        place = int(wanted) - 1
    else:
        allowed = f"or a number from 1 to {len(titles)}" if len(titles) > 1 else "or 1"
        raise UserError(
            f"--sheet {layout.sheet!r}: {name} has no such sheet; it has {_few(titles)}; name one, {allowed}."
        )
    head = _head(name, parts, parts.sheets[place], layout)
    if head is None:
        raise UserError(f"{name}, sheet {titles[place]!r} is empty; a header and rows are needed.")
    if head.error:
        raise head.error
    return [head], []


def _found(name: str, parts: Parts, layout: Layout) -> tuple[list[Head], list[str]]:
    """The sheets that are tables, and notes of the others."""
    visible = [sheet for sheet in parts.sheets if not sheet.hidden]
    found = [(sheet, _head(name, parts, sheet, layout)) for sheet in visible]
    heads = [head for _, head in found if head]
    hidden = [sheet.title for sheet in parts.sheets if sheet.hidden and _has_rows(name, parts, sheet)]
    if not heads:
        way = f"; --sheet NAME reads one that is hidden: {_few(hidden)}" if hidden else ""
        raise UserError(f"{name} is empty; a header and rows are needed{way}.")
    chosen = [head for head in heads if _has_texts(head, layout)]
    if not chosen:
        chosen = heads if len(heads) == 1 else [head for head in heads if head.is_tabular] or heads[:1]
    if len(heads) > 1 or len(found) > 1:
        for sheet, head in found:
            if split_of(sheet.title) and head not in chosen:
                raise _no_table(name, sheet, head)
    elif heads[0].error:
        raise heads[0].error
    notes = []
    if covers := [head.sheet.title for head in heads if head not in chosen]:
        notes.append(f"{name}: not read: {_sheets(covers)}; --sheet NAME reads one")
    if hidden:
        notes.append(f"{name}: not read, as it is hidden: {_sheets(hidden)}; --sheet NAME reads one")
    return chosen, notes


def _no_table(name: str, sheet: Sheet, head: Head | None) -> UserError:
    """What is wrong with a sheet whose title says a split."""
    way = "mend it, call it otherwise, or name the sheet to read with --sheet"
    if head is None:
        what = "is empty"
    elif head.error:
        what = f"can't be read ({str(head.error).rstrip('.')})"
    elif head.names:
        what = f"has no column of texts (columns found: {_few([one for one in head.names if one])})"
    else:
        what = "has no row of column names"
    return UserError(f"{name}, sheet {_title(sheet.title)!r} says {split_of(sheet.title)}, but {what}; {way}.")


def _called(name: str, heads: list[Head]) -> list[Head]:
    """The sheets by their titles, where there are several."""
    return [replace(head, name=_name(name, head.sheet) if len(heads) > 1 else name) for head in heads]


def _name(name: str, sheet: Sheet) -> str:
    return f"{name}, sheet {_title(sheet.title)!r}"


def _head(name: str, parts: Parts, sheet: Sheet, layout: Layout) -> Head | None:
    """The first rows of a sheet; None where it has none."""
    called = _name(name, sheet) if len(parts.sheets) > 1 else name
    xml = SheetXml(called, parts, sheet.part)
    rest = xml.rows()
    rows = _first(rest)
    if not rows:
        return None
    head = Head(called, sheet, xml, rows, rest)
    wide = [one for ranges in xml.merged.values() for one in ranges if one.left < one.right]
    narrow = [(number, _unspread(number, cells, wide)) for number, cells in rows] if wide else rows
    try:
        head.start, headed = find_header(called, _padded(narrow), layout)
    except UserError as error:
        head.error = error
        return head
    if headed:
        if not layout.header:
            head.start = _lowest(narrow, head.start, xml)
        head.names = [clean_name(cell) for cell in narrow[head.start][1]]
        above = [(number, _untitled(number, cells, wide)) for number, cells in narrow[: head.start]]
        head.rows = [*above, narrow[head.start], *rows[head.start + 1 :]]
    return head


def _first(rows: Iterator[tuple[int, list[str]]]) -> Cells:
    """The rows that tell what a sheet is: fewer of a wide one."""
    found: Cells = []
    cells = 0
    while len(found) < LOOKED_AT and cells < _LOOKED_AT_CELLS and (row := next(rows, None)):
        found.append(row)
        cells += len(row[1])
    return found


def _padded(rows: Cells) -> Cells:
    """Rows of one width, as the cells at the end of a row that are empty are not there."""
    width = max(len(cells) for _, cells in rows)
    return [(number, cells + [""] * (width - len(cells))) for number, cells in rows]


def _unspread(number: int, cells: list[str], wide: Sequence[Range]) -> list[str]:
    """A row whose merged cells stand in their first columns alone, as a name is that of one column."""
    cells = list(cells)
    for one in wide:
        if one.top <= number <= one.bottom:
            cells[one.left + 1 : one.right + 1] = [""] * len(cells[one.left + 1 : one.right + 1])
    return cells


def _untitled(number: int, cells: list[str], wide: Sequence[Range]) -> list[str]:
    """A row above the header without the titles of several columns, which name none of them."""
    titles = {one.left for one in wide if one.top <= number <= one.bottom}
    return ["" if place in titles else cell for place, cell in enumerate(cells)]


def _lowest(rows: Cells, start: int, xml: SheetXml) -> int:
    """The place of the lowest row of a header, which merged cells may spread over several rows."""
    for place in range(start, min(start + _DEEPEST, len(rows) - 1)):
        number, below = rows[place][0], rows[place + 1][0]
        ranges = [one for top in range(max(1, number - _DEEPEST), number + 1) for one in xml.merged.get(top, ())]
        ranges = [one for one in ranges if one.bottom >= number]
        filled = {column for column, cell in enumerate(rows[place + 1][1]) if cell}
        spread = any(one.bottom >= below for one in ranges)
        named = any(_are_names(rows[place + 1 :], one) for one in ranges if filled >= set(_columns(one)))
        if not spread and not named:
            return place
    return start


def _columns(one: Range) -> range:
    return range(one.left, one.right + 1)


def _are_names(rows: Cells, one: Range) -> bool:
    """Whether the cells below the title of several columns are other than those further down."""
    if one.left == one.right:
        return False
    names = [rows[0][1][column] for column in _columns(one)]
    below = {cells[column] for _, cells in rows[1:] for column in _columns(one) if column < len(cells)}
    return len(set(names)) == len(names) and not below & set(names)


def _has_texts(head: Head, layout: Layout) -> bool:
    """Whether a column has a usual name of texts, or the name asked for."""
    asked = clean_name(layout.text_column)
    if asked and not asked.isdecimal():
        return asked in head.names
    return bool(matched(head.names, TEXT_COLUMNS))


def _has_rows(name: str, parts: Parts, sheet: Sheet) -> bool:
    return next(SheetXml(name, parts, sheet.part).rows(), None) is not None


def _table(head: Head, layout: Layout, notes: Sequence[str]) -> Table:
    """All rows of a sheet."""
    name, rows = head.name, head.rows
    notes = list(notes)
    if head.names:
        layout = replace(layout, header=rows[head.start][0])
    else:
        layout = replace(layout, header=0)
        if head.start:
            notes.append(f"{name}: row{'s' if head.start > 1 else ''} above row {rows[head.start][0]} not read")
        rows = rows[head.start :]
    width = max(len(cells) for _, cells in rows[head.start if head.names else 0 :])
    beyond = Unread()
    found = named_rows(name, _of_width(name, itertools.chain(rows, head.rest), width, beyond), layout)
    assert found is not None  # as there are rows
    numbers: list[int] = []
    body: list[Sequence[str]] = []
    for number, cells in found.rows:
        numbers.append(number)
        body.append(cells)
    check_size(name, len(found.names), len(numbers))
    frame = pd.DataFrame(body, columns=found.names, index=numbers, dtype="str")
    notes += [*found.notes, *_unread(name, head.xml, beyond)]
    return Table(name, frame, sheet=_title(head.sheet.title), headed=found.headed, notes=tuple(notes))


def _of_width(
    name: str, rows: Iterator[tuple[int, list[str]]], width: int, beyond: Unread
) -> Iterator[tuple[int, list[str]]]:
    """The rows, each as wide as the table, and what stands beyond it."""
    for place, (number, cells) in enumerate(rows, 1):
        if place * width > MOST_CELLS:
            raise UserError(
                f"{name}, row {number}: more than {MOST_CELLS:,} cells up to here; delete what is not needed, or save "
                "it as CSV UTF-8."
            )
        if len(cells) < width:
            cells = cells + [""] * (width - len(cells))
        elif len(cells) > width:
            for further, cell in enumerate(cells[width:], width):
                if cell.strip():
                    beyond.add(f"{letters_of(further)}{number}")
            cells = cells[:width]
        yield number, cells


def _unread(name: str, xml: SheetXml, beyond: Unread) -> list[str]:
    """What is to be said of cells that are read as empty, or not at all."""
    notes = []
    if xml.formulas.count:
        notes.append(
            f"{name}: formulas that were saved without their results are read as empty: {xml.formulas}; open and save "
            "it in a spreadsheet program"
        )
    if xml.errors.count:
        notes.append(f"{name}: errors are read as empty: {xml.errors}; mend them in a spreadsheet program")
    if beyond.count:
        notes.append(f"{name}: not read, as no rows above reach so far: {beyond}")
    return notes


def _title(title: str) -> str:
    return unicodedata.normalize("NFC", title).strip()


def _sheets(titles: Sequence[str]) -> str:
    return f"sheet{'s' if len(titles) > 1 else ''} {_few([repr(_title(title)) for title in titles])}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
