"""What the labels mean, and what classes the splits must hold; each failure is one line that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from emo_hf.data.bad_rows import CONTRADICTORY, UNKNOWN, Helps
from emo_hf.data.splits import SPLITS, count_dialogues
from emo_hf.data.taxonomy import MAJOR_EMOTIONS, find_emotion, level_of
from emo_hf.errors import UserError, few
from emo_hf.escaping import shell_word

MOST_FEW = 100  # dialogues that may be too few for all splits to get every label
MOST_LABELS = 1000  # a matrix of all pairs of labels stands in every record


def name_labels(rows: pd.DataFrame, labels: Sequence[str], all_labels: bool) -> tuple[pd.DataFrame, dict[str, int]]:
    """Give each row the label, out of `labels`, that its cells mean; return the rows, and counts of those left out.

    Left out are rows with an emotion of AI Hub that was not asked for. Rows whose cells mean no label, or contradict
    each other, have that in their column `bad`, and in `typed` what stands there.
    """
    keys = [name for name in ("label", "sub_emotion", "major") if name in rows]
    level = level_of(labels)
    different = rows[keys].drop_duplicates()
    codes = rows.groupby(keys, sort=False).ngroup()
    found = [_mean(level, labels, **cells) for cells in different.to_dict("records")]
    if all_labels:  # a class of a test set that training lacks was not left out by anybody
        found = [(name if name in labels else "", bad or ("" if name in labels else UNKNOWN)) for name, bad in found]
    meaning, wrong = (
        pd.Series(part, dtype="str").take(codes).set_axis(rows.index) for part in zip(*found, strict=True)
    )
    is_new = (rows["bad"] == "") & (wrong != "")
    rows["bad"] = rows["bad"].mask(is_new, wrong)
    if "major" in rows:
        rows["typed"] = rows["typed"].mask(rows["bad"] == CONTRADICTORY, rows["major"] + "/" + rows["label"])
    elif level == "sub" and "sub_emotion" in rows:
        rows["typed"] = rows["typed"].mask(is_new, rows["label"] + "/" + rows["sub_emotion"])
    asked = meaning.isin(list(labels)) | (rows["bad"] != "")
    left_out = meaning[~asked].value_counts().sort_index()
    kept = rows.assign(label=meaning)[asked].reset_index(drop=True)
    return kept, {label: int(count) for label, count in left_out.items()}


def _mean(level: str, labels: Sequence[str], label: str, sub_emotion: str = "", major: str = "") -> tuple[str, str]:
    """The name that a row's cells mean at this level, or what is wrong with them."""
    if level == "sub" and label in MAJOR_EMOTIONS and sub_emotion:
        emotion = find_emotion(sub_emotion, label)
        if emotion is None:
            return "", UNKNOWN
        return (emotion.label, "") if emotion.major == label else ("", CONTRADICTORY)
    emotion = find_emotion(label, major)
    if emotion and level != "plain" and major in MAJOR_EMOTIONS and emotion.major != major:
        return "", CONTRADICTORY
    if label in labels:
        return label, ""
    if emotion is None:
        return "", UNKNOWN
    return {"major": emotion.major, "sub": emotion.label, "plain": label}[level], ""


def meaning_of(name: str, labels: Sequence[str]) -> str:
    """Which of `labels` a name means, as one of AI Hub's codes may; "" for none."""
    return _mean(level_of(labels), labels, label=name)[0]


def check_several(labels: Sequence[str], counts: Mapping[str, int]) -> None:
    """Require rows of at least two labels; `counts` are those of each.

    Raises:
        UserError: one class only, or more than `MOST_LABELS`.
    """
    if len(labels) > MOST_LABELS:
        raise UserError(
            f"{len(labels):,} labels, as {', '.join(map(repr, labels[:3]))} …; at most {MOST_LABELS:,} are taken; is "
            "the label column the right one?"
        )
    found = [label for label in labels if counts[label]]
    if len(found) < 2:
        raise UserError(
            f"the data hold one class only ({', '.join(found) or 'none of those asked for'}); asked for: "
            f"{few(labels)}; name at least two labels that the data hold."
        )


def check_classes(
    rows: pd.DataFrame,
    labels: Sequence[str],
    given: set[str],
    dropped: dict[str, int],
    before: Mapping[str, int],
    helps: Helps,
) -> dict[str, list[str]]:
    """Require every label in training and in what was carved out of it; return those that a given split lacks.

    Args:
        rows: of all splits.
        labels: all classes.
        given: the splits that were given.
        dropped: rows that left a split, as their text stands in another.
        before: the training rows of each label, before anything was carved out of them.
        helps: tries an argument before it is proposed.

    Raises:
        UserError: a class missing from training or from a carved split, or all of them from a given one.
    """
    absent = {}
    for split in SPLITS:
        present = set(rows.loc[rows["split"] == split, "label"])
        missing = [label for label in labels if label not in present]
        if missing and present and split in given and split != "train":
            absent[split] = missing
        elif missing:
            larger = _larger([one for one in SPLITS[1:] if one not in given], rows, helps)
            raise _missing(split, missing, present, labels, dropped, before, helps, larger)
    return absent


def _larger(carved: Sequence[str], rows: pd.DataFrame, helps: Helps) -> tuple[str, list[str]]:
    """Where few dialogues are parted: that it is so, and shares of them that can be carved with all labels."""
    if "dialogue" not in rows or not carved or (count := count_dialogues(rows)) > MOST_FEW:
        return "", []
    why = f" (dialogues stay whole, and there are {count})"
    for share in (0.15, 0.2, 0.25, 0.3):
        if helps(**{f"{split}_size": share for split in carved}):
            return why, [f"carve more with {' '.join(f'--{split}_size {share}' for split in carved)}"]
    return why, []


def _missing(
    split: str,
    missing: list[str],
    present: set[str],
    labels: Sequence[str],
    dropped: dict[str, int],
    before: Mapping[str, int],
    helps: Helps,
    larger: tuple[str, list[str]],
) -> UserError:
    leaks = f" ({dropped[split]:,} rows left it: their text stands in another)" if dropped.get(split) else ""
    few_rows = [f"{label} has {n}" for label in missing if (n := before[label]) < len(SPLITS)]
    leaks += f" ({few(few_rows)} in all)" if few_rows else ""
    leaks += larger[0] if not few_rows else ""
    ways = ["add rows", *larger[1]]
    most = max(before[label] for label in missing)
    for least in range(most + 1, most + 4):
        if helps(drop_labels_below=least):
            ways.append(f"leave out labels of fewer than {least} training rows with --drop_labels_below {least}")
            break
    rest = tuple(label for label in labels if label in present)
    if 1 < len(rest) <= 20 and helps(labels=rest):
        ways.append(f"leave the label out with --labels {' '.join(map(shell_word, rest))}")
    return UserError(
        f"{split} holds no row of {few(missing)}{leaks}; every split needs every label: {', or '.join(ways)}."
    )
