"""The questions of a study and their answers: contrasts over its grid, with intervals, in sentences."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.statistics import Effect, MultiBootstrap, holm, mcnemar
from emo_hf.report.contrasts import Cell, Contrast, contrasts, sweep_contrasts
from emo_hf.report.grouping import ModelRuns, setting_text
from emo_hf.report.wording import WORDS, p_value
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import readable_predictions, study_arguments

logger = logging.getLogger(__name__)

ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """A contrast with its answer; `p` is corrected over its family by Holm's method, NaN for a single seed."""

    contrast: Contrast
    effect: Effect
    p: float


def find(models: list[ModelRuns], own: Mapping[str, Any] | None = None, *, metric: str = "macro_f1") -> list[Finding]:
    """Answer every question that the models of a study allow; nothing where their test rows differ.

    `own` are the arguments that the study has where a sweep does not vary them: what its values are compared with.
    """
    runs, labels = predictions(models)
    if labels is None:
        return []
    bootstrap = MultiBootstrap(runs, labels, metric=metric)
    models = [model for model in models if model.cell in runs]
    asked = _asked(models, own)
    swept = _swept(models)
    effects = [bootstrap.effect(contrast.weights) for contrast in asked]
    corrected = [math.nan] * len(asked)
    # Families: the questions themselves, how they depend on each other, and of a sweep each setting.
    kinds = [(contrast.under is not None, contrast.factor if swept else None) for contrast in asked]
    for kind in dict.fromkeys(kinds):
        family = [i for i, other in enumerate(kinds) if other == kind]
        for place, p in zip(family, holm([effects[i].p for i in family]), strict=True):
            corrected[place] = p
    return [Finding(*answer) for answer in zip(asked, effects, corrected, strict=True)]


def _swept(models: list[ModelRuns]) -> bool:
    return any(model.settings for model in models)


def _asked(models: list[ModelRuns], own: Mapping[str, Any] | None) -> list[Contrast]:
    return sweep_contrasts(models, own or {}) if _swept(models) else contrasts([model.cell for model in models])


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
    markdown = findings_markdown(models, study_arguments(study_dir), lang=lang)
    return write_whole(study_dir / "findings.md", markdown.encode("utf-8"))


def findings_markdown(models: list[ModelRuns], own: Mapping[str, Any] | None = None, *, lang: str = "en") -> str:
    """Sentences with intervals; where models have one seed, McNemar's test of single runs instead."""
    words = WORDS[lang]
    found = find(models, own)
    lines = [f"- {sentence(finding, lang=lang, name=markdown_name)}" for finding in found if not math.isnan(finding.p)]
    if lines:
        return "\n".join([*lines, "", words["findings_note"]]) + "\n"
    lines = [f"- {line}" for line in _single_runs(models, own, lang)]
    return "\n".join([*lines, *([""] if lines else []), words["one_seed_note" if lines else "no_findings"]]) + "\n"


def sentence(finding: Finding, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none: +0.8 points of macro-F1 [+0.1, +1.5], p = 0.031: a difference"; `name` writes the names."""
    words, effect = WORDS[lang], finding.effect
    values = {name: f"{100 * getattr(effect, name):+z.1f}" for name in ("estimate", "low", "high")}
    verdict = words["shown"] if finding.p < ALPHA else words["not_shown"]
    asked = question(finding.contrast, lang=lang, name=name)
    return words["finding"].format(question=asked, p=p_value(finding.p), verdict=verdict, **values)


def question(contrast: Contrast, *, lang: str = "en", name: Callable[[str], str] = str) -> str:
    """ "triplet over none, more under mean than under cls"."""
    words = WORDS[lang]
    asked = words["over"].format(level=name(contrast.level), baseline=name(contrast.baseline))
    if contrast.under:
        upper, lower = map(name, contrast.under)
        asked = words["under"].format(question=asked, upper=upper, lower=lower)
    return asked


def _single_runs(models: list[ModelRuns], own: Mapping[str, Any] | None, lang: str) -> list[str]:
    """The first runs of every two models that a question about losses, or about a swept setting, compares."""
    words = WORDS[lang]
    runs, labels = predictions(models)
    models = [model for model in models if model.cell in runs]
    asked = [contrast for contrast in _asked(models, own) if _swept(models) or contrast.factor == "aux"]
    lines = []
    for cell, base in (pair for contrast in asked if not contrast.under for pair in contrast.pairs):
        difference = float((runs[cell][0] == labels).mean() - (runs[base][0] == labels).mean())
        alike = [part for part in cell if part in base]
        level, baseline = (_parts_text([part for part in one if part not in alike]) for one in (cell, base))
        lines.append(
            words["single"].format(
                alike=_parts_text(alike),
                question=words["over"].format(level=level, baseline=baseline),
                estimate=f"{100 * difference:+z.1f}",
                p=p_value(mcnemar(runs[cell][0], runs[base][0], labels)),
            )
        )
    return lines


def _parts_text(parts: list[Any]) -> str:
    """Parts of a cell: "tiny-bert, mean, aux_weight=0.3"."""
    return ", ".join(markdown_name(setting_text([part]) if isinstance(part, tuple) else part) for part in parts)
