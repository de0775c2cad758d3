"""Train, validation, test: taken as given, carved out where missing, and kept free of each other's texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emo_hf.data.several import zeros_and_ones
from emo_hf.data.split_names import ALLOWED, SPLITS, split_of
from emo_hf.data.stratify import iterative_stratification
from emo_hf.data.text import text_keys
from emo_hf.errors import UserError

MOST_OVERSHOOT = 2  # times the rows asked for, in the splits that are carved out of few dialogues
DRAWS = 100


def given_splits(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn the column `split` into the names of `SPLITS`; rows of a source without splits are all training.

    Raises:
        UserError: a value that names no split, with file and row; no training rows.
    """
    if "split" not in rows:
        return rows.assign(split="train")
    split = rows["split"].map({value: split_of(value) for value in rows["split"].unique()})
    wrong = rows[split.isna()]
    if len(wrong):
        first = wrong.iloc[0]
        raise UserError(
            f"{first['file']}, row {first['row']}: split {first['split']!r} is unknown ({len(wrong)} rows); "
            f"allowed are {ALLOWED}."
        )
    if not (split == "train").any():
        raise UserError(f"{rows['file'].iloc[0]}: no training rows; splits found: {', '.join(sorted(set(split)))}.")
    return rows.assign(split=split)


def make_splits(
    rows: pd.DataFrame, given: set[str], sizes: dict[str, float], *, seed: int
) -> tuple[pd.DataFrame, dict[str, str], dict[str, int]]:
    """Carve out what is missing, drop texts that stand in two splits; return rows, origins, and rows dropped.

    `sizes` are the shares of training that the splits to carve get. Splits named in `given` are not carved, even where
    no row of theirs is left; they keep their rows, except those whose text also stands in test, or (for training) in
    validation.

    Raises:
        UserError: sizes that leave nothing to train on.
    """
    origins = {split: "given" for split in SPLITS if split in given}
    for split, size in sizes.items():
        if not 0 < size < 1:
            raise UserError(f"{split}_size is {size}; allowed is a share of the training rows, between 0 and 1.")
    if sum(sizes.values()) >= 1:
        raise UserError(f"validation_size and test_size add up to {sum(sizes.values()):g}; their sum must be below 1.")
    rows, dropped = _without_leaks(rows.assign(key=text_keys(rows["text"])))
    if sizes:
        rows, how = _carve(rows, sizes, seed)
        for split, size in sizes.items():
            origins[split] = f"carved out of train: {size:.0%}, {how}, seed {seed}"
        rows, more = _without_leaks(rows)
        dropped = {split: dropped[split] + more[split] for split in dropped}
    return rows.drop(columns="key"), origins, dropped


def keep_fraction(rows: pd.DataFrame, fraction: float, seed: int) -> pd.DataFrame:
    """Keep a share of the training rows of each label, at least one; a smaller share is part of a larger one.

    Raises:
        UserError: a share that is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"train_fraction is {fraction}; allowed is a share above 0, up to 1.")
    if fraction == 1:
        return rows
    train = rows["split"] == "train"
    if not train.any():  # so few rows that the other splits took all of them, as the check of the classes says
        return rows
    order = np.random.default_rng(seed).permutation(len(rows))
    if _has_sets(rows):
        return rows[~train | _first_of(rows, order, train, fraction)].reset_index(drop=True)
    rank = pd.Series(order, rows.index)[train].groupby(rows.loc[train, "label"]).rank()
    most = rows.loc[train, "label"].map((rows.loc[train, "label"].value_counts() * fraction).round().clip(lower=1))
    kept = ~train
    kept[train] = rank <= most
    return rows[kept].reset_index(drop=True)


def keep_shots(rows: pd.DataFrame, shots: int, seed: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep so many training rows of each label; return the rows, and the labels that have fewer, with what they have.

    A row stays if it is among the first `shots` of one of its labels, in an order that the seed draws: so fewer rows
    are part of more. Of rows with several labels a common label keeps more than `shots`, as rows stay for their other
    labels too; rows without any label count as a label of their own.
    """
    train = rows.index[rows["split"] == "train"]
    order = pd.Series(np.random.default_rng(seed).permutation(len(rows)), rows.index)[train]
    names = rows.loc[train, "label"]
    if _has_sets(rows):
        names = names.map(lambda found: found or ("",)).explode()
    rank = order[names.index].groupby(names.to_numpy()).rank()
    kept = pd.Series(rows["split"] != "train", rows.index)
    kept[rank.index[rank <= shots]] = True
    counts = names[names != ""].value_counts()
    fewer = {str(name): int(count) for name, count in counts[counts < shots].sort_index().items()}
    return rows[kept].reset_index(drop=True), fewer


def _first_of(rows: pd.DataFrame, order: np.ndarray, train: pd.Series, fraction: float) -> np.ndarray:
    """Which training rows come first, as many as the fraction says, and the first of each label beside them."""
    first = np.argsort(order)
    first = first[train.to_numpy()[first]]
    kept = np.zeros(len(rows), dtype=bool)
    kept[first[: max(1, round(fraction * len(first)))]] = True
    seen = {name for names in rows.loc[kept, "label"] for name in names}
    for place in first:
        if not seen.issuperset(names := rows["label"].iloc[place]):
            kept[place] = True
            seen.update(names)
    return kept


def shared_dialogues(rows: pd.DataFrame) -> int:
    """Count the dialogues that stand in more than one split; only given splits can share one."""
    if "dialogue" not in rows:
        return 0
    return int((rows[rows["dialogue"] != ""].groupby("dialogue")["split"].nunique() > 1).sum())


