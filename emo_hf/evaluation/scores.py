"""Macro-F1 and accuracy under many weightings of the same test rows at once, as a bootstrap needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from emo_hf.errors import UserError

METRICS = ("macro_f1", "accuracy")
Metric = str | int  # one of them, or a class, for its F1


@dataclass(frozen=True)
class ClassCounts:
    """What macro-F1 and accuracy are made of, under several weightings of the rows: three counts a class (B, C).

    Attributes:
        hits: rows of the class that are predicted so.
        predicted: rows that are predicted so.
        actual: rows of the class.
        right: rows that are right (B,), with all of their labels where they may have several.
        rows: all rows (B,).
        present: whether any row is of the class (C,), whatever its weight; macro-F1 is the mean over these.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray
    right: np.ndarray
    rows: np.ndarray
    present: np.ndarray


class RowWeights:
    """Several weightings (B, N) of the same test rows, for the counts of many runs.

    The rows have true classes (N,) or, where they may have several labels each, sets of labels (N, C) of 0 and 1.
    """

    def __init__(self, labels: np.ndarray, classes: int, weights: np.ndarray):
        self.labels, self.classes = labels, classes
        self._by_row = np.ascontiguousarray(weights.T)
        self._rows = self._by_row.sum(0)
        self._actual = self._sums(labels)
        rows = (labels > 0).sum(0) if labels.ndim > 1 else np.bincount(labels, minlength=classes)
        self._present = rows > 0

    def counts(self, predictions: np.ndarray) -> ClassCounts:
        """The counts of predicted classes (N,), or sets of labels (N, C), under each weighting."""
        if self.labels.ndim > 1:
            right, hits = (predictions == self.labels).all(1), self._sums(predictions.astype(bool) & (self.labels > 0))
        else:
            right = predictions == self.labels
            hits = self._sums(predictions, right)
        all_right = right.astype(self._by_row.dtype) @ self._by_row
        return ClassCounts(hits, self._sums(predictions), self._actual, all_right, self._rows, self._present)

    def _sums(self, classes: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
        """The weights (B, C) of the rows of each class or label; with `kept` (N,), of those rows alone.

        Of classes a sparse matrix (C, N): a dense one, or one of pairs of classes, takes gigabytes at a thousand
        classes. Sets of labels are so dense that a dense one is the faster.
        """
        if classes.ndim > 1:
            return self._by_row.T @ classes.astype(self._by_row.dtype)
        rows = np.arange(len(classes)) if kept is None else np.flatnonzero(kept)
        ones = np.ones(len(rows), dtype=self._by_row.dtype)
        members = sparse.csr_array((ones, (classes[rows], rows)), shape=(self.classes, len(classes)))
        return np.ascontiguousarray((members @ self._by_row).T)


def class_count(labels: np.ndarray, predictions: Iterable[np.ndarray]) -> int:
    """How many classes there are in true ones (N,) and predicted ones, or labels in sets (N, C)."""
    return labels.shape[1] if labels.ndim > 1 else 1 + max(int(found.max()) for found in (labels, *predictions))


def score(counts: ClassCounts, metric: Metric = "macro_f1") -> np.ndarray:
    """Macro-F1, accuracy or the F1 of a class (B,) of counts.

    A class that the test rows have, but not the ones that were drawn, has F1 0; one that they lack is left out of the
    mean, as `ClassificationScores` does it.
    """
    if metric == "accuracy":
        return counts.right / counts.rows
    if metric == "macro_f1":
        return f1_of_each(counts)[:, counts.present].mean(-1)
    if isinstance(metric, int):
        return f1_of_each(counts)[:, metric]
    raise UserError(f"metric is {metric!r}; allowed: {', '.join(METRICS)}")


def f1_of_each(counts: ClassCounts) -> np.ndarray:
    """The F1 (B, C) of every class."""
    total = counts.actual + counts.predicted
    return np.divide(2 * counts.hits, total, out=np.zeros(total.shape), where=total > 0)
