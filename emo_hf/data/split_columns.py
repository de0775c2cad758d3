"""A column that says which split each row is, whatever its name: its cells say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from emo_hf.data.pieces import LOOKED_AT, Tables
from emo_hf.data.sources.names import KNOWN, matched
from emo_hf.data.sources.tables import Layout
from emo_hf.data.split_names import split_of
from emo_hf.data.text import clean


def with_split_columns(tables: Tables, layout: Layout) -> tuple[Tables, list[str]]:
    """The tables with a column `split` where they have one by another name, as 구분 of 학습용 and 평가용; and a note.

    It is one whose cells all name a split, training among them and another, in tables whose own names say none.
    """
    mine = [table for split, table in tables if split is None]
    if not mine or any(matched(list(table.frame.columns), ("split",)) for table in mine):
        return tables, []
    columns = list(mine[0].frame.columns)
    asked = {layout.text_column, layout.label_column, *matched(columns, KNOWN)}
    common = [
        name
        for place, name in enumerate(columns, 1)
        if not {name, str(place)} & asked and all(name in table.frame for table in mine)
    ]
    found = [name for name in common if _says_splits([table.frame[name] for table in mine])]
    if len(found) != 1:
        return tables, []
    renamed = [
        (split, replace(table, frame=table.frame.rename(columns={found[0]: "split"})) if split is None else table)
        for split, table in tables
    ]
    return renamed, [f"column {found[0]!r} is read as the split of each row, as its cells say"]


def _says_splits(columns: Sequence[pd.Series]) -> bool:
    if any(split_of(clean(cell)) is None for column in columns for cell in column.head(LOOKED_AT).unique()):
        return False
    splits = {split_of(clean(cell)) for column in columns for cell in column.unique()}
    return None not in splits and "train" in splits and len(splits) > 1
