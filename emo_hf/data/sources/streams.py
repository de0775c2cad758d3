"""The rows of a file of any length, or of standard input, block by block, for predictions that keep their order."""

from __future__ import annotations

import itertools
import operator
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emo_hf.data.sources.arrow import table_from_arrow
from emo_hf.data.sources.columns import find_text_column
from emo_hf.data.sources.contents import text_like, word_like
from emo_hf.data.sources.decoding import encoding_of
from emo_hf.data.sources.delimited import Chunk, chunks, find_dialect, head_of
from emo_hf.data.sources.header import Numbered, Rows, fitted, named_rows
from emo_hf.data.sources.json_cells import has_json
from emo_hf.data.sources.json_shapes import lines_table
from emo_hf.data.sources.names import LABEL_COLUMNS, TEXT_COLUMNS, matched
from emo_hf.data.sources.quotes import Breaks
from emo_hf.data.sources.readers import READERS, check_content, own_delimiter, read_bytes, read_tables, suffix_of
from emo_hf.data.sources.standard_input import begin, lines_of_input
from emo_hf.data.sources.tables import FOUND_OUT, HEADLESS, Layout, Table, check_used
from emo_hf.errors import UserError, first_line

BLOCK = 8192  # rows

_PIECE = 1 << 20  # bytes
_WHOLE = (".xlsx", ".json")


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


def open_rows(source: Path | BinaryIO, layout: Layout = FOUND_OUT, *, only_text: bool = False) -> Opened:
    """Open a file, or standard input, which is a table or one text a line.

    Args:
        source: the path of a file, or the bytes of standard input.
        layout: what is known of the file.
        only_text: whether no other column is needed; a Parquet file gives no other then.

    Raises:
        UserError: no such file, one that holds several tables, one without texts, or whatever its reader finds.
    """
    return _of_path(source, layout, only_text=only_text) if isinstance(source, Path) else _of_input(source, layout)


def _of_path(path: Path, layout: Layout, *, only_text: bool) -> Opened:
    _check_file(path)
    name, suffix = unicodedata.normalize("NFC", path.name), suffix_of(path.name)
    if suffix == ".parquet":
        return _parquet(name, path, layout, only_text=only_text)
    if suffix in _WHOLE:
        return _whole(name, read_tables(name, read_bytes(path), layout), layout)
    lines = _lines_of_file(name, path)
    if suffix != ".jsonl":
        return _delimited(name, lines, layout)
    first = list(itertools.islice(lines, 1))
    if first and first[0].lstrip()[:1] == "[":  # one JSON list under the name .jsonl
        return _whole(name, read_tables(name, read_bytes(path), layout), layout)
    return _json_lines(name, itertools.chain(first, lines), layout)


def _of_input(source: BinaryIO, layout: Layout) -> Opened:
    name, head, kind = begin(source)
    if kind in (*_WHOLE, ".parquet"):
        return _whole(name, read_tables(f"{name}{kind}", head + source.read(), layout), layout)
    lines = lines_of_input(name, head, source)
    return _json_lines(name, lines, layout) if kind == ".jsonl" else _delimited(name, lines, layout)


def _check_file(path: Path) -> None:
    kinds = " ".join(READERS)
    if not path.exists():
        raise UserError(f"{path}: no such file; give sentences in quotes, or a file ({kinds}).")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give one file of it ({kinds}), or sentences.")
    if suffix_of(path.name) not in READERS:
        unpack = "unpack it and give" if suffix_of(path.name) == ".zip" else "give"
        raise UserError(f"{path} is of no kind that is read; {unpack} one file ({kinds}), or sentences.")
    if not path.is_file():
        raise UserError(f"{path} is no regular file; give a file, or its content as standard input.")


def _lines_of_file(name: str, path: Path) -> Iterator[str]:
    """The lines of a text, with their line breaks."""

    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    try:
        with path.open("rb") as file:
            check_content(name, file.read(4))
        with path.open(encoding=encoding_of(name, pieces), newline="") as lines:
            yield from lines
    except OSError as error:
        raise UserError(f"{path} can't be opened ({error.strerror}); check its permissions.") from error


def _delimited(name: str, lines: Iterator[str], layout: Layout) -> Opened:
    check_used(layout, name, in_rows=True, sheets=False)
    head, whole = head_of(lines)
    dialect = find_dialect(name, "".join(head), layout, own=own_delimiter(name), whole=whole)
    breaks = Breaks()
    parts = chunks(name, itertools.chain(head, lines), dialect, breaks)
    found = None
    for numbers, rows in parts:
        if found := named_rows(name, zip(numbers, rows, strict=True), layout if dialect.headed else HEADLESS):
            parts = itertools.chain(_parted(list(found.rows)), parts)
            break
    if found is None:
        raise UserError(f"{name} is empty; it has to hold sentences.")
    notes = list(found.notes) if dialect.headed or dialect.delimiter else []  # of lines, nothing else is expected

    def blocks() -> Iterator[Block]:
        yield from _blocks(found.names, _tidy(name, found, parts))
        notes.extend(breaks.said(name))

    return _opened(name, found.names, found.headed, notes, blocks(), layout)


def _blocks(names: list[str], parts: Iterable[Chunk]) -> Iterator[Block]:
    """The rows as columns."""
    cells = {key: operator.itemgetter(place) for place, key in enumerate(names)}
    numbers: list[int] = []
    columns: dict[str, list[str]] = {key: [] for key in names}
    for more, rows in parts:
        if numbers and len(numbers) + len(more) > BLOCK:
            yield Block(numbers, columns)
            numbers, columns = [], {key: [] for key in names}
        numbers += more
        for key, cell in cells.items():
            columns[key] += map(cell, rows)
    if numbers:
        yield Block(numbers, columns)


