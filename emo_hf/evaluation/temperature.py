"""The temperature that logits are divided by so that probabilities can be believed, fitted on validation rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

COLDEST, HOTTEST = 0.05, 20.0  # between which a temperature is looked for
_FOLDS = 10
_HALVINGS = 50  # of the range of log T, which leave less of it than rounding


@dataclass(frozen=True)
class Calibrated:
    """Temperatures and what they do on the rows that they were fitted on.

    Attributes:
        temperatures: (1,) for all logits, or (C,), one a label; 1 where none lowers the loss of other rows.
        before, after: negative log-likelihood a row, summed over the labels where they are decisions of their own.
    """

    temperatures: np.ndarray
    before: float
    after: float


def calibrate(logits: np.ndarray, labels: np.ndarray) -> Calibrated:
    """The temperatures for logits (N, C) of rows with classes (N,), or with sets of labels (N, C) of 0 and 1.

    One for all logits (Guo et al. 2017), or one a label where labels are decisions of their own. It is taken where it
    lowers the loss of rows that it was not fitted on, in 10-fold cross-validation, too. Else, of few rows or of logits
    that need none, it would be chance, and is 1; so is that of a label that no row has, or every row.
    """
    exact = logits.astype(np.float64)
    several = labels.ndim > 1
    fit = fit_temperatures if several else fit_temperature
    plain = _losses(exact, labels, 1.0)  # (N, 1) or (N, C)
    found = np.ones(plain.shape[1])
    if len(exact) > 1:
        fitted = np.atleast_1d(fit(exact, labels))
        sure = _held_out(exact, labels, fit).mean(0) < plain.mean(0)
        lower = _losses(exact, labels, fitted).mean(0) < plain.mean(0)  # the targets of the fit are a little softer
        known = np.array([len(np.unique(labels[:, c])) > 1 for c in range(len(found))]) if several else True
        found = np.where(sure & lower & known, fitted, 1.0)
    return Calibrated(found, loss_at(exact, labels), loss_at(exact, labels, found))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T with the lowest loss of logits (N, C) / T for classes (N,), N > 0.

    The targets are those of one row more, whose class nobody knows, as in Platt (1999): rows that are all right would
    else ask for T = 0. In 1 / T the loss is convex, so that halving finds its lowest point.
    """
    count = len(logits)
    known = count / (count + 1)
    aim = known * logits[np.arange(count), labels].mean() + (1 - known) * logits.mean()

    def slope(power: np.ndarray) -> np.ndarray:
        expected = (special.softmax(power * logits, axis=1) * logits).sum(1).mean()
        return np.array([expected - aim])

    return float(_where_level(slope, 1)[0])


def fit_temperatures(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The T (C,) of each label with its lowest loss of logits (N, C) / T for sets of labels (N, C), as above."""
    count, classes = logits.shape
    targets = (count * (labels > 0) + 0.5) / (count + 1)
    aim = (targets * logits).mean(0)

    def slope(power: np.ndarray) -> np.ndarray:
        return (special.expit(power * logits) * logits).mean(0) - aim

    return _where_level(slope, classes)


def at_temperature(logits: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """Logits (N, C), in float64, divided by one temperature (1,) or one a label (C,)."""
    return logits.astype(np.float64) / temperatures


def thresholds_at(thresholds: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """The thresholds (C,) of the same decisions once logits are divided: t of sigmoid(z) is sigmoid(logit(t) / T)."""
    return special.expit(special.logit(thresholds) / temperatures)


def loss_at(logits: np.ndarray, labels: np.ndarray, temperatures: np.ndarray | float = 1.0) -> float:
    """The negative log-likelihood of logits (N, C) / T for classes (N,) or sets of labels (N, C), a mean over rows."""
    return float(_losses(logits.astype(np.float64), labels, temperatures).sum(1).mean())


def _losses(logits: np.ndarray, labels: np.ndarray, temperatures: np.ndarray | float) -> np.ndarray:
    """Of each row (N, 1), or of each of its labels (N, C)."""
    scaled = logits / temperatures
    if labels.ndim > 1:
        return np.logaddexp(0, np.where(labels > 0, -scaled, scaled))
    own = scaled[np.arange(len(scaled)), labels]
    return (special.logsumexp(scaled, axis=1) - own)[:, None]


def _held_out(
    logits: np.ndarray, labels: np.ndarray, fit: Callable[[np.ndarray, np.ndarray], np.ndarray | float]
) -> np.ndarray:
    """The losses of all rows, each at the temperature that the other folds ask for."""
    fold = np.random.default_rng(0).permutation(len(logits)) % min(_FOLDS, len(logits))
    found = np.empty((len(logits), 1 if labels.ndim == 1 else labels.shape[1]))
    for number in range(fold.max() + 1):
        held = fold == number
        found[held] = _losses(logits[held], labels[held], fit(logits[~held], labels[~held]))
    return found


def _where_level(slope: Callable[[np.ndarray], np.ndarray], size: int) -> np.ndarray:
    """The temperatures (size,) at which a slope of 1 / T, that never falls, is 0; the nearest end where it is not."""
    low, high = np.full(size, -np.log(HOTTEST)), np.full(size, -np.log(COLDEST))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rising = slope(np.exp(middle)) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.exp(-(low + high) / 2)
