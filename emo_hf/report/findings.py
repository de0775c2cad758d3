"""The questions of a study and their answers in sentences: contrasts over its grid, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.scores import RowWeights, score
from emo_hf.evaluation.statistics import mcnemar
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding, Unanswered
from emo_hf.report.answers import answer, points
from emo_hf.report.contrasts import LINEAR_CELL, Cell, Contrast
from emo_hf.report.grouping import setting_text
from emo_hf.report.taking import taking
from emo_hf.report.wording import WORDS, baseline_name, p_value
from emo_hf.storage.files import write_whole

MOST_NAMED = 2


def write_findings(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write all findings as markdown and return the path."""
    return write_whole(path, findings_markdown(analysis, lang=lang).encode("utf-8"))


def findings_markdown(analysis: Analysis, *, lang: str = "en") -> str:
    """Sentences with verdicts, those about the linear baseline first; of single runs McNemar's test instead."""
    words = WORDS[lang]
    lines = baseline_sentences(analysis, lang=lang, name=markdown_name, strong="**")
    lines += [sentence(finding, analysis, lang=lang, name=markdown_name, strong="**") for finding in analysis.findings]
    if analysis.repeated:
        lines += [unanswered(question, lang=lang, name=markdown_name) for question in analysis.unanswered]
        note = findings_note(analysis, lang=lang)
    elif single := single_runs(analysis, lang=lang, name=markdown_name):
        lines += single
        note = words["one_seed_note"]
    else:
        note = words["no_findings" if analysis.same_rows else "different_rows"]
    if analysis.multi_label:
        note += f"\n\n{words['sets_left_out']}"
    return "\n".join([*(f"- {line}" for line in lines), *([""] if lines else []), note]) + "\n"


def findings_note(analysis: Analysis, *, lang: str = "en", note: str = "findings_note") -> str:
    """What the four words mean, which interval is printed, and whose variance over seeds it rests on."""
    words, bootstrap = WORDS[lang], analysis.bootstrap
    seeds = ""
    if bootstrap is not None and len(analysis.repeated) > 1:
        seeds = words["pooled" if bootstrap.pooled else "not_pooled"]
    verdicts = words["verdicts"].format(within=points(analysis.equal_within))
    return words[note].format(verdicts=verdicts, families=words["families"], seeds=seeds).rstrip()


def baseline_sentences(
    analysis: Analysis, *, lang: str = "en", name: Callable[[str], str] = str, strong: str = ""
) -> list[str]:
    """Whether the models, and the best of them, beat the linear baseline, or why nobody can say."""
    return [
        sentence(found, analysis, lang=lang, name=name, strong=strong)
        if isinstance(found, Finding)
        else unanswered(found, lang=lang, name=name)
        for found in analysis.against_baseline
    ]


def sentence(
    finding: Finding, analysis: Analysis, *, lang: str = "en", name: Callable[[str], str] = str, strong: str = ""
) -> str:
    """ "triplet over none: +0.8 points of macro-F1 [+0.1, +1.5] (95 % interval; different p = 0.031, …): different".

    `name` writes the names, `strong` stands on both sides of the verdict.
    """
    asked = asked_over(finding.asked, finding.contrast, finding.lacking, lang=lang, name=name, chosen=finding.chosen)
    said = answer(finding.effect, finding.decision, analysis.equal_within, lang=lang, strong=strong)
    return WORDS[lang]["finding"].format(question=asked, **said) + taking(finding, analysis, lang=lang)


