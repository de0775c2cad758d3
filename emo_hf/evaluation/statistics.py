"""Is the difference real? Intervals and tests for models that were trained over several seeds and share a test set.

Pure functions of predictions, without torch. Two things make a score uncertain: another seed would have given another
model, and other texts another score. The multi-bootstrap (Sellam et al. 2022) resamples both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy import stats

from emo_hf.errors import UserError
from emo_hf.evaluation.scores import Metric, RowWeights, class_count, f1_of_each, score
from emo_hf.evaluation.seeds import SeedVariance

Numbers = TypeVar("Numbers", float, np.ndarray)


@dataclass(frozen=True)
class Effect:
    """An estimate with what is known of its uncertainty, in the unit of the metric (a fraction).

    Attributes:
        estimate: the value found.
        standard_error, degrees: its standard error, above 0, and the degrees of freedom of that; NaN where a model has
            one seed only, and with them all that follows from them.
        seed_share: the share of the variance that comes from the seeds, the rest comes from the test texts.
        bounds: the least and the greatest value that there can be.
    """

    estimate: float
    standard_error: float = math.nan
    degrees: float = math.nan
    seed_share: float = math.nan
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def p(self) -> float:
        """Two-sided p-value of "the true value is 0"."""
        return float(2 * stats.t.sf(abs(self.estimate) / self.standard_error, self.degrees))

    def p_equal(self, within: float) -> float:
        """p-value of "the true value is `within` or more away from 0": the larger of two one-sided tests' p-values.

        Small where the value is shown to be nearer (Schuirmann 1987).
        """
        room = within - abs(self.estimate)
        return float(stats.t.sf(room / self.standard_error, self.degrees))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval, cut at `bounds`."""
        if math.isnan(self.standard_error):
            return math.nan, math.nan
        reach = float(stats.t.ppf(0.5 + level / 2, self.degrees)) * self.standard_error
        least, greatest = self.bounds
        return max(self.estimate - reach, least), min(self.estimate + reach, greatest)

    @property
    def low(self) -> float:
        """Where the 95 % interval begins."""
        return self.interval()[0]

    @property
    def high(self) -> float:
        """Where the 95 % interval ends."""
        return self.interval()[1]


