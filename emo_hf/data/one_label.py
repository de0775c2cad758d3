"""What becomes of rows that have several labels, while one label a row is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from emo_hf.data.bad_rows import Helps, places
from emo_hf.data.label_names import NO_LABEL
from emo_hf.data.several import COLUMNS, LabelSets
from emo_hf.errors import UserError

TASKS = ("auto", "single", "multi")
SEVERAL = ("error", "first", "drop")


def one_label(
    rows: pd.DataFrame, sets: LabelSets, *, several_labels: str, helps: Helps
) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """Give each row one label; return the rows, what the record says of those that have several, and notes.

    Args:
        rows: with `label` as it is typed; in its place comes the first name of the row's set, none where it is empty.
        sets: the labels of each row under their final names.
        several_labels: whether a row of several is an "error", keeps the "first" of them, or is left out ("drop").
        helps: tries an argument before it is proposed.

    Raises:
        UserError: several labels in a row, and nothing that says what is to become of it.
    """
    sizes = np.array([len(found) for found in sets.sets])
    is_several = (sizes > 1)[sets.codes]
    count = int(is_several.sum())
    label = pd.Series([found[0] if found else "" for found in sets.sets], dtype="str")
    named = rows.assign(label=label.take(sets.codes).set_axis(rows.index))
    if count and several_labels == "error":
        raise _refusal(rows, sets, is_several, helps)
    if not count:
        return named, {}, []
    record = {"rows": count, "of": len(rows), "how": list(sets.how), "kept": several_labels}
    what = f"{count:,} of {len(rows):,} rows have several labels each ({where_several(rows, sets, is_several)})"
    if several_labels == "first":
        return named, record, [f"{what}: the first of them was taken, as --several_labels first says"]
    if count == len(rows):
        way_out = "take the first of them with --several_labels first" if helps(several_labels="first") else ""
        raise UserError(f"{what}, so --several_labels drop leaves none; {way_out or 'give each row one label'}.")
    note = f"{what}: they were left out, as --several_labels drop says ({places(rows[is_several])})"
    return named[~is_several].reset_index(drop=True), record, [note]


def _refusal(rows: pd.DataFrame, sets: LabelSets, is_several: np.ndarray, helps: Helps) -> UserError:
    count = int(is_several.sum())
    place = int(is_several.argmax())
    names = " and ".join(repr(name) for name in sets.sets[sets.codes[place]][:3])
    one = int((np.array([len(found) for found in sets.sets]) == 1)[sets.codes].sum())
    ways = []
    if helps(task="multi"):
        ways.append("leave --task out, and several labels a row are trained")
    if helps(task="single", several_labels="drop"):
        ways.append(f"--several_labels drop keeps the {one:,} rows of one label")
    if helps(task="single", several_labels="first"):
        ways.append("--several_labels first takes the first label of each row")
    names_typed = tuple(rows.loc[~rows["label"].isin(["", *NO_LABEL]), "label"].unique())
    if any(how.startswith("joined") for how in sets.how) and helps(task="single", labels=names_typed):
        ways.append("a name that holds the mark is one label if --labels names it so")
    way_out = f"; {'; '.join(ways)}" if ways else "; give each row one label"
    return UserError(
        f"{count:,} of {len(rows):,} rows have several labels each ({where_several(rows, sets, is_several)}; "
        f"{places(rows[is_several])}: the first has {names}), but --task single trains one label a row{way_out}."
    )


def where_several(rows: pd.DataFrame, sets: LabelSets, is_several: np.ndarray) -> str:
    """Which column holds them, and how."""
    column = rows.loc[is_several, "column"].iloc[0]
    return f"column{'s' if rows.loc[is_several, 'form'].iloc[0] == COLUMNS else ''} {column}: {', '.join(sets.how)}"
