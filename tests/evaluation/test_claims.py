"""Simulated studies of known truth: how often a verdict is wrong, and whether plans keep their word.

recipes/bench/verdicts.py does the same at length.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from verdicts import BOUNDED, CLAIMS, POWER, Row
from worlds import GRID, PAIR, World

from emo_hf.evaluation.planning import Goal, requirement
from emo_hf.evaluation.scores import RowWeights, score

STUDIES = 150
WITHIN = 0.01


def rate(row: Row, studies: int = STUDIES) -> np.ndarray:
    """In how many studies any main effect, and any interaction, has a verdict that counts."""
    interactions = np.array([contrast.under is not None for contrast in row.world.questions])
    found = np.array([row.study(number) for number in range(studies)])
    return np.array([found[:, ~interactions].any(1).sum(), found[:, interactions].any(1).sum()])


def at_most_five_percent(wrong: int, studies: int = STUDIES) -> bool:
    return stats.binomtest(int(wrong), studies, 0.05, alternative="greater").pvalue > 0.001


def test_the_truth_of_a_world_is_what_its_studies_measure() -> None:
    world = World(GRID[:4], {"mean": 3.0, "triplet": -2.0}, spread=1.0)
    runs, labels = world.draw(np.random.default_rng(0), 30, 20_000)
    weights = RowWeights(labels, 3, np.ones((1, len(labels)), dtype=np.float32))
    for metric in ("macro_f1", "accuracy"):
        found = np.array([[score(weights.counts(run), metric)[0] for run in each] for each in runs.values()])
        assert found.mean(1) == pytest.approx(world.scores, abs=0.008)
        assert found.std(1, ddof=1) == pytest.approx(0.01, rel=0.5)
    assert world.truth({GRID[3]: 1.0, GRID[0]: -1.0}) == pytest.approx(0.03)


@pytest.mark.parametrize("wider", [1.0, 2.0])
def test_two_models_of_two_seeds_rarely_differ_by_luck(wider: float) -> None:
    row = Row(World(PAIR, wider=wider), 2, 200, "", frozenset(CLAIMS), "")
    assert at_most_five_percent(rate(row, 150)[0], 150)


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "seeds"), [(PAIR, 3), (GRID, 2)])
def test_of_studies_without_a_difference_one_in_twenty_claims_one(cells: tuple, seeds: int) -> None:
    """For the main effects, and for the interactions, corrected as families; seeds of one loss spread twice as far."""
    row = Row(World(cells, wider=2.0), seeds, 300, "", frozenset(CLAIMS), "")
    assert all(map(at_most_five_percent, rate(row)))


@pytest.mark.slow
def test_differences_at_the_border_are_rarely_called_equal() -> None:
    row = Row(World(PAIR, {"triplet": -1.0}, spread=0.4), 5, 3000, "", frozenset(BOUNDED), "")
    wrong, _ = rate(row)
    assert at_most_five_percent(wrong) and wrong > 0  # a test that never calls anything equal is none


@pytest.mark.slow
@pytest.mark.parametrize("within", [None, WITHIN])
def test_a_plan_keeps_its_word(within: float | None) -> None:
    """A difference of 2 points is shown, or that there is none beyond 1, in 80 % ± 5 and what luck explains."""
    world = World(PAIR, {} if within else {"triplet": 2.0}, spread=0.3)
    weights = world.questions[0].weights
    needed = requirement(world.variances(weights), Goal(0.0 if within else 0.02, 0.05, within), 5, 1000)
    shown, _ = rate(Row(world, 5, needed.sentences, "", frozenset(BOUNDED if within else CLAIMS), ""))
    assert stats.binomtest(int(shown), STUDIES, POWER - 0.05, alternative="less").pvalue > 0.001
    assert stats.binomtest(int(shown), STUDIES, POWER + 0.05, alternative="greater").pvalue > 0.001
