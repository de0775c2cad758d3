"""One file to one table of strings: CSV, TSV, XLSX, JSON, JSONL and Parquet, from bytes in memory."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, Literal

import pandas as pd

from emo_hf.data.sources.arrow import read_parquet
from emo_hf.data.sources.dialogues import dialogue_rows, is_dialogues
from emo_hf.data.sources.tables import FOUND_OUT, Layout, Table, check_size, header_of
from emo_hf.data.sources.workbook import sheet_rows
from emo_hf.errors import UserError

ENCODINGS = ("utf-8-sig", "cp949")


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
    if not data.strip():
        raise UserError(f"{name} is empty; a header and rows are needed.")
    table = reader(name, data)
    if table.frame.empty:
        raise UserError(f"{name} holds no rows; check that it was saved completely.")
    return [table]


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


def decode(name: str, data: bytes) -> tuple[str, str]:
    """Decode as utf-8 (with or without a mark) or else cp949; return the text and the encoding.

    Raises:
        UserError: undecodable bytes, with file, row and byte.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{name} is UTF-16; readable encodings are utf-8 and cp949; save the file again as UTF-8.")
    if (place := data.find(b"\0")) >= 0:
        row = data.count(b"\n", 0, place) + 1
        raise UserError(f"{name}, row {row}: a NUL byte, so this is no text; save the file again as UTF-8.")
    failures = []
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError as error:
            position = error.start + (3 if encoding == "utf-8-sig" and data.startswith(b"\xef\xbb\xbf") else 0)
            failures.append((position, encoding))
            # Bytes of cp949 don't read as Hangul in utf-8: this is a utf-8 file with a broken byte, and cp949 might
            # turn it into nonsense without an error.
            if encoding == "utf-8-sig" and len(re.findall("[가-힣]", data[:position].decode("utf-8", "ignore"))) > 1:
                break
    position, encoding = max(failures)
    row = data.count(b"\n", 0, position) + 1
    raise UserError(
        f"{name}, row {row}: byte 0x{data[position]:02x} is not {encoding.removesuffix('-sig')}; "
        "readable encodings are utf-8 and cp949; save the file again as UTF-8 or mend the row."
    )


def _read_delimited(name: str, data: bytes) -> Table:
    text, encoding = decode(name, data)
    first_line = text.lstrip("\r\n").split("\n", 1)[0]
    own = "," if suffix_of(name) == ".csv" else "\t"
    # Spreadsheets write other delimiters under the name .csv; the header tells.
    delimiter = next((mark for mark in (own, ",", "\t", ";") if mark in first_line), own)
    try:
        frame = _parse_delimited(name, text, delimiter, csv.QUOTE_MINIMAL)
    except UserError as error:
        if delimiter != "\t":
            raise
        try:  # tab-separated files often know no quoting: a quote is a quote
            frame = _parse_delimited(name, text, delimiter, csv.QUOTE_NONE)
        except UserError:
            raise error from None
    return Table(name, frame, encoding)


def _parse_delimited(name: str, text: str, delimiter: str, quoting: Literal[0, 3]) -> pd.DataFrame:
    rows, numbers, number = [], [], 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    usual = csv.field_size_limit(max(len(text), 1))  # one cell may be all of the file
    try:
        for number, row in enumerate(reader, start=1):
            if any(cell.strip() for cell in row):
                rows.append(row)
                numbers.append(number)
    except csv.Error as error:
        raise UserError(
            f"{name}, row {number + 1}: quotes don't fit ({error}); a cell that holds the delimiter, a line break or "
            'a quote needs quotes around it, and quotes inside are doubled ("").'
        ) from error
    finally:
        csv.field_size_limit(usual)
    if not rows:
        raise UserError(f"{name} is empty; a header and rows are needed.")
    check_size(name, len(rows[0]), len(rows))
    header = header_of(name, rows[0])
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(header):
            raise UserError(
                f"{name}, row {number}: {len(row)} cells, but the header has {len(header)}; "
                f"put quotes around cells that hold {delimiter!r}."
            )
    return pd.DataFrame(rows[1:], columns=header, index=numbers[1:], dtype="str")


def _read_xlsx(name: str, data: bytes) -> Table:
    cells, numbers, rows = sheet_rows(name, data)
    header = header_of(name, cells)
    check_size(name, len(header), len(rows))
    return Table(name, pd.DataFrame(rows, columns=header, index=numbers, dtype="str"))


def _read_json(name: str, data: bytes) -> Table:
    text, encoding = decode(name, data)
    try:
        content = _parsed(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):  # JSON lines under the name .json
            return _read_jsonl(name, data)
        raise UserError(f"{name}, row {error.lineno}: not JSON ({error.msg}); mend or export it again.") from error
    except (ValueError, RecursionError) as error:  # an endless number, ten thousand brackets
        raise UserError(f"{name}: not JSON of a table ({_why(error)}); mend or export it again.") from error
    if isinstance(content, dict):
        lists = {key: value for key, value in content.items() if isinstance(value, list)}
        if len(lists) > 1 and len({len(value) for value in lists.values()}) == 1:  # {"sentence": […], "label": […]}
            content = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        elif len(lists) == 1:  # {"data": [{…}, {…}]}
            content = next(iter(lists.values()))
    if not isinstance(content, list):
        raise UserError(f'{name}: not a list of objects; needed is [{{"sentence": "…", "label": "…"}}, …].')
    return Table(name, _frame_of(name, content, list(range(1, len(content) + 1))), encoding)


def _read_jsonl(name: str, data: bytes) -> Table:
    text, encoding = decode(name, data)
    records, numbers = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append(_parsed(line))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{name}, row {number}: not a JSON object ({_why(error)}); mend the line.") from error
        numbers.append(number)
    return Table(name, _frame_of(name, records, numbers), encoding)


def _parsed(text: str) -> Any:
    # pandas and numpy write a missing value as NaN, which would else pass as the text "nan".
    return json.loads(text, parse_constant=lambda constant: None if constant == "NaN" else constant)


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error).split(";")[0]


def _frame_of(name: str, records: list[Any], numbers: list[int]) -> pd.DataFrame:
    for number, record in zip(numbers, records, strict=True):
        if not isinstance(record, dict):
            raise UserError(f'{name}, row {number}: not an object; needed is {{"sentence": "…", "label": "…"}}.')
    if is_dialogues(records):
        records = dialogue_rows(name, records)
    columns = {}
    keys = dict.fromkeys(key for record in records for key in record)
    check_size(name, len(keys), len(records))
    for key in keys:
        values = [record.get(key) for record in records]
        if not any(isinstance(value, list | dict) for value in values):  # a text or a label is never nested
            columns[key] = [
                "" if value is None else value if isinstance(value, str) else str(value) for value in values
            ]
    try:
        return pd.DataFrame(
            dict(zip(header_of(name, list(columns)), columns.values(), strict=True)), numbers, dtype="str"
        )
    except UnicodeEncodeError as error:
        rows = zip(numbers, zip(*columns.values(), strict=True), strict=True)
        broken = next((number for number, row in rows if _is_broken(row)), numbers[0])  # or a name of a column is
        raise UserError(f"{name}, row {broken}: half of a \\ud… escape pair; mend or remove it.") from error


def _is_broken(row: tuple[str, ...]) -> bool:
    return any("\ud800" <= character <= "\udfff" for cell in row for character in cell)


READERS: dict[str, Callable[[str, bytes], Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".xlsx": _read_xlsx,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": read_parquet,
}
