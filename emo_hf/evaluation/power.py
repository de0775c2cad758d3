"""How likely a true difference is to be shown: the power of the two tests behind a verdict.

The standard error is itself an estimate, of so many degrees of freedom: where few seeds give it, it is often much too
small or too large, and power is the mean over what it may turn out as (numerically, over the chi-square distribution).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

STEPS = 1000  # of the distribution of the estimated standard error
MANY = 1e6  # degrees of freedom, from which on the standard error counts as known


def power_different(difference: float, error: float, degrees: float, level: float) -> float:
    """Probability that a two-sided t-test at `level` shows a true difference."""
    if error == 0:
        return float(difference != 0)
    reach = _quantile(1 - level / 2, degrees) * _relative_errors(degrees)
    shift = abs(difference) / error
    return float((special.ndtr(shift - reach) + special.ndtr(-shift - reach)).mean())


def power_equal(difference: float, error: float, degrees: float, level: float, within: float) -> float:
    """Probability that two one-sided t-tests at `level` show a true difference to lie within ± `within`."""
    if error == 0:
        return float(abs(difference) < within)
    room = within / error - _quantile(1 - level, degrees) * _relative_errors(degrees)
    shift = difference / error
    return float(np.maximum(0, special.ndtr(room - shift) - special.ndtr(-room - shift)).mean())


def smallest_difference(error: float, degrees: float, level: float, power: float = 0.8) -> float:
    """The true difference that a two-sided t-test at `level` shows with probability `power`."""
    if error == 0:
        return 0.0
    high = 4.0
    while power_different(high, 1, degrees, level) < power:
        high *= 4
    lacking = lambda shift: power_different(shift, 1, degrees, level) - power  # noqa: E731
    return error * float(optimize.brentq(lacking, 0, high, xtol=1e-6)) if lacking(0) < 0 else 0.0


@lru_cache(maxsize=4096)
def _relative_errors(degrees: float) -> np.ndarray:
    """Estimated over true standard error (STEPS,), at equal steps of probability."""
    if degrees > MANY:
        return np.ones(1)
    steps = (np.arange(STEPS) + 0.5) / STEPS
    return np.sqrt(2 * special.gammaincinv(degrees / 2, steps) / degrees)


@lru_cache(maxsize=4096)
def _quantile(probability: float, degrees: float) -> float:
    return float(stats.t.ppf(probability, degrees)) if math.isfinite(degrees) else float(stats.norm.ppf(probability))
