"""The questions of a study and their answers in sentences: contrasts over its grid, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.statistics import mcnemar
from emo_hf.report.analysis import Analysis, Finding, Unanswered
from emo_hf.report.contrasts import Cell, Contrast
from emo_hf.report.grouping import setting_text
from emo_hf.report.wording import WORDS, p_value
from emo_hf.storage.files import write_whole

ALPHA = 0.05
MOST_NAMED = 2


def write_findings(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write all findings as markdown and return the path."""
    return write_whole(path, findings_markdown(analysis, lang=lang).encode("utf-8"))


def findings_markdown(analysis: Analysis, *, lang: str = "en") -> str:
    """Sentences with intervals; where all models have one seed, McNemar's test of single runs instead."""
    words = WORDS[lang]
    lines = [sentence(finding, lang=lang, name=markdown_name) for finding in analysis.findings]
    if lines:
        lines += [unanswered(question, lang=lang, name=markdown_name) for question in analysis.unanswered]
        note = f"{words['findings_note']} {words['uncorrected']}"
    elif lines := single_runs(analysis, lang=lang, name=markdown_name):
        note = words["one_seed_note"]
    else:
        note = words["no_findings" if analysis.same_rows else "different_rows"]
    return "\n".join([*(f"- {line}" for line in lines), *([""] if lines else []), note]) + "\n"


def sentence(finding: Finding, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none: +0.8 points of macro-F1 [+0.1, +1.5], p = 0.031: a difference"; `name` writes the names."""
    words, effect = WORDS[lang], finding.effect
    values = {part: f"{100 * getattr(effect, part):+z.1f}" for part in ("estimate", "low", "high")}
    asked = asked_over(finding.asked, finding.contrast, finding.lacking, lang=lang, name=name)
    return words["finding"].format(question=asked, p=p_value(finding.p), verdict=verdict(finding.p, lang), **values)


def verdict(p: float, lang: str) -> str:
    """What a corrected p-value lets one say."""
    return WORDS[lang]["shown" if p < ALPHA else "not_shown"]


def question(contrast: Contrast, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none, more under mean than under cls"."""
    words = WORDS[lang]
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
) -> str:
    """The question and, where some pairs of models can not be compared, over how many it is answered and why."""
    text = question(asked, lang=lang, name=name)
    if not lacking:
        return text
    whole = len(asked.pairs) + asked.incomplete
    why = because(lacking, lang=lang, name=name)
    return WORDS[lang]["partly"].format(question=text, answered=len(answered.pairs), asked=whole, why=why)


def unanswered(found: Unanswered, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none: no answer, because tiny-bert mean triplet has one seed"."""
    why = because(found.lacking, lang=lang, name=name)
    return WORDS[lang]["unanswered"].format(question=question(found.asked, lang=lang, name=name), why=why)


def because(lacking: Mapping[Cell, str], *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "tiny-bert mean triplet has one seed", a part for each reason."""
    words, parts = WORDS[lang], []
    for reason in dict.fromkeys(lacking.values()):
        cells = [cell for cell, why in lacking.items() if why == reason]
        names = [" ".join(name(_part(part)) for part in cell) for cell in cells]
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
        difference = float((runs[cell][0] == labels).mean() - (runs[base][0] == labels).mean())
        alike = [part for part in cell if part in base]
        level, baseline = (_parts_text([part for part in one if part not in alike], name) for one in (cell, base))
        lines.append(
            words["single"].format(
                alike=_parts_text(alike, name),
                question=words["over"].format(level=level, baseline=baseline),
                estimate=f"{100 * difference:+z.1f}",
                p=p_value(mcnemar(runs[cell][0], runs[base][0], labels)),
            )
        )
    return lines


def _parts_text(parts: list[Any], name: Callable[[str], str]) -> str:
    """Parts of a cell: "tiny-bert, mean, aux_weight=0.3"."""
    return ", ".join(name(_part(part)) for part in parts)


def _part(part: Any) -> str:
    return setting_text([part]) if isinstance(part, tuple) else str(part)
