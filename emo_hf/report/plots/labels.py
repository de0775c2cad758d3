"""The labels of texts that have several: the F1 of each with its interval, and which ones go together."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from emo_hf.evaluation.label_sets import cooccurrence
from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import ModelRuns
from emo_hf.report.plots.fonts import drawable_labels
from emo_hf.report.plots.layout import (
    COLOURS,
    FRAME,
    drawing,
    picture_language,
    picture_name,
    picture_words,
    save,
    short_labels,
)
from emo_hf.report.predictions import LINEAR
from emo_hf.report.wording import baseline_name

MOST = 60  # labels; more can't be read
MOST_WITH_NUMBERS = 12
BAR, OTHER = "#a8cde6", "#555555"  # the colours of the best model, and of all others


def draw_labels(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Draw the F1 of each label of the model with the highest mean macro-F1, its interval, and all others beside."""
    words, shown = picture_words(lang), _commonest(analysis.true_classes)
    best = max(
        (model for model in analysis.models if model.cell in analysis.classes),
        key=lambda model: np.mean([run["test"]["macro_f1"] for run in model.runs]),
    )
    low, high = label_intervals(analysis, best, shown)
    bars, at = _f1(best)[shown], np.arange(len(shown))
    with drawing():
        figure = _figure(7.5, 1.7 + 0.21 * len(shown))
        ax = figure.subplots()
        reach = np.clip([bars - low, high - bars], 0, None)
        ax.barh(at, bars, height=0.72, color=BAR)
        ax.errorbar(bars, at, xerr=reach, fmt="none", ecolor=COLOURS[0], elinewidth=1.2, capsize=2)
        for model in analysis.models:
            if model is not best:
                ax.plot(_f1(model)[shown], at, "o", color=OTHER, markersize=2.2, alpha=0.6)
        for model in [model for model in analysis.baselines if model.encoder == LINEAR]:
            ax.plot(_f1(model)[shown], at, "D", markerfacecolor="white", markeredgecolor=COLOURS[1], markersize=4)
        ax.set_yticks(at, _names(analysis, shown, lang), fontsize=8)
        ax.set(xlim=(0, 100), ylim=(len(shown) - 0.4, -0.6), xlabel="F1 (%)")
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="#e4e4e4", linewidth=0.6)
        ax.set_axisbelow(True)
        handles = _handles(analysis, best, words, lang)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
        figure.suptitle(words["labels"].format(_how_many(analysis, shown, words)))
        return save(figure, path)


def _handles(analysis: Analysis, best: ModelRuns, words: dict[str, str], lang: str) -> dict[str, Patch | Line2D]:
    """What the legend of the bars shows, by name."""
    interval = words["interval_both" if len(best.runs) > 1 else "interval_texts"]
    found: dict[str, Patch | Line2D] = {
        f"{picture_name(best.encoder)}, {best.title(words['model'])}": Patch(color=BAR),
        interval: Line2D([], [], color=COLOURS[0]),
    }
    if len(analysis.models) > 1:
        found[words["other_models"]] = Line2D([], [], color=OTHER, marker="o", linestyle="", markersize=3)
    if any(model.encoder == LINEAR for model in analysis.baselines):
        diamond = Line2D([], [], marker="D", linestyle="", markersize=4)
        diamond.set(markerfacecolor="white", markeredgecolor=COLOURS[1])
        found[baseline_name(LINEAR, picture_language(lang))] = diamond
    return found


def label_intervals(analysis: Analysis, model: ModelRuns, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a model's F1 of the labels `shown`, in percent: over texts and seeds, or over texts alone.

    All models tell how much seeds vary, as in the findings.
    """
    found, runs = [], {cell: given[..., shown] for cell, given in analysis.classes.items()}
    for bootstrap in MultiBootstrap.of_each_label(runs, analysis.true_classes[:, shown]):
        effect = bootstrap.effect({model.cell: 1.0})
        if math.isnan(effect.standard_error):
            reach = float(stats.norm.ppf(0.975)) * math.sqrt(bootstrap.row_variance({model.cell: 1.0}))
            found.append((max(0.0, effect.estimate - reach), min(1.0, effect.estimate + reach)))
        else:
            found.append(effect.interval())
    low, high = 100 * np.array(found).T
    return low, high


def draw_cooccurrence(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Draw which share of the test rows of a label (row) has another (column) too, the commonest label first."""
    words, shown = picture_words(lang), _commonest(analysis.true_classes)
    percent = 100 * cooccurrence(analysis.true_classes)[np.ix_(shown, shown)]
    np.fill_diagonal(percent, np.nan)
    names = _names(analysis, shown, lang, counted=False)
    side, many = min(max(3.6, 0.21 * len(shown)), 10.0), len(shown) > MOST_WITH_NUMBERS
    size = 8 if not many else 7 if len(shown) <= 48 else 5.5
    with drawing():
        figure = _figure(max(side + 2.2, 7.5), side + 1.4)
        ax = figure.subplots()
        ax.set_facecolor("#eeeeee")
        known = percent[np.isfinite(percent)]
        most = max(float(known.max()), 1.0) if len(known) else 1.0
        image = ax.imshow(percent, cmap="Blues", vmin=0, vmax=most)
        ax.spines[:].set(visible=True, color=FRAME)
        ax.set_xticks(range(len(shown)), names, fontsize=size, rotation=90)
        ax.set_yticks(range(len(shown)), _names(analysis, shown, lang), fontsize=size)
        ax.tick_params(length=0)
        if many:
            figure.colorbar(image, ax=ax, shrink=0.6, aspect=30, pad=0.02, format="%d %%")
        else:
            for (row, column), value in np.ndenumerate(percent):
                if np.isfinite(value):
                    dark = value > 0.55 * most
                    ax.text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if dark else "black")
        title, part = words["cooccurrence"], _how_many(analysis, shown, words)
        figure.suptitle(f"{title}, {part}" if len(shown) < len(analysis.labels) else title)
        return save(figure, path)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.09))


def _commonest(labels: np.ndarray) -> np.ndarray:
    """The places of the labels that have most test rows, of sets (N, C), the commonest first."""
    return np.argsort(-labels.sum(0, dtype=int), kind="stable")[:MOST]


def _names(analysis: Analysis, shown: np.ndarray, lang: str, counted: bool = True) -> list[str]:
    """The names of labels and, in brackets, how many test texts have each."""
    words = picture_words(lang)
    names, counts = short_labels(drawable_labels(analysis.labels, words["class"])), analysis.true_classes.sum(0)
    return [
        words["texts_of_label"].format(label=names[place], n=f"{counts[place]:,}") if counted else names[place]
        for place in shown
    ]


def _how_many(analysis: Analysis, shown: np.ndarray, words: dict[str, str]) -> str:
    """Which labels stand there, where they are not all; else how many texts."""
    if len(shown) < len(analysis.labels):
        return words["commonest"].format(n=len(shown), total=f"{len(analysis.labels):,}")
    return words["texts"].format(n=f"{len(analysis.true_classes):,}")


def _f1(model: ModelRuns) -> np.ndarray:
    """Mean F1 over seeds (C,) in percent; NaN for a label without test rows."""
    found = [[run["test"]["per_class"][label]["f1"] for label in model.labels] for run in model.runs]
    return 100 * np.array(found, dtype=float).mean(0)
