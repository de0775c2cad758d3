"""What if it had been higher? A figure and a table of a study that varies an argument over several values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.statistics import Effect, holm
from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import ModelRuns, flowing
from emo_hf.report.plots.layout import (
    COLOURS,
    MARKERS,
    drawing,
    is_leftmost,
    panels,
    picture_words,
    save,
    seed_phrase,
    set_heading,
)
from emo_hf.report.table import MISSING, printed, scores
from emo_hf.report.wording import WORDS, p_value
from emo_hf.storage.files import write_whole

LINEAR = ("train_fraction",)  # settings whose values lie on an axis; others are drawn at equal steps


@dataclass(frozen=True)
class Point:
    """One model of a sweep: its macro-F1, and the difference to its baseline with p corrected by Holm's method."""

    model: ModelRuns
    score: Effect
    difference: Effect | None
    p: float


def sweep_points(analysis: Analysis) -> list[Point]:
    """Every model against its baseline; empty where nothing can be compared.

    The baseline has the same encoder and pooling: without auxiliary loss where the sweep is of the loss's own
    arguments, else with the same loss and the first value of each setting.
    """
    bootstrap = analysis.bootstrap
    if bootstrap is None:
        return []
    models = [model for model in analysis.models if model.cell in analysis.classes]
    found = [bootstrap.effect({model.cell: 1.0}) for model in models]
    differences = []
    for model in models:
        base = baseline(model, models)
        weights = None if base is None else {model.cell: 1.0, base.cell: -1.0}
        differences.append(bootstrap.effect(weights) if weights else None)
    corrected = holm([math.nan if d is None else d.p for d in differences])
    return [Point(*point) for point in zip(models, found, differences, corrected, strict=True)]


def baseline(model: ModelRuns, models: list[ModelRuns]) -> ModelRuns | None:
    """What a model of a sweep is compared with; None for a baseline itself."""
    alike = [other for other in models if (other.encoder, other.pooling) == (model.encoder, model.pooling)]
    without = [other for other in alike if other.aux == "none"]
    same = [other for other in alike if other.aux == model.aux]
    if model.aux != "none" and len(without) == 1 and set(dict(model.settings)) - set(dict(without[0].settings)):
        found = without[0]
    else:
        found = same[0]
    return None if found is model else found


