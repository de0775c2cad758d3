"""What an undecided question would have taken, in words."""

from __future__ import annotations

import math

from emo_hf.evaluation.planning import MOST, Requirement
from emo_hf.evaluation.verdicts import Verdict
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding, seeds_of
from emo_hf.report.answers import points
from emo_hf.report.wording import WORDS


def taking(finding: Finding, analysis: Analysis, *, lang: str = "en") -> str:
    """Of an undecided question what the study could have shown, and what it would take to show more; else nothing.

    "; this study could have shown 1.6 points (80 % power); 1.0 would take 9 seeds of these 720 sentences, or 3 seeds
    of 2,900 sentences".
    """
    if finding.verdict is not Verdict.UNDECIDED or analysis.bootstrap is None:
        return ""
    words, outlook = WORDS[lang], analysis.outlooks[finding.asked]
    within, seeds = points(analysis.equal_within), seeds_of(finding, analysis.bootstrap)
    could = words["shows_nothing"]
    if outlook.detectable is not None:
        could = words["could_show"].format(detectable=f"{100 * outlook.detectable:.1f}")
        if 100 * outlook.detectable <= analysis.equal_within:  # it was large enough: there is less, or bad luck
            return could
    ways = _ways(outlook.requirement, seeds, analysis.bootstrap.rows, lang)
    if not ways:
        return could + words["beyond_reach"].format(within=within, seeds=MOST[0], sentences=f"{MOST[1]:,}")
    return could + words["would_take"].format(within=within, ways=words["or"].join(ways))


def _ways(required: Requirement, seeds: int, sentences: int, lang: str) -> list[str]:
    words, ways = WORDS[lang], []
    if required.seeds is not None:
        ways.append(words["more_seeds"].format(seeds=required.seeds, sentences=f"{sentences:,}"))
    if required.sentences is not None:
        ways.append(words["more_sentences"].format(seeds=seeds, sentences=f"{_rounded_up(required.sentences):,}"))
    if required.both is not None:
        more, rows = required.both
        ways.append(words["more_sentences"].format(seeds=more, sentences=f"{_rounded_up(rows):,}"))
    return ways


def _rounded_up(count: int) -> int:
    """To two digits: 2,841 becomes 2,900."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / unit) * unit
