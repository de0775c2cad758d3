"""Confusion matrices of all models of an encoder, summed over seeds, on one sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import ModelRuns, panel_places
from emo_hf.report.plots.fonts import drawable_labels
from emo_hf.report.plots.layout import (
    FRAME,
    drawing,
    is_leftmost,
    panels,
    picture_words,
    save,
    seed_phrase,
    set_heading,
    short_labels,
)

MOST_CLASSES_WITH_NUMBERS = 12


def draw_confusion(sheet: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Draw each model's matrix: percent of the true class as colour and, up to twelve classes, number with count."""
    words, models = picture_words(lang), sheet.models
    labels = short_labels(drawable_labels(sheet.labels, words["class"]))
    side = min(max(3.0, 0.42 * len(labels)), 7.0)
    with drawing():
        figure, axes = panels(panel_places(models), width=side + 0.4, height=side + 0.45)
        for model, (ax,) in zip(models, axes, strict=True):
            image = _draw_matrix(ax, matrix(model), labels)
            ax.set_title(model.title(words["model"]))
            ax.set_xlabel(words["predicted"])
            if is_leftmost(ax):
                ax.set_ylabel(words["true"])
        title = words["confusion"].format(seed_phrase(models, words, "many_seeds_sum"))
        if _too_many(labels):
            figure.colorbar(image, ax=axes.ravel().tolist(), shrink=0.5, aspect=30, pad=0.02, format="%d %%")
        else:
            title += words["with_counts"]
        set_heading(figure, models[0].encoder, title)
        return save(figure, path)


def matrix(model: ModelRuns) -> np.ndarray:
    """Counts (C, C) summed over seeds, rows true, columns predicted."""
    return np.sum([run["test"]["confusion_matrix"] for run in model.runs], axis=0)


def _too_many(labels: list[str]) -> bool:
    return len(labels) > MOST_CLASSES_WITH_NUMBERS


def _draw_matrix(ax: Axes, counts: np.ndarray, labels: list[str]) -> AxesImage:
    support = counts.sum(axis=1, keepdims=True)
    percent = 100 * counts / np.maximum(support, 1)  # a class without a test row stays at zero
    image = ax.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    ax.spines[:].set(visible=True, color=FRAME)
    many = _too_many(labels)
    crowded = many or len(labels) * max(map(len, labels)) > 24
    size = 5 if len(labels) > 30 else 7 if many else 9
    ax.set_xticks(range(len(labels)), labels, fontsize=size, rotation=90 if many else 35 if crowded else 0)
    if crowded and not many:
        for tick in ax.get_xticklabels():
            tick.set(ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(labels)), labels, fontsize=size)
    ax.tick_params(length=0)
    if not many:
        size = min(9.5, 42 / len(labels) ** 0.9)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if percent[row, column] > 55 else "black"
            text = f"{percent[row, column]:.1f}\n({count})"
            ax.text(column, row, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1.3)
    return image
