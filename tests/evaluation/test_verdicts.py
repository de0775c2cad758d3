"""From effects to verdicts: the interval that is printed says the same as the p-values, and the words are four."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import Verdict, decide

POINT = 0.01


def effect(points: float, error: float, degrees: float = 20) -> Effect:
    return Effect(points * POINT, error * POINT, degrees, 0.5, (-1.0, 1.0))


def test_p_values_are_those_of_student_s_t_and_of_two_one_sided_tests() -> None:
    values = np.random.default_rng(0).normal(0.004, 0.01, 12)
    found = Effect(values.mean(), stats.sem(values), 11)
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert found.p_equal(0.01) == pytest.approx(DescrStatsW(values).ttost_mean(-0.01, 0.01)[0])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert found.interval(0.9) == pytest.approx((expected.low, expected.high))


def test_the_four_words() -> None:
    found = [decide([one], POINT)[0] for one in (effect(3, 1), effect(0, 0.2), effect(0.5, 0.1), effect(1, 1))]
    assert [one.verdict for one in found] == [
        Verdict.DIFFERENT, Verdict.EQUAL, Verdict.SMALL, Verdict.UNDECIDED,
    ]  # fmt: skip
    assert [str(one.verdict) for one in found] == ["different", "equal", "different but small", "undecided"]
    levels = [[round(interval.level, 3) for interval in one.intervals] for one in found]
    assert levels == [[0.95], [0.9], [0.95], [0.95]]


def test_without_a_margin_nothing_is_called_equal() -> None:
    found = decide([effect(0.5, 0.1), effect(0, 0.2)], None)
    assert [one.verdict for one in found] == [Verdict.DIFFERENT, Verdict.UNDECIDED]
    assert all(math.isnan(one.p_equal) and len(one.intervals) == 1 for one in found)


def test_intervals_decide_as_the_corrected_p_values_do() -> None:
    """Over many families, whatever the verdicts: 0 outside or not, within ± 1 point or not."""
    random, seen = np.random.default_rng(1), set()
    for _ in range(300):
        size = int(random.integers(1, 9))
        effects = [effect(random.normal(0, 1.5), 0.1 + random.gamma(1, 0.4), random.gamma(2, 8)) for _ in range(size)]
        found = decide(effects, POINT)
        p, p_equal = [one.p for one in effects], [one.p_equal(POINT) for one in effects]
        assert [one.p for one in found] == pytest.approx(multipletests(p, method="holm")[1].tolist())
        assert [one.p_equal for one in found] == pytest.approx(multipletests(p_equal, method="holm")[1].tolist())
        for one in found:
            seen.add((one.verdict, len(one.intervals)))
            apart = [low > 0 or high < 0 for low, high in ((i.low, i.high) for i in one.intervals)]
            inside = [i.low > -POINT and i.high < POINT for i in one.intervals]
            assert any(apart) == (one.p < 0.05) or one.verdict is Verdict.EQUAL
            assert any(inside) == (one.p_equal < 0.05) or one.verdict is Verdict.DIFFERENT
            if one.verdict is Verdict.UNDECIDED:
                assert not any(apart) and not any(inside)
    assert {verdict for verdict, _ in seen} == set(Verdict) and (Verdict.SMALL, 2) in seen


def test_an_unknown_effect_is_undecided_and_counts_in_no_family() -> None:
    unknown, known = decide([Effect(0.02), effect(3, 1.3)], POINT)
    assert (unknown.verdict, unknown.intervals) == (Verdict.UNDECIDED, ())
    assert math.isnan(unknown.p) and known.p == pytest.approx(effect(3, 1.3).p)


def test_each_question_has_the_level_of_holm_s_step() -> None:
    assert [one.level for one in decide([effect(1, 1, 6), effect(9, 1)], POINT)] == [0.05, 0.025]
    assert [one.level for one in decide([effect(1, 1), effect(0.5, 1)], POINT)] == [
        0.025,
        0.025,
    ]  # it stops at the first


def test_intervals_stay_within_what_there_can_be() -> None:
    one = Effect(0.3, 0.5, 2.0, 0.5, (-1.0, 1.0))
    assert one.interval(0.99) == (-1, 1) and (one.low, one.high) == (-1, 1)
    assert all(math.isnan(end) for end in Effect(0.3).interval())
