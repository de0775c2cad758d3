"""What macro-F1 would be with one threshold for all labels, and where the chosen ones lie, an encoder on one sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from emo_hf.evaluation.label_sets import f1_over_thresholds
from emo_hf.evaluation.thresholds import GRID, sigmoid
from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import panel_places
from emo_hf.report.plots.layout import (
    COLOURS,
    drawing,
    is_leftmost,
    panels,
    picture_words,
    save,
    seed_phrase,
    set_heading,
)
from emo_hf.report.predictions import Arrays


def draw_thresholds(sheet: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Draw macro-F1 of the test rows over one threshold for all labels, mean over seeds; same axes in all panels."""
    words, models = picture_words(lang), sheet.models
    with drawing():
        figure, axes = panels(panel_places(models), width=3.4, height=2.6)
        for model, (ax,) in zip(models, axes, strict=True):
            chosen = [run["test"]["macro_f1"] for run in model.runs]
            if runs := sheet.readable(model):
                _draw(ax, runs, 100 * float(np.mean(chosen)))
            ax.set_title(model.title(words["model"]))
            ax.set_xlabel(words["threshold"])
            ax.set_xlim(0, 1)
            ax.grid(color="#e4e4e4", linewidth=0.6)
            if is_leftmost(ax):
                ax.set_ylabel(f"{words['macro_f1']} (%)")
        top = max((ax.get_ylim()[1] for (ax,) in axes if ax.has_data()), default=1.0)
        for (ax,) in axes:
            ax.set_ylim(0, top)
            ax.tick_params(labelleft=is_leftmost(ax))
        handles = [
            Line2D([], [], color=COLOURS[0], linewidth=1.8),
            Line2D([], [], color=COLOURS[1], linestyle="--", linewidth=1.4),
            Line2D([], [], color=COLOURS[1], marker="|", linestyle="", markersize=8),
        ]
        names = [words[key] for key in ("over_threshold", "at_chosen", "chosen")]
        figure.legend(handles, names, loc="outside lower center", ncols=3)
        seeds = seed_phrase(models, words, "many_seeds_mean_only")
        set_heading(figure, models[0].encoder, words["thresholds"].format(seeds))
        return save(figure, path)


def _draw(ax: Axes, runs: list[Arrays], at_chosen: float) -> None:
    curves = [100 * f1_over_thresholds(sigmoid(run["logits"]), run["labels"], GRID) for run in runs]
    ax.plot(GRID, np.mean(curves, axis=0), color=COLOURS[0], linewidth=1.8)
    ax.axhline(at_chosen, color=COLOURS[1], linestyle="--", linewidth=1.4)
    places = np.concatenate([run["thresholds"] for run in runs])
    height = 0.06  # of the panel, at its foot
    ax.vlines(places, 0, height, color=COLOURS[1], linewidth=0.8, alpha=0.5, transform=ax.get_xaxis_transform())
