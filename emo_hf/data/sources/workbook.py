"""The sheets of an XLSX file that are tables, as tables of strings."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from emo_hf.data.sources.archives import Unpacked, open_archive
from emo_hf.data.sources.header import named_rows
from emo_hf.data.sources.names import TEXT_COLUMNS, matched
from emo_hf.data.sources.sheet_head import Head, head_of, name_of
from emo_hf.data.sources.sheet_xml import SheetXml, Unread, check_cells
from emo_hf.data.sources.tables import Layout, Table, check_size, clean_name
from emo_hf.data.sources.workbook_parts import Parts, Sheet
from emo_hf.data.split_names import split_of
from emo_hf.errors import UserError, few

_OLE = b"\xd0\xcf\x11\xe0"  # the container of .xls, and of a workbook with a password


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
    wanted = clean_name(layout.sheet or "")
    titles = [clean_name(sheet.title) for sheet in parts.sheets]
    if wanted in titles:
        place = titles.index(wanted)
    elif wanted.isascii() and wanted.isdecimal() and 1 <= int(wanted) <= len(titles):
        place = int(wanted) - 1
    else:
        allowed = f"or a number from 1 to {len(titles)}" if len(titles) > 1 else "or 1"
        raise UserError(
            f"--sheet {layout.sheet!r}: {name} has no such sheet; it has {few(titles)}; name one, {allowed}."
        )
    head = head_of(name, parts, parts.sheets[place], layout)
    if head is None:
        raise UserError(f"{name}, sheet {titles[place]!r} is empty; a header and rows are needed.")
    return [head], []


def _found(name: str, parts: Parts, layout: Layout) -> tuple[list[Head], list[str]]:
    """The sheets that are tables, and notes of the others."""
    visible = [sheet for sheet in parts.sheets if not sheet.hidden]
    found = [(sheet, head_of(name, parts, sheet, layout)) for sheet in visible]
    heads = [head for _, head in found if head]
    hidden = [sheet.title for sheet in parts.sheets if sheet.hidden and _has_rows(name, parts, sheet)]
    if not heads:
        way = f"; --sheet NAME reads one that is hidden: {few(hidden)}" if hidden else ""
        raise UserError(f"{name} is empty; a header and rows are needed{way}.")
    chosen = [head for head in heads if _has_texts(head, layout)]
    if not chosen:
        likely = [head for head in heads if head.is_tabular or split_of(head.sheet.title)]
        chosen = heads if len(heads) == 1 else likely or heads[:1]
    if len(heads) > 1 or len(found) > 1:
        for sheet, head in found:
            if split_of(sheet.title) and head not in chosen:
                raise _no_table(name, sheet, head, layout)
    notes = []
    if covers := [head.sheet.title for head in heads if head not in chosen]:
        notes.append(f"{name}: not read: {_sheets(covers)}; --sheet NAME reads one")
    if hidden:
        notes.append(f"{name}: not read, as it is hidden: {_sheets(hidden)}; --sheet NAME reads one")
    return chosen, notes


def _no_table(name: str, sheet: Sheet, head: Head | None, layout: Layout) -> UserError:
    """What is wrong with a sheet whose title says a split."""
    way = "mend it, call it otherwise, or name the sheet to read with --sheet"
    if head is None:
        what = "is empty"
    elif head.error:
        what = f"can't be read ({str(head.error).rstrip('.')})"
    elif head.names:
        texts = f"column {layout.text_column!r}" if layout.text_column else "column of texts"
        what = f"has no {texts} (columns found: {few([one for one in head.names if one])})"
    else:
        what = "has no row of column names"
    return UserError(f"{name}, sheet {clean_name(sheet.title)!r} says {split_of(sheet.title)}, but {what}; {way}.")


def _called(name: str, heads: list[Head]) -> list[Head]:
    """The sheets by their titles, where there are several."""
    return [replace(head, name=name_of(name, head.sheet) if len(heads) > 1 else name) for head in heads]


def _has_texts(head: Head, layout: Layout) -> bool:
    """Whether a column has a usual name of texts, or the name asked for."""
    if head.error:  # unless it is a header asked for that it lacks, names stand deep in it
        return layout.header is None
    asked = clean_name(layout.text_column)
    if asked and not asked.isdecimal():
        return asked in head.names
    return bool(matched(head.names, TEXT_COLUMNS))


def _has_rows(name: str, parts: Parts, sheet: Sheet) -> bool:
    return next(SheetXml(name, parts, sheet.part).rows(), None) is not None


def _table(head: Head, layout: Layout, notes: Sequence[str]) -> Table:
    """All rows of a sheet."""
    if head.error:
        raise head.error
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
    holes = {
        column: frozenset(unread)
        for place, column in enumerate(found.names)
        if (unread := [*head.xml.formulas.rows.get(place, ()), *head.xml.errors.rows.get(place, ())])
    }
    title = clean_name(head.sheet.title)
    return Table(name, frame, sheet=title, headed=found.headed, in_rows=True, unread=holes, notes=tuple(notes))


def _of_width(
    name: str, rows: Iterator[tuple[int, list[str]]], width: int, beyond: Unread
) -> Iterator[tuple[int, list[str]]]:
    """The rows, each as wide as the table, and what stands beyond it."""
    for place, (number, cells) in enumerate(rows, 1):
        check_cells(name, number, place * width)
        if len(cells) < width:
            cells = cells + [""] * (width - len(cells))
        elif len(cells) > width:
            for further, cell in enumerate(cells[width:], width):
                if cell.strip():
                    beyond.add(further, number)
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


def _sheets(titles: Sequence[str]) -> str:
    return f"sheet{'s' if len(titles) > 1 else ''} {few([repr(clean_name(title)) for title in titles])}"
