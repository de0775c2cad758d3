"""Does it cluster? The scores of the test embeddings of each model, as markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emo_hf.escaping import csv_name, markdown_name
from emo_hf.evaluation.statistics import Effect, seed_effect
from emo_hf.evaluation.verdicts import Decision, decide
from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import answer
from emo_hf.report.contrasts import Cell, Contrast, contrasts
from emo_hf.report.findings import asked_over, findings_note
from emo_hf.report.grouping import ModelRuns
from emo_hf.report.table import MISSING, Score
from emo_hf.report.wording import WORDS
from emo_hf.storage.files import write_whole

# Decimals, and whether it is a share, which reads better in percent.
COLUMNS = {
    "silhouette": (3, False),
    "davies_bouldin": (2, False),
    "knn_accuracy": (1, True),
    "probe_accuracy": (1, True),
    "nmi": (3, False),
    "ari": (3, False),
    "alignment": (3, False),
    "uniformity": (2, False),
}


# Of these the report also says whether losses, poolings and encoders differ.
ASKED = ("silhouette", "knn_accuracy", "probe_accuracy")


def cluster_scores(model: ModelRuns) -> dict[str, Score]:
    """Mean and sd over seeds of each score; missing where a run has none."""
    found = [run["test"].get("embeddings") or {} for run in model.runs]
    return {column: Score.over([scores.get(column) for scores in found]) for column in COLUMNS}


def write_clusters(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write the scores and what they say as markdown and return the path."""
    return write_whole(path, clusters_markdown(analysis, lang=lang).encode("utf-8"))


def write_clusters_csv(analysis: Analysis, path: Path) -> Path:
    """Write the scores as CSV, with a byte order mark that makes Excel read Hangul, and return the path."""
    return write_whole(path, clusters_csv(analysis).encode("utf-8-sig"))


def clusters_markdown(analysis: Analysis, *, lang: str = "en") -> str:
    """One row a model."""
    words = WORDS[lang]
    header = [words[key] for key in ("model", "encoder", "pooling", "aux", *COLUMNS)]
    lines = [header, ["---"] * 4 + ["---:"] * len(COLUMNS)]
    for model in analysis.models:
        names = [markdown_name(str(name)) for name in (model.number, model.encoder, model.pooling, model.aux)]
        lines.append([*names, *(_text(column, score) for column, score in cluster_scores(model).items())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    found = "".join(f"- {line}\n" for line in cluster_sentences(analysis, lang=lang, name=markdown_name, strong="**"))
    note = findings_note(analysis, lang=lang, note="cluster_findings_note")
    return f"{table}\n\n{words['clusters_note']}\n" + (f"\n{found}\n{note}\n" if found else "")


def cluster_sentences(
    analysis: Analysis, *, lang: str = "en", name: Callable[[str], str] = str, strong: str = ""
) -> list[str]:
    """Whether losses, poolings and encoders differ in how their embeddings cluster; nothing for single seeds.

    Equal they can be in points alone: of a score without a unit nobody has said how much is little.
    """
    return [line for column in ASKED for line in _column_sentences(analysis, column, lang, name, strong)]


@dataclass(frozen=True)
class Separation:
    """Whether a score of the embeddings differs: what is asked and answered, as in `Finding`, and in which points."""

    asked: Contrast
    contrast: Contrast
    lacking: list[Cell]
    effect: Effect
    decision: Decision
    within: float | None  # points within which it counts as equal; None where nobody has said how much is little


def separations(analysis: Analysis, column: str) -> list[Separation]:
    """The answers about a score, one of `COLUMNS`, over the seeds of all models; none for single seeds."""
    found = {model.cell: _values(model, column) for model in analysis.models}
    scores = {cell: values for cell, values in found.items() if len(values) > 1}
    if not scores:
        return []
    asked = [contrast for contrast in contrasts(list(found)) if contrast.under is None]
    answers = [(contrast, answered) for contrast in asked if (answered := contrast.within(scores))]
    percent = COLUMNS[column][1]
    score_range = (0.0, 1.0) if percent else (-1.0, 1.0)  # a share, or a silhouette
    effects = [seed_effect(scores, answered.weights, score_range) for _, answered in answers]
    within = analysis.equal_within if percent else None
    decisions = decide(effects, None if within is None else within / 100)
    return [
        Separation(contrast, answered, contrast.lacking(scores), effect, decision, within)
        for (contrast, answered), effect, decision in zip(answers, effects, decisions, strict=True)
    ]


def _column_sentences(
    analysis: Analysis, column: str, lang: str, name: Callable[[str], str], strong: str
) -> list[str]:
    words, about = WORDS[lang], WORDS[lang][column].rstrip(" ↑↓")
    decimals, percent = COLUMNS[column]
    known = {model.cell for model in analysis.models}
    lines = []
    for one in separations(analysis, column):
        lacking = {cell: "no_score" if cell in known else "no_run" for cell in one.lacking}
        question = asked_over(one.asked, one.contrast, lacking, lang=lang, name=name)
        shown = {"scale": 100 if percent else 1, "decimals": decimals}
        said = answer(one.effect, one.decision, one.within, lang=lang, strong=strong, **shown)
        lines.append(words["cluster_finding"].format(score=about, question=question, **said))
    return lines


def _values(model: ModelRuns, column: str) -> list[float]:
    """The score of every run, or nothing where one lacks it."""
    found = [(run["test"].get("embeddings") or {}).get(column) for run in model.runs]
    known = [value for value in found if value is not None and math.isfinite(value)]
    return known if len(known) == len(found) else []


def clusters_csv(analysis: Analysis) -> str:
    """Plain numbers, in columns <score>_mean, _sd and, of the mean's 95 % interval over seeds, _low and _high."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    numbers = [f"{column}_{part}" for column in COLUMNS for part in ("mean", "sd", "low", "high")]
    writer.writerow(["model", "encoder", "pooling", "loss", *numbers])
    for model in analysis.models:
        row = [str(model.number), *(csv_name(name) for name in (model.encoder, model.pooling, model.aux))]
        for column, score in cluster_scores(model).items():
            effect = seed_effect({0: _values(model, column)}, {0: 1.0}) if score.sd is not None else None
            interval = (None, None) if effect is None else (effect.low, effect.high)
            row += ["" if value is None else f"{value:.6f}" for value in (score.mean, score.sd, *interval)]
        writer.writerow(row)
    return buffer.getvalue()


def _text(column: str, score: Score) -> str:
    decimals, percent = COLUMNS[column]
    values = [value * (100 if percent else 1) for value in (score.mean, score.sd) if value is not None]
    return " ± ".join(f"{value:.{decimals}f}" for value in values) or MISSING
