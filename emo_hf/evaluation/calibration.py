"""How far the probabilities of a model can be believed, before and after they are changed, with intervals."""

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

    def intervals(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Of the accuracy of each bin, exact binomial ones (Clopper & Pearson 1934), (bins,) each, NaN where empty."""
        right, tail = np.nan_to_num(self.accuracy) * self.counts, (1 - confidence) / 2
        low = special.betaincinv(right, self.counts - right + 1, tail)
        high = special.betaincinv(right + 1, self.counts - right, 1 - tail)
        low, high = np.where(right > 0, low, 0.0), np.where(right < self.counts, high, 1.0)
        return np.where(self.counts, low, np.nan), np.where(self.counts, high, np.nan)


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


def compared(
    before: np.ndarray, after: np.ndarray, labels: np.ndarray, *, resamples: int = 2000, seed: int = 0
) -> dict[str, dict[str, list[float]]]:
    """Loss and calibration error of the same rows by two logits (N, C), with their change, each with an interval.

    `{"before": {"loss": [value, low, high], "ece": […]}, "after": …, "change": …}`: the 95 % intervals are of other
    rows, the same for both logits, by the basic bootstrap (Davison & Hinkley 1997). The calibration error of a
    resample is greater by the chance in its bins, as that of the rows themselves is; the basic interval, unlike the
    percentiles, turns that back. `labels` are classes (N,) or sets (N, C) of 0 and 1.
    """
    count = len(labels)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = np.concatenate([np.ones((1, count)), drawn]).astype(np.float32)
    found = {
        name: _resampled(logits.astype(np.float64), labels, weights)
        for name, logits in (("before", before), ("after", after))
    }
    found["change"] = {name: found["after"][name] - found["before"][name] for name in found["after"]}
    least = {"before": 0.0, "after": 0.0, "change": -np.inf}
    return {
        name: {score: _basic(values, least[name]) for score, values in scores.items()}
        for name, scores in found.items()
    }


def _resampled(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, bins: int = 15) -> dict[str, np.ndarray]:
    """Loss and calibration error (R,) of rows that count `weights` (R, N) times each."""
    if labels.ndim > 1:
        sure, right = special.expit(logits), labels > 0
        losses = np.logaddexp(0, np.where(right, -logits, logits)).sum(1)
    else:
        sure, right = softmax(logits).max(1)[:, None], (logits.argmax(1) == labels)[:, None]
        losses = special.logsumexp(logits, axis=1) - logits[np.arange(len(logits)), labels]
    gaps = np.zeros((len(logits), bins))  # of each row in each bin: how often it is right, less how sure it is
    rows = np.broadcast_to(np.arange(len(logits))[:, None], sure.shape)
    np.add.at(gaps, (rows, _places(sure, bins)), right - sure)
    total = weights.sum(1) * sure.shape[1]
    return {"loss": weights @ losses / weights.sum(1), "ece": np.abs(weights @ gaps).sum(1) / total}


def _basic(values: np.ndarray, least: float) -> list[float]:
    """A value, the first, and its interval by the others."""
    low, high = 2 * values[0] - np.quantile(values[1:], [0.975, 0.025])
    return [float(values[0]), float(max(low, least)), float(max(high, least))]


def _places(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def _reliability(confidence: np.ndarray, right: np.ndarray, bins: int) -> Reliability:
    place = _places(confidence, bins)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sure, accurate = (np.bincount(place, values, minlength=bins) / counts for values in (confidence, right))
    return Reliability(sure, accurate, counts)
