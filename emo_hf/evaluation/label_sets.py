"""What sets of labels say beside their scores: of each row, of pairs of labels, and over all thresholds."""

from __future__ import annotations

import numpy as np


def f1_of_rows(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """F1 (N,) of the labels of each row, of sets (N, C) of 0 and 1; 1 where a row has no label and gets none."""
    given, has = predicted.astype(bool), actual.astype(bool)
    total = given.sum(1) + has.sum(1)
    return np.where(total > 0, 2 * (given & has).sum(1) / np.maximum(total, 1), 1.0)


def cooccurrence(labels: np.ndarray) -> np.ndarray:
    """Which share of the rows with label i has label j too (C, C), of sets (N, C); NaN for a label without a row."""
    counted = labels.astype(np.float32)
    together = (counted.T @ counted).astype(np.float64)
    own = np.diag(together)[:, None]
    return np.divide(together, own, out=np.full(together.shape, np.nan), where=own > 0)


def f1_over_thresholds(probabilities: np.ndarray, labels: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Macro-F1 (T,) where every label has one threshold, of a rising `grid` (T,), for probabilities (N, C).

    Probabilities are counted by the last threshold that they reach, once for all.
    """
    count = labels.shape[1]
    place = np.searchsorted(grid, probabilities, side="right") * count + np.arange(count)
    cells = (len(grid) + 1) * count
    taken, hits = (
        np.bincount(place.ravel(), weights, minlength=cells).reshape(-1, count)[:0:-1].cumsum(0)[::-1]
        for weights in (None, labels.ravel().astype(float))
    )
    actual = labels.sum(0)
    found = 2 * hits / np.maximum(taken + actual, 1)
    return found[:, actual > 0].mean(1) if actual.any() else np.zeros(len(grid))
