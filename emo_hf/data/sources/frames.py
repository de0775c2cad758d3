"""The rows of files that only pandas or pyarrow can read, for predictions: workbooks, JSON, Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emo_hf.data.sources.arrow import table_from_arrow
from emo_hf.data.sources.json_cells import has_json
from emo_hf.data.sources.opened import BLOCK, Block, Opened, of_cells
from emo_hf.data.sources.readers import read_tables
from emo_hf.data.sources.tables import Cells, Layout, Table
from emo_hf.errors import UserError, first_line


def open_whole(name: str, file: str, data: bytes, layout: Layout) -> Opened:
    """The rows of a file that can't be read piece by piece.

    Args:
        name: what errors about its rows call it.
        file: its name, by which its kind is known.
        data: its content.
        layout: what is known of it.

    Raises:
        UserError: several tables, or what `read_tables` and `of_cells` find.
    """
    tables = read_tables(file, data, layout)
    if len(tables) > 1:
        titles = ", ".join(repr(table.sheet) for table in tables)
        raise UserError(f"{name} holds several tables ({titles}); name one with --sheet.")
    (table,) = tables
    if len(table.frame.columns) == 1:  # as in a text file, blank rows between others are rows
        every = range(table.frame.index[0], table.frame.index[-1] + 1)
        table = replace(table, frame=table.frame.reindex(every, fill_value=""))
    return of_cells(name, _parts(iter([table])), layout)


def _parts(tables: Iterator[Table]) -> Iterator[Cells]:
    """The rows of tables, in parts of a block each."""
    for table in tables:
        for start in range(0, max(len(table.frame), 1), BLOCK):
            part = table.frame.iloc[start : start + BLOCK]
            yield Cells(
                table.name,
                {key: part[key].tolist() for key in part.columns},
                part.index.tolist(),
                sheet=table.sheet,
                headed=table.headed,
                in_rows=table.in_rows,
                notes=table.notes,
            )


def open_parquet(name: str, path: Path, layout: Layout, *, only_text: bool) -> Opened:
    """The rows of a Parquet file, of which some thousand are in memory at a time.

    Raises:
        UserError: no readable file, or what `of_cells` finds.
    """
    opened = of_cells(name, _parts(_tables(name, _batches(name, path, None))), layout)
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
