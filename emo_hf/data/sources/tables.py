"""What every reader makes of a file: a table of strings, of a size that a table of texts has."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emo_hf.errors import UserError

MOST_COLUMNS, MOST_CELLS = 16_384, 100_000_000


@dataclass(frozen=True)
class Table:
    """The rows of one file, every cell a string, indexed by the row numbers that the user sees in the file.

    Cells of the columns in `escaped` are JSON and not what they stand for.
    """

    name: str
    frame: pd.DataFrame
    encoding: str | None = None
    escaped: frozenset[str] = frozenset()


def header_of(name: str, cells: Sequence[Any]) -> list[str]:
    """Clean column names; an unnamed one (an exported index) keeps a name that nothing asks for.

    Raises:
        UserError: a name that stands twice.
    """
    header = [unicodedata.normalize("NFC", str(cell if cell is not None else "")).strip() for cell in cells]
    if doubles := sorted(cell for cell, count in Counter(header).items() if cell and count > 1):
        raise UserError(f"{name}: column {', '.join(doubles)} stands twice in the header; rename or remove one.")
    return [cell or f"Unnamed: {place}" for place, cell in enumerate(header)]


def check_size(name: str, columns: int, rows: int) -> None:
    """Raise a `UserError` for what no table of texts is: a few bytes can stand for more than the memory holds."""
    if columns > MOST_COLUMNS:
        raise UserError(f"{name}: {columns:,} columns; at most {MOST_COLUMNS:,} are read; check the delimiter.")
    if columns * rows > MOST_CELLS:
        raise UserError(f"{name}: {rows:,} rows of {columns:,} columns; leave out those that are not needed.")
