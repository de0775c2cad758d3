"""Plans: they agree with the study that they are made from, name the least that is enough, and know what is not."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower

from emo_hf.evaluation.planning import MOST, Goal, Requirement, Variances, detectable, requirement
from emo_hf.evaluation.statistics import MultiBootstrap

POINT = 0.01


def in_points(seeds: float = 0.0, rows: float = 0.0, chance: float = 0.0, cells: float = 12) -> Variances:
    """From standard deviations in points: of seeds, and by 1,000 sentences of rows and of one run's chance."""
    return Variances(*(value**2 * POINT**2 * n for value, n in ((seeds, 1), (rows, 1000), (chance, 1000))), cells)


def study(spreads: tuple[float, ...] = (0.1, 0.1, 0.1, 0.1), rows: int = 600) -> MultiBootstrap:
    """Four models of three seeds and a baseline; on some sentences a model is wrong whatever the seed."""
    random, labels = np.random.default_rng(0), np.arange(rows) % 3
    runs = {}
    for name, spread in zip("abcd", spreads, strict=True):
        accuracy = 0.85 + spread * np.array([[-1], [0], [1]])
        right = (random.random((3, rows)) < accuracy) & (random.random(rows) < 0.9)
        runs[name] = np.where(right, labels, (labels + 1) % 3)
    runs["base"] = runs["a"][:1]
    return MultiBootstrap(runs, labels, resamples=400, deterministic={"base"})


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": -1.0}, {"a": 0.5, "b": 0.5, "c": -0.5, "d": -0.5}])
def test_a_plan_of_the_study_itself_has_its_standard_error(weights: dict[str, float]) -> None:
    bootstrap = study()
    found = Variances.of(bootstrap, weights)
    assert found.error(3, 600) == pytest.approx(bootstrap.effect(weights).standard_error, rel=1e-6)
    assert found.seeds > 0 and found.rows > 0 and found.chance > 0
    assert found.cells == 4 and bootstrap.pooled
    unequal = study((0.12, 0.0, 0.0, 0.0))
    assert not unequal.pooled and 1 <= Variances.of(unequal, weights).cells < 2
    assert Variances.of(unequal, weights).error(3, 600) == pytest.approx(unequal.effect(weights).standard_error)


def test_a_baseline_that_no_seed_changes_has_rows_alone() -> None:
    found = Variances.of(study(), {"base": 1.0})
    assert (found.seeds, found.chance) == (0, 0) and found.rows > 0
    assert found.error(2, 600) == found.error(9, 600)
    assert detectable(found, 2, 600) < 0.1


def test_seeds_alone_are_a_t_test_of_two_samples() -> None:
    """Two models of S seeds: cells x (S - 1) degrees of freedom."""
    variances = in_points(seeds=2**0.5, cells=2)
    for seeds in (3, 10):
        expected = TTestIndPower().solve_power(nobs1=seeds, alpha=0.05, power=0.8)
        assert detectable(variances, seeds, 10**6) == pytest.approx(expected * POINT, rel=0.01)


def test_what_is_named_is_the_least_that_is_enough() -> None:
    variances = in_points(seeds=0.3, rows=0.2, chance=1.0)
    for goal in (Goal(POINT, 0.0125), Goal(0.0, 0.0125, within=POINT), Goal(0.3 * POINT, 0.0125, within=POINT)):
        found = requirement(variances, goal, 3, 1000)
        for seeds, sentences in ((found.seeds, 1000), (3, found.sentences)):
            less = (seeds - 1, sentences) if sentences == 1000 else (seeds, sentences - 1)
            assert goal.chance_of(variances, seeds, sentences) >= 0.8 > goal.chance_of(variances, *less)
    enough = detectable(variances, 3, 1000, 0.0125)
    assert requirement(variances, Goal(1.001 * enough, 0.0125), 3, 1000).seeds == 3
    assert requirement(variances, Goal(0.999 * enough, 0.0125), 3, 1000).seeds == 4


def test_what_is_in_the_way_decides_what_helps() -> None:
    """Seeds do not help where texts differ, nor texts where seeds do; where both do, both have to grow."""
    goal = Goal(POINT)
    texts = requirement(in_points(seeds=0.1, rows=1.5), goal, 3, 1000)
    assert (texts.seeds, texts.both) == (None, None)
    assert goal.chance_of(in_points(seeds=0.1, rows=1.5), 3, texts.sentences) >= 0.8
    runs = requirement(in_points(seeds=1.5, rows=0.1), goal, 3, 1000)
    assert (runs.sentences, runs.both) == (None, None)
    assert goal.chance_of(in_points(seeds=1.5, rows=0.1), runs.seeds, 1000) >= 0.8
    found = requirement(in_points(seeds=1.5, rows=1.5), goal, 3, 1000)
    assert (found.seeds, found.sentences) == (None, None)
    assert found.both[0] > 3 and found.both[1] > 1000
    assert goal.chance_of(in_points(seeds=1.5, rows=1.5), *found.both) >= 0.8
    assert requirement(in_points(rows=1000, seeds=100), goal, 3, 1000) == Requirement(None, None, None)
    assert MOST[0] * POINT**2 > 1e-3  # a plan of a thousand seeds is none


def test_few_seeds_cost_more_than_their_share_of_the_variance() -> None:
    """Two seeds of two models know their variance so badly that they show little."""
    two, many = (detectable(in_points(seeds=1.0, cells=cells), 2, 1000) for cells in (2, 12))
    assert two > 1.5 * many
