"""The rows that a trainer is given, of whatever kind: how long they are, of which class, and which is which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
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


def labels_of(rows: Any, names: Sequence[str], what: str, multi_label: bool) -> np.ndarray:
    """The class index of each row (N,), or its set of labels (N, C); see `class_indices` and `label_sets_of`."""
    return label_sets_of(rows, names, what) if multi_label else class_indices(rows, names, what)


def rarest(sets: np.ndarray) -> np.ndarray:
    """The label of each row (N,) that the fewest rows have, of sets (N, C); C for a row without labels.

    Batches with rows of two such classes hold pairs that share a label which few rows share, and pairs that don't.
    """
    counts = np.where(sets > 0, sets.sum(0), np.iinfo(np.int64).max)
    return np.where(sets.any(1), counts.argmin(1), sets.shape[1])


def label_sets_of(rows: Any, names: Sequence[str], what: str) -> np.ndarray:
    """The set of labels of each row, zeros and ones (N, C).

    Args:
        rows: with a column `labels`, or `label`, of lists of C numbers.
        names: of the labels.
        what: the name of the rows in a message.

    Raises:
        UserError: no labels, or lists that are none of zeros and ones, one for each of `names`.
    """
    column = _label_column(rows, what, "sets of labels")
    if isinstance(rows, datasets.Dataset):
        cells = _column(rows, column)
        if not pa.types.is_list(cells.type) and not pa.types.is_fixed_size_list(cells.type):
            raise UserError(
                f"{what}: column {column} holds no lists, but the model gives several labels a row; give lists of "
                f"zeros and ones, one for each of its {len(names)} labels"
            )
        sizes, flat = pc.list_value_length(cells).to_numpy(), pc.list_flatten(cells).to_numpy()
    else:
        lists = [np.asarray(rows[place][column]).ravel() for place in range(len(rows))]
        sizes, flat = np.array([len(found) for found in lists]), np.concatenate(lists)
    if (wrong := np.flatnonzero(sizes != len(names))).size:
        raise UserError(
            f"{what}: column {column} holds a list of {sizes[wrong[0]]} in row {wrong[0]}, but the model has "
            f"{len(names)} labels; give zeros and ones, one for each"
        )
    if not np.isin(flat, (0, 1)).all():
        raise UserError(
            f"{what}: column {column} holds {flat[~np.isin(flat, (0, 1))][0]}; allowed are zeros and ones, one for "
            f"each of the {len(names)} labels"
        )
    return flat.reshape(-1, len(names)).astype(np.int64)


def class_indices(rows: Any, names: Sequence[str], what: str) -> np.ndarray:
    """The class index of each row (N,).

    Args:
        rows: with a column `labels`, or `label`.
        names: of the classes.
        what: the name of the rows in a message.

    Raises:
        UserError: no labels, or labels that are no indices into `names`.
    """
    column = _label_column(rows, what, "class indices")
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
        of_sets = "; a model of several labels a row is made with multi_label=True" if np.ndim(found[0]) else ""
        raise UserError(
            f"{what}: column {column} holds {_kind(found)}, as {np.asarray(found[0]).tolist()}; allowed is one whole "
            f"number a row, the index of its class{of_sets}"
        )
    if len(wrong := found[(found < 0) | (found >= len(names))]):
        raise UserError(
            f"{what}: column {column} holds {wrong[0]}, but the model has {len(names)} labels, 0 to {len(names) - 1}; "
            "give the model the names of all: labels=[…]"
        )
    return found


def check_evaluated(rows: Any, names: Sequence[str], multi_label: bool) -> None:
    """As `labels_of`, for rows to evaluate; of those that are made as they are asked for, nothing is looked at."""
    several = rows if isinstance(rows, dict) else {"": rows}
    for part, found in several.items():
        if isinstance(found, datasets.Dataset) and len(found):
            labels_of(found, names, f"eval_dataset {part}".rstrip(), multi_label)


def _label_column(rows: Any, what: str, held: str) -> str:
    columns = rows.column_names if isinstance(rows, datasets.Dataset) else list(rows[0])
    column = next((name for name in LABELS if name in columns), None)
    if column is None:
        raise UserError(
            f"{what} has no column labels, but {_names(columns)}; rename the column of {held}: "
            "rows.rename_column(NAME, 'labels')"
        )
    return column


def _column(rows: datasets.Dataset, name: str) -> Any:
    return rows.select_columns([name]).with_format("arrow")[:].column(name)


def _kind(labels: np.ndarray) -> str:
    return {"f": "fractions", "b": "truth values", "U": "words"}.get(labels.dtype.kind, "lists or words")


def _names(columns: Any) -> str:
    return ", ".join(map(str, columns))