class MultiBootstrap:
    """The multi-bootstrap of several models over the same test rows (Sellam et al. 2022, "The MultiBERTs").

    The variance of a score has three parts: the seeds (another run would be another model), the test rows (other
    texts), and what each run gets right or wrong by chance on each row. Rows are resampled, the same ones for all
    models and runs, which keeps every comparison paired. The seeds' part is the sample variance over the runs, of all
    models together where they may be equal (`SeedVariance`): to resample three seeds would miss a third of it. Both
    hold the third part, which is therefore taken off once, as estimated by how differently the runs of one model move
    from resample to resample; counted twice, as the plain multi-bootstrap does, it makes tests of 3 seeds find next to
    nothing. Seeds count as independent from model to model: runs of one seed share little but the order of their
    batches, and what they share only makes differences smaller than they are taken for. Intervals and p-values come
    from Student's t with Satterthwaite's degrees of freedom, because a variance estimated from a few seeds is not
    known as the normal distribution supposes.

    Args:
        predictions: for each model the predicted classes of its runs (S, N), or sets of labels (S, N, C) of 0 and 1;
            S may differ between models.
        labels: true classes (N,), from 0, or sets of labels (N, C).
        metric: `macro_f1`, `accuracy`, or the index of a class, for its F1.
        resamples: of the test rows; 1,000 give the standard error to about 2 %.
        seed: of the draws.
        deterministic: models that no seed changes, as TF-IDF: one run tells all of them.

    Attributes:
        rows: N.
        scores: of each model's runs (S,).
        seeds: the variance over seeds, of the models that have several.
        known: the models whose uncertainty is known: they have several runs, or are deterministic.
        chance: of each model with several runs that part of the variance of one run's score which is chance by row; it
            is a part of the variance over seeds too.

    Raises:
        UserError: for an unknown metric, no model, or predictions that do not fit the labels.
    """

    def __init__(
        self,
        predictions: Mapping[Any, np.ndarray],
        labels: np.ndarray,
        *,
        metric: Metric = "macro_f1",
        resamples: int = 1000,
        seed: int = 0,
        deterministic: Collection[Any] = (),
    ):
        weights = _resampled_rows(predictions, np.asarray(labels), resamples, seed)
        scored = {
            name: np.stack([score(weights.counts(run), metric) for run in runs]) for name, runs in predictions.items()
        }
        self._take(scored, len(labels), deterministic)

    @classmethod
    def of_each_label(
        cls, predictions: Mapping[Any, np.ndarray], labels: np.ndarray, *, resamples: int = 1000, seed: int = 0
    ) -> list[MultiBootstrap]:
        """One for the F1 of each class or label, from the same resamples, which are counted once for all."""
        weights = _resampled_rows(predictions, np.asarray(labels), resamples, seed)
        scored = {
            name: np.stack([f1_of_each(weights.counts(run)) for run in runs]) for name, runs in predictions.items()
        }
        return [
            cls.of_scores({name: found[..., label] for name, found in scored.items()}, len(labels))
            for label in range(weights.classes)
        ]

    @classmethod
    def of_scores(
        cls,
        scored: Mapping[Any, np.ndarray],
        rows: int,
        *,
        deterministic: Collection[Any] = (),
        pooled: bool | None = None,
    ) -> MultiBootstrap:
        """One for any score from 0 to 1 of each model's runs, under the weightings (1 + resamples) of `row_weights`.

        scored: (S, 1 + resamples) of each model. pooled: whether the models' variances over seeds are taken together,
        where another score of the same runs has said so; by default these scores do.
        """
        bootstrap = cls.__new__(cls)
        bootstrap._take(scored, rows, deterministic)
        if pooled is not None:
            bootstrap.seeds.pooled = pooled
        return bootstrap

    def _take(self, scored: Mapping[Any, np.ndarray], rows: int, deterministic: Collection[Any]) -> None:
        """Each model's runs scored on the test rows as they are and then on each resample (S, 1 + resamples)."""
        self.rows = rows
        self.scores: dict[Any, np.ndarray] = {}
        self.chance: dict[Any, float] = {}
        self._resampled: dict[Any, np.ndarray] = {}  # (resamples,) mean over the runs
        for name, found in scored.items():
            self.scores[name], resampled = found[:, 0], found[:, 1:]
            self._resampled[name] = resampled.mean(0)
            if len(found) > 1 and name not in deterministic:
                self.chance[name] = (resampled - resampled.mean(0)).var(axis=1, ddof=1).sum() / (len(found) - 1)
        self.seeds = SeedVariance({name: self.scores[name] for name in self.chance})
        self.known = {*self.chance, *deterministic}

    @property
    def pooled(self) -> bool:
        """Whether the variance over seeds is that of all models together."""
        return self.seeds.pooled

    def effect(self, weights: Mapping[Any, float]) -> Effect:
        """The weighted sum of the models' mean scores, as {"triplet": 1, "none": -1} for a difference."""
        estimate = float(sum(weight * self.scores[name].mean() for name, weight in weights.items()))
        bounds = bounds_of(weights)
        if not self.known >= weights.keys():
            return Effect(estimate, bounds=bounds)
        random = {name: weight for name, weight in weights.items() if name in self.chance}
        of_runs, degrees = self.seeds.of_mean(random)
        chance = sum(weight**2 * self.chance[name] / len(self.scores[name]) for name, weight in random.items())
        of_rows = self.row_variance(weights)
        # Runs and rows, less the chance that is in both. Neither is less than it, but for their own errors.
        variance = max(of_runs, chance) + max(0.0, of_rows - chance)
        degrees = float(satterthwaite(of_runs, degrees, variance - of_runs, self.rows - 1))
        share = max(0.0, variance - of_rows) / variance
        return Effect(estimate, math.sqrt(variance), degrees, share, bounds)

    def row_variance(self, weights: Mapping[Any, float]) -> float:
        """The variance of a weighted sum of the models' mean scores over other test rows, for the runs as they are.

        It is at least that of one row on which the sides differ: rows that all runs answer alike do not show that they
        would answer all others so.
        """
        found = float(np.var(sum(weight * self._resampled[name] for name, weight in weights.items()), ddof=1))
        least, greatest = bounds_of(weights)
        return max(found, (max(-least, greatest) / self.rows) ** 2)

    def covariance(self, names: Sequence[Any]) -> np.ndarray:
        """The covariance (K, K) of the errors of models' mean scores: rows are common to all, seeds are each one's."""
        found = np.atleast_2d(np.cov(np.stack([self._resampled[name] for name in names])))
        for place, name in enumerate(names):
            if name in self.chance:
                found[place, place] += max(0.0, self.seeds.of_run(name) - self.chance[name]) / len(self.scores[name])
        return found


