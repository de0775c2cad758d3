"""Curves of risk over coverage: how often each model errs where it answers what it is surest of, one sheet each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from emo_hf.evaluation.risk_coverage import least_risks
from emo_hf.evaluation.statistics import Effect
from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import with_interval
from emo_hf.report.contrasts import LINEAR_CELL
from emo_hf.report.grouping import ModelRuns, panel_places
from emo_hf.report.plots.layout import (
    COLOURS,
    drawing,
    is_leftmost,
    panels,
    picture_language,
    picture_words,
    save,
    seed_phrase,
    set_heading,
)
from emo_hf.report.risk_curves import CURVE, Risks
from emo_hf.report.risk_words import RISK_WORDS

SHARES = 100 * np.array(CURVE)
GREY = "#777777"


def draw_risks(sheet: Analysis, path: Path, *, risks: Risks, lang: str = "en") -> Path:
    """Draw the share of errors over the share of texts that are answered, all panels over the same axes.

    With 95 % intervals over seeds and texts, the linear baseline, the least errors that a model of this accuracy can
    make, and, of runs with a promise (`--max_error`), what they answer and err by it.
    """
    words = picture_words(lang) | RISK_WORDS[picture_language(lang)]
    models = sheet.models
    with drawing():
        figure, axes = panels(panel_places(models), width=3.4, height=2.8)
        promised = False
        for model, (ax,) in zip(models, axes, strict=True):
            ax.set_title(model.title(words["model"]), fontsize=9)
            if model.cell in risks.curves:
                _draw(ax, risks.curves[model.cell])
                area = with_interval(risks.areas.effect({model.cell: 1.0}))
                ax.set_title(f"{model.title(words['model'])}\n{words['area'].rstrip(' ↓')} {area}", fontsize=9)
            if LINEAR_CELL in risks.curves:
                ax.plot(SHARES, _percent(risks.curves[LINEAR_CELL]), color=GREY, linewidth=1.2, linestyle="--")
            promised |= _mark(ax, model)
            ax.set(xlim=(0, 101.5))
            ax.grid(color="#e4e4e4", linewidth=0.6)
            ax.set_xlabel(words["answered"])
            if is_leftmost(ax):
                ax.set_ylabel(words["errors"])
        top = max(ax.get_ylim()[1] for (ax,) in axes)
        for (ax,) in axes:
            ax.set_ylim(0, top)
            ax.tick_params(labelleft=is_leftmost(ax))
        lines = {
            "mean_line": Line2D([], [], color=COLOURS[0], linewidth=1.8),
            "linear_line": Line2D([], [], color=GREY, linestyle="--") if LINEAR_CELL in risks.curves else None,
            "least_line": Line2D([], [], color=COLOURS[2], linestyle=":"),
            "promised": Line2D([], [], color=COLOURS[1], marker="o", linestyle="") if promised else None,
        }
        shown = {words[name]: line for name, line in lines.items() if line is not None}
        figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=2)
        set_heading(figure, models[0].encoder, words["risks"].format(seed_phrase(models, words, "many_seeds")))
        return save(figure, path)


def _draw(ax: Axes, curve: Sequence[Effect]) -> None:
    ax.plot(SHARES, _percent(curve), color=COLOURS[0], linewidth=1.8)
    low, high = (100 * np.array([getattr(effect, end) for effect in curve]) for end in ("low", "high"))
    ax.fill_between(SHARES, low, high, color=COLOURS[0], alpha=0.18, linewidth=0)
    ax.plot(SHARES, 100 * least_risks(curve[-1].estimate, CURVE), color=COLOURS[2], linestyle=":", linewidth=1.2)


def _percent(curve: Sequence[Effect]) -> np.ndarray:
    return 100 * np.array([effect.estimate for effect in curve])


def _mark(ax: Axes, model: ModelRuns) -> bool:
    """Mark what runs answer and err by their promise; whether any has one that answers anything."""
    tests = [((run.get("promises") or {}).get("abstention") or {}).get("test") or {} for run in model.runs]
    found = [(test["answered"][0], test["errors"][0]) for test in tests if test.get("answered") and test.get("errors")]
    if found:
        ax.plot(*(100 * np.array(found).T), color=COLOURS[1], marker="o", markersize=4, linestyle="")
    return bool(found)
