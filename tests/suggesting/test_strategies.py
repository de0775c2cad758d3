"""Which rows each strategy picks: against plain loops, of label sets too, and where there is little to pick from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from emo_hf.errors import UserError
from emo_hf.suggesting.strategies import STRATEGIES, pick, uncertainty

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.dirichlet(np.ones(4), size=60)
SETS = RANDOM.uniform(size=(60, 4))
EMBEDDINGS = RANDOM.normal(size=(60, 8)).astype(np.float32)


def plain(row: list[float], by: str) -> float:
    """The uncertainty of one distribution."""
    ranked = sorted(row, reverse=True)
    return {
        "entropy": -sum(p * math.log(p) for p in row if p > 0),
        "margin": 1 - (ranked[0] - ranked[1]),
        "least_confidence": 1 - ranked[0],
    }[by]


@pytest.mark.parametrize("by", ["entropy", "margin", "least_confidence"])
def test_uncertainty_is_that_of_a_plain_loop(by):
    expected = [plain(row, by) for row in SCORES.tolist()]
    assert uncertainty(SCORES, by, several=False) == pytest.approx(expected)
    of_sets = [np.mean([plain([p, 1 - p], by) for p in row]) for row in SETS.tolist()]
    assert uncertainty(SETS, by, several=True) == pytest.approx(of_sets)
    sure = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert uncertainty(sure, by, several=False) == 0 == uncertainty(sure, by, several=True)
    ranked = sorted(range(60), key=lambda row: -expected[row])
    assert pick(by, SCORES, EMBEDDINGS, 7, seed=1).tolist() == ranked[:7]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_row_is_picked_once_and_by_its_seed(strategy, several):
    scores = SETS if several else SCORES

    def picked(count, seed=3, scores=scores, embeddings=EMBEDDINGS):
        return pick(strategy, scores, embeddings, count, seed=seed, several=several).tolist()

    assert len(set(picked(20))) == 20 and picked(20) == picked(20)
    assert sorted(picked(60)) == sorted(picked(1000)) == list(range(60))
    assert picked(5, scores=scores[:1], embeddings=EMBEDDINGS[:1]) == [0]
    alike = np.repeat(EMBEDDINGS[:1], 60, axis=0)
    assert len(set(picked(20, scores=np.repeat(scores[:1], 60, axis=0), embeddings=alike))) == 20
    sure = np.repeat([[1.0, 0.0, 0.0, 0.0]], 60, axis=0)
    assert len(set(picked(20, scores=sure))) == 20
    if strategy in ("random", "diverse"):
        assert picked(20, seed=4) != picked(20)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(UserError, match="--strategy is 'best'; allowed: random, entropy"):
        pick("best", SCORES, EMBEDDINGS, 1, seed=0)


@pytest.mark.parametrize("strategy", ["diverse", "badge"])
def test_rows_that_are_alike_are_not_picked_together(strategy):
    """Ten heaps of rows, all as unsure: random rows meet 6.5 of them on average, these nearly all."""
    heaps = np.repeat(20 * np.random.default_rng(1).normal(size=(10, 8)), 30, axis=0)
    embeddings = heaps + np.random.default_rng(2).normal(scale=0.1, size=heaps.shape)
    scores = np.tile([0.5, 0.5], (300, 1))
    found = [len({row // 30 for row in pick(strategy, scores, embeddings, 10, seed=seed)}) for seed in range(20)]
    of_random = [len({row // 30 for row in pick("random", scores, embeddings, 10, seed=seed)}) for seed in range(20)]
    assert np.mean(found) > 8.5 > 7.5 > np.mean(of_random)


@pytest.mark.parametrize("strategy", ["diverse", "badge"])
def test_rows_of_which_the_model_is_sure_are_left(strategy):
    scores = np.tile([0.999, 0.001], (300, 1))
    scores[::10] = [0.5, 0.5]
    embeddings = np.random.default_rng(3).normal(size=(300, 8))
    surely = [int(row) for row in pick(strategy, scores, embeddings, 10, seed=0) if row % 10]
    assert len(surely) <= (strategy == "badge")  # gradients of next to nothing are one more heap


def gradients(scores: np.ndarray, embeddings: np.ndarray, several: bool) -> np.ndarray:
    """Those of the classifier's weights, multiplied out, with the model's own answers as labels."""
    found = []
    for row, hidden in zip(scores, embeddings.astype(np.float64), strict=True):
        own = [float(p >= 0.5) for p in row] if several else [float(i == row.argmax()) for i in range(len(row))]
        found.append(np.outer(row - own, hidden).ravel())
    return np.array(found)


@pytest.mark.parametrize("several", [False, True])
def test_badge_is_k_means_plus_plus_over_gradients(several):
    """The longest gradient first; then each row as often as the square of its distance to the picked ones says."""
    scores, embeddings = (SETS if several else SCORES)[:12], EMBEDDINGS[:12]
    found = gradients(scores, embeddings, several)
    first = int((found**2).sum(1).argmax())
    shares = ((found - found[first]) ** 2).sum(1)
    drawn = [pick("badge", scores, embeddings, 2, seed=seed, several=several) for seed in range(2000)]
    assert {int(row[0]) for row in drawn} == {first}
    counts = np.bincount([row[1] for row in drawn], minlength=12)
    others = np.arange(12) != first
    expected = 2000 * shares / shares.sum()
    assert counts[first] == 0
    assert stats.chisquare(counts[others], expected[others]).pvalue > 0.001
