"""What every reader makes of a file: a table of strings, of a size that a table of texts has."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emo_hf.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS, MOST_CELLS = 16_384, 100_000_000
LAST_HEADER = 1000
# Blanks, the mark of UTF-8 and the zero-width blank, which nobody sees around a name.
_EDGES = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\ufeff"


@dataclass(frozen=True)
class Layout:
    """How files are laid out, where they don't tell themselves.

    Attributes:
        header: the row of the column names, from 1; 0 where there is none; None: it is found out.
        sheet: the sheet of a workbook; None: it is found out.
        text_column, label_column: names or numbers (from 1) of the columns asked for, which tell a header.
    """

    header: int | None = None
    sheet: str | None = None
    text_column: str | None = None
    label_column: str | None = None


FOUND_OUT = Layout()  # all of it
HEADLESS = Layout(header=0)


@dataclass(frozen=True)
class Table:
    """The rows of one file, or of one sheet of it, every cell a string, indexed by the row numbers that the user sees.

    Attributes:
        name: what errors call it.
        frame: the cells; where the file has no header, the columns are called "1", "2", …
        encoding: of the bytes, where they are text.
        escaped: columns whose cells are JSON that may stand for two texts each.
        lists: columns whose cells are JSON lists, as they are of several labels a row.
        sheet: which sheet of its workbook it is.
        headed: whether the columns have names of their own.
        in_rows: whether a row may hold the names of the columns, as `Layout.header` says.
        unread: rows of a column whose cells hold what reads as empty, as an error or a formula without its result.
        notes: what was left out or read otherwise than it stands there, a line each.
    """

    name: str
    frame: pd.DataFrame
    encoding: str | None = None
    escaped: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    sheet: str | None = None
    headed: bool = True
    in_rows: bool = False
    unread: Mapping[str, frozenset[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cells:
    """What `Table` holds of some rows, as plain lists: pandas takes a while to import, and predictions do without it.

    Attributes:
        columns: the cells of each column, as many as there are `numbers` of rows.
    """

    name: str
    columns: Mapping[str, Sequence[str]]
    numbers: Sequence[int]
    lists: frozenset[str] = frozenset()
    sheet: str | None = None
    headed: bool = True
    in_rows: bool = False
    notes: tuple[str, ...] = ()


def clean_name(cell: Any) -> str:
    """The name of a column or a sheet as it is compared."""
    return "" if cell is None else unicodedata.normalize("NFC", str(cell)).strip(_EDGES)


def header_of(name: str, cells: Sequence[Any]) -> list[str]:
    """Clean column names; an unnamed one (an exported index) keeps a name that nothing asks for.

    Raises:
        UserError: a name that stands twice.
    """
    header = [clean_name(cell) for cell in cells]
    if doubles := sorted(cell for cell, count in Counter(header).items() if cell and count > 1):
        raise UserError(f"{name}: column {', '.join(doubles)} stands twice in the header; rename or remove one.")
    return [cell or f"Unnamed: {place}" for place, cell in enumerate(header)]


def check_size(name: str, columns: int, rows: int) -> None:
    """Raise a `UserError` for what no table of texts is: a few bytes can stand for more than the memory holds."""
    if columns > MOST_COLUMNS:
        raise UserError(f"{name}: {columns:,} columns; at most {MOST_COLUMNS:,} are read; check the delimiter.")
    if columns * rows > MOST_CELLS:
        raise UserError(f"{name}: {rows:,} rows of {columns:,} columns; leave out those that are not needed.")


def check_used(layout: Layout, where: str, *, in_rows: bool, sheets: bool) -> None:
    """Raise a `UserError` for a header or a sheet that was asked for, where none could be."""
    if layout.header is not None and not in_rows:
        given = layout.header or "none"
        raise UserError(
            f"--header {given}: {where} has no row of column names, as CSV, TSV, text and XLSX have; leave it out."
        )
    if layout.sheet is not None and not sheets:
        raise UserError(f"--sheet {layout.sheet!r}: {where} has no sheets, as a workbook has; leave it out.")


def header_row(given: str | None) -> int | None:
    """What `--header` means to a `Layout`: a row from 1, 0 for "none", None where it is to be found out.

    Raises:
        UserError: neither.
    """
    if given is None:
        return None
    if given.strip().lower() == "none":
        return 0
    if not given.strip().isdecimal() or not 1 <= int(given) <= LAST_HEADER:
        raise UserError(f"--header is {given!r}; allowed: none, or the row of the column names, 1 to {LAST_HEADER}.")
    return int(given)
