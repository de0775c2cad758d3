"""Is the difference real? Intervals and tests for models that were trained over several seeds and share a test set.

Pure functions of predictions, without torch. Two things make a score uncertain: another seed would have given another
model, and other texts another score. The multi-bootstrap (Sellam et al. 2022) resamples both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse, special, stats

from emo_hf.errors import UserError

METRICS = ("macro_f1", "accuracy")


@dataclass(frozen=True)
class Effect:
    """An estimate with what is known of its uncertainty, in the unit of the metric (a fraction).

    Attributes:
        estimate: the value found.
        low, high: the confidence interval; NaN where a model has one seed only.
        p: two-sided p-value of "the true value is 0"; NaN likewise.
        standard_error, degrees: the standard error and its degrees of freedom.
        seed_share: the share of the variance that comes from the seeds, the rest comes from the test texts.
    """

    estimate: float
    low: float
    high: float
    p: float
    standard_error: float
    degrees: float
    seed_share: float


@dataclass(frozen=True)
class ClassCounts:
    """What macro-F1 and accuracy are made of, under several weightings of the rows: three counts a class (B, C).

    Attributes:
        hits: rows of the class that are predicted so.
        predicted: rows that are predicted so.
        actual: rows of the class.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray


class RowWeights:
    """Several weightings (B, N) of the same test rows with true classes (N,), for the counts of many runs."""

    def __init__(self, labels: np.ndarray, classes: int, weights: np.ndarray):
        self.labels, self.classes = labels, classes
        self._by_row = np.ascontiguousarray(weights.T)
        self._actual = self._sums(labels)

    def counts(self, predictions: np.ndarray) -> ClassCounts:
        """The counts of predicted classes (N,) under each weighting."""
        return ClassCounts(self._sums(predictions, predictions == self.labels), self._sums(predictions), self._actual)

    def _sums(self, classes: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
        """The weights (B, C) of the rows of each class; with `kept` (N,), of those rows alone.

        A sparse matrix (C, N): a dense one, or one of pairs of classes, takes gigabytes at a thousand classes.
        """
        rows = np.arange(len(classes)) if kept is None else np.flatnonzero(kept)
        ones = np.ones(len(rows), dtype=self._by_row.dtype)
        members = sparse.csr_array((ones, (classes[rows], rows)), shape=(self.classes, len(classes)))
        return np.ascontiguousarray((members @ self._by_row).T)


def score(counts: ClassCounts, metric: str = "macro_f1") -> np.ndarray:
    """Macro-F1 or accuracy (B,) of counts; a class that never occurs has F1 0, as usual."""
    if metric == "accuracy":
        return counts.hits.sum(-1) / counts.actual.sum(-1)
    if metric == "macro_f1":
        total = counts.actual + counts.predicted
        return np.divide(2 * counts.hits, total, out=np.zeros(total.shape), where=total > 0).mean(-1)
    raise UserError(f"metric is {metric!r}; allowed: {', '.join(METRICS)}")


class MultiBootstrap:
    """The multi-bootstrap of several models over the same test rows (Sellam et al. 2022, "The MultiBERTs").

    The variance of a score has three parts: the seeds (another run would be another model), the test rows (other
    texts), and what each run gets right or wrong by chance on each row. Rows are resampled, the same ones for all
    models and runs, which keeps every comparison paired. The seeds' part is the sample variance over the runs: to
    resample three seeds would miss a third of it. Both hold the third part, which is therefore taken off once, as
    estimated by how differently the runs of one model move from resample to resample; counted twice, as the plain
    multi-bootstrap does, it makes tests of 3 seeds find next to nothing. Seeds count as independent from model to
    model: runs of one seed share little but the order of their batches, and what they share only makes differences
    smaller than they are taken for. Intervals and p-values come from Student's t with Satterthwaite's degrees of
    freedom, because a variance estimated from a few seeds is not known as the normal distribution supposes.

    Args:
        predictions: for each model the predicted classes of its runs (S, N); S may differ between models.
        labels: true classes (N,), from 0.
        metric: `macro_f1` or `accuracy`.
        resamples: of the test rows; 1,000 give the standard error to about 2 %.
        seed: of the draws.

    Raises:
        UserError: for an unknown metric, no model, or predictions that do not fit the labels.
    """

    def __init__(
        self,
        predictions: Mapping[Any, np.ndarray],
        labels: np.ndarray,
        *,
        metric: str = "macro_f1",
        resamples: int = 1000,
        seed: int = 0,
    ):
        labels = np.asarray(labels)
        if not predictions:
            raise UserError("there are no predictions to compare; at least one model is needed")
        for name, runs in predictions.items():
            if runs.ndim != 2 or runs.shape[1] != len(labels):
                raise UserError(f"the predictions of {name} are {runs.shape}, but there are {len(labels)} test rows")
        classes = 1 + max(int(labels.max()), *(int(runs.max()) for runs in predictions.values()))
        self.rows = len(labels)
        drawn = np.random.default_rng(seed).multinomial(self.rows, np.full(self.rows, 1 / self.rows), size=resamples)
        weights = RowWeights(labels, classes, np.concatenate([np.ones((1, self.rows)), drawn]).astype(np.float32))
        self.scores: dict[Any, np.ndarray] = {}  # (S,) as measured
        self._resampled: dict[Any, np.ndarray] = {}  # (resamples,) mean over the runs
        self._by_chance: dict[Any, float] = {}  # the third part
        for name, runs in predictions.items():
            found = np.stack([score(weights.counts(run), metric) for run in runs])
            self.scores[name], resampled = found[:, 0], found[:, 1:]
            self._resampled[name] = resampled.mean(0)
            apart = (resampled - resampled.mean(0)).var(axis=1, ddof=1).sum()
            self._by_chance[name] = apart / (len(runs) * max(len(runs) - 1, 1))

    def effect(self, weights: Mapping[Any, float], confidence: float = 0.95) -> Effect:
        """The weighted sum of the models' mean scores, as {"triplet": 1, "none": -1} for a difference."""
        estimate = float(sum(weight * self.scores[name].mean() for name, weight in weights.items()))
        if any(len(self.scores[name]) < 2 for name in weights):
            return Effect(estimate, *[math.nan] * 6)
        of_rows = float(np.var(sum(weight * self._resampled[name] for name, weight in weights.items()), ddof=1))
        runs = {name: (weight**2, self.scores[name]) for name, weight in weights.items()}
        parts = {name: square * scores.var(ddof=1) / len(scores) for name, (square, scores) in runs.items()}
        twice = sum(square * self._by_chance[name] for name, (square, _) in runs.items())
        of_seeds = max(0.0, float(sum(parts.values())) - twice)
        variance = of_seeds + of_rows
        spread = sum(parts[name] ** 2 / (len(scores) - 1) for name, (_, scores) in runs.items())
        spread += of_rows**2 / (self.rows - 1)
        error = math.sqrt(variance)
        degrees = float(variance**2 / spread) if variance > 0 else math.inf  # runs that agree on every row
        reach = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * error
        p = float(2 * stats.t.sf(abs(estimate) / error, degrees)) if error > 0 else float(estimate == 0)
        share = of_seeds / variance if variance > 0 else 0.0
        return Effect(estimate, estimate - reach, estimate + reach, p, error, degrees, share)


def seed_effect(
    scores: Mapping[Any, Sequence[float]], weights: Mapping[Any, float], confidence: float = 0.95
) -> Effect:
    """A weighted sum of models' mean scores, for scores of a run as a whole, as of its embeddings.

    Uncertain by the seeds alone, the test rows as they are: Welch's t (Welch 1947), for any number of models.
    `scores` holds one value a seed for each model; with a single one only the estimate is known.
    """
    runs = {name: np.asarray(scores[name], dtype=float) for name in weights}
    estimate = float(sum(weight * runs[name].mean() for name, weight in weights.items()))
    if any(len(values) < 2 for values in runs.values()):
        return Effect(estimate, *[math.nan] * 6)
    parts = {name: weight**2 * runs[name].var(ddof=1) / len(runs[name]) for name, weight in weights.items()}
    variance = float(sum(parts.values()))
    spread = sum(part**2 / (len(runs[name]) - 1) for name, part in parts.items())
    error, degrees = math.sqrt(variance), float(variance**2 / spread) if spread > 0 else math.inf
    reach = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(estimate) / error, degrees)) if error > 0 else float(estimate == 0)
    return Effect(estimate, estimate - reach, estimate + reach, p, error, degrees, 1.0)


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for being a family (Holm 1979), in the given order; NaN stays NaN and does not count."""
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    corrected = values.copy()
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * factors))
    return corrected.tolist()


def mcnemar(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> float:
    """Exact two-sided p-value that two single runs, predictions (N,), err equally often (McNemar 1947)."""
    right, other = first == labels, second == labels
    only_first, only_second = int((right & ~other).sum()), int((other & ~right).sum())
    discordant = only_first + only_second
    return float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0


def bootstrap_interval(
    predictions: np.ndarray,
    labels: np.ndarray,
    *,
    metric: str = "macro_f1",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Interval of one run's score over other test rows: the percentile bootstrap (Efron & Tibshirani 1993).

    It knows nothing of other seeds. Takes predicted and true classes (N,).
    """
    count = len(labels)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    classes = 1 + int(max(labels.max(), predictions.max()))
    scores = score(RowWeights(labels, classes, drawn.astype(np.float32)).counts(predictions), metric)
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


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
    confidence = softmax(logits).max(1)
    right = logits.argmax(1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sure, accurate = (np.bincount(place, values, minlength=bins) / counts for values in (confidence, right))
    return Reliability(sure, accurate, counts)
