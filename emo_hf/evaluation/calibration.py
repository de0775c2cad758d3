"""How far the probabilities of a model can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width by confidence, the highest probability of a row.

    Attributes:
        confidence, accuracy: means of each bin (bins,), NaN where it is empty.
        counts: rows of each bin (bins,).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015; Guo et al. 2017): |accuracy - confidence| over all rows."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gaps * self.counts).sum() / self.counts.sum())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C), in float64, of logits (N, C)."""
    return special.softmax(logits.astype(np.float64), axis=1)


def reliability(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> Reliability:
    """How far the probabilities of logits (N, C) can be believed, given the true classes (N,)."""
    return _reliability(softmax(logits).max(1), logits.argmax(1) == labels, bins)


def reliability_of_sets(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> Reliability:
    """The same over all labels of all rows, of probabilities (N, C) and sets of labels (N, C).

    The confidence is the probability of a label, the accuracy the share of those rows that have it.
    """
    return _reliability(probabilities.ravel(), labels.ravel() > 0, bins)


def _reliability(confidence: np.ndarray, right: np.ndarray, bins: int) -> Reliability:
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sure, accurate = (np.bincount(place, values, minlength=bins) / counts for values in (confidence, right))
    return Reliability(sure, accurate, counts)
