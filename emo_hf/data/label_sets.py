"""Rows that have several labels each: from the labels as they are typed to sets of classes in three splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from emo_hf.data.bad_rows import EMPTY_LABEL, UNKNOWN, Helps
from emo_hf.data.checks import meaning_of
from emo_hf.data.label_names import NO_LABEL
from emo_hf.data.one_label import where_several
from emo_hf.data.several import COLUMNS, LabelSets
from emo_hf.data.splits import SPLITS
from emo_hf.errors import UserError, few


def are_trained(sets: LabelSets, task: str, several_labels: str) -> bool:
    """Whether several labels a row are trained: as `task` says, or, under "auto", where a row has several."""
    return task == "multi" or (task == "auto" and several_labels == "error" and any(len(s) > 1 for s in sets.sets))


def with_sets(rows: pd.DataFrame, sets: LabelSets) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """Give each row its set of names, a tuple; return the rows, what the record says of them, and notes.

    A row whose list is empty, or whose columns are all 0, has an empty set; an empty cell is bad.
    """
    found = pd.Series(list(sets.sets), dtype=object).take(sets.codes).set_axis(rows.index)
    sizes = found.map(len)
    empty = (rows["form"] != COLUMNS) & rows["label"].isin(["", *NO_LABEL]) & (sizes == 0)
    bad = rows["bad"].mask(empty & (rows["bad"] == ""), EMPTY_LABEL)
    several = (sizes > 1).to_numpy()
    notes = []
    if several.any():
        notes.append(
            f"{int(several.sum()):,} of {len(rows):,} rows have several labels each "
            f"({where_several(rows, sets, several)}), so several labels a row are trained (--task single trains one)"
        )
    record = {"rows": int(several.sum()), "of": len(rows), "how": list(sets.how), "kept": "all"}
    return rows.assign(typed=rows["label"], label=found, bad=bad).drop(columns=["form", "column"]), record, notes


def labels_found(rows: pd.DataFrame) -> tuple[str, ...]:
    """The labels of the training rows, sorted; ids by their numbers."""
    known = (rows["bad"] == "") & (rows["split"] == "train")
    found = {name for names in rows.loc[known, "label"] for name in names}
    return tuple(sorted(found, key=int if all(name.isdecimal() for name in found) else None))


def name_sets(rows: pd.DataFrame, labels: Sequence[str], all_labels: bool) -> tuple[pd.DataFrame, dict[str, int]]:
    """Give each row those of `labels` that its names mean, in order; return the rows, and those of each name left out.

    Where labels were asked for, a name that means none of them is left out of its row, which stays: that it has none
    of the labels is something to learn. Where they are all of training, a row with another is bad: nothing scores it.
    """
    counts = Counter(name for names in rows["label"] for name in names)
    means = {name: name if all_labels else meaning_of(name, labels) for name in counts}
    known = {name: meaning if meaning in labels else "" for name, meaning in means.items()}
    places = {label: place for place, label in enumerate(labels)}
    named = rows["label"].map(
        lambda names: tuple(sorted({known[name] for name in names if known[name]}, key=places.__getitem__))
    )
    if all_labels:
        lost = rows["label"].map(lambda names: next((name for name in names if not known[name]), ""))
        is_new = (lost != "") & (rows["bad"] == "")
        bad = rows["bad"].mask(is_new, UNKNOWN)
        return rows.assign(label=named, bad=bad, typed=rows["typed"].mask(is_new, lost)), {}
    return rows.assign(label=named), {name: counts[name] for name in sorted(counts) if not known[name]}


def check_sets(rows: pd.DataFrame, labels: Sequence[str], helps: Helps) -> dict[str, list[str]]:
    """Require every label on a training row; return the labels that other splits lack.

    Raises:
        UserError: a label that no training row has; a split without rows.
    """
    absent = {}
    for split in SPLITS:
        part = rows[rows["split"] == split]
        if not len(part):
            raise UserError(f"the {split} split has no row left; add rows to it, or give fewer splits.")
        missing = [label for label, count in count_labels(part, labels).items() if not count]
        if missing:
            absent[split] = missing
    if missing := absent.pop("train", []):
        rest = tuple(label for label in labels if label not in missing)
        way_out = "add rows" if len(rest) < 2 or not helps(labels=rest) else f"add rows, or leave out {few(missing)}"
        raise UserError(f"train holds no row of {few(missing)}; every label needs a training row: {way_out}.")
    return absent


def count_labels(rows: pd.DataFrame, labels: Sequence[str]) -> dict[str, int]:
    """The rows that have each label, be there one a row or a set of them."""
    found = rows["label"].explode().value_counts()
    return {label: int(found.get(label, 0)) for label in labels}
