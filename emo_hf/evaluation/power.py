"""How likely a true difference is to be shown by the two tests behind a verdict.

A test shows a difference where its estimate lies further from 0 than the reach of its interval, and equality where the
whole interval lies within. The reach is an estimate too: where few seeds give it, it is often much too short or too
long. Power is therefore the mean over what the reach may turn out as, given as an array of equally likely values.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

STEPS = 1000  # of the distribution of the reach


def power_different(difference: float, error: float, reach: np.ndarray) -> float:
    """Probability that a true difference, estimated with a standard error, is shown to be one."""
    shift = abs(difference)
    return float((special.ndtr((shift - reach) / error) + special.ndtr((-shift - reach) / error)).mean())


def power_equal(difference: float, error: float, reach: np.ndarray, within: float) -> float:
    """Probability that a true difference, estimated with a standard error, is shown to lie within ± `within`."""
    room = within - reach
    shown = special.ndtr((room - difference) / error) - special.ndtr((-room - difference) / error)
    return float(np.maximum(0, shown).mean())


def smallest_difference(error: float, reach: np.ndarray, power: float) -> float:
    """The true difference that is shown to be one with probability `power`."""

    def lacking(difference: float) -> float:
        return power_different(difference, error, reach) - power

    if lacking(0.0) >= 0:
        return 0.0
    high = float(reach.max()) + 10 * error
    return float(optimize.brentq(lacking, 0.0, high, xtol=1e-6 * error))


def reaches(error: float, degrees: float, tail: float) -> np.ndarray:
    """What the reach of a t-interval with so much probability beyond either end may turn out as (STEPS,)."""
    if math.isinf(degrees):
        return np.array([-special.ndtri(tail) * error])
    return -special.stdtrit(degrees, tail) * error * np.sqrt(chi_squares(degrees) / degrees)


def chi_squares(degrees: float) -> np.ndarray:
    """Equally likely values (STEPS,) of a chi-square variable."""
    return 2 * special.gammaincinv(degrees / 2, (np.arange(STEPS) + 0.5) / STEPS)
