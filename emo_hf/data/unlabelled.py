"""Test and validation rows that nobody labelled, as competitions give them out: set aside, with a note."""

from __future__ import annotations

from collections.abc import Sequence

from emo_hf.data.pieces import LOOKED_AT, Tables, columns_chosen, few_pieces
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.data.text import MISSING


def without_unlabelled(tables: Tables, layout: Layout) -> tuple[Tables, list[str]]:
    """The tables without a validation or test split that can't be scored, as it has texts and no labels; and notes.

    What lacks a column in another way stays, and is refused where its rows are read.
    """
    train = next((table for split, table in tables if split == "train"), None)
    notes = []
    for split in ("validation", "test"):
        mine = [table for own, table in tables if own == split]
        if train is None or not mine or not (missing := _missing_label(train, mine, layout)):
            continue
        tables = [(own, table) for own, table in tables if own != split]
        notes.append(
            f"{few_pieces([table.name for table in mine])} is set aside, as {missing}; predict.py labels its rows "
            "once there is a model"
        )
    return tables, notes


def _missing_label(train: Table, tables: Sequence[Table], layout: Layout) -> str | None:
    """Why the tables can't be scored, if it is that training has labels and they have none."""
    if all(_is_like(train, table) for table in tables):
        return None
    chosen = columns_chosen(train, layout)
    if chosen is None or any(chosen["text"] not in table.frame for table in tables):
        return None
    label = chosen["label"]
    if all(label in table.frame for table in tables):
        empty = all(table.frame[label].str.strip().isin(["", *MISSING]).all() for table in tables)
        return f"its column {label!r} is empty" if empty else None
    if any(columns_chosen(table, layout) for table in tables):
        return None
    return f"it has no labels (training has them in {label!r})"


def _is_like(train: Table, table: Table) -> bool:
    """Whether it has all of training's columns, and something in each: nearly all do, and need no closer look."""
    head = table.frame.head(LOOKED_AT)
    return set(train.frame.columns) <= set(head.columns) and not head.isin(["", *MISSING]).all().any()
