"""Counts and intervals of rows with several labels each."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from emo_hf.errors import UserError
from emo_hf.evaluation.scores import RowWeights, score
from emo_hf.evaluation.statistics import MultiBootstrap, bootstrap_interval


def drawn(rows: int, labels: int, runs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """True sets (N, C), and predicted ones (S, N, C) that are right about four times of five."""
    random = np.random.default_rng(3)
    truth = random.random((rows, labels)) < random.uniform(0.05, 0.5, labels)
    return truth, truth ^ (random.random((runs, rows, labels)) < 0.2)


@pytest.mark.parametrize("metric", ["macro_f1", "accuracy", 0, 3])
def test_scores_of_sets_equal_scikit_learn_s(metric: str | int) -> None:
    truth, (given,) = drawn(80, 5)
    truth[:, 4] = False  # a label that no row has: out of the mean
    weights = np.random.default_rng(0).integers(3, size=(6, 80)).astype(float)
    ours = score(RowWeights(truth.astype(np.uint8), 5, weights).counts(given), metric)
    for value, row in zip(ours, weights, strict=True):
        if metric == "accuracy":
            theirs = accuracy_score(truth, given, sample_weight=row)
        else:
            of_labels = f1_score(truth, given, average=None, sample_weight=row, zero_division=0)
            theirs = of_labels[:4].mean() if metric == "macro_f1" else of_labels[metric]
        assert value == pytest.approx(theirs, abs=1e-12)


def test_the_bootstrap_of_one_label_a_row_as_sets_is_that_of_classes() -> None:
    random = np.random.default_rng(1)
    labels, runs = random.integers(4, size=90), random.integers(4, size=(3, 90))
    one_hot = np.eye(4, dtype=np.uint8)
    for metric in ("macro_f1", "accuracy", 2):
        of_classes = MultiBootstrap({"a": runs}, labels, metric=metric, resamples=200)
        of_sets = MultiBootstrap({"a": one_hot[runs]}, one_hot[labels], metric=metric, resamples=200)
        assert of_sets.effect({"a": 1.0}) == of_classes.effect({"a": 1.0})
    assert bootstrap_interval(one_hot[runs[0]], one_hot[labels]) == bootstrap_interval(runs[0], labels)


def test_each_label_s_bootstrap_is_that_of_its_f1() -> None:
    truth, runs = drawn(120, 5, runs=3)
    together = MultiBootstrap.of_each_label({"a": runs, "b": runs[:, ::-1]}, truth, resamples=100)
    for label, bootstrap in enumerate(together):
        alone = MultiBootstrap({"a": runs, "b": runs[:, ::-1]}, truth, metric=label, resamples=100)
        assert bootstrap.effect({"a": 1, "b": -1}) == alone.effect({"a": 1, "b": -1})


def test_sets_of_other_sizes_are_refused() -> None:
    truth, runs = drawn(10, 3, runs=2)
    with pytest.raises(UserError, match=r"\(2, 10, 2\)"):
        MultiBootstrap({"a": runs[..., :2]}, truth)


def test_many_labels_cost_little() -> None:
    truth, runs = drawn(5000, 44, runs=6)
    started = time.monotonic()
    MultiBootstrap({"a": runs}, truth)
    assert time.monotonic() - started < 10  # measured: 0.6 s on one core
