"""The variance over seeds: pooled where it may be one, each model's own where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from emo_hf.evaluation.seeds import SeedVariance, equal_variances
from emo_hf.evaluation.statistics import MultiBootstrap, seed_effect


def test_two_seeds_of_twelve_models_know_one_variance_well() -> None:
    random = np.random.default_rng(0)
    scores = {name: random.normal(0.7, 0.01, 3 if name == 11 else 2) for name in range(12)}
    found = SeedVariance(scores | {"one run": np.array([0.9])})
    own = [values.var(ddof=1) for values in scores.values()]
    together = np.average(own, weights=[len(values) - 1 for values in scores.values()])
    assert found.pooled and found.of_run(3) == pytest.approx(together)
    assert found.of_mean({0: 1.0, 11: -1.0}) == pytest.approx((together / 2 + together / 3, 13))
    effect = seed_effect(scores, {0: 1.0, 1: -1.0})
    assert effect.degrees == 13 and effect.high - effect.low < 0.06
    alone = seed_effect({name: scores[name] for name in (0, 1)}, {0: 1.0, 1: -1.0})
    assert alone.degrees == 2


def test_of_two_models_that_may_be_equal_it_is_student_s_t() -> None:
    random = np.random.default_rng(1)
    scores = {"a": random.normal(0.7, 0.01, 4), "b": random.normal(0.72, 0.01, 3)}
    expected = stats.ttest_ind(scores["a"], scores["b"])
    assert seed_effect(scores, {"a": 1.0, "b": -1.0}).p == pytest.approx(expected.pvalue)


def test_a_model_whose_seeds_spread_further_forbids_it() -> None:
    random = np.random.default_rng(2)
    scores = {name: random.normal(0.7, 0.05 if name == 0 else 0.005, 4) for name in range(6)}
    found = SeedVariance(scores)
    assert found.p < 0.05 and not found.pooled
    variance, degrees = found.of_mean({0: 1.0, 1: -1.0})
    expected = stats.ttest_ind(scores[0], scores[1], equal_var=False)
    assert variance == pytest.approx((scores[0].var(ddof=1) + scores[1].var(ddof=1)) / 4)
    assert degrees == pytest.approx(expected.df)


@pytest.mark.parametrize("degrees", [[1] * 12, [2] * 12, [1, 1], [1, 2, 4, 4]])
def test_equal_variances_are_rarely_forbidden(degrees: list[int]) -> None:
    """As often as p says, with two seeds too, which Bartlett's test is not made for."""
    random, counts = np.random.default_rng(3), np.array(degrees)
    p = np.array([equal_variances(1e-4 * random.chisquare(counts) / counts, counts) for _ in range(2000)])
    for level in (0.05, 0.25):
        assert (p < level).mean() == pytest.approx(level, abs=4 * (level * (1 - level) / 2000) ** 0.5)


def test_seeds_with_equal_scores_forbid_nothing() -> None:
    """Two seeds of a few hundred rows now and then have the very same score."""
    tied = SeedVariance({"a": [0.7, 0.7], "b": [0.71, 0.7], "c": [0.7, 0.72]})
    assert tied.pooled and tied.of_run("a") > 0
    all_tied = {"a": [0.7, 0.7], "b": [0.8, 0.8]}
    assert SeedVariance(all_tied).of_mean({"a": 1.0}) == (0.0, 2.0)
    assert np.isnan(seed_effect(all_tied, {"a": 1.0, "b": -1.0}).p)  # not a difference for sure


def test_one_model_alone_has_its_own() -> None:
    found = SeedVariance({"a": [0.7, 0.72, 0.71], "b": [0.7]})
    assert not found.pooled and found.of_mean({"a": 1.0}) == pytest.approx((1e-4 / 3, 2))


def test_two_seeds_never_know_less_than_one_degree_of_freedom() -> None:
    """Models that share their luck seed by seed: by-row chance was taken off where the rows did not hold it."""
    for number in range(4, 10):
        random = np.random.default_rng(number)
        labels = random.integers(3, size=300)
        runs = np.where(random.random((2, 300)) < 0.7, labels, (labels + 1) % 3)
        others = runs.copy()
        others[:, :3] = (others[:, :3] + 1) % 3
        effect = MultiBootstrap({"a": runs, "b": others}, labels, resamples=200).effect({"a": 1.0, "b": -1.0})
        assert effect.degrees >= 1
        reach = stats.t.ppf(0.975, effect.degrees) * effect.standard_error
        assert 0 < reach < 0.7
