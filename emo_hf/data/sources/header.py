"""Where the names of the columns stand: in the first row, below a title, or nowhere; and the rows under them."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from emo_hf.data.sources.names import KNOWN, LABEL_COLUMNS, TEXT_COLUMNS, matched
from emo_hf.data.sources.tables import Layout, header_of
from emo_hf.errors import UserError

Row = Sequence[Any]
Numbered = tuple[int, Row]
LOOKED_AT = 1000  # rows that tell what the first ones are
_DEEPEST = 20  # below so many rows nobody looks for a header
_NUMBERS = re.compile(r"[\d.,\s+-]*\d[\d.,\s+-]*")


@dataclass
class Rows:
    """The named columns of a file and the rows below them, which are read as they are asked for.

    Attributes:
        names: of the columns; "1", "2", … where the file has none.
        rows: pairs of row number and cells, as many as there are names.
        headed: whether the names are the file's own.
        notes: what was passed over, a line each.
    """

    names: list[str]
    rows: Iterator[Numbered]
    headed: bool = True
    notes: tuple[str, ...] = ()


def named_rows(name: str, numbered: Iterable[Numbered], layout: Layout) -> Rows | None:
    """Find the header among rows with their numbers, blank ones left out; None where there are no rows at all.

    Raises:
        UserError: a column that stands twice in the header, `layout.header` beyond the rows.
    """
    numbered = iter(numbered)
    first = list(itertools.islice(numbered, LOOKED_AT))
    if not first:
        return None
    start, headed = find_header(name, first, layout)
    notes = []
    if headed:
        names = header_of(name, _trimmed(first[start][1]))
        rows = itertools.chain(first[start + 1 :], numbered)
    else:
        width = max(len(_trimmed(row)) for _, row in first[start:])
        names = [str(place) for place in range(1, width + 1)]
        rows = itertools.chain(first[start:], numbered)
        notes.append(f"{name}: no row of column names is found, so that columns are called by their numbers, from 1")
    if start:
        passed = ", ".join(str(number) for number, _ in first[:start][:5])
        which = "the column names" if headed else "the first row of data"
        notes.append(f"{name}: row{'s' if start > 1 else ''} {passed} above {which} (row {first[start][0]}) not read")
    return Rows(names, _fitted(name, rows, len(names), headed), headed, tuple(notes))


def find_header(name: str, rows: Sequence[Numbered], layout: Layout) -> tuple[int, bool]:
    """The place in `rows` of the header, and True; or of the first row of data, and False where there is no header.

    A header is known by the names asked for, by usual names, and by what stands below it: labels and numbers that the
    first row holds as the others do are data.

    Raises:
        UserError: `layout.header` names a row that is blank or not there.
    """
    if layout.header:
        place = next((place for place, (number, _) in enumerate(rows) if number == layout.header), None)
        if place is None:
            raise UserError(
                f"--header {layout.header}: {name} has nothing in row {layout.header}; give another, or none"
            )
        return place, True
    cells = [[clean_name(cell) for cell in row] for _, row in rows]
    start = _below_titles(cells)
    if layout.header == 0:
        return start, False
    asked = {clean_name(column) for column in (layout.text_column, layout.label_column) if column}
    for place, row in enumerate(cells[:_DEEPEST]):
        if asked and asked <= set(row) and not (place and all(column.isdecimal() for column in asked)):
            return place, True
    for place, row in enumerate(cells[:_DEEPEST]):
        text, label = bool(matched(row, TEXT_COLUMNS)), bool(matched(row, LABEL_COLUMNS))
        if (text and label) or (place <= start and (text or label or len(matched(row, KNOWN)) > 1)):
            return place, True
    return start, not _is_data(cells[start], cells[start + 1 :])


def clean_name(cell: Any) -> str:
    """A cell as a name of a column is compared."""
    return "" if cell is None else unicodedata.normalize("NFC", str(cell)).strip("\ufeff\u200b \t\r\n\xa0")


def _trimmed(row: Row) -> list[Any]:
    """A row without the empty cells at its end."""
    width = max((place for place, cell in enumerate(row, 1) if clean_name(cell)), default=0)
    return list(row[:width])


def _filled(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _below_titles(cells: Sequence[Sequence[str]]) -> int:
    """The place of the first row that is as full as those below it: a title fills a cell or two of a wide table."""
    below = sorted(map(_filled, cells))
    usual = below[len(below) // 2]
    for place, row in enumerate(cells[:_DEEPEST]):
        if 2 * _filled(row) > usual:
            return place
    return 0


def _is_data(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row with no usual name is one like those below it."""
    if not below:
        return False
    columns = [[line[place] for line in below if place < len(line) and line[place]] for place in range(len(row))]
    numbers = [_NUMBERS.fullmatch(cell) is not None for cell in row]
    if [cell for cell in row if cell] == [str(place) for place in range(_filled(row))]:  # as pandas numbers columns
        return all(all(map(_NUMBERS.fullmatch, column)) for column in columns if column)
    for cell, number, column in zip(row, numbers, columns, strict=True):
        if not cell or not column:
            continue
        if number and sum(map(bool, map(_NUMBERS.fullmatch, column))) >= 0.9 * len(column):
            return True
        if cell in column and len(set(column)) <= max(2, len(column) // 2):
            return True
    return False


def _fitted(name: str, rows: Iterable[Numbered], width: int, headed: bool) -> Iterator[Numbered]:
    """The rows, each of the width of the header; empty cells beyond it are no cells."""
    for number, row in rows:
        if len(row) > width and not any(map(clean_name, row[width:])):
            row = row[:width]
        if len(row) != width:
            than = f"the header has {width}" if headed else f"others have {width}"
            way_out = "put quotes around cells that hold the delimiter" if len(row) > width else "fill it up"
            raise UserError(f"{name}, row {number}: {len(row)} cells, but {than}; {way_out}.")
        yield number, row
