"""What the rows must fulfil before anything is trained on them; each failure is one line that names the rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import pandas as pd

from emo_hf.data.splits import SPLITS
from emo_hf.data.taxonomy import MAJOR_EMOTIONS, SUB_EMOTIONS, find_emotion, level_of
from emo_hf.errors import UserError

_SHOWN = 5
MOST_LABELS = 1000  # a matrix of all pairs of labels stands in every record


def check_filled(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Drop the empty turns of dialogues and count them; refuse empty cells anywhere else.

    Raises:
        UserError: an empty text in a table of the user's, or an empty label, with file and rows.
    """
    if (wrong := rows[rows["text"].str.contains("\0", regex=False)]).shape[0]:
        raise UserError(f"{_places(wrong)}: the text holds a NUL character; remove it.")
    empty = rows["text"] == ""
    if (wrong := rows[empty & ~rows["optional"]]).shape[0]:
        raise UserError(f"{_places(wrong)}: the text is empty; fill it in or remove the row{_hint(wrong)}.")
    if (wrong := rows[rows["label"] == ""]).shape[0]:
        raise UserError(f"{_places(wrong)}: the label is empty; fill it in or remove the row{_hint(wrong)}.")
    if empty.all():
        raise UserError(f"{rows['file'].iloc[0]}: every text is empty; is the text column the right one?")
    return rows[~empty].reset_index(drop=True), int(empty.sum())


def name_labels(rows: pd.DataFrame, labels: Sequence[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Give each row the label, out of `labels`, that its cells mean; return the rows, and counts of those left out.

    Left out are rows with an emotion of AI Hub that was not asked for.

    Raises:
        UserError: a label neither asked for nor AI Hub's, with rows, counts and the nearest allowed name.
    """
    keys = [name for name in ("label", "sub_emotion", "major") if name in rows]
    combinations = rows[keys].drop_duplicates()
    level = level_of(labels)
    meaning = [_mean(level, labels, **cells) for cells in combinations.to_dict("records")]
    named = rows.merge(combinations.assign(meaning=pd.Series(meaning, combinations.index, dtype="str")), on=keys)
    unknown = named[named["meaning"].isna()]
    if len(unknown):
        if level == "sub" and "sub_emotion" in unknown:
            unknown = unknown.assign(label=unknown["label"] + "/" + unknown["sub_emotion"])
        raise UserError(_unknown_labels(unknown, labels))
    asked = named["meaning"].isin(list(labels))
    left_out = named.loc[~asked, "meaning"].value_counts().sort_index()
    kept = named[asked].assign(label=named["meaning"]).drop(columns="meaning").reset_index(drop=True)
    return kept, {label: int(count) for label, count in left_out.items()}


def check_several(rows: pd.DataFrame, labels: Sequence[str]) -> None:
    """Require rows of at least two labels.

    Raises:
        UserError: one class only, or more than `MOST_LABELS`.
    """
    if len(labels) > MOST_LABELS:
        raise UserError(
            f"{len(labels):,} labels, as {', '.join(map(repr, labels[:3]))} …; at most {MOST_LABELS:,} are taken; is "
            "the label column the right one?"
        )
    found = [label for label in labels if (rows["label"] == label).any()]
    if len(found) < 2:
        raise UserError(
            f"the data hold one class only ({', '.join(found) or 'none of those asked for'}); asked for: "
            f"{_few(labels)}; name at least two labels that the data hold."
        )


def check_classes(rows: pd.DataFrame, labels: Sequence[str], dropped: dict[str, int]) -> None:
    """Require every label in every split; `dropped` rows explain why one may be missing.

    Raises:
        UserError: a class missing from a split.
    """
    for split in SPLITS:
        present = set(rows.loc[rows["split"] == split, "label"])
        missing = [label for label in labels if label not in present]
        if missing:
            leaks = f" ({dropped[split]} rows left it: their text stands in another)" if dropped.get(split) else ""
            few = [f"{label} has {n}" for label in missing if (n := int((rows["label"] == label).sum())) < len(SPLITS)]
            leaks += f" ({_few(few)} in all)" if few else ""
            rest = [label for label in labels if label in present]
            way_out = f", or leave the label out with --labels {' '.join(rest)}" if len(rest) > 1 else ""
            raise UserError(
                f"{split} holds no row of {_few(missing)}{leaks}; every split needs every label: add rows{way_out}."
            )


def _mean(level: str, labels: Sequence[str], label: str, sub_emotion: str = "", major: str = "") -> str | None:
    """The name that a row's cells mean at this level; None where they mean nothing."""
    if label in labels and (level != "sub" or not (label in MAJOR_EMOTIONS and sub_emotion)):
        return label
    emotion = find_emotion(label, major)
    if level == "sub" and label in MAJOR_EMOTIONS and sub_emotion:
        emotion = find_emotion(sub_emotion, label)
        if emotion and emotion.major != label:  # the two cells contradict each other
            return None
    if emotion is None:
        return None
    return {"major": emotion.major, "sub": emotion.label, "plain": label}[level]


def _unknown_labels(unknown: pd.DataFrame, labels: Sequence[str]) -> str:
    if unknown["text"].isin([*labels, *MAJOR_EMOTIONS]).all():
        return (
            f"{_places(unknown)}: the text is a label and the label is none; the two columns seem swapped: name them "
            "with --text_column and --label_column."
        )
    counts = unknown["label"].value_counts()
    known = list(dict.fromkeys([*labels, *MAJOR_EMOTIONS, *SUB_EMOTIONS]))
    parts = []
    for label, count in list(counts.items())[:_SHOWN]:
        nearest = difflib.get_close_matches(label, known, n=1, cutoff=0.3)
        hint = f", nearest is {nearest[0]!r}" if nearest else ""
        parts.append(
            f"{label!r} in {_places(unknown[unknown['label'] == label])} ({count} row{'s' if count > 1 else ''}{hint})"
        )
    more = f" and {len(counts) - _SHOWN} labels more" if len(counts) > _SHOWN else ""
    return (
        f"unknown label {'; '.join(parts)}{more}; asked for: {_few(labels)}; correct the rows, "
        "or name the labels of your data with --labels, or take all with --labels all."
    )


def _places(rows: pd.DataFrame) -> str:
    """`train.csv, rows 5, 9 and 3 more`."""
    first = rows["file"].iloc[0]
    numbers = [str(row) for row in rows.loc[rows["file"] == first, "row"].head(_SHOWN)]
    more = f" and {len(rows) - len(numbers)} more" if len(rows) > len(numbers) else ""
    return f"{first}, row{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}{more}"


def _hint(rows: pd.DataFrame) -> str:
    """Why a cell may be empty that a spreadsheet shows as filled."""
    if not rows["file"].iloc[0].lower().endswith(".xlsx"):
        return ""
    return " (a cell merged into another, and a formula that was saved without its result, read as empty)"


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
