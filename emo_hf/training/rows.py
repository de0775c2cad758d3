"""The rows that a trainer is given, of whatever kind: how long they are, of which class, and which is which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
from torch.utils.data import Dataset, IterableDataset

from emo_hf.errors import UserError

LABELS = ("labels", "label", "label_ids")  # as collators of transformers know them
_TOKENIZE = "tokenize the texts first: rows.map(lambda batch: tokenizer(batch['text'], truncation=True), batched=True)"


class NumberedRows(Dataset):
    """Rows as dictionaries, a list of them or a `Dataset` of torch, each with its number as `rows`."""

    def __init__(self, rows: Any):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.rows[index], "rows": index}


def numbered(rows: Any) -> Any:
    """The rows to train on with a column `rows`, ids by which a row that comes twice in a batch is known.

    Raises:
        UserError: a stream, of which nobody knows the lengths; a dictionary of several data sets.
    """
    if isinstance(rows, IterableDataset | datasets.IterableDataset):
        raise UserError(
            "train_dataset is a stream (IterableDataset), but batches are made of rows of near-equal length "
            "and several classes, for which all rows have to be known; give a Dataset: "
            "datasets.Dataset.from_list(list(stream))"
        )
    if isinstance(rows, dict):
        raise UserError(f"train_dataset holds several data sets ({', '.join(map(str, rows))}); give one of them")
    if not isinstance(rows, datasets.Dataset):
        return NumberedRows(rows)
    if "rows" in rows.column_names:
        return rows
    shown = rows.format
    found = rows.with_format(None).add_column("rows", np.arange(len(rows)))
    columns = [*shown["columns"], "rows"]
    return found.with_format(shown["type"], columns=columns, **shown["format_kwargs"])


def lengths_of(rows: Any) -> np.ndarray:
    """The number of tokens of each row (N,), padding that is there already included.

    Raises:
        UserError: rows that have no tokens.
    """
    if isinstance(rows, datasets.Dataset):
        if "length" in rows.column_names:
            return np.asarray(_column(rows, "length"))
        if "input_ids" not in rows.column_names:
            raise UserError(f"train_dataset has no column input_ids, but {_names(rows.column_names)}; {_TOKENIZE}")
        return pc.list_value_length(_column(rows, "input_ids")).to_numpy()
    try:
        return np.array([len(rows[place]["input_ids"]) for place in range(len(rows))])
    except (KeyError, TypeError):
        first = rows.rows[0]
        found = f"holds {_names(first)}" if isinstance(first, dict) else f"is a {type(first).__name__}"
        raise UserError(
            f"train_dataset: a row must be a dictionary with input_ids, but the first {found}; {_TOKENIZE}"
        ) from None


def class_indices(rows: Any, names: Sequence[str], what: str) -> np.ndarray:
    """The class index of each row (N,).

    Args:
        rows: with a column `labels`, or `label`.
        names: of the classes.
        what: the name of the rows in a message.

    Raises:
        UserError: no labels, or labels that are no indices into `names`.
    """
    columns = rows.column_names if isinstance(rows, datasets.Dataset) else list(rows[0])
    column = next((name for name in LABELS if name in columns), None)
    if column is None:
        raise UserError(
            f"{what} has no column labels, but {_names(columns)}; rename the column of class indices: "
            "rows.rename_column(NAME, 'labels')"
        )
    if isinstance(rows, datasets.Dataset):
        found = _column(rows, column).to_numpy()
    else:
        found = np.array([rows[place][column] for place in range(len(rows))])
    if found.dtype.kind in "OU" and all(isinstance(label, str) and label in names for label in found):
        raise UserError(
            f"{what}: column {column} holds names of labels, not their indices; give those: rows.map(lambda row: "
            f"{{'{column}': model.config.label2id[row['{column}']]}})"
        )
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise UserError(
            f"{what}: column {column} holds {_kind(found)}, as {np.asarray(found[0]).tolist()}; allowed is one whole "
            "number a row, the index of its class"
        )
    if len(wrong := found[(found < 0) | (found >= len(names))]):
        raise UserError(
            f"{what}: column {column} holds {wrong[0]}, but the model has {len(names)} labels, 0 to {len(names) - 1}; "
            "give the model the names of all: labels=[…]"
        )
    return found


def check_evaluated(rows: Any, names: Sequence[str]) -> None:
    """As `class_indices`, for rows to evaluate; of those that are made as they are asked for, nothing is looked at."""
    several = rows if isinstance(rows, dict) else {"": rows}
    for part, found in several.items():
        if isinstance(found, datasets.Dataset) and len(found):
            class_indices(found, names, f"eval_dataset {part}".rstrip())


def _column(rows: datasets.Dataset, name: str) -> Any:
    return rows.select_columns([name]).with_format("arrow")[:].column(name)


def _kind(labels: np.ndarray) -> str:
    return {"f": "fractions", "b": "truth values", "U": "words"}.get(labels.dtype.kind, "lists or words")


def _names(columns: Any) -> str:
    return ", ".join(map(str, columns))
