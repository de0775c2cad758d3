"""A decision in words: the verdict, the interval and the p-values that it rests on, and what it would have taken."""

from __future__ import annotations

import math

from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import Decision, Interval, Verdict
from emo_hf.report.wording import WORDS, p_value

BOUNDED = (Verdict.EQUAL, Verdict.SMALL)  # verdicts that hold within so many points


def answer(
    effect: Effect,
    decision: Decision,
    within: float | None,
    *,
    lang: str = "en",
    strong: str = "",
    scale: float = 100.0,
    decimals: int = 1,
) -> dict[str, str]:
    """What the report's words take: the `estimate`, and the `answer` to the right of it.

    An answer is "[-0.3, +1.9] (99.4 % interval; different p = 0.34, equal p = 0.21): undecided". `strong` stands on
    both sides of the verdict; `scale` and `decimals` turn the effect's numbers into printed ones.
    """
    words = WORDS[lang]
    values = {
        "intervals": words["and"].join(interval_text(one, scale, decimals) for one in decision.intervals),
        "levels": words["and"].join(level_text(one.level) for one in decision.intervals),
        "p": p_value(decision.p),
        "verdict": verdict_text(decision.verdict, within, lang=lang, strong=strong),
    }
    kind = "answer_unbounded" if math.isnan(decision.p_equal) else "answer"
    if kind == "answer":
        values["p_equal"] = p_value(decision.p_equal)
    values["interval"] = words["interval_two" if len(decision.intervals) > 1 else "interval_one"]
    return {"estimate": f"{scale * effect.estimate:+z.{decimals}f}", "answer": words[kind].format(**values)}


def verdict_text(verdict: Verdict, within: float | None, *, lang: str = "en", strong: str = "") -> str:
    """ "equal (within ±1.0 points)"; `within` in points."""
    words = WORDS[lang]
    text = f"{strong}{words[verdict.name.lower()]}{strong}"
    return text + words["within"].format(within=points(within)) if within and verdict in BOUNDED else text


def with_interval(effect: Effect, sign: str = "") -> str:
    """ "44.6 [43.0, 46.2]", in percent; of differences with "+" as `sign`. Without an interval where none is known."""
    estimate, low, high = (f"{100 * value:{sign}.1f}" for value in (effect.estimate, effect.low, effect.high))
    return estimate if math.isnan(effect.low) else f"{estimate} [{low}, {high}]"


def interval_text(interval: Interval, scale: float = 100.0, decimals: int = 1) -> str:
    """ "[-0.3, +1.9]"."""
    return f"[{scale * interval.low:+z.{decimals}f}, {scale * interval.high:+z.{decimals}f}]"


def level_text(level: float) -> str:
    """ "95 %", "99.4 %", "99.95 %"."""
    decimals = 1 if level <= 0.999 else 2
    return f"{100 * level:.{decimals}f}".rstrip("0").rstrip(".") + " %"


def points(value: float) -> str:
    """Points that a reader chose: "1.0", "0.25"."""
    return f"{value:.1f}" if math.isclose(value, round(value, 1)) else f"{value:g}"
