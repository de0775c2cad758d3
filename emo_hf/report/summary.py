"""What a study says in one sentence, for a reader with a minute: whether it beats the baseline, and each verdict."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from emo_hf.evaluation.verdicts import Verdict
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding, Unanswered
from emo_hf.report.answers import BOUNDED, interval_text, points, verdict_text
from emo_hf.report.findings import because, question
from emo_hf.report.grouping import ModelRuns, setting_text
from emo_hf.report.page_words import PAGE_WORDS
from emo_hf.report.predictions import LINEAR
from emo_hf.report.wording import WORDS, baseline_name

MOST_LISTED = 4


def summary(analysis: Analysis, *, lang: str = "en") -> str:
    """One sentence: the models and the best of them over the linear baseline, then each verdict with its questions."""
    words = PAGE_WORDS[lang]
    parts = [*_against_baseline(analysis, lang), *_questions(analysis, lang)]
    return words["joined"].join(parts) + "." if parts else ""


def caution(analysis: Analysis, *, lang: str = "en") -> str:
    """What "equal" and "undecided" stand for, where the sentence has them."""
    words = PAGE_WORDS[lang]
    found = {one.verdict for one in [*analysis.against_baseline, *analysis.findings] if isinstance(one, Finding)}
    parts = [words["equal_means"].format(within=points(analysis.equal_within))] if found & set(BOUNDED) else []
    parts += [words["undecided_means"]] if Verdict.UNDECIDED in found else []
    return " ".join(parts)


def _against_baseline(analysis: Analysis, lang: str) -> list[str]:
    words, said = PAGE_WORDS[lang], []
    if len({pair[1] for found in analysis.against_baseline for pair in found.asked.pairs}) > 1:
        return _by_verdict(analysis.against_baseline, lang)  # at each number of rows another baseline
    for found in analysis.against_baseline:
        baseline = baseline_name(found.asked.baseline, lang)
        if not isinstance(found, Finding):
            said.append(words["not_compared"].format(baseline=baseline, why=because(found.lacking, lang=lang)))
            continue
        single = len(found.asked.pairs) == 1
        runs = next(one for one in analysis.baselines if one.encoder == LINEAR).runs
        linear = mean(run["test"]["macro_f1"] for run in runs)
        key = "best_over" if found.chosen else "only_over" if single else "models_over"
        chosen = found.chosen or found.contrast.pairs[0][0]
        said.append(
            words[key].format(
                n=len(found.contrast.pairs),
                model=model_phrase(next(model for model in analysis.models if model.cell == chosen), lang),
                baseline=baseline,
                score=f"{100 * linear:.1f}",
                estimate=f"{100 * found.effect.estimate:+z.1f}",
                interval=WORDS[lang]["and"].join(map(interval_text, found.decision.intervals)),
                verdict=verdict_text(found.verdict, analysis.equal_within, lang=lang),
            )
        )
    return said


def _questions(analysis: Analysis, lang: str) -> list[str]:
    """Each verdict with its main questions; where all models have one seed, that nothing can be shown."""
    words = PAGE_WORDS[lang]
    main = [finding for finding in analysis.findings if not finding.asked.under]
    unasked = [found for found in analysis.unanswered if not found.asked.under]
    if not main:
        return [words["one_seed"]] if unasked else []
    return _by_verdict([*main, *unasked], lang)


def _by_verdict(answers: Sequence[Finding | Unanswered], lang: str) -> list[str]:
    """Each verdict with its questions."""
    words, said = PAGE_WORDS[lang], []
    for verdict in Verdict:
        asked = [_asked(one, lang) for one in answers if isinstance(one, Finding) and one.verdict is verdict]
        if verdict is Verdict.UNDECIDED:
            asked += [question(one.asked, lang=lang) for one in answers if not isinstance(one, Finding)]
        if asked:
            said.append(f"{WORDS[lang][verdict.name.lower()]}: {_listed(asked, words)}")
    return said


def _asked(finding: Finding, lang: str) -> str:
    """The question, and the points where they are known to be other than none."""
    text = question(finding.asked, lang=lang)
    shown = finding.verdict in (Verdict.DIFFERENT, Verdict.SMALL)
    return f"{text}: {100 * finding.effect.estimate:+z.1f}" if shown else text


def model_phrase(model: ModelRuns, lang: str) -> str:
    """ "tiny-bert with mean pooling and triplet loss"."""
    words = PAGE_WORDS[lang]
    loss = words["without_loss"] if model.aux == "none" else words["with_loss"].format(loss=model.aux)
    phrase = words["model_phrase"].format(encoder=model.encoder, pooling=model.pooling, loss=loss)
    return setting_text(model.settings, before=phrase)


def duration(seconds: float, lang: str) -> str:
    """A time in the unit that suits it: "45 s", "9.8 min", "2.3 h"."""
    words = PAGE_WORDS[lang]
    if seconds < 90:
        return words["seconds"].format(f"{seconds:.0f}")
    if seconds < 90 * 60:
        return words["minutes"].format(f"{seconds / 60:.1f}")
    return words["hours"].format(f"{seconds / 3600:.1f}")


def _listed(questions: list[str], words: dict[str, str]) -> str:
    quoted = ", ".join(f"“{question}”" for question in questions[:MOST_LISTED])
    more = len(questions) - MOST_LISTED
    return quoted + (words["and_more"].format(n=more) if more > 0 else "")
