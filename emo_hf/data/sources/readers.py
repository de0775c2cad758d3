"""One file to one table of strings: CSV, TSV, XLSX, JSON, JSONL and Parquet, from bytes in memory."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePath

import pandas as pd

from emo_hf.data.sources.arrow import read_parquet
from emo_hf.data.sources.decoding import decode
from emo_hf.data.sources.delimited import chunks, find_dialect, head_of
from emo_hf.data.sources.header import Numbered, Row, fitted, named_rows
from emo_hf.data.sources.json_shapes import is_row, json_tables, lines_table, parsed, why
from emo_hf.data.sources.quotes import Breaks
from emo_hf.data.sources.tables import FOUND_OUT, HEADLESS, Layout, Table, check_size
from emo_hf.data.sources.workbook import read_xlsx
from emo_hf.errors import UserError


def suffix_of(name: str) -> str:
    """Return the lower-case suffix of a file name, `.csv` for `Train.CSV`."""
    return PurePath(name).suffix.lower()


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


def check_content(name: str, head: bytes) -> None:
    """Raise a `UserError` where a file that is none by its name begins as a workbook does."""
    if head.startswith(b"PK\x03\x04"):
        raise UserError(f"{name} is a workbook or a zip by its content; name it .xlsx or .zip, as it is.")


def read_file(path: Path, layout: Layout = FOUND_OUT) -> list[Table]:
    """Read one file of the disk; its name, in NFC, is what errors call it.

    Raises:
        UserError: a file that can't be opened, or whatever `read_tables` finds.
    """
    return read_tables(unicodedata.normalize("NFC", path.name), read_bytes(path), layout)


def read_bytes(path: Path) -> bytes:
    """The content of a file; raises `UserError` if it can't be opened, or is a pipe, which may never end."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no regular file; give a file or a folder.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be opened ({error.strerror}); check its permissions.") from error


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


def own_delimiter(name: str) -> str | None:
    """The delimiter that the suffix of a file says; None where it may as well be one text a line."""
    return {".csv": ",", ".tsv": "\t"}.get(suffix_of(name))


def _read_json(name: str, data: bytes, layout: Layout) -> list[Table]:
    text, encoding = decode(name, data)
    try:
        content = parsed(text)
    except json.JSONDecodeError as error:
        begins = text[: error.pos].strip() if error.msg == "Extra data" else ""
        if begins.startswith("{") or (begins.startswith("[") and is_row(parsed(begins))):  # JSON lines
            return [replace(_lines(name, text, layout), encoding=encoding)]
        raise UserError(f"{name}, row {error.lineno}: not JSON ({error.msg}); mend or export it again.") from error
    except (ValueError, RecursionError) as error:  # an endless number, ten thousand brackets
        raise UserError(f"{name}: not JSON of a table ({why(error)}); mend or export it again.") from error
    return [replace(table, encoding=encoding) for table in json_tables(name, content, layout)]


def _read_jsonl(name: str, data: bytes, layout: Layout) -> list[Table]:
    text, encoding = decode(name, data)
    if text.lstrip()[:1] == "[":  # lists, or one JSON list under the name .jsonl
        return _read_json(name, data, layout)
    return [replace(_lines(name, text, layout), encoding=encoding)]


def _lines(name: str, text: str, layout: Layout) -> Table:
    filled = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    return lines_table(name, filled, layout)


READERS: dict[str, Callable[[str, bytes, Layout], list[Table]]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".xlsx": read_xlsx,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": lambda name, data, _: [read_parquet(name, data)],
}
