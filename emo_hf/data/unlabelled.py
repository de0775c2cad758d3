"""Test and validation rows that nobody labelled, as competitions give them out: set aside, with a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emo_hf.data.label_names import NO_LABEL
from emo_hf.data.pieces import LOOKED_AT, Tables, columns_chosen, few_pieces
from emo_hf.data.sources.names import matched
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.data.split_names import split_of
from emo_hf.data.text import clean

_EMPTY = ("", *NO_LABEL, "[]")
_WITHHELD = ("-1", "-1.0", "?")  # what competitions write into each row of a test set


@dataclass(frozen=True)
class _Part:
    """The rows of one split in a table, which is that split, or says in a column which rows are.

    Attributes:
        place: of the table among all.
        head: the first of the rows, under the name that a note calls them by.
        rows: says of each row of the table whether it is one of them; None: all are.
    """

    place: int
    head: Table
    rows: np.ndarray | None = None


def without_unlabelled(tables: Tables, layout: Layout) -> tuple[Tables, list[str]]:
    """The tables without a validation or test split that can't be scored, as it has texts and no labels; and notes.

    What lacks a column in another way stays, and is refused where its rows are read.
    """
    train, notes = _parts(tables, "train"), []
    for split in ("validation", "test"):
        mine = _parts(tables, split)
        if not train or not mine or not (missing := _missing_label(tables, train, mine, layout)):
            continue
        tables = _without(tables, mine)
        train = _parts(tables, "train")
        notes.append(
            f"{few_pieces([part.head.name for part in mine])} is set aside, as {missing}; predict.py labels its rows "
            "once there is a model"
        )
    return tables, notes


def _parts(tables: Tables, split: str) -> list[_Part]:
    """The rows of a split in each table that has some."""
    parts = []
    for place, (own, table) in enumerate(tables):
        if own == split:
            parts.append(_Part(place, replace(table, frame=table.frame.head(LOOKED_AT))))
        elif own is None and (columns := matched(list(table.frame.columns), ("split",))):
            cells = table.frame[columns[0]]
            names = [name for name in cells.unique() if split_of(clean(name)) == split]
            rows = cells.isin(names).to_numpy()
            if names:
                frame = table.frame.iloc[np.flatnonzero(rows)[:LOOKED_AT]]
                parts.append(_Part(place, replace(table, name=f"{table.name} (split {names[0]})", frame=frame), rows))
    return parts


def _without(tables: Tables, parts: Sequence[_Part]) -> Tables:
    left_out = {part.place: part.rows for part in parts}
    return [
        (own, replace(table, frame=table.frame[~rows]) if (rows := left_out.get(place)) is not None else table)
        for place, (own, table) in enumerate(tables)
        if place not in left_out or left_out[place] is not None
    ]


def _missing_label(tables: Tables, train: Sequence[_Part], parts: Sequence[_Part], layout: Layout) -> str | None:
    """Why the rows can't be scored, if it is that training has labels and they have none."""
    if all(_is_like(train[0].head, part.head) for part in parts):
        return None
    chosen = columns_chosen(train[0].head, layout)
    if chosen is None or any(chosen["text"] not in part.head.frame for part in parts):
        return None
    label = chosen["label"]
    if all(label in part.head.frame for part in parts):
        return _without_names(label, _different(tables, train, label), _different(tables, parts, label))
    if any(columns_chosen(part.head, layout) for part in parts):
        return None
    return f"it has no labels (training has them in {label!r})"


def _different(tables: Tables, parts: Sequence[_Part], column: str) -> set[str]:
    """What stands in the cells of a column, once each."""
    frames = [(tables[part.place][1].frame, part.rows) for part in parts]
    columns = [frame[column] if rows is None else frame.loc[rows, column] for frame, rows in frames if column in frame]
    return {cell.strip() for cells in columns for cell in cells.unique()}


def _without_names(label: str, known: set[str], found: set[str]) -> str | None:
    """Why a column of labels names no class, if it does so in every row."""
    if found <= {*_EMPTY}:
        return f"its column {label!r} is empty"
    withheld = found.difference(_EMPTY)
    if not withheld <= {*_WITHHELD} or known.intersection(_WITHHELD):
        return None
    return f"its column {label!r} is {' or '.join(sorted(withheld))} in every row, and in no row of training"


def _is_like(train: Table, table: Table) -> bool:
    """Whether it has all of training's columns, and something in each: nearly all do, and need no closer look."""
    empty = table.frame.isin([*_EMPTY, *_WITHHELD]).all().any()
    return set(train.frame.columns) <= set(table.frame.columns) and not empty
