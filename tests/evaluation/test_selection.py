"""The best of several models: how much of its lead is luck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from emo_hf.evaluation.selection import best_effect, true_spread
from emo_hf.evaluation.statistics import MultiBootstrap


def answers(random: np.random.Generator, labels: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Predictions (..., N) of runs with an accuracy each, that are right on rows by luck of their own."""
    right = random.random((*accuracy.shape, len(labels))) < accuracy[..., None]
    return np.where(right, labels, (labels + random.integers(1, 3, size=right.shape)) % 3)


def study(random: np.random.Generator, means: list[float], *, rows: int = 400, seeds: int = 2) -> MultiBootstrap:
    """Models of these accuracies, and a baseline of 70 % that no seed changes."""
    labels = random.integers(3, size=rows)
    runs = {name: answers(random, labels, np.full(seeds, mean)) for name, mean in enumerate(means)}
    runs["baseline"] = answers(random, labels, np.array([0.7]))
    return MultiBootstrap(runs, labels, metric="accuracy", resamples=100, deterministic={"baseline"})


def test_of_models_that_are_alike_the_best_is_ahead_by_luck_alone() -> None:
    random, studies = np.random.default_rng(0), 150
    found = [best_effect(study(random, [0.7] * 12), range(12), "baseline", draws=500) for _ in range(studies)]
    estimates = np.array([best.effect.estimate for best in found])
    optimism = np.mean([best.optimism for best in found])
    error = estimates.std(ddof=1) / math.sqrt(studies)
    assert abs(estimates.mean()) < 4 * error < optimism / 2
    claims = sum(best.effect.p < 0.05 for best in found)
    assert stats.binomtest(claims, studies, 0.05, alternative="greater").pvalue > 0.001


def test_a_model_far_ahead_is_chosen_whatever_the_luck() -> None:
    bootstrap = study(np.random.default_rng(1), [0.7, 0.9, 0.7])
    best = best_effect(bootstrap, range(3), "baseline")
    plain = bootstrap.effect({1: 1.0, "baseline": -1.0})
    assert best.name == 1 and abs(best.optimism) < plain.standard_error / 10
    assert best.effect.estimate == pytest.approx(plain.estimate - best.optimism)
    assert best.effect.p < 0.001 and best.effect.standard_error == pytest.approx(plain.standard_error, rel=0.05)


def test_one_model_is_chosen_by_nobody() -> None:
    best = best_effect(study(np.random.default_rng(2), [0.75]), [0], "baseline")
    assert abs(best.optimism) < best.effect.standard_error / 20


def test_a_single_run_leaves_the_lead_unknown() -> None:
    random, labels = np.random.default_rng(3), np.arange(90) % 3
    runs = {name: answers(random, labels, np.full(count, 0.7)) for name, count in (("a", 2), ("b", 1), ("c", 1))}
    best = best_effect(MultiBootstrap(runs, labels, resamples=20, deterministic={"c"}), ["a", "b"], "c")
    assert math.isfinite(best.effect.estimate) and math.isnan(best.effect.p) and math.isnan(best.optimism)


def test_what_errors_explain_of_the_spread_is_taken_off() -> None:
    means = np.array([0.70, 0.72, 0.74, 0.76])
    rows = np.full((4, 4), 0.5)  # an error that all have in common moves nobody past another
    kept = true_spread(means, rows + np.diag(np.full(4, means.var(ddof=1) * 0.36)))
    assert kept.mean() == pytest.approx(means.mean()) and kept.var(ddof=1) == pytest.approx(0.64 * means.var(ddof=1))
    assert true_spread(means, np.eye(4)) == pytest.approx(means.mean())
