"""What a study says in one sentence, for a reader with a minute: the best model, what differs, and what is open."""

from __future__ import annotations

from emo_hf.report.analysis import Analysis
from emo_hf.report.findings import ALPHA, question
from emo_hf.report.grouping import ModelRuns, setting_text
from emo_hf.report.page_words import PAGE_WORDS
from emo_hf.report.table import scores
from emo_hf.report.wording import baseline_name

MOST_LISTED = 4


def summary(analysis: Analysis, *, lang: str = "en") -> str:
    """One sentence: the best model and its distance to the best baseline, what differs, what could not be shown."""
    words = PAGE_WORDS[lang]
    best = max(analysis.models, key=_macro_f1)
    parts = [
        words["best"].format(n=len(analysis.models), model=model_phrase(best, lang), score=_percent(_macro_f1(best)))
        if len(analysis.models) > 1
        else words["only"].format(model=model_phrase(best, lang), score=_percent(_macro_f1(best)))
    ]
    if analysis.baselines:
        simple = max(analysis.baselines, key=_macro_f1)
        # Of the printed numbers, so that a reader who subtracts them finds the same.
        points = round(100 * _macro_f1(best), 1) - round(100 * _macro_f1(simple), 1)
        side = words["above" if points > 0 else "below" if points < 0 else "level"]
        name = baseline_name(simple.encoder, lang)
        distance = side.format(points=f"{abs(points):.1f}", baseline=name, score=_percent(_macro_f1(simple)))
        parts[0] += f", {distance}"
    parts.append(_questions(analysis, lang))
    return words["joined"].join(part for part in parts if part) + "."


def caution(analysis: Analysis, *, lang: str = "en") -> str:
    """What the sentence does not prove; nothing for a single model without a baseline."""
    words = PAGE_WORDS[lang]
    parts = [words["picked"]] if len(analysis.models) > 1 else []
    parts += [words["untested"]] if analysis.baselines else []
    return " ".join(parts)


def _questions(analysis: Analysis, lang: str) -> str:
    """Which main questions show a difference and which are open; nothing where there is none."""
    words = PAGE_WORDS[lang]
    main = [finding for finding in analysis.findings if not finding.asked.under]
    unasked = [found for found in analysis.unanswered if not found.asked.under]
    if not main:
        return words["one_seed"] if unasked else ""
    shown = [
        f"{question(finding.asked, lang=lang)}: {100 * finding.effect.estimate:+.1f}"
        for finding in main
        if finding.p < ALPHA
    ]
    open_ones = [question(finding.asked, lang=lang) for finding in main if finding.p >= ALPHA]
    open_ones += [question(found.asked, lang=lang) for found in unasked]
    said = [words["differs"].format(questions=_listed(shown, words))] if shown else [words["nothing_differs"]]
    if open_ones:
        said.append(words["open"].format(questions=_listed(open_ones, words)))
    return words["joined"].join(said)


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


def _macro_f1(model: ModelRuns) -> float:
    return scores(model)["macro_f1"].mean or 0.0


def _percent(score: float) -> str:
    return f"{100 * score:.1f}"
