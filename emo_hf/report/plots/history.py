"""Training histories: loss and accuracy (of sets of labels, macro-F1) by epoch, an encoder's models on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import ModelRuns, panel_places
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

STYLES: dict[str, tuple[str, Literal["-", "--"]]] = {"train": (COLOURS[1], "--"), "validation": (COLOURS[0], "-")}
# The training loss without its metric term and the smoothing of labels, so that models and splits can be compared.
LOSSES = {"train": ("plain_ce_loss", "ce_loss", "train_loss"), "validation": ("validation_loss",)}


def draw_history(sheet: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Draw training and validation, mean ± sd over seeds, for each model of one encoder; same axes in all panels."""
    words, models = picture_words(lang), sheet.models
    # Hardly a row has all of its labels right: of sets the score that training aims at is shown, which no training
    # row is measured by.
    score, names = "accuracy", (words["cross_entropy"], f"{words['accuracy'].lower()} (%)")
    if sheet.multi_label:
        score, names = "macro_f1", (words["binary_cross_entropy"], f"{words['macro_f1']} (%)")
    with drawing():
        figure, axes = panels(panel_places(models), width=3.7, height=1.75, stacked=2)
        for model, (loss, scored) in zip(models, axes, strict=True):
            for split in STYLES:
                _draw_curve(loss, model, split, LOSSES[split], 1)
                _draw_curve(scored, model, split, (f"{split}_{score}",), 100)
            loss.set_title(model.title(words["model"]))
            scored.set_xlabel(words["epoch"])
            loss.tick_params(labelbottom=False)
            for ax in (loss, scored):
                ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
                ax.grid(color="#e4e4e4", linewidth=0.6)
        for row, word in enumerate(names):
            _share_limits(list(axes[:, row]))
            for ax in axes[:, row]:
                is_left = is_leftmost(ax)
                ax.tick_params(labelleft=is_left)
                if is_left:
                    ax.set_ylabel(word)
        handles = [Line2D([], [], color=colour, linestyle=line, linewidth=1.8) for colour, line in STYLES.values()]
        figure.legend(handles, [words[split] for split in STYLES], loc="outside lower center", ncols=2)
        seeds = seed_phrase(models, words, "many_seeds_mean")
        set_heading(figure, models[0].encoder, words["history"].format(seeds))
        figure.align_ylabels()
        return save(figure, path)


def curves(model: ModelRuns, *keys: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (E,) and values (seeds, E) of one history entry, NaN where a seed has none at that epoch.

    Of several keys the first that a row of the history holds is taken.
    """
    histories = []
    for run in model.runs:
        found = {row["epoch"]: [row[key] for key in keys if row.get(key) is not None] for row in run["history"]}
        history = {round(epoch, 3): values[0] for epoch, values in found.items() if values}
        if history:
            histories.append(history)
    epochs = sorted(set().union(*histories))
    values = [[history.get(epoch, np.nan) for epoch in epochs] for history in histories]
    return np.array(epochs, dtype=float), np.array(values, dtype=float).reshape(len(histories), len(epochs))


def _draw_curve(ax: Axes, model: ModelRuns, split: str, keys: tuple[str, ...], scale: float) -> None:
    colour, line = STYLES[split]
    epochs, values = curves(model, *keys)
    values = scale * values
    # Where some seeds have stopped early, a mean of the rest would bend for no reason of training: it ends there,
    # and the seeds that went on are shown one by one.
    complete = np.isfinite(values).all(axis=0)
    if not complete.all():
        start = int(np.flatnonzero(complete)[-1]) if complete.any() else 0
        for seed_values in values[:, start:]:
            ax.plot(epochs[start:], seed_values, color=colour, linestyle=line, linewidth=0.9, alpha=0.6)
    if complete.any():
        epochs, values = epochs[complete], values[:, complete]
        mean = values.mean(axis=0)
        sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
        if len(epochs) > 1:
            ax.plot(epochs, mean, color=colour, linestyle=line, linewidth=1.8)
            ax.fill_between(epochs, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
        else:  # a line and a band through one point can not be seen
            ax.errorbar(epochs, mean, sd, color=colour, marker="o", markersize=4, elinewidth=1)


def _share_limits(axes: list[Axes]) -> None:
    for name in ("xlim", "ylim"):
        limits = np.array([getattr(ax, f"get_{name}")() for ax in axes if ax.has_data()])
        if len(limits):
            for ax in axes:
                low, high = limits[:, 0].min(), limits[:, 1].max()
                # One epoch alone still gets an axis with whole numbers.
                short = max(0.0, 1.2 - (high - low)) / 2 if name == "xlim" else 0.0
                getattr(ax, f"set_{name}")(low - short, high + short)
