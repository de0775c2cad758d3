"""What if it had been higher? A figure and a table of a study that varies an argument over several values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import Decision, decide
from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import interval_text, level_text
from emo_hf.report.findings import findings_note
from emo_hf.report.grouping import ModelRuns, flowing
from emo_hf.report.plots.layout import (
    COLOURS,
    MARKERS,
    drawing,
    is_leftmost,
    panels,
    picture_language,
    picture_words,
    save,
    seed_phrase,
    set_heading,
)
from emo_hf.report.table import MISSING, printed, scores
from emo_hf.report.wording import WORDS, baseline_name, p_value
from emo_hf.storage.files import write_whole

LINEAR = ("train_fraction",)  # settings whose values lie on an axis; others are drawn at equal steps


@dataclass(frozen=True)
class Point:
    """One model of a sweep: its macro-F1, and the difference to its baseline with what it says."""

    model: ModelRuns
    score: Effect
    difference: Effect | None
    decision: Decision | None


def sweep_points(analysis: Analysis) -> list[Point]:
    """Every model against its baseline; empty where nothing can be compared.

    The baseline has the same encoder and pooling: without auxiliary loss where the sweep is of the loss's own
    arguments, else with the same loss and the first value of each setting.
    """
    bootstrap = analysis.bootstrap
    if bootstrap is None:
        return []
    models = [model for model in analysis.models if model.cell in analysis.classes]
    # With few rows the linear baseline has a curve of its own.
    models += [one for one in analysis.baselines if one.settings and one.cell in analysis.linear.classes]
    found = [bootstrap.effect({model.cell: 1.0}) for model in models]
    differences: dict[int, Effect] = {}
    for place, model in enumerate(models):
        if base := baseline(model, models):
            differences[place] = bootstrap.effect({model.cell: 1.0, base.cell: -1.0})
    decided = decide(list(differences.values()), analysis.equal_within / 100)
    decisions = dict(zip(differences, decided, strict=True))
    return [
        Point(model, found[place], differences.get(place), decisions.get(place)) for place, model in enumerate(models)
    ]


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
    header += [words[key] for key in ("deciding", "p_different", "p_equal", "verdict", "seeds")]
    lines = [header, ["---"] * 4 + ["---:"] * 6 + ["---", "---:"]]
    for point in points:
        model = point.model
        mean = printed("macro_f1", scores(model)["macro_f1"])
        naming = (baseline_name(model.encoder, lang), model.pooling, model.aux, model.setting_text())
        names = [markdown_name(str(name)) if name else MISSING for name in naming]
        lines.append([*names, mean, _interval(point.score), *_difference(point, lang), str(len(model.runs))])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    has_intervals = _has_intervals(points)
    note = findings_note(analysis, lang=lang, note="sweep_note") if has_intervals else words["sweep_one_seed_note"]
    return f"{table}\n\n{note}\n"


def _difference(point: Point, lang: str) -> list[str]:
    """The cells of a difference: estimate, deciding interval with its level, both p-values, verdict."""
    effect, decision = point.difference, point.decision
    if effect is None or decision is None:
        return [MISSING] * 5
    estimate = f"{100 * effect.estimate:+z.1f}"
    if math.isnan(decision.p):
        return [estimate, *[MISSING] * 4]
    intervals = ", ".join(f"{interval_text(one)} ({level_text(one.level)})" for one in decision.intervals)
    p = [p_value(value).removeprefix("p ").removeprefix("= ") for value in (decision.p, decision.p_equal)]
    return [estimate, intervals, *p, f"**{WORDS[lang][decision.verdict.name.lower()]}**"]


def draw_sweep(analysis: Analysis, path: Path, *, name: str, lang: str = "en") -> Path:
    """Draw macro-F1 over the values of a setting, a panel each encoder and pooling; with intervals where known."""
    words, points = picture_words(lang), sweep_points(analysis)
    of_models = [point.model for point in points if point.model.number is not None]
    places = list(dict.fromkeys((model.encoder, model.pooling) for model in of_models))
    with drawing():
        figure, axes = panels(flowing(max(len(places), 1)), width=3.4, height=2.8)
        values = sorted({dict(p.model.settings)[name] for p in points if name in dict(p.model.settings)}, key=_order)
        lines: dict[str, None] = {}
        for (encoder, pooling), (ax,) in zip(places, axes, strict=True):
            inside = [p for p in points if (p.model.encoder, p.model.pooling) == (encoder, pooling)]
            inside += [p for p in points if p.model.number is None]  # beside the models of each
            _draw_panel(ax, inside, name, values, lines, lang)
            ax.set_title(f"{encoder} · {pooling}")
            ax.set_xlabel(name)
            if is_leftmost(ax):
                ax.set_ylabel(f"{words['macro_f1']} (%)")
        shown = [ax for (ax,) in axes if ax.has_data()]
        low, high = (f(ax.get_ylim()[side] for ax in shown) for side, f in ((0, min), (1, max)))
        for ax in shown:
            ax.set_ylim(low, high)
        found = {label: handle for ax in shown for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(
            found.values(),
            found.keys(),
            loc="outside lower center",
            ncols=min(len(found), 4 if max(map(len, found)) < 20 else 2),
        )
        seeds = seed_phrase([point.model for point in points], words, "many_seeds_mean_only")
        title = words["sweep" if _has_intervals(points) else "sweep_one_seed"].format(name=name, seeds=seeds)
        set_heading(figure, ", ".join(dict.fromkeys(encoder for encoder, _ in places)), title)
        return save(figure, path)


def _draw_panel(
    ax: Axes, points: list[Point], name: str, values: list[Any], lines: dict[str, None], lang: str
) -> None:
    ticks = values if name in LINEAR else list(range(len(values)))
    groups: dict[str, list[Point]] = {}
    for point in points:
        called = point.model.aux or baseline_name(point.model.encoder, picture_language(lang))
        rest = ", ".join(text for text in (called, point.model.setting_text(without=name)) if text)
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
        shift = 0.0 if name in LINEAR else 0.08 * (place - (len(groups) - 1) / 2)
        ax.errorbar(
            x + shift,
            y,
            reach if reach.any() else None,
            color=colour,
            marker=marker,
            markersize=4,
            linestyle="-" if all(map(_numeric, values)) else "none",  # between names there is nothing
            linewidth=1.6,
            elinewidth=0.9,
            label=label,
        )
    if name in LINEAR:
        ax.set_xlim(0, max(values) * 1.04)
    else:
        ax.set_xticks(ticks, [f"{v:g}" if _numeric(v) else str(v) for v in values])
        ax.set_xlim(-0.5, len(values) - 0.5)
    ax.grid(axis="y", color="#e4e4e4", linewidth=0.6)


def _has_intervals(points: list[Point]) -> bool:
    """Whether any model has: those with one seed have none."""
    return any(not math.isnan(point.score.low) for point in points)


def _interval(score: Effect) -> str:
    return MISSING if math.isnan(score.low) else f"[{100 * score.low:.1f}, {100 * score.high:.1f}]"


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Any) -> tuple[bool, Any]:
    numeric = isinstance(value, int | float)
    return (not numeric, value if numeric else str(value))
