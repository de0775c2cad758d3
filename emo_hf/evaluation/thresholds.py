"""From which probability on a row has a label: chosen on validation rows, where rows have several labels."""

from __future__ import annotations

import numpy as np
from scipy import special

from emo_hf.evaluation.label_sets import f1_over_thresholds

THRESHOLDS = ("label", "global", "0.5")
GRID = np.linspace(0.01, 0.99, 99)  # of what one threshold for all labels is chosen from


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C), in float64, of logits (N, C), each label by itself."""
    return special.expit(logits.astype(np.float64))


def choose_thresholds(probabilities: np.ndarray, labels: np.ndarray, kind: str = "label") -> np.ndarray:
    """The thresholds (C,) with the highest macro-F1 on rows with probabilities (N, C) and labels (N, C) of 0 and 1.

    `label` gives each label its own, half-way between two probabilities (Lipton et al. 2014 on why 0.5 is too high
    for F1); a label without a row, and one that every row has, takes that of `global`, one threshold for all. `0.5`
    chooses nothing.
    """
    count = labels.shape[1]
    if kind == "0.5":
        return np.full(count, 0.5)
    actual = labels.astype(bool)
    own = actual.any(0) & ~actual.all(0) & (kind == "label")
    found = np.full(count, 0.5 if own.all() else _joint(probabilities, actual))
    for c in np.flatnonzero(own):
        found[c] = _own(probabilities[:, c], actual[:, c])
    return found


def decide(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which labels (N, C) the rows have."""
    return probabilities >= thresholds


def macro_f1(predicted: np.ndarray, actual: np.ndarray) -> float:
    """The mean F1 of those labels that a row has, of decisions (N, C); 0 where no row has any."""
    known = actual.any(0)
    if not known.any():
        return 0.0
    hits, total = (predicted & actual).sum(0), predicted.sum(0) + actual.sum(0)
    return float(np.mean(2 * hits[known] / total[known]))


def _joint(probabilities: np.ndarray, actual: np.ndarray) -> float:
    """The one threshold for all labels; 0.5 where no row has a label."""
    if not actual.any():
        return 0.5
    return float(GRID[int(np.argmax(f1_over_thresholds(probabilities, actual, GRID)))])


def _own(probabilities: np.ndarray, actual: np.ndarray) -> float:
    """The threshold of one label, of its probabilities (N,): between the last row that it takes and the next.

    Some rows must have it, and some not.
    """
    order = np.argsort(-probabilities, kind="stable")
    values, hits = probabilities[order], actual[order].cumsum()
    ends = np.flatnonzero(np.append(values[:-1] > values[1:], True))  # rows of one probability go together
    f1 = 2 * hits[ends] / (ends + 1 + hits[-1])
    best = ends[int(np.argmax(f1))]
    below = values[best + 1] if best + 1 < len(values) else 0.0
    return float((values[best] + below) / 2)
