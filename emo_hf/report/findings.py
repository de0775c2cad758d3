"""The questions of a study and their answers: contrasts over its grid, with intervals, in sentences."""

from __future__ import annotations

import itertools
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo_hf.files import write_whole
from emo_hf.record import readable_predictions
from emo_hf.report.grouping import ModelRuns
from emo_hf.report.wording import WORDS, p_value
from emo_hf.statistics import Effect, MultiBootstrap, holm, mcnemar

logger = logging.getLogger(__name__)

Cell = tuple[str, ...]  # encoder, pooling, loss
FACTORS = ("encoder", "pooling", "aux")
# What a level is compared with; encoders have no natural first one, so every pair of them is a question.
BASELINES = {"pooling": "cls", "aux": "none"}
ALPHA = 0.05


@dataclass(frozen=True)
class Contrast:
    """One question: is `level` better than `baseline`, or (`under`) is it more so under one level of a second factor?

    `weights` are those of the models' mean scores; `cells` says over how many pairs of models the difference is
    averaged.
    """

    factor: str
    level: str
    baseline: str
    weights: dict[Cell, float]
    under: tuple[str, str] | None = None

    @property
    def cells(self) -> int:
        """Models on either side."""
        return sum(weight > 0 for weight in self.weights.values())


@dataclass(frozen=True)
class Finding:
    """A contrast with its answer; `p` is corrected over its family by Holm's method, NaN for a single seed."""

    contrast: Contrast
    effect: Effect
    p: float


def contrasts(cells: list[Cell]) -> list[Contrast]:
    """Main effects first, then every two-way interaction, over the pairs of models that differ in nothing else."""
    found = []
    pairs = {place: _pairs(place, cells) for place in range(len(FACTORS))}
    for place in (2, 1, 0):  # the loss is what the study is about
        for level, baseline in pairs[place]:
            if weights := _difference(place, level, baseline, cells):
                found.append(Contrast(FACTORS[place], level, baseline, weights))
    for place, other in ((2, 1), (2, 0), (1, 0)):
        for (level, baseline), (upper, lower) in itertools.product(pairs[place], pairs[other]):
            both = [
                _difference(place, level, baseline, [cell for cell in cells if cell[other] == under])
                for under in (upper, lower)
            ]
            if all(both):
                weights = both[0] | {cell: -weight for cell, weight in both[1].items()}
                found.append(Contrast(FACTORS[place], level, baseline, weights, (upper, lower)))
    return found


def find(models: list[ModelRuns], *, metric: str = "macro_f1") -> list[Finding]:
    """Answer every question that the models of a study allow; nothing where their test rows differ."""
    runs, labels = predictions(models)
    if labels is None:
        return []
    bootstrap = MultiBootstrap(runs, labels, metric=metric)
    asked = contrasts(list(runs))
    effects = [bootstrap.effect(contrast.weights) for contrast in asked]
    corrected = [math.nan] * len(asked)
    for interaction in (False, True):  # two families: the questions themselves, and how they depend on each other
        family = [i for i, contrast in enumerate(asked) if (contrast.under is not None) == interaction]
        for place, p in zip(family, holm([effects[i].p for i in family]), strict=True):
            corrected[place] = p
    return [Finding(*answer) for answer in zip(asked, effects, corrected, strict=True)]


def predictions(models: list[ModelRuns]) -> tuple[dict[Cell, np.ndarray], np.ndarray | None]:
    """Predicted classes (S, N) of each model by its `cell`, and true classes (N,) or None."""
    runs, labels = {}, None
    for model in models:
        classes = []
        for run in model.runs:
            if (arrays := readable_predictions(run, "comparisons")) is None:
                continue
            if labels is not None and not np.array_equal(arrays["labels"], labels):
                logger.warning("the runs of this study were tested on different rows; nothing is compared")
                return {}, None
            labels = arrays["labels"]
            classes.append(arrays["logits"].argmax(-1))
        if classes:
            runs[model.cell] = np.stack(classes)
    return runs, labels


def write_findings(models: list[ModelRuns], study_dir: Path, *, lang: str = "en") -> Path:
    """Write findings.md into the study's folder and return its path."""
    return write_whole(study_dir / "findings.md", findings_markdown(models, lang=lang).encode("utf-8"))


def findings_markdown(models: list[ModelRuns], *, lang: str = "en") -> str:
    """Sentences with intervals; where models have one seed, McNemar's test of single runs instead."""
    words = WORDS[lang]
    found = find(models)
    lines = [f"- {sentence(finding, lang=lang)}" for finding in found if not math.isnan(finding.p)]
    if lines:
        return "\n".join([*lines, "", words["findings_note"]]) + "\n"
    lines = [f"- {line}" for line in _single_runs(models, lang)]
    return "\n".join([*lines, *([""] if lines else []), words["one_seed_note" if lines else "no_findings"]]) + "\n"


def sentence(finding: Finding, *, lang: str = "en") -> str:
    """ "triplet over none: +0.8 points of macro-F1 [+0.1, +1.5], p = 0.031: a difference"."""
    words, effect = WORDS[lang], finding.effect
    values = {name: f"{100 * getattr(effect, name):+.1f}" for name in ("estimate", "low", "high")}
    verdict = words["shown"] if finding.p < ALPHA else words["not_shown"]
    asked = question(finding.contrast, lang=lang)
    return words["finding"].format(question=asked, p=p_value(finding.p), verdict=verdict, **values)


def question(contrast: Contrast, *, lang: str = "en") -> str:
    """ "triplet over none, more under mean than under cls"."""
    words = WORDS[lang]
    asked = words["over"].format(level=contrast.level, baseline=contrast.baseline)
    if contrast.under:
        asked = words["under"].format(question=asked, upper=contrast.under[0], lower=contrast.under[1])
    return asked


def _single_runs(models: list[ModelRuns], lang: str) -> list[str]:
    """Each loss against none with the same encoder and pooling: the first run of either."""
    words = WORDS[lang]
    runs, labels = predictions(models)
    lines = []
    for (encoder, pooling, aux), classes in runs.items():
        base = runs.get((encoder, pooling, BASELINES["aux"]))
        if aux == BASELINES["aux"] or base is None:
            continue
        difference = float((classes[0] == labels).mean() - (base[0] == labels).mean())
        question = words["over"].format(level=aux, baseline=BASELINES["aux"])
        p = p_value(mcnemar(classes[0], base[0], labels))
        lines.append(
            words["single"].format(
                encoder=encoder, pooling=pooling, question=question, estimate=f"{100 * difference:+.1f}", p=p
            )
        )
    return lines


def _pairs(place: int, cells: list[Cell]) -> list[tuple[str, str]]:
    """Levels to compare, better one first as one would ask: each against the baseline, or every two."""
    levels = list(dict.fromkeys(cell[place] for cell in cells))
    baseline = BASELINES.get(FACTORS[place])
    if baseline in levels:
        return [(level, baseline) for level in levels if level != baseline]
    return [(second, first) for first, second in itertools.combinations(levels, 2)]


def _difference(place: int, level: str, baseline: str, cells: list[Cell]) -> dict[Cell, float]:
    """Weights of the mean difference over pairs of cells that differ in nothing else; empty without such a pair."""
    present = set(cells)
    pairs = []
    for cell in cells:
        partner = (*cell[:place], baseline, *cell[place + 1 :])
        if cell[place] == level and partner in present:
            pairs.append((cell, partner))
    return {cell: sign / len(pairs) for pair in pairs for cell, sign in zip(pair, (1, -1), strict=True)}
