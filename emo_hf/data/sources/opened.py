"""A file that is open for predictions: its rows, block by block, and which column holds the texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from emo_hf.data.sources.names import LABEL_COLUMNS, TEXT_COLUMNS, find_text_column, matched
from emo_hf.data.sources.tables import Cells, Layout, check_used
from emo_hf.errors import UserError

BLOCK = 8192  # rows


@dataclass(frozen=True)
class Block:
    """Some rows of a file: their numbers, as the user sees them, and the cells of each column, "" for empty ones."""

    numbers: Sequence[int]
    columns: Mapping[str, Sequence[str]]


@dataclass
class Opened:
    """A file whose rows are read as they are asked for.

    Attributes:
        name: what errors call it.
        columns: of the file, in order; "1", "2", … where it has no header.
        text: the column of the texts.
        headed: whether the columns have names of their own.
        notes: what was left out or read otherwise than it stands there, a line each; reading may add to them.
        blocks: at most `BLOCK` rows each; a row that contradicts the others raises a `UserError` when it is reached.
    """

    name: str
    columns: list[str]
    text: str
    headed: bool
    notes: list[str]
    blocks: Iterator[Block]

    @property
    def others(self) -> list[str]:
        """The columns but for that of the texts."""
        return [name for name in self.columns if name != self.text]


def of_cells(name: str, parts: Iterator[Cells], layout: Layout) -> Opened:
    """The rows of parts of one table, at most `BLOCK` each; its columns are those of the first.

    Raises:
        UserError: no rows, no column of texts, or a layout that is none of this file.
    """
    first = next(parts, None)
    if first is None:
        raise UserError(f"{name} is empty; it has to hold sentences.")
    check_used(layout, name, in_rows=first.in_rows, sheets=first.sheet is not None)
    names = list(first.columns)
    notes = list(first.notes)

    def blocks() -> Iterator[Block]:
        for cells in itertools.chain([first], parts):
            empty = [""] * len(cells.numbers)
            if empty:
                yield Block(cells.numbers, {key: cells.columns.get(key, empty) for key in names})
            if more := [key for key in cells.columns if key not in names]:
                note = f"{name}: {', '.join(more)} is not kept, as no row among the first has it"
                notes.extend([note] if note not in notes else [])

    return opened(name, names, first.headed, notes, blocks(), layout)


def opened(
    name: str, names: list[str], headed: bool, notes: list[str], blocks: Iterator[Block], layout: Layout
) -> Opened:
    """A file with rows, and the column of its texts.

    Raises:
        UserError: no rows, or no such column.
    """
    first = next(blocks, None)
    if first is None:
        raise UserError(f"{name} holds no rows; check that it was saved completely.")
    text = _text_column(name, names, first, headed, notes, layout)
    return Opened(name, names, text, headed, notes, itertools.chain([first], blocks))


def _text_column(name: str, names: list[str], first: Block, headed: bool, notes: list[str], layout: Layout) -> str:
    """The column of the texts: asked for, by its usual name, the only one, or the only one that holds sentences."""
    usual = matched(names, TEXT_COLUMNS) if headed else []
    if layout.text_column is not None or usual:
        return find_text_column(names, layout.text_column, name)
    if len(names) == 1 and not headed:
        return names[0]
    import pandas as pd  # only now: names tell of most files

    from emo_hf.data.sources.contents import text_like, word_like

    frame = pd.DataFrame(first.columns, dtype="str")
    if len(names) == 1 and word_like(frame, names):
        notes.append(f"{name}: {names[0]!r} is read as the name of the column; --header none if it is a text")
        return names[0]
    others = [key for key in names if key not in matched(names, LABEL_COLUMNS)]
    likely = text_like(frame, others) or word_like(frame, others)
    if len(likely) == 1:
        said = f"{name}: column {likely[0]!r}" if headed else f"{name} has no header: column {likely[0]}"
        notes.append(f"{said} is read as the text, as no other holds sentences")
        return likely[0]
    return find_text_column(names, None, name)
