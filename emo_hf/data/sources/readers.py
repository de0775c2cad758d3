"""One file to one table of strings: CSV, TSV, XLSX, JSON, JSONL and Parquet, from bytes in memory."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from emo_hf.data.sources.arrow import read_parquet
from emo_hf.data.sources.decoding import decode
from emo_hf.data.sources.delimited import chunks, find_dialect, head_of
from emo_hf.data.sources.files import check_content, own_delimiter, read_bytes, suffix_of
from emo_hf.data.sources.header import Numbered, Row, fitted, named_rows
from emo_hf.data.sources.json_shapes import is_row, json_cells, lines_cells, parsed, why
from emo_hf.data.sources.quotes import Breaks
from emo_hf.data.sources.tables import FOUND_OUT, HEADLESS, Cells, Layout, Table, check_size
from emo_hf.data.sources.workbook import read_xlsx
from emo_hf.errors import UserError


def read_tables(name: str, data: bytes, layout: Layout = FOUND_OUT) -> list[Table]:
    """Read one file by its suffix, each sheet of a workbook a table; `name` is what errors call it.

    Raises:
        UserError: an unknown suffix, undecodable bytes, a broken file, no rows, a column twice, ragged rows.
    """
    reader = READERS.get(suffix_of(name))
    if reader is None:
        raise UserError(f"{name}: {suffix_of(name) or 'no'} suffix; readable are {' '.join(READERS)} and .zip.")
    if suffix_of(name) != ".xlsx":
        check_content(name, data)
    if not data.strip():
        raise UserError(f"{name} is empty; a header and rows are needed.")
    tables = reader(name, data, layout)
    if all(table.frame.empty for table in tables):
        raise UserError(f"{name} holds no rows; check that it was saved completely.")
    return tables


def read_file(path: Path, layout: Layout = FOUND_OUT) -> list[Table]:
    """Read one file of the disk; its name, in NFC, is what errors call it.

    Raises:
        UserError: a file that can't be opened, or whatever `read_tables` finds.
    """
    return read_tables(unicodedata.normalize("NFC", path.name), read_bytes(path), layout)


def _read_delimited(name: str, data: bytes, layout: Layout) -> list[Table]:
    text, encoding = decode(name, data)
    lines = io.StringIO(text, newline="")
    head, whole = head_of(lines)
    dialect = find_dialect(name, "".join(head), layout, own=own_delimiter(name), whole=whole)
    lines.seek(0)
    numbers: list[int] = []
    cells: list[Row] = []
    found = None
    breaks = Breaks()
    for numbered, rows in chunks(name, lines, dialect, breaks):
        filled: Iterable[Numbered] = [row for row in zip(numbered, rows, strict=True) if any(map(str.strip, row[1]))]
        if found:
            filled = fitted(name, filled, len(found.names), found.headed)
        elif found := named_rows(name, filled, layout if dialect.headed else HEADLESS):
            filled = found.rows
        for number, row in filled:
            numbers.append(number)
            cells.append(row)
    if found is None:
        raise UserError(f"{name} is empty; a header and rows are needed.")
    check_size(name, len(found.names), len(numbers))
    frame = pd.DataFrame(cells, columns=found.names, index=numbers, dtype="str")
    return [Table(name, frame, encoding, headed=found.headed, in_rows=True, notes=(*found.notes, *breaks.said(name)))]


def _read_json(name: str, data: bytes, layout: Layout) -> list[Table]:
    text, encoding = decode(name, data)
    try:
        content = parsed(text)
    except json.JSONDecodeError as error:
        begins = text[: error.pos].strip() if error.msg == "Extra data" else ""
        if begins.startswith("{") or (begins.startswith("[") and is_row(parsed(begins))):  # JSON lines
            return [_framed(_lines(name, text, layout), encoding)]
        raise UserError(f"{name}, row {error.lineno}: not JSON ({error.msg}); mend or export it again.") from error
    except (ValueError, RecursionError) as error:  # an endless number, ten thousand brackets
        raise UserError(f"{name}: not JSON of a table ({why(error)}); mend or export it again.") from error
    return [_framed(cells, encoding) for cells in json_cells(name, content, layout)]


def _read_jsonl(name: str, data: bytes, layout: Layout) -> list[Table]:
    text, encoding = decode(name, data)
    if text.lstrip()[:1] == "[":  # lists, or one JSON list under the name .jsonl
        return _read_json(name, data, layout)
    return [_framed(_lines(name, text, layout), encoding)]


def _lines(name: str, text: str, layout: Layout) -> Cells:
    filled = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    return lines_cells(name, filled, layout)


def _framed(cells: Cells, encoding: str) -> Table:
    frame = pd.DataFrame(cells.columns, cells.numbers, dtype="str")
    return Table(
        cells.name,
        frame,
        encoding,
        lists=cells.lists,
        sheet=cells.sheet,
        headed=cells.headed,
        in_rows=cells.in_rows,
        notes=cells.notes,
    )


READERS: dict[str, Callable[[str, bytes, Layout], list[Table]]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".xlsx": read_xlsx,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": lambda name, data, _: [read_parquet(name, data)],
}
