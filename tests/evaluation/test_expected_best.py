"""The expected best of so many draws, against all subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from emo_hf.evaluation.expected_best import expected_best, expected_best_with

SCORES = [0.31, 0.7, 0.7, 0.12, 0.0, 0.55, 0.93]


def of_all_subsets(scores: list[float], count: int) -> float:
    return float(np.mean([max(subset) for subset in combinations(scores, count)]))


def test_it_is_the_mean_of_the_best_over_all_subsets() -> None:
    found = expected_best(SCORES)
    assert found == pytest.approx([of_all_subsets(SCORES, count) for count in range(1, 8)], abs=1e-12)
    assert found[-1] == max(SCORES) and expected_best([]).shape == (0,) and expected_best([0.4]).tolist() == [0.4]


def test_what_is_always_tried_is_no_random_draw() -> None:
    found = expected_best_with(0.6, SCORES)
    expected = [0.6] + [
        np.mean([max(0.6, *subset) for subset in combinations(SCORES, count)]) for count in range(1, 8)
    ]
    assert found == pytest.approx(expected, abs=1e-12)
    assert (np.diff(found) >= -1e-12).all()


def test_it_has_no_bias() -> None:
    """Over many samples of 5 draws the mean is the true expected best: n / (n + 1) for uniform draws."""
    samples = np.random.default_rng(0).random((4000, 5))
    means = np.mean([expected_best(sample) for sample in samples], axis=0)
    assert means == pytest.approx([n / (n + 1) for n in range(1, 6)], abs=0.01)
