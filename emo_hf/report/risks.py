"""Who knows what it does not know? Risk and coverage of each model, and whether they differ, as markdown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import decide
from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import answer, points, with_interval
from emo_hf.report.contrasts import LINEAR_CELL, Cell, Contrast, baseline_contrasts, contrasts
from emo_hf.report.findings import asked_over
from emo_hf.report.risk_curves import CURVE
from emo_hf.report.risk_words import RISK_WORDS
from emo_hf.report.table import MISSING
from emo_hf.report.wording import WORDS, baseline_name
from emo_hf.storage.files import write_whole

SHOWN = (0.5, 0.8, 1.0)  # coverages in the table


def write_risks(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write the table and what it says as markdown and return the path."""
    return write_whole(path, risks_markdown(analysis, lang=lang).encode("utf-8"))


def risks_markdown(analysis: Analysis, *, lang: str = "en") -> str:
    """One row a model, the linear baseline below them."""
    words = RISK_WORDS[lang]
    lines = [headings(lang), ["---"] * 4 + ["---:"] * (1 + len(SHOWN))]
    for names, effects in risk_rows(analysis, lang):
        lines.append([*(markdown_name(name) for name in names), *map(with_interval, effects)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    found = "".join(f"- {line}\n" for line in risk_sentences(analysis, lang=lang, name=markdown_name, strong="**"))
    said = f"\n{found}\n{risk_findings_note(analysis, lang)}\n" if found else ""
    return f"{table}\n\n{words['note']}\n{said}"


def headings(lang: str) -> list[str]:
    """Of the columns of the table."""
    words = RISK_WORDS[lang]
    named = [WORDS[lang][name] for name in ("model", "encoder", "pooling", "aux")]
    return [*named, words["area"], *(words["errors_at"].format(share=f"{100 * share:.0f}") for share in SHOWN)]


def risk_rows(analysis: Analysis, lang: str) -> list[tuple[list[str], list[Effect]]]:
    """Of each model, and of the linear baseline, its four names, its area and its errors at the coverages shown."""
    risks = analysis.risks
    if risks is None:
        return []
    named = {
        model.cell: [str(model.number), model.encoder, str(model.pooling), str(model.aux)] for model in analysis.models
    }
    named[LINEAR_CELL] = [MISSING, baseline_name(LINEAR_CELL[0], lang), MISSING, MISSING]
    places = [CURVE.index(share) for share in SHOWN]
    return [
        (names, [risks.areas.effect({cell: 1.0}), *(risks.curves[cell][place] for place in places)])
        for cell, names in named.items()
        if cell in risks.curves
    ]


def risk_sentences(
    analysis: Analysis, *, lang: str = "en", name: Callable[[str], str] = str, strong: str = ""
) -> list[str]:
    """Whether the areas of the linear baseline, of losses, poolings and encoders differ; nothing for single seeds."""
    risks = analysis.risks
    if risks is None:
        return []
    cells = [model.cell for model in analysis.models]
    known = analysis.repeated
    families: list[tuple[list[Contrast], set[Cell]]] = [
        (baseline_contrasts(cells)[:1], known | analysis.linear.known if LINEAR_CELL in risks.curves else set()),
        ([asked for asked in contrasts(cells) if asked.under is None], known),
    ]
    lines = []
    for questions, having in families:
        answers = [(asked, found) for asked in questions if (found := asked.within(having))]
        effects = [risks.areas.effect(found.weights) for _, found in answers]
        decisions = decide(effects, analysis.equal_within / 100)
        for (asked, found), effect, decision in zip(answers, effects, decisions, strict=True):
            question = asked_over(asked, found, analysis.lacking(asked), lang=lang, name=name)
            said = answer(effect, decision, analysis.equal_within, lang=lang, strong=strong)
            lines.append(RISK_WORDS[lang]["finding"].format(question=question, **said))
    return lines


def risk_findings_note(analysis: Analysis, lang: str) -> str:
    """What the verdicts mean, and whose variance over seeds they rest on."""
    words, risks, seeds = WORDS[lang], analysis.risks, ""
    if risks is not None and len(analysis.repeated) > 1:
        seeds = words["pooled" if risks.areas.pooled else "not_pooled"]
    verdicts = words["verdicts"].format(within=points(analysis.equal_within))
    return RISK_WORDS[lang]["findings_note"].format(verdicts=verdicts, seeds=seeds).rstrip()
