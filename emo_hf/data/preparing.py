"""From the rows of all files to the rows of three splits: bad ones out, labels named, what is missing carved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from emo_hf.data.bad_rows import EMPTY_LABEL, EMPTY_TEXT, NUL, POLICIES, BadRows, Helps
from emo_hf.data.checks import check_classes, check_several, name_labels
from emo_hf.data.id_names import read_id_names, with_id_names
from emo_hf.data.label_names import final_names, named_in, read_label_map, spelling
from emo_hf.data.label_sets import are_trained, check_sets, count_labels, labels_found, name_sets, with_sets
from emo_hf.data.one_label import SEVERAL, TASKS, one_label
from emo_hf.data.several import PLAIN, LabelSets, label_sets
from emo_hf.data.splits import given_splits, keep_fraction, keep_shots, make_splits, overshoot, shared_dialogues
from emo_hf.data.taxonomy import find_emotion
from emo_hf.data.text import MISSING
from emo_hf.errors import UserError, few


@dataclass(frozen=True)
class Choices:
    """What is to be made of rows; see `load_emotion_data`. `labels` is None where all of training are taken."""

    labels: tuple[str, ...] | None
    label_names: str | None = None
    label_map: Sequence[str] | Mapping[str, str] | None = None
    drop_labels_below: int | None = None
    on_bad_rows: str = "auto"
    task: str = "auto"
    several_labels: str = "error"
    validation_size: float = 0.1
    test_size: float = 0.1
    train_fraction: float = 1.0
    shots: int | None = None
    shots_seed: int = 0
    seed: int = 42

    def __post_init__(self) -> None:
        for name, allowed in (("on_bad_rows", POLICIES), ("task", TASKS), ("several_labels", SEVERAL)):
            if getattr(self, name) not in allowed:
                raise UserError(f"{name} is {getattr(self, name)!r}; allowed are {', '.join(map(repr, allowed))}.")
        if self.shots is not None and (self.shots < 1 or self.train_fraction != 1):
            raise UserError(f"shots is {self.shots}; allowed is a number of rows from 1, with a train_fraction of 1.")
        if self.drop_labels_below is not None and self.drop_labels_below < 1:
            raise UserError(f"drop_labels_below is {self.drop_labels_below}; allowed is a number of rows from 1.")


@dataclass
class Prepared:
    """Rows with text, label and split, the labels, and what a report says of how they came about.

    Where rows have several labels each (`multi_label`), a label is a tuple of names.
    """

    rows: pd.DataFrame
    labels: tuple[str, ...] = ()
    multi_label: bool = False
    report: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    order: tuple[str, ...] = ()  # of all labels, as their names stand in a file

    def counts(self, split: str | None = None) -> dict[str, int]:
        """The rows of each label in a split, or in all of them."""
        rows = self.rows if split is None else self.rows[self.rows["split"] == split]
        return count_labels(rows, self.labels)


def prepare(rows: pd.DataFrame, choices: Choices) -> Prepared:
    """Make the splits of the rows of all files, as `rows_of` gives them.

    Raises:
        UserError: one line that says what is wrong with the rows; what it proposes has been tried.
    """

    def helps(**changes: Any) -> bool:
        try:
            _prepare(rows, replace(choices, **changes), lambda **_: False)
        except UserError:
            return False
        return True

    return _prepare(rows, choices, helps)


def _prepare(rows: pd.DataFrame, choices: Choices, helps: Helps) -> Prepared:
    made = Prepared(given_splits(rows))
    given = set(made.rows["split"])
    _mark_empty_texts(made)
    sets = _labels_as_typed(made, choices)
    made.multi_label = are_trained(sets, choices.task, choices.several_labels)
    if made.multi_label:
        _take_sets(made, sets, choices, helps)
    else:
        _take_one_label(made, sets, choices, helps)
    check_several(made.labels, made.counts())
    before = made.counts("train")
    dropped = _split(made, choices, given)
    if made.multi_label:
        absent = check_sets(made.rows, made.labels, helps)
    else:
        absent = check_classes(made.rows, made.labels, given, dropped, before, helps)
    _note_splits(made, absent)
    return made


def _take_one_label(made: Prepared, sets: LabelSets, choices: Choices, helps: Helps) -> None:
    """Give each row the one label that it has, and leave out the rows that have none that counts."""
    rows, made.report["several_labels"], notes = one_label(
        made.rows.assign(typed=made.rows["label"]),
        sets,
        several_labels=choices.several_labels,
        helps=helps,
    )
    made.notes += notes
    rows["bad"] = rows["bad"].mask((rows["label"] == "") & (rows["bad"] == ""), EMPTY_LABEL)
    called = (rows["form"] != PLAIN) | (bool(made.order) & (rows["label"] != ""))  # else than it is typed
    rows["typed"] = rows["typed"].mask(called, rows["label"])
    made.rows = rows.drop(columns=["form", "column"])
    made.labels = choices.labels or _in_order(made, _labels_found(made.rows, choices))
    made.rows, made.report["left_out"] = name_labels(made.rows, made.labels, choices.labels is None)
    if left_out := made.report["left_out"]:
        made.notes.append(f"rows of labels that were not asked for were left out: {_said(left_out)}")
    _leave_out_bad(made, choices, helps)
    _drop_rare_labels(made, choices.drop_labels_below)


def _take_sets(made: Prepared, sets: LabelSets, choices: Choices, helps: Helps) -> None:
    """Give each row its set of labels, as a tuple of names."""
    made.rows, made.report["several_labels"], notes = with_sets(made.rows, sets)
    made.notes += notes
    made.labels = choices.labels or _in_order(made, labels_found(made.rows))
    made.rows, made.report["left_out"] = name_sets(made.rows, made.labels, choices.labels is None)
    if left_out := made.report["left_out"]:
        said = _said(left_out)
        made.notes.append(f"labels that were not asked for don't count, and rows that have them stay: {said}")
    _leave_out_bad(made, choices, helps)
    _drop_rare_labels(made, choices.drop_labels_below)


def _leave_out_bad(made: Prepared, choices: Choices, helps: Helps) -> None:
    policy = BadRows(choices.on_bad_rows, made.labels, choices.labels is None, helps)
    made.rows, made.report["bad_rows"], notes = policy.leave_out(made.rows)
    made.notes += notes


def _mark_empty_texts(made: Prepared) -> None:
    """Drop the unused turns of dialogues, and say of other rows without a text what is wrong, in a column `bad`."""
    empty = made.rows["text"].isin(["", *MISSING])
    if empty.all():
        raise UserError(f"{made.rows['file'].iloc[0]}: every text is empty; is the text column the right one?")
    unused = empty & made.rows["optional"]
    made.report["empty_dropped"] = int(unused.sum())
    rows = made.rows.drop(columns="optional")[~unused].reset_index(drop=True)
    bad = pd.Series("", rows.index, dtype="str").mask(rows["text"].isin(["", *MISSING]), EMPTY_TEXT)
    made.rows = rows.assign(bad=bad.mask(rows["text"].str.contains("\0", regex=False), NUL))


def _labels_as_typed(made: Prepared, choices: Choices) -> LabelSets:
    """The labels of each row under their final names: renamed and joined."""
    renamings = read_label_map(choices.label_map)
    ids = read_id_names(choices.label_names) if choices.label_names else {}
    protected = {*map(spelling, (*(choices.labels or ()), *named_in(renamings), *ids.values()))}
    typed = label_sets(
        made.rows["label"], made.rows["form"], lambda cell: bool(find_emotion(cell)) or spelling(cell) in protected
    )
    if choices.label_names:
        typed = with_id_names(made.rows, typed, ids, choices.label_names)
    names, notes = final_names(typed.counts(), choices.labels, renamings, ids.values())
    made.order = tuple(dict.fromkeys(names.get(name, name) for name in ids.values()))
    made.report["labels_renamed"] = {typed: name for typed, name in names.items() if name not in ("", typed)}
    made.notes += notes
    return typed.renamed(names)


def _in_order(made: Prepared, found: tuple[str, ...]) -> tuple[str, ...]:
    """All labels of training in the order of the file of names, if there is one; a note says which of it are none."""
    if made.order and (missing := [name for name in made.order if name not in found]):
        made.notes.append(f"no training row has {few(missing)}, which --label_names has: left out")
    return tuple(name for name in made.order if name in found) or found


def _labels_found(rows: pd.DataFrame, choices: Choices) -> tuple[str, ...]:
    # A label of no training row is rare too, where rare ones are to be left out, and else unknown.
    known = (rows["bad"] == "") & ((rows["split"] == "train") | (choices.drop_labels_below is not None))
    return tuple(sorted(rows.loc[known, "label"].unique()))


def _drop_rare_labels(made: Prepared, least: int | None) -> None:
    """Leave out the labels of fewer than `least` training rows: from the sets that have them, or with their rows."""
    if least is None:
        return
    counts = made.counts("train")
    rare = {label: count for label, count in counts.items() if count < least}
    made.report["labels_dropped"] = rare
    if not rare:
        return
    if len(counts) - len(rare) < 2:
        raise UserError(
            f"--drop_labels_below {least} leaves fewer than two labels; training has most rows of "
            f"{_most_frequent(counts)}; give a smaller number."
        )
    made.labels = tuple(label for label in made.labels if label not in rare)
    if made.multi_label:
        made.rows = made.rows.assign(label=_without(made.rows["label"], rare))
        rest = "don't count, and rows that have them stay"
    else:
        is_rare = made.rows["label"].isin(list(rare))
        made.rows = made.rows[~is_rare].reset_index(drop=True)
        rest = f"were left out, {int(is_rare.sum()):,} rows in all"
    made.notes.append(f"{len(rare):,} labels of fewer than {least:,} training rows {rest}: {_said(rare)}")


def _most_frequent(counts: Mapping[str, int]) -> str:
    """The two labels of most rows, in words."""
    return _said(dict(Counter(+Counter(counts)).most_common(2)))


def _without(sets: pd.Series, labels: Collection[str]) -> pd.Series:
    """Sets of names that have lost these."""
    return sets.map(lambda names: tuple(name for name in names if name not in labels))


def _said(counts: Mapping[str, int]) -> str:
    """Labels with their rows, in words."""
    return few(f"{label} ({count:,})" for label, count in counts.items())


def _split(made: Prepared, choices: Choices, given: set[str]) -> dict[str, int]:
    """Make the splits; return the rows that left one, as their text stands in another."""
    sizes = {"validation": choices.validation_size, "test": choices.test_size}
    sizes = {split: size for split, size in sizes.items() if split not in given}
    made.rows, made.report["splits"], dropped = make_splits(made.rows, given, sizes, seed=choices.seed)
    made.report["duplicates_removed"] = dropped
    if any(dropped.values()):
        said = ", ".join(f"{count:,} left {split}" for split, count in dropped.items() if count)
        made.notes.append(f"texts that stand in several splits: {said}")
    too_much = overshoot(made.rows, sizes)
    made.notes += [too_much] if too_much else []
    made.rows = keep_fraction(made.rows, choices.train_fraction, choices.seed)
    if choices.shots is not None:
        made.report |= {"shots": choices.shots, "shots_seed": choices.shots_seed}
        made.rows, fewer = keep_shots(made.rows, choices.shots, choices.shots_seed)
        if fewer:
            made.notes.append(
                f"{len(fewer):,} label{'s have' if len(fewer) > 1 else ' has'} fewer training rows than --shots "
                f"{choices.shots:,}, and all of them are taken: {_said(fewer)}"
            )
    return dropped


def _note_splits(made: Prepared, absent: dict[str, list[str]]) -> None:
    """Say what the splits lack, and what they share."""
    made.report["labels_absent"] = absent
    if made.multi_label and (without := int((made.rows["label"].map(len) == 0).sum())):
        made.notes.append(f"{without:,} of {len(made.rows):,} rows have no label: they stay, and teach what has none")
    train = made.rows[made.rows["split"] == "train"]
    on_all = [label for label, count in count_labels(train, made.labels).items() if count == len(train)]
    if made.multi_label and on_all:
        made.notes.append(
            f"every training row has the label {few(on_all)}: no text can tell of it, and its scores say nothing"
        )
    for split, labels in absent.items():
        rest = len(made.labels) - len(labels)
        made.notes.append(
            f"{split} holds no row of {few(labels)}: its macro-F1 is the mean over the other {rest:,} "
            f"label{'s' if rest > 1 else ''}"
        )
    made.report["dialogues_shared"] = shared = shared_dialogues(made.rows)
    if shared:
        made.notes.append(
            f"{shared:,} dialogues have turns in several of the given splits: test results may be flattered"
        )
