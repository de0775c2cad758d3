"""Texts of a file of any length, one after the other."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from emo_hf.errors import UserError, first_line

FILES = (".csv", ".tsv", ".jsonl", ".parquet", ".txt")


def read_file(path: Path, text_column: str | None) -> Iterator[str]:
    """One sentence after the other; UTF-8, else cp949."""
    if not path.exists():
        raise UserError(f"{path}: no such file; give sentences in quotes, or a file {' '.join(FILES)}")
    if path.suffix.lower() not in FILES or path.is_dir():
        kind = "a folder" if path.is_dir() else "of a kind that is not read piece by piece"
        raise UserError(f"{path} is {kind}; give one file {' '.join(FILES)}, or sentences")
    if path.suffix.lower() == ".parquet":
        yield from read_parquet(path, text_column)
        return
    with path.open(encoding=encoding_of(path), newline="") as lines:
        suffix = path.suffix.lower()
        if suffix == ".txt":
            yield from (line.rstrip("\r\n") for line in lines)
        elif suffix == ".jsonl":
            column = None
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise UserError(f"{path}, line {number}: not JSON; a JSONL file holds one object a line")
                if column not in row:
                    column = column_of(path, row, text_column)
                value = row[column]
                yield "" if value is None else str(value)
        else:
            csv.field_size_limit(max(path.stat().st_size, csv.field_size_limit()))  # one cell may be all of the file
            rows = csv.DictReader(lines, delimiter="\t" if suffix == ".tsv" else ",")
            try:
                if not rows.fieldnames:
                    raise UserError(f"{path} is empty; a header and rows are needed")
                column = column_of(path, rows.fieldnames, text_column)
                yield from (row[column] or "" for row in rows)
            except csv.Error as error:
                raise UserError(f"{path}, row {rows.line_num}: {error}; save it again as CSV UTF-8") from None


def read_parquet(path: Path, text_column: str | None) -> Iterator[str]:
    """One sentence after the other, some thousand rows in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:  # pyarrow's default keeps what it has read
            column = column_of(path, file.schema_arrow.names, text_column)
            for batch in file.iter_batches(batch_size=8192, columns=[column]):
                yield from ("" if text is None else str(text) for text in batch.column(0).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: no readable Parquet file ({first_line(error)})") from None


def encoding_of(path: Path) -> str:
    """utf-8-sig if all of the file decodes, read in pieces, else cp949."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8-sig"


def column_of(path: Path, columns: Iterable[str], asked: str | None) -> str:
    """The column of the sentences, by the names that training knows."""
    from emo_hf.data.sources.columns import find_text_column  # not before it is needed: it brings all readers along

    return find_text_column(list(columns), asked, str(path))