def count_dialogues(rows: pd.DataFrame) -> int:
    """How many dialogues there are."""
    return rows.loc[rows["dialogue"] != "", "dialogue"].nunique()


def _without_leaks(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    keys = rows["key"]
    held_out = {split: set(keys[rows["split"] == split]) for split in ("validation", "test")}
    leaks = {
        "validation": (rows["split"] == "validation") & keys.isin(held_out["test"]),
        "train": (rows["split"] == "train") & keys.isin(held_out["test"] | held_out["validation"]),
    }
    kept = ~(leaks["validation"] | leaks["train"])
    return rows[kept].reset_index(drop=True), {split: int(mask.sum()) for split, mask in leaks.items()}


def _carve(rows: pd.DataFrame, sizes: dict[str, float], seed: int) -> tuple[pd.DataFrame, str]:
    """Move whole dialogues of each label out of training until each new split has its share of the label's rows.

    The words that come back tell how it was done: of few dialogues the label does not matter.
    """
    train = rows[rows["split"] == "train"]
    unit = train["key"]
    if "dialogue" in train:  # rows without a dialogue are dialogues of one turn
        unit = train["dialogue"].where(train["dialogue"] != "", "text:" + unit)
    labels = train["label"].groupby(unit, sort=False)
    size, rng = labels.size(), np.random.default_rng(seed)
    split = rows["split"].copy()
    if _has_sets(train):
        split[train.index] = unit.map(_drawn_of_sets(train["label"], unit, sizes, rng))
        whole = "dialogues" if "dialogue" in train else "groups of equal texts"
        return rows.assign(split=split), f"iterative stratification by label, whole {whole}"
    new = _drawn(size, labels.first(), sizes, rng)
    how = f"stratified by label, whole {'dialogues' if 'dialogue' in train else 'groups of equal texts'}"
    if "dialogue" in train and size[new != "train"].sum() > MOST_OVERSHOOT * sum(sizes.values()) * len(train):
        better = _drawn_of_few(size, pd.crosstab(unit, train["label"]) > 0, sizes, rng)
        if better is not None:
            new, how = better, "whole dialogues of any label"
    split[train.index] = unit.map(new)
    return rows.assign(split=split), how


def _has_sets(rows: pd.DataFrame) -> bool:
    """Whether labels are sets of names, as tuples."""
    return bool(len(rows)) and isinstance(rows["label"].iloc[0], tuple)


def _drawn_of_sets(labels: pd.Series, unit: pd.Series, sizes: dict[str, float], rng: np.random.Generator) -> pd.Series:
    """As `_drawn`, of rows with sets of labels: a group has all labels of its rows."""
    names = sorted({name for found in labels for name in found})
    places = {name: place for place, name in enumerate(names)}
    codes, units = pd.factorize(unit)
    held: list[list[int]] = [[] for _ in units]
    for code, found in zip(codes, labels, strict=True):
        held[code] += [places[name] for name in found]
    sets = zeros_and_ones(held, len(names))
    splits = ["train", *sizes]
    shares = [1 - sum(sizes.values()), *sizes.values()]
    parts = iterative_stratification(sets, np.bincount(codes, minlength=len(units)), shares, rng)
    return pd.Series([splits[part] for part in parts], units, dtype="str")


def _drawn(size: pd.Series, stratum: pd.Series, sizes: dict[str, float], rng: np.random.Generator) -> pd.Series:
    """The split of each group of rows: of each stratum so many groups that a new split has its share of the rows."""
    new = np.full(len(size), "train", dtype=object)
    rows, strata = size.to_numpy(), stratum.to_numpy(dtype=object)
    for name in sorted(stratum.unique()):
        mine = np.flatnonzero(strata == name)
        mine = mine[rng.permutation(len(mine))]
        so_far = rows[mine].cumsum()
        start = 0
        for split, share in sizes.items():
            goal = (so_far[start - 1] if start else 0) + max(1, round(share * so_far[-1]))
            stop = min(int(np.searchsorted(so_far, goal)) + 1, len(mine))
            new[mine[start:stop]] = split
            start = stop
    return pd.Series(new, size.index, dtype="str")


def _drawn_of_few(
    size: pd.Series, holds: pd.DataFrame, sizes: dict[str, float], rng: np.random.Generator
) -> pd.Series | None:
    """As `_drawn`, of few dialogues, from whatever label: the first draw with all labels in all splits, if any has.

    Strata of one or two dialogues give all of theirs away. What a dialogue `holds` is mostly more than one label.
    """
    for _ in range(DRAWS):
        new = _drawn(size, pd.Series("", size.index), sizes, rng)
        found = holds.groupby(new).any()
        if len(found) == 1 + len(sizes) and found.all(axis=None):
            return new
    return None


def overshoot(rows: pd.DataFrame, carved: dict[str, float]) -> str | None:
    """What to say where dialogues of several rows made the carved splits far larger than was asked for."""
    rows = rows[rows["split"].isin(["train", *carved])]
    if "dialogue" not in rows or not rows.loc[rows["dialogue"] != "", "dialogue"].duplicated().any():
        return None
    shares = {split: (rows["split"] == split).mean() for split in carved}
    if sum(shares.values()) <= MOST_OVERSHOOT * sum(carved.values()):
        return None
    said = " and ".join(f"{shares[split]:.0%} for {split} ({size:.0%} asked for)" for split, size in carved.items())
    return f"of the rows were carved {said}: dialogues stay whole, and there are {count_dialogues(rows):,}"
