"""What sets of labels say beside their scores, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from emo_hf.evaluation.label_sets import cooccurrence, f1_of_rows, f1_over_thresholds


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) in steps of a hundredth, many on a threshold, and sets, the last label without a row."""
    random = np.random.default_rng(0)
    truth = random.random((70, 5)) < [0.5, 0.3, 0.2, 0.1, 0.0]
    return np.round(np.clip(0.3 * truth + random.random((70, 5)), 0, 1), 2), truth


def test_macro_f1_over_thresholds_is_that_of_each(drawn) -> None:
    probabilities, truth = drawn
    grid = np.linspace(0, 1, 101)
    expected = [f1_score(truth[:, :4], probabilities[:, :4] >= t, average="macro", zero_division=0) for t in grid]
    assert f1_over_thresholds(probabilities, truth, grid) == pytest.approx(expected)
    assert f1_over_thresholds(probabilities, np.zeros_like(truth), grid).tolist() == [0.0] * 101


def test_f1_of_rows_is_sample_f1(drawn) -> None:
    probabilities, truth = drawn
    given = probabilities > 0.6
    expected = f1_score(truth, given, average="samples", zero_division=1)
    assert f1_of_rows(given, truth.astype(np.uint8)).mean() == pytest.approx(expected)
    assert f1_of_rows(np.zeros((1, 2)), np.zeros((1, 2))).tolist() == [1.0]


def test_cooccurrence_is_the_share_of_a_label_s_rows(drawn) -> None:
    _, truth = drawn
    found = cooccurrence(truth.astype(np.uint8))
    for i, j in np.ndindex(4, 5):
        assert found[i, j] == pytest.approx(truth[truth[:, i], j].mean())
    assert np.isnan(found[4]).all()
