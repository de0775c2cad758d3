"""Rows with several labels parted by iterative stratification: shares, sizes, and units that stay whole."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.stratify import iterative_stratification

SHARES = [0.8, 0.1, 0.1]


def drawn(seed: int, count: int, labels: int, mean: float = 3.0) -> np.ndarray:
    """Sets of labels (N, C) of very unequal sizes."""
    rng = np.random.default_rng(seed)
    shares = np.clip(rng.dirichlet(np.full(labels, 0.5)) * mean, 0, 0.9)
    return (rng.random((count, labels)) < shares).astype(np.int64)


def by_loops(sets: np.ndarray, sizes: np.ndarray, shares: list[float], rng: np.random.Generator) -> list[int]:
    """The algorithm as the paper writes it, one row and one label at a time, with our two rules beside it."""
    units, labels, parts = range(len(sets)), range(sets.shape[1]), range(len(shares))
    rows_of = {c: sum(int(sizes[u]) for u in units if sets[u][c]) for c in labels}
    wants = {(p, c): shares[p] * rows_of[c] for p in parts for c in labels}
    for c in labels:
        if sum(1 for u in units if sets[u][c]) >= len(shares):  # enough for each part to have one
            for p in parts[1:]:
                wants[p, c] = max(wants[p, c], 1.0)
        wants[0, c] = rows_of[c] - sum(wants[p, c] for p in parts[1:])
    left = [share * int(sizes.sum()) for share in shares]
    lot, lottery = rng.permutation(len(sets)), rng.random((len(sets), len(shares)))
    found: dict[int, int] = {}

    def best(unit: int, label: int | None) -> int:
        open_parts = [p for p in parts if left[p] > 1e-9] or list(parts)  # a part that has its rows gets no more
        return max(open_parts, key=lambda p: (0 if label is None else wants[p, label], left[p], lottery[unit][p]))

    def give(unit: int, part: int) -> None:
        found[unit] = part
        left[part] -= int(sizes[unit])
        for c in labels:
            wants[part, c] -= int(sizes[unit]) * bool(sets[unit][c])

    while True:
        rest = {c: sum(1 for u in units if u not in found and sets[u][c]) for c in labels}
        rest = {c: number for c, number in rest.items() if number}
        if not rest:
            break
        rarest = min(rest, key=rest.__getitem__)
        for unit in lot.tolist():
            if unit not in found and sets[unit][rarest]:
                give(unit, best(unit, rarest))
    for unit in lot.tolist():
        if unit not in found:
            give(unit, best(unit, None))
    return [found[u] for u in units]


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_algorithm_in_plain_loops(seed):
    sets = drawn(seed, 60 + 10 * seed, 3 + 2 * seed)
    sizes = np.random.default_rng(seed).integers(1, 4, len(sets)) if seed % 2 else np.ones(len(sets), dtype=int)
    found = iterative_stratification(sets, sizes, SHARES, np.random.default_rng(seed))
    assert found.tolist() == by_loops(sets, sizes, SHARES, np.random.default_rng(seed))


@pytest.mark.parametrize("shares", [SHARES, [0.5, 0.3, 0.2], [0.9, 0.1]], ids=str)
def test_parts_have_their_sizes_and_every_label_its_share(shares):
    sets = drawn(1, 2000, 30, mean=6.0)
    found = iterative_stratification(sets, np.ones(2000, dtype=int), shares, np.random.default_rng(2))
    for part, share in enumerate(shares):
        assert abs((found == part).sum() - share * 2000) <= 2
        asked = share * sets.sum(0)
        assert (np.abs(sets[found == part].sum(0) - asked) <= np.maximum(2, 0.2 * asked)).all()
    have = np.array([sets[found == part].sum(0) for part in range(len(shares))])
    assert have[:, sets.sum(0) >= 10].all()
    assert have[0, sets.sum(0) > 0].all()  # what is too rare for all parts is trained
    lot = np.random.default_rng(2).permutation(found)
    by_lot = np.abs(np.array([sets[lot == part].mean(0) for part in range(len(shares))]) - sets.mean(0)).mean()
    ours = np.abs(np.array([sets[found == part].mean(0) for part in range(len(shares))]) - sets.mean(0)).mean()
    assert ours < by_lot / 2


@pytest.mark.parametrize(("count", "labels", "mean"), [(50_000, 44, 7.9), (5000, 1000, 5.0)])
def test_many_rows_and_many_labels_take_seconds(count, labels, mean):
    sets = drawn(0, count, labels, mean)
    begun = time.process_time()
    found = iterative_stratification(sets, np.ones(count, dtype=int), SHARES, np.random.default_rng(0))
    assert time.process_time() - begun < 10  # 0.6 and 0.2 s
    assert np.abs(np.bincount(found) - np.array(SHARES) * count).max() <= 2


def written(path, rows: list[dict]) -> str:
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def test_equal_texts_and_dialogues_stay_whole_and_the_seed_decides(tmp_path):
    sets = drawn(3, 300, 6, mean=2.0)
    names = np.array(list("abcdef"))
    labels = ["|".join(names[row > 0]) or "[]" for row in sets]
    rows = [{"text": f"문장 {n // 2}", "label": "|".join(names[sets[n] > 0]) or "f"} for n in range(300)]
    data = load_emotion_data(written(tmp_path / "twice.csv", rows), labels="all")
    assert data.multi_label and "whole groups of equal texts" in data.report["splits"]["test"]
    texts = {split: set(data.splits[split]["text"]) for split in data.splits}
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["validation"]
    assert sum(len(data.splits[split]) for split in data.splits) == 300
    again = load_emotion_data(str(tmp_path / "twice.csv"), labels="all")
    other = load_emotion_data(str(tmp_path / "twice.csv"), labels="all", seed=7)
    assert again.fingerprint == data.fingerprint != other.fingerprint
    rows = [{"text": f"말 {n}", "label": label, "dialogue": n // 3} for n, label in enumerate(labels) if label != "[]"]
    data = load_emotion_data(written(tmp_path / "dialogues.csv", rows), labels="all")
    assert "whole dialogues" in data.report["splits"]["test"]
    turns = {split: set(data.splits[split]["dialogue"]) for split in data.splits}
    assert not turns["train"] & (turns["test"] | turns["validation"]) and not turns["test"] & turns["validation"]
    assert abs(len(data.splits["test"]) - 0.1 * len(rows)) <= 3
