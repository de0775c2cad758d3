"""Arrow's tables, from Parquet files and from data sets of `datasets`, as tables of strings."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Features

from emo_hf.data.sources.json_cells import has_json, plain_texts
from emo_hf.data.sources.tables import Table, check_size, clean_name, header_of
from emo_hf.errors import UserError


def read_parquet(name: str, data: bytes) -> Table:
    """Read a Parquet file; raises `UserError` if it is none that can be read whole."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        check_size(name, file.metadata.num_columns, file.metadata.num_rows)
        table = file.read()
        table.validate(full=True)  # texts that are no UTF-8, offsets beyond the data
        return table_from_arrow(name, table)
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise UserError(f"{name} is not a readable Parquet file; write it again.") from error


def table_from_arrow(name: str, table: pa.Table) -> Table:
    """Turn the flat columns of an Arrow table into strings; the numbers of a ClassLabel become its names.

    Raises:
        UserError: a number beyond the names of its ClassLabel, with the row; a column twice.
    """
    by_datasets = b"huggingface" in (table.schema.metadata or {})
    features = Features.from_arrow_schema(table.schema) if by_datasets else {}
    columns, escaped, lists, notes = {}, set(), set(), []
    for key in table.column_names:
        column = table.column(key)
        if _is_list(column.type):
            columns[key] = _lists_of(name, key, features.get(key), column)
            lists.add(clean_name(key))
            continue
        if pa.types.is_nested(column.type):
            continue
        if has_json(column):
            title = clean_name(key)
            if texts := plain_texts(column):
                columns[key] = pd.Series(texts, dtype="str")
                notes.append(f"{name}: column {title!r} was written as JSON by datasets; its texts are read out of it")
                continue
            escaped.add(title)
        if isinstance(feature := features.get(key), ClassLabel):
            columns[key] = _names_of(name, key, feature, column)
            continue
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)  # pandas' way to say that a value is missing
        if pa.types.is_boolean(column.type):
            column = pc.if_else(column, "True", "False")  # as every other format has it, and not as Arrow
        try:
            column = pc.fill_null(pc.cast(column, pa.string()), "")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # images and other bytes are neither text nor label
            continue
        columns[key] = column.to_pandas(ignore_metadata=True)
    header = header_of(name, list(columns))
    frame = pd.DataFrame(dict(zip(header, columns.values(), strict=True)), dtype="str")
    return Table(
        name,
        frame.set_axis(range(1, len(frame) + 1)),
        escaped=frozenset(escaped),
        lists=frozenset(lists),
        notes=tuple(notes),
    )


def _is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists of texts or numbers, as several labels a row are."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    inner = kind.value_type if lists else None
    texts, numbers = (pa.types.is_string, pa.types.is_large_string), (pa.types.is_integer, pa.types.is_floating)
    return lists and any(is_kind(inner) for is_kind in (*texts, *numbers, pa.types.is_boolean))


def _lists_of(name: str, key: str, feature: object, column: pa.ChunkedArray) -> list[str]:
    """Lists as JSON; the numbers of a ClassLabel become its names. Empty for what is missing.

    Raises:
        UserError: a number beyond the names, with the row.
    """
    inner = getattr(feature, "feature", None)
    names = inner.names if isinstance(inner, ClassLabel) else None
    cells = []
    for row, values in enumerate(column.to_pylist(), 1):
        if names is not None and values and not all(value is not None and -1 < value < len(names) for value in values):
            raise UserError(
                f"{name}, row {row}: {key} is {values}, but its ClassLabel has names for 0 to {len(names) - 1}; mend "
                "the numbers, or save the data set with all names."
            )
        shown = [value if names is None else names[value] for value in values or []]
        cells.append("" if values is None else json.dumps(shown, ensure_ascii=False))
    return cells


def _names_of(name: str, key: str, feature: ClassLabel, column: pa.ChunkedArray) -> pd.Series:
    """The names that the numbers of a ClassLabel stand for; empty for what is not labelled."""
    numbers = pd.Series(column.to_pandas(ignore_metadata=True)).fillna(-1).astype(int)
    beyond = numbers[(numbers < -1) | (numbers >= len(feature.names))]
    if len(beyond):
        raise UserError(
            f"{name}, row {beyond.index[0] + 1}: {key} is {beyond.iloc[0]}, but its ClassLabel has names for 0 to "
            f"{len(feature.names) - 1} ({len(beyond)} such rows); mend the numbers (-1 is not labelled), or save the "
            "data set with all names."
        )
    return numbers.map(dict(enumerate(feature.names))).fillna("")
