"""Reliability plots: how far the probabilities of each model can be believed, an encoder's models on one sheet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from emo_hf.evaluation.calibration import Reliability, reliability, reliability_of_sets
from emo_hf.evaluation.thresholds import sigmoid
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
from emo_hf.report.table import scores

FEWEST = 10
BINS = 10  # the picture's; the error itself is that of the record, with 15


def draw_calibration(sheet: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Draw accuracy against confidence in ten bins over all seeds, with 95 % intervals and the share of the texts.

    Where runs have a temperature, a broken line shows the same before it. The intervals are binomial, of the test
    texts: each text counts once, however many seeds answer it. Of sets of labels the share of texts that have a label
    against its probability, over all labels.
    """
    words, models = picture_words(lang), sheet.models
    line, name, across, ideal, share = (
        (words["having"], words["having_line"], "probability", "ideal_sets", "share_sets")
        if sheet.multi_label
        else (f"{words['accuracy'].lower()} (%)", words["accuracy"].lower(), "confidence", "ideal", "share")
    )
    with drawing():
        figure, axes = panels(panel_places(models), width=3.4, height=3.55)
        for model, (ax,) in zip(models, axes, strict=True):
            found = pooled(sheet, model)
            if found is not None:
                _draw(ax, found, len(sheet.readable(model)))
            if (before := pooled(sheet, model, before=True)) is not None:
                _line(ax, before, color=COLOURS[1], linestyle="--", linewidth=1.2)
            found_scores = scores(model)
            errors = [found_scores[name].mean for name in ("ece", "ece_before") if name in found_scores]
            said = [f"{100 * error:.1f}" for error in errors if error is not None]
            known = f" · ECE {said[0]} %" if said and len(said) == len(errors) else ""
            if known and said[1:]:
                known += words["ece_was"].format(*said[1:])
            ax.set_title(model.title(words["model"]) + known, fontsize=9)
            ax.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
            ax.set_xlabel(words[across])
            is_left = is_leftmost(ax)
            ax.tick_params(labelleft=is_left)
            if is_left:
                ax.set_ylabel(line)
        handles = [
            Line2D([], [], color=COLOURS[0], marker="o", markersize=4),
            Line2D([], [], color="#777777", linestyle=":"),
            Patch(color="#dddddd"),
        ]
        names = [name, words[ideal], words[share]]
        if any("ece_before" in scores(model) for model in models):
            handles.insert(1, Line2D([], [], color=COLOURS[1], linestyle="--"))
            names.insert(1, words["before_line"])
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        set_heading(
            figure, models[0].encoder, words["calibration"].format(seed_phrase(models, words, "many_seeds_sum"))
        )
        return save(figure, path)


def pooled(sheet: Analysis, model: ModelRuns, *, before: bool = False) -> Reliability | None:
    """The reliability over all runs of a model, or None where no run has predictions that can be read.

    With `before`, as it was without their temperatures; None where they have none.
    """
    runs = [run for run in model.runs if run["directory"] in sheet.predictions]
    by = [(run.get("calibration") or {}).get("temperatures") for run in runs]
    if not runs or (before and None in by):
        return None
    found = [sheet.predictions[run["directory"]] for run in runs]
    labels = np.concatenate([arrays["labels"] for arrays in found])
    logits = np.concatenate(
        [arrays["logits"] * np.array(by[place] if before else 1.0) for place, arrays in enumerate(found)]
    )
    return reliability_of_sets(sigmoid(logits), labels, BINS) if labels.ndim > 1 else reliability(logits, labels, BINS)


def _draw(ax: Axes, found: Reliability, runs: int) -> None:
    centres = 100 * (np.arange(BINS) + 0.5) / BINS
    ax.bar(centres, 100 * found.counts / found.counts.sum(), 100 / BINS, color="#dddddd", edgecolor="white")
    ax.plot([0, 100], [0, 100], color="#777777", linestyle=":", linewidth=1)
    kept = found.counts >= FEWEST
    low, high = replace(found, counts=found.counts / runs).intervals()
    ax.vlines(100 * found.confidence[kept], 100 * low[kept], 100 * high[kept], color=COLOURS[0], linewidth=1)
    _line(ax, found, color=COLOURS[0], marker="o", markersize=4, linewidth=1.6)


def _line(ax: Axes, found: Reliability, **style: Any) -> None:
    kept = found.counts >= FEWEST  # the accuracy of a handful of texts is no accuracy
    ax.plot(100 * found.confidence[kept], 100 * found.accuracy[kept], **style)
