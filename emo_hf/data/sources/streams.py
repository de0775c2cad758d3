"""The rows of a file of any length, or of standard input, block by block, for predictions that keep their order."""

from __future__ import annotations

import itertools
import operator
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from emo_hf.data.sources.decoding import encoding_of
from emo_hf.data.sources.delimited import Chunk, chunks, find_dialect, head_of
from emo_hf.data.sources.files import KINDS, check_content, own_delimiter, read_bytes, suffix_of
from emo_hf.data.sources.header import Numbered, Rows, fitted, named_rows
from emo_hf.data.sources.json_shapes import lines_cells
from emo_hf.data.sources.opened import BLOCK, Block, Opened, of_cells, opened
from emo_hf.data.sources.quotes import Breaks
from emo_hf.data.sources.standard_input import begin, lines_of_input
from emo_hf.data.sources.tables import FOUND_OUT, HEADLESS, Layout, check_used
from emo_hf.errors import UserError

_PIECE = 1 << 20  # bytes
_WHOLE = (".xlsx", ".json")


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
        from emo_hf.data.sources.frames import open_parquet  # pandas and pyarrow, for these kinds of files alone

        return open_parquet(name, path, layout, only_text=only_text)
    if suffix in _WHOLE:
        return _whole(name, name, read_bytes(path), layout)
    lines = _lines_of_file(name, path)
    if suffix != ".jsonl":
        return _delimited(name, lines, layout)
    first = list(itertools.islice(lines, 1))
    if first and first[0].lstrip()[:1] == "[":  # one JSON list under the name .jsonl
        return _whole(name, name, read_bytes(path), layout)
    return _json_lines(name, itertools.chain(first, lines), layout)


def _of_input(source: BinaryIO, layout: Layout) -> Opened:
    name, head, kind = begin(source)
    if kind in (*_WHOLE, ".parquet"):
        return _whole(name, f"{name}{kind}", head + source.read(), layout)
    lines = lines_of_input(name, head, source)
    return _json_lines(name, lines, layout) if kind == ".jsonl" else _delimited(name, lines, layout)


def _whole(name: str, file: str, data: bytes, layout: Layout) -> Opened:
    from emo_hf.data.sources.frames import open_whole

    return open_whole(name, file, data, layout)


def _check_file(path: Path) -> None:
    kinds = " ".join(KINDS)
    if not path.exists():
        raise UserError(f"{path}: no such file; give sentences in quotes, or a file ({kinds}).")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give one file of it ({kinds}), or sentences.")
    if suffix_of(path.name) not in KINDS:
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

    return opened(name, found.names, found.headed, notes, blocks(), layout)


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
    return of_cells(name, (lines_cells(name, chunk) for chunk in _chunks(filled)), layout)


def _chunks(numbered: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    while chunk := list(itertools.islice(numbered, BLOCK)):
        yield chunk