def _parted(rows: Sequence[Numbered]) -> Iterator[Chunk]:
    yield [number for number, _ in rows], [row for _, row in rows]


def _tidy(name: str, found: Rows, parts: Iterable[Chunk]) -> Iterator[Chunk]:
    """Rows as wide as the header; blank ones are rows only between others, as those of one column are, too."""
    width, last = len(found.names), None
    blank: list[Numbered] = []
    for numbers, rows in parts:
        if {*map(len, rows)} != {width}:
            numbers, rows = next(_parted([*fitted(name, zip(numbers, rows, strict=True), width, found.headed)]))
        filled = next((place for place in range(len(rows), 0, -1) if any(map(str.strip, rows[place - 1]))), 0)
        ending = list(zip(numbers[filled:], rows[filled:], strict=True))
        if not filled:
            blank += ending
            continue
        if blank or filled < len(rows):
            numbers, rows = next(_parted([*blank, *zip(numbers[:filled], rows[:filled], strict=True)]))
        blank = ending
        if width == 1 and (numbers[-1] - (last or numbers[0] - 1)) != len(numbers):
            by_number = dict(zip(numbers, rows, strict=True))
            numbers = range((last or numbers[0] - 1) + 1, numbers[-1] + 1)
            rows = [by_number.get(number, [""]) for number in numbers]
        last = numbers[-1]
        yield numbers, rows


def _json_lines(name: str, lines: Iterator[str], layout: Layout) -> Opened:
    filled = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    tables = (lines_table(name, chunk) for chunk in _chunks(filled))
    return _of_tables(name, tables, layout)


def _chunks(numbered: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    while chunk := list(itertools.islice(numbered, BLOCK)):
        yield chunk


def _whole(name: str, tables: list[Table], layout: Layout) -> Opened:
    """A file that can't be read piece by piece."""
    if len(tables) > 1:
        titles = ", ".join(repr(table.sheet) for table in tables)
        raise UserError(f"{name} holds several tables ({titles}); name one with --sheet.")
    (table,) = tables
    if len(table.frame.columns) == 1:  # as in a text file, blank rows between others are rows
        every = range(table.frame.index[0], table.frame.index[-1] + 1)
        table = replace(table, frame=table.frame.reindex(every, fill_value=""))
    return _of_tables(name, iter([table]), layout)


def _of_tables(name: str, tables: Iterator[Table], layout: Layout) -> Opened:
    """The rows of tables that are parts of one; its columns are those of the first."""
    first = next(tables, None)
    if first is None:
        raise UserError(f"{name} is empty; it has to hold sentences.")
    check_used(layout, name, in_rows=first.in_rows, sheets=first.sheet is not None)
    names = list(first.frame.columns)
    notes = list(first.notes)

    def blocks() -> Iterator[Block]:
        for table in itertools.chain([first], tables):
            for start in range(0, len(table.frame), BLOCK):
                part = table.frame.iloc[start : start + BLOCK]
                columns = {key: part[key].tolist() if key in part else [""] * len(part) for key in names}
                yield Block(part.index.tolist(), columns)
            if more := [key for key in table.frame.columns if key not in names]:
                note = f"{name}: {', '.join(more)} is not kept, as no row among the first has it"
                notes.extend([note] if note not in notes else [])

    return _opened(name, names, first.headed, notes, blocks(), layout)


def _parquet(name: str, path: Path, layout: Layout, *, only_text: bool) -> Opened:
    """Some thousand rows in memory at a time."""
    opened = _of_tables(name, _tables(name, _batches(name, path, None)), layout)
    if only_text:
        place = opened.columns.index(opened.text)
        return replace(opened, columns=[opened.text], blocks=_texts(name, opened.text, _batches(name, path, place)))
    return opened


def _batches(name: str, path: Path, place: int | None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, with all of its columns or the one at a place."""
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:  # pyarrow's default keeps what it has read
            columns = None if place is None else [file.schema_arrow.names[place]]
            yield from file.iter_batches(batch_size=BLOCK, columns=columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{name}: no readable Parquet file ({first_line(error)}).") from None


def _tables(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[Table]:
    done = 0
    for batch in batches:
        table = table_from_arrow(name, pa.Table.from_batches([batch]))
        yield replace(table, frame=table.frame.set_axis(range(done + 1, done + batch.num_rows + 1)))
        done += batch.num_rows


def _texts(name: str, column: str, batches: Iterator[pa.RecordBatch]) -> Iterator[Block]:
    """As `_tables`, of one column, and in less time where it holds plain texts."""
    done = 0
    for batch in batches:
        cells = batch.column(0)
        if pa.types.is_string(cells.type) and not has_json(cells):
            texts = pc.fill_null(cells, "").to_pylist()
        else:
            texts = table_from_arrow(name, pa.Table.from_batches([batch])).frame.iloc[:, 0].tolist()
        yield Block(range(done + 1, done + len(texts) + 1), {column: texts})
        done += len(texts)


def _opened(
    name: str, names: list[str], headed: bool, notes: list[str], blocks: Iterator[Block], layout: Layout
) -> Opened:
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
    frame = pd.DataFrame(first.columns, dtype="str")
    if len(names) == 1 and (not headed or word_like(frame, names)):
        if headed:
            notes.append(f"{name}: {names[0]!r} is read as the name of the column; --header none if it is a text")
        return names[0]
    others = [key for key in names if key not in matched(names, LABEL_COLUMNS)]
    likely = text_like(frame, others) or word_like(frame, others)
    if len(likely) == 1:
        said = f"{name}: column {likely[0]!r}" if headed else f"{name} has no header: column {likely[0]}"
        notes.append(f"{said} is read as the text, as no other holds sentences")
        return likely[0]
    return find_text_column(names, None, name)