def write_sweep(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write the table of a sweep as markdown and return the path."""
    return write_whole(path, sweep_markdown(analysis, lang=lang).encode("utf-8"))


def sweep_markdown(analysis: Analysis, *, lang: str = "en") -> str:
    """One row a model: macro-F1 with its interval, and the difference to the baseline with interval and p."""
    words, points = WORDS[lang], sweep_points(analysis)
    if not points:
        return f"{words['no_findings' if analysis.same_rows else 'different_rows']}\n"
    header = [words[key] for key in ("encoder", "pooling", "aux", "settings", "macro_f1", "interval", "difference")]
    header += [words["interval"], "p", words["seeds"]]
    lines = [header, ["---"] * 4 + ["---:"] * 6]
    for point in points:
        model = point.model
        mean = printed("macro_f1", scores(model)["macro_f1"])
        naming = (model.encoder, model.pooling, model.aux, model.setting_text() or MISSING)
        names = [markdown_name(str(name)) for name in naming]
        difference = MISSING if point.difference is None else f"{100 * point.difference.estimate:+z.1f}"
        p = MISSING if math.isnan(point.p) else p_value(point.p).removeprefix("p ").removeprefix("= ")
        seeds = str(len(model.runs))
        lines.append(
            [*names, mean, _interval(point.score, ""), difference, _interval(point.difference, "+"), p, seeds]
        )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = f"{words['sweep_note']} {words['uncorrected']}" if _has_intervals(points) else words["sweep_one_seed_note"]
    return f"{table}\n\n{note}\n"


def draw_sweep(analysis: Analysis, path: Path, *, name: str, lang: str = "en") -> Path:
    """Draw macro-F1 over the values of a setting, a panel each encoder and pooling; with intervals where known."""
    words, points = picture_words(lang), sweep_points(analysis)
    places = list(dict.fromkeys((point.model.encoder, point.model.pooling) for point in points))
    with drawing():
        figure, axes = panels(flowing(max(len(places), 1)), width=3.4, height=2.8)
        values = sorted({dict(p.model.settings)[name] for p in points if name in dict(p.model.settings)}, key=_order)
        lines: dict[str, None] = {}
        for (encoder, pooling), (ax,) in zip(places, axes, strict=True):
            inside = [p for p in points if (p.model.encoder, p.model.pooling) == (encoder, pooling)]
            _draw_panel(ax, inside, name, values, lines)
            ax.set_title(f"{encoder} · {pooling}")
            ax.set_xlabel(name)
            if is_leftmost(ax):
                ax.set_ylabel(f"{words['macro_f1']} (%)")
        shown = [ax for (ax,) in axes if ax.has_data()]
        low, high = (f(ax.get_ylim()[side] for ax in shown) for side, f in ((0, min), (1, max)))
        for ax in shown:
            ax.set_ylim(low, high)
        found = {label: handle for ax in shown for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=min(len(found), 4))
        seeds = seed_phrase([point.model for point in points], words, "many_seeds_mean_only")
        title = words["sweep" if _has_intervals(points) else "sweep_one_seed"].format(name=name, seeds=seeds)
        set_heading(figure, ", ".join(dict.fromkeys(encoder for encoder, _ in places)), title)
        return save(figure, path)


def _draw_panel(ax: Axes, points: list[Point], name: str, values: list[Any], lines: dict[str, None]) -> None:
    ticks = values if name in LINEAR else list(range(len(values)))
    groups: dict[str, list[Point]] = {}
    for point in points:
        rest = ", ".join(text for text in (point.model.aux, point.model.setting_text(without=name)) if text)
        groups.setdefault(rest, []).append(point)
    for label, members in groups.items():
        lines.setdefault(label)
        place = list(lines).index(label)
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        at = [
            (ticks[values.index(dict(p.model.settings)[name])], p.score)
            for p in members
            if name in dict(p.model.settings)
        ]
        if not at:  # a model that the setting does not touch: a line to measure the others by
            score = members[0].score
            ax.axhline(100 * score.estimate, color="#777777", linestyle="--", linewidth=1.2, label=label)
            if not math.isnan(score.low):
                ax.axhspan(100 * score.low, 100 * score.high, color="#777777", alpha=0.12, linewidth=0)
            continue
        at.sort(key=lambda pair: pair[0])
        x, y = np.array([a for a, _ in at], dtype=float), np.array([100 * s.estimate for _, s in at])
        reach = np.nan_to_num([[100 * (s.estimate - s.low), 100 * (s.high - s.estimate)] for _, s in at]).T
        # Intervals of several lines side by side, not one above the other.
        shift = 0.0 if name in LINEAR else 0.08 * (place - 1)
        ax.errorbar(
            x + shift,
            y,
            reach if reach.any() else None,
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.6,
            elinewidth=0.9,
            label=label,
        )
    if name in LINEAR:
        ax.set_xlim(0, max(values) * 1.04)
    else:
        ax.set_xticks(
            ticks, [f"{v:g}" if isinstance(v, int | float) and not isinstance(v, bool) else str(v) for v in values]
        )
    ax.grid(axis="y", color="#e4e4e4", linewidth=0.6)


def _has_intervals(points: list[Point]) -> bool:
    """Whether any model has: those with one seed have none."""
    return any(not math.isnan(point.score.low) for point in points)


def _interval(effect: Effect | None, sign: str) -> str:
    if effect is None or math.isnan(effect.low):
        return MISSING
    return f"[{100 * effect.low:{sign}z.1f}, {100 * effect.high:{sign}z.1f}]"


def _order(value: Any) -> tuple[bool, Any]:
    numeric = isinstance(value, int | float)
    return (not numeric, value if numeric else str(value))
