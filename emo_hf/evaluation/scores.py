"""Macro-F1 and accuracy under many weightings of the same test rows at once, as a bootstrap needs them."""

from __future__ import annotations

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
        present: whether any row is of the class (C,), whatever its weight; macro-F1 is the mean over these.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray
    present: np.ndarray


class RowWeights:
    """Several weightings (B, N) of the same test rows with true classes (N,), for the counts of many runs."""

    def __init__(self, labels: np.ndarray, classes: int, weights: np.ndarray):
        self.labels, self.classes = labels, classes
        self._by_row = np.ascontiguousarray(weights.T)
        self._actual = self._sums(labels)
        self._present = np.bincount(labels, minlength=classes) > 0

    def counts(self, predictions: np.ndarray) -> ClassCounts:
        """The counts of predicted classes (N,) under each weighting."""
        return ClassCounts(
            self._sums(predictions, predictions == self.labels), self._sums(predictions), self._actual, self._present
        )

    def _sums(self, classes: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
        """The weights (B, C) of the rows of each class; with `kept` (N,), of those rows alone.

        A sparse matrix (C, N): a dense one, or one of pairs of classes, takes gigabytes at a thousand classes.
        """
        rows = np.arange(len(classes)) if kept is None else np.flatnonzero(kept)
        ones = np.ones(len(rows), dtype=self._by_row.dtype)
        members = sparse.csr_array((ones, (classes[rows], rows)), shape=(self.classes, len(classes)))
        return np.ascontiguousarray((members @ self._by_row).T)


def score(counts: ClassCounts, metric: Metric = "macro_f1") -> np.ndarray:
    """Macro-F1, accuracy or the F1 of a class (B,) of counts.

    A class that the test rows have, but not the ones that were drawn, has F1 0; one that they lack is left out of the
    mean, as `ClassificationScores` does it.
    """
    if metric == "accuracy":
        return counts.hits.sum(-1) / counts.actual.sum(-1)
    if metric == "macro_f1" or isinstance(metric, int):
        total = counts.actual + counts.predicted
        found = np.divide(2 * counts.hits, total, out=np.zeros(total.shape), where=total > 0)
        return found[:, counts.present].mean(-1) if metric == "macro_f1" else found[:, metric]
    raise UserError(f"metric is {metric!r}; allowed: {', '.join(METRICS)}")
