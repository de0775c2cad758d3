"""From which probability on a row has a label: chosen on validation rows, where rows have several labels."""

from __future__ import annotations

import numpy as np
from scipy import special

from emo_hf.evaluation.label_sets import f1_over_thresholds

THRESHOLDS = ("label", "global", "0.5")
GRID = np.linspace(0.01, 0.99, 99)  # of what one threshold for all labels is chosen from
_RESAMPLES = 50  # of the validation rows, over which the threshold of a label is a mean
_LEAST = 1e-15  # of a threshold, which has finite odds


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, C), in float64, of logits (N, C), each label by itself."""
    return special.expit(logits.astype(np.float64))


def choose_thresholds(probabilities: np.ndarray, labels: np.ndarray, kind: str = "label") -> np.ndarray:
    """The thresholds (C,) for a high macro-F1, by rows with probabilities (N, C) and labels (N, C) of 0 and 1.

    `label` gives each label its own (Lipton et al. 2014 on why 0.5 is too high for F1): the mean, in log-odds, of the
    best ones of 50 resamples of the rows (bagging, Breiman 1996), the same for the same number of rows. The best one
    of the rows themselves goes by chance where a label has few of them. A label without a row, and one that every row
    has, takes that of `global`, one threshold for all with the highest macro-F1. `0.5` chooses nothing.
    """
    count = labels.shape[1]
    if kind == "0.5":
        return np.full(count, 0.5)
    actual = labels.astype(bool)
    own = actual.any(0) & ~actual.all(0) & (kind == "label")
    found = np.full(count, 0.5 if own.all() else _joint(probabilities, actual))
    if own.any():
        drawn = np.random.default_rng(0).multinomial(len(actual), np.full(len(actual), 1 / len(actual)), _RESAMPLES)
        for c in np.flatnonzero(own):
            found[c] = _own(probabilities[:, c], actual[:, c], drawn)
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


def _own(probabilities: np.ndarray, actual: np.ndarray, drawn: np.ndarray) -> float:
    """The threshold of one label, of its probabilities (N,) and how often each row was drawn into resamples (R, N).

    Each stands half-way between the last row that it takes and the next. Some rows must have the label, and some not;
    resamples without it don't count.
    """
    order = np.argsort(-probabilities, kind="stable")
    values, drawn = probabilities[order], drawn[:, order]
    hits, taken = (drawn * actual[order]).cumsum(1), drawn.cumsum(1)
    have = hits[:, -1]
    ends = np.flatnonzero(np.append(values[:-1] > values[1:], True))  # rows of one probability go together
    f1 = 2 * hits[:, ends] / np.maximum(taken[:, ends] + have[:, None], 1)
    best = ends[f1[have > 0].argmax(1)] if have.any() else ends[:1]
    places = (values[best] + np.append(values[1:], 0.0)[best]) / 2
    return float(special.expit(special.logit(places.clip(_LEAST, 1 - _LEAST)).mean()))
