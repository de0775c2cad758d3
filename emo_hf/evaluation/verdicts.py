"""From effects to words: of each question of a family whether its sides are different, equal, both, or undecided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from emo_hf.evaluation.statistics import Effect, holm

POWER = 0.8  # of what a study could have shown


class Verdict(StrEnum):
    """What a study says of a question."""

    DIFFERENT = "different"
    EQUAL = "equal"
    SMALL = "different but small"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Interval:
    """A confidence interval and its level, a fraction."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Decision:
    """A verdict with all that it rests on.

    Attributes:
        verdict: in a word.
        p: of no difference, corrected over the family (Holm 1979).
        p_equal: of a difference beyond ± `within`, corrected likewise; NaN where equality is not judged.
        intervals: what decides: 0 lies outside exactly where there is a difference, and all of it within ± `within`
            exactly where both sides are equal. Two where both are so and no single interval shows it; none where the
            effect is unknown.
        level: of the test of no difference that this question got, a fraction; NaN where the effect is unknown.
    """

    verdict: Verdict
    p: float
    p_equal: float
    intervals: tuple[Interval, ...]
    level: float


def decide(effects: Sequence[Effect], within: float | None, alpha: float = 0.05) -> list[Decision]:
    """Judge the questions of one family, in the given order.

    A difference is shown by Holm's corrected p below `alpha`; equality by two one-sided tests against ± `within`
    (Schuirmann 1987; Lakens 2017), corrected likewise as a family of their own. Without `within` nothing is called
    equal. Effects that are unknown are undecided and count in neither family.
    """
    different = [effect.p for effect in effects]
    equal = [math.nan if within is None else effect.p_equal(within) for effect in effects]
    first, second = (zip(holm(p), _levels(p, alpha), strict=True) for p in (different, equal))
    return [
        _decision(effect, p, level, p_equal, level_equal, within, alpha)
        for effect, (p, level), (p_equal, level_equal) in zip(effects, first, second, strict=True)
    ]


def _decision(
    effect: Effect, p: float, level: float, p_equal: float, level_equal: float, within: float | None, alpha: float
) -> Decision:
    shown, alike = p < alpha, p_equal < alpha
    verdict = {
        (True, True): Verdict.SMALL,
        (True, False): Verdict.DIFFERENT,
        (False, True): Verdict.EQUAL,
        (False, False): Verdict.UNDECIDED,
    }[shown, alike]
    if math.isnan(p):
        return Decision(verdict, p, p_equal, (), level)
    apart = Interval(*effect.interval(1 - level), 1 - level)
    if within is None:
        both = [apart]
    else:
        inside = Interval(*effect.interval(1 - 2 * level_equal), 1 - 2 * level_equal)
        both = sorted((apart, inside), key=lambda interval: -interval.level)
    intervals: tuple[Interval, ...] = (both[0],)
    if verdict is Verdict.DIFFERENT:
        intervals = (apart,)
    elif verdict is Verdict.EQUAL:
        intervals = (inside,)
    elif verdict is Verdict.SMALL and within is not None:
        wider = both[0]
        single = (wider.low > 0 or wider.high < 0) and -within < wider.low and wider.high < within
        intervals = (wider,) if single else (apart, inside)
    return Decision(verdict, p, p_equal, intervals, level)


def _levels(p: Sequence[float], alpha: float) -> list[float]:
    """The level at which Holm's method tests each of a family: it stops at the first p that is not below its own."""
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    levels = np.full(len(values), math.nan)
    for rank, place in enumerate(order):
        level = alpha / (len(order) - rank)
        if values[place] >= level:
            levels[order[rank:]] = level
            break
        levels[place] = level
    return levels.tolist()
