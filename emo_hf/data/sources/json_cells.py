"""Cells that datasets' JSON reader has written as JSON, back to what stood there, where that is certain."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def has_json(column: pa.ChunkedArray) -> bool:
    """Whether a column holds such cells: by its type, or, where another file gave the type, by an escaped letter.

    One number among texts is enough for datasets to write every text that is no JSON itself as JSON in ASCII.
    """
    if getattr(column.type, "extension_name", None) == "arrow.json":
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    if not pc.any(pc.starts_with(column, '"')).as_py():  # quick, in columns of millions
        return False
    return bool(pc.any(pc.match_substring_regex(column, r'^".*\\u[0-9a-f]{4}.*"$')).as_py())


def plain_texts(column: pa.ChunkedArray) -> list[str] | None:
    """The texts of such a column; None where a cell may stand for two: "ok" for ok, or for a text in quotes."""
    texts = []
    for cell in pc.cast(column, pa.string()).to_pylist():
        if cell is None or not cell.startswith('"'):
            texts.append(cell or "")  # texts that are JSON themselves, as 1004, null or [1], stayed as they were
            continue
        try:
            inner = json.loads(cell)
        except ValueError:
            inner = None
        if not isinstance(inner, str) or pd.io.json.ujson_dumps(inner) != cell:
            texts.append(cell)  # not of datasets' writing, so a text with quotes of its own
        elif "\\" in cell:
            texts.append(inner)
        else:
            return None
    return texts
