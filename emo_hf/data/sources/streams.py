"""A file or standard input as rows, some thousand at a time, for whoever needs no more than that in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from emo_hf.data.sources.columns import find_text_column
from emo_hf.data.sources.contents import text_like, word_like
from emo_hf.data.sources.readers import READERS, decode, read_file, suffix_of
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.errors import UserError

ROWS = 4096


@dataclass(frozen=True)
class Block:
    """Rows that follow each other.

    Attributes:
        numbers: of the rows, as the user sees them.
        columns: the cells by column, "" where empty; each as long as `numbers`.
    """

    numbers: Sequence[int]
    columns: dict[str, Sequence[str]]


@dataclass
class Opened:
    """What is read block by block.

    Attributes:
        name: what errors call it.
        columns: of the input, in order; "1", "2", … where they have no names.
        text: the column of the sentences.
        headed: whether the columns have names of their own.
        notes: what was left out or read otherwise than it stands there.
        blocks: at most `ROWS` rows each; a row that can't be read is a `UserError` in the middle.
    """

    name: str
    columns: list[str]
    text: str
    headed: bool
    notes: tuple[str, ...]
    blocks: Iterator[Block]


def open_rows(source: Path | BinaryIO, layout: Layout, *, only_text: bool = False) -> Opened:
    """Open a file of any kind that training takes, or a stream of lines.

    Raises:
        UserError: nothing that can be read, or a column that is not there.
    """
    if not isinstance(source, Path):
        return _lines("standard input", source.read())
    if not source.exists():
        raise UserError(f"{source}: no such file; give sentences in quotes, or a file {' '.join(READERS)}")
    if source.is_dir():
        raise UserError(f"{source} is a folder; give one file {' '.join(READERS)}, or sentences")
    if suffix_of(source.name) == ".txt":
        return _lines(source.name, source.read_bytes())
    [table] = read_file(source, layout)
    columns = [str(name) for name in table.frame.columns]
    text = _text(table, columns, layout)
    return Opened(
        table.name, columns, text, table.headed, table.notes, _blocks(table, [text] if only_text else columns)
    )


def _text(table: Table, columns: list[str], layout: Layout) -> str:
    if table.headed or layout.text_column:
        return find_text_column(columns, layout.text_column, table.name)
    return (text_like(table.frame, columns) or word_like(table.frame, columns))[0]


def _blocks(table: Table, columns: list[str]) -> Iterator[Block]:
    for start in range(0, len(table.frame), ROWS):
        part = table.frame.iloc[start : start + ROWS]
        yield Block(part.index.tolist(), {name: part[name].tolist() for name in columns})


def _lines(name: str, data: bytes) -> Opened:
    lines = decode(name, data)[0].splitlines() if data else []
    starts = range(0, len(lines), ROWS)
    blocks = (
        Block(range(start + 1, start + 1 + len(part)), {"1": part})
        for start in starts
        for part in [lines[start : start + ROWS]]
    )
    return Opened(name, ["1"], "1", False, (), blocks)