def question(contrast: Contrast, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none, more under mean than under cls"."""
    words = WORDS[lang]
    if contrast.about_baseline:
        baseline = name(baseline_name(contrast.baseline, lang))
        if len(contrast.pairs) > 1:
            return words["models_over"].format(baseline=baseline)
        [(model, other)] = contrast.pairs
        key = "over" if other == LINEAR_CELL else "over_on_rows"
        return words[key].format(level=_model_text(model, name, lang), baseline=baseline)
    asked = words["over"].format(level=name(contrast.level), baseline=name(contrast.baseline))
    if contrast.under:
        upper, lower = map(name, contrast.under)
        asked = words["under"].format(question=asked, upper=upper, lower=lower)
    return asked


def asked_over(
    asked: Contrast,
    answered: Contrast,
    lacking: Mapping[Cell, str],
    *,
    lang: str = "en",
    name: Callable[[str], str] = str,
    chosen: Cell | None = None,
) -> str:
    """The question and, where some pairs of models can not be compared, over how many it is answered and why.

    chosen: of the question about the best model, which it is.
    """
    words, text = WORDS[lang], question(asked, lang=lang, name=name)
    if chosen is not None:
        baseline = name(baseline_name(asked.baseline, lang))
        return words["best_over"].format(baseline=baseline, model=_model_text(chosen, name, lang))
    whole, answered_pairs = len(asked.pairs) + asked.incomplete, len(answered.pairs)
    why = because(lacking, lang=lang, name=name)
    if asked.about_baseline and len(asked.pairs) > 1:
        key = "mean_of_some" if lacking else "mean_of"
        return words[key].format(question=text, n=answered_pairs, asked=whole, why=why)
    if not lacking:
        return text
    return words["partly"].format(question=text, answered=answered_pairs, asked=whole, why=why)


def unanswered(found: Unanswered, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none: no answer, because tiny-bert mean triplet has one seed"."""
    why = because(found.lacking, lang=lang, name=name)
    return WORDS[lang]["unanswered"].format(question=question(found.asked, lang=lang, name=name), why=why)


def because(lacking: Mapping[Cell, str], *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "tiny-bert mean triplet has one seed", a part for each reason."""
    words, parts = WORDS[lang], []
    for reason in dict.fromkeys(lacking.values()):
        cells = [cell for cell, why in lacking.items() if why == reason]
        names = [_model_text(cell, name, lang) for cell in cells]
        models = ", ".join(names) if len(names) <= MOST_NAMED else words["models"].format(n=len(names))
        parts.append(words[f"{reason}_many" if len(names) > 1 else reason].format(models=models))
    return "; ".join(parts)


def single_runs(analysis: Analysis, *, lang: str = "en", name: Callable[[str], str] = str) -> list[str]:
    """The first runs of every two models that a question compares: in a grid one about losses, where it has any."""
    words, runs = WORDS[lang], analysis.classes
    if not runs:
        return []
    labels = analysis.true_classes
    of_losses = [contrast for contrast in analysis.questions if contrast.factor == "aux"]
    asked = analysis.questions if analysis.swept else of_losses or analysis.questions
    pairs = [pair for contrast in asked if not contrast.under for pair in contrast.pairs if set(pair) <= set(runs)]
    lines = []
    for cell, base in pairs:
        alike = [part for part in cell if part in base]
        level, baseline = (_parts_text([part for part in one if part not in alike], name) for one in (cell, base))
        asked_of = {
            "alike": _parts_text(alike, name),
            "question": words["over"].format(level=level, baseline=baseline),
        }
        lines.append(_single(asked_of, runs[cell][0], runs[base][0], labels, words))
    return lines


def _single(
    asked: dict[str, str], first: np.ndarray, second: np.ndarray, labels: np.ndarray, words: dict[str, str]
) -> str:
    """How two single runs differ: in accuracy with McNemar's p, and of sets of labels (N, C) in macro-F1."""
    if labels.ndim > 1:
        weights = RowWeights(labels, labels.shape[1], np.ones((1, len(labels)), np.float32))
        difference = float(np.subtract(*(score(weights.counts(one))[0] for one in (first, second))))
        return words["single_sets"].format(estimate=f"{100 * difference:+z.1f}", **asked)
    difference = float((first == labels).mean() - (second == labels).mean())
    return words["single"].format(
        estimate=f"{100 * difference:+z.1f}", p=p_value(mcnemar(first, second, labels)), **asked
    )


def _model_text(cell: Cell, name: Callable[[str], str], lang: str) -> str:
    """A model's cell: "tiny-bert mean triplet"."""
    return " ".join(name(baseline_name(_part(part), lang)) for part in cell)


def _parts_text(parts: list[Any], name: Callable[[str], str]) -> str:
    """Parts of a cell: "tiny-bert, mean, aux_weight=0.3"."""
    return ", ".join(name(_part(part)) for part in parts)


def _part(part: Any) -> str:
    return setting_text([part]) if isinstance(part, tuple) else str(part)
