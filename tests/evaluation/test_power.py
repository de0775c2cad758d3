"""Power against the closed forms, and against simulated tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from emo_hf.evaluation.power import power_different, power_equal, reaches, smallest_difference


@pytest.mark.parametrize("degrees", [2, 5, 40])
def test_power_of_a_t_test_is_that_of_statsmodels(degrees: int) -> None:
    """By the noncentral t, of a mean of degrees + 1 values."""
    for shift in (0.5, 2.0, 4.0):
        expected = TTestPower().power(shift / math.sqrt(degrees + 1), degrees + 1, 0.05)
        assert power_different(shift, 1.0, reaches(1.0, degrees, 0.025)) == pytest.approx(expected, abs=2e-3)
    reach = reaches(2.0, degrees, 0.025)
    needed = smallest_difference(2.0, reach, 0.8)
    assert power_different(needed, 2.0, reach) == pytest.approx(0.8, abs=1e-5)
    assert power_different(-needed, 2.0, reach) == pytest.approx(0.8, abs=1e-5)


def test_a_known_error_gives_the_normal_distribution_s_power() -> None:
    reach = reaches(1.0, math.inf, 0.025)
    assert smallest_difference(1.0, reach, 0.8) == pytest.approx(stats.norm.ppf([0.975, 0.8]).sum(), abs=1e-3)


@pytest.mark.parametrize(("degrees", "difference"), [(4, 0.0), (4, 0.5), (30, 0.3), (math.inf, 0.0)])
def test_power_of_equality_is_how_often_two_one_sided_tests_show_it(degrees: float, difference: float) -> None:
    random, error, within, level, count = np.random.default_rng(0), 0.3, 1.0, 0.05, 200_000
    found = random.normal(difference, error, count)
    estimated = error * (np.sqrt(random.chisquare(degrees, count) / degrees) if math.isfinite(degrees) else 1.0)
    quantile = stats.t.ppf(1 - level, degrees) if math.isfinite(degrees) else stats.norm.ppf(1 - level)
    shown = (np.abs(found) + quantile * estimated < within).mean()
    power = power_equal(difference, error, reaches(error, degrees, level), within)
    assert power == pytest.approx(shown, abs=5e-3)