def _resampled_rows(
    predictions: Mapping[Any, np.ndarray], labels: np.ndarray, resamples: int, seed: int
) -> RowWeights:
    """The test rows as they are and then resampled, for predictions that have to fit them."""
    if not predictions:
        raise UserError("there are no predictions to compare; at least one model is needed")
    for name, runs in predictions.items():
        if runs.shape[1:] != labels.shape:
            raise UserError(f"the predictions of {name} are {runs.shape}, but there are {len(labels)} test rows")
    weights = row_weights(len(labels), resamples, seed)
    return RowWeights(labels, class_count(labels, predictions.values()), weights)


def row_weights(rows: int, resamples: int, seed: int) -> np.ndarray:
    """(1 + resamples, N) how often each test row counts: once, and then as it is drawn with replacement."""
    drawn = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=resamples)
    return np.concatenate([np.ones((1, rows)), drawn]).astype(np.float32)


def seed_effect(
    scores: Mapping[Any, Sequence[float]],
    weights: Mapping[Any, float],
    score_range: tuple[float, float] = (-math.inf, math.inf),
) -> Effect:
    """A weighted sum of models' mean scores, for scores of a run as a whole, as of its embeddings.

    Uncertain by the seeds alone, the test rows as they are: Student's t with the variance of all models in `scores`
    where `SeedVariance` pools it, else Welch's (1947). `scores` holds one value a seed for each model; with a single
    one only the estimate is known, and likewise where all seeds have the same score, which tells no variance.
    `score_range` is what the score of a run can be.
    """
    estimate = float(sum(weight * np.mean(scores[name]) for name, weight in weights.items()))
    bounds = bounds_of(weights, score_range)
    if any(len(scores[name]) < 2 for name in weights):
        return Effect(estimate, bounds=bounds)
    variance, degrees = SeedVariance(scores).of_mean(weights)
    if variance == 0:
        return Effect(estimate, bounds=bounds)
    return Effect(estimate, math.sqrt(variance), degrees, 1.0, bounds)


def bounds_of(weights: Mapping[Any, float], score_range: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """The least and the greatest weighted sum of scores that lie in `score_range`."""
    low, high = score_range
    ends = [sorted((weight * low, weight * high)) for weight in weights.values() if weight]
    return sum(least for least, _ in ends), sum(greatest for _, greatest in ends)


def satterthwaite(of_runs: Numbers, degrees: float, others: Numbers, others_degrees: float) -> Numbers | float:
    """Degrees of freedom of the sum of two variances (Satterthwaite 1946).

    The variance over the runs counts 1 + 2 / degrees times as high as estimated. One that is too small by luck would
    else be taken for a small part of the whole, known well by its rows, when it is known least: in simulated studies
    of 2 models and 2 seeds that brings 7.0 % of false claims down to 5.2 %, and the more seeds the less it changes.
    """
    if degrees == 0:  # nothing that a seed changes
        return others_degrees
    expected = of_runs * (1 + 2 / degrees)
    return (expected + others) ** 2 / (expected**2 / degrees + others**2 / others_degrees)


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

    It knows nothing of other seeds. Takes predicted and true classes (N,), or sets of labels (N, C) of 0 and 1.
    """
    count = len(labels)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = RowWeights(labels, class_count(labels, [predictions]), drawn.astype(np.float32))
    scores = score(weights.counts(predictions), metric)
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
