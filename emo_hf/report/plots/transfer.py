"""Pictures of a study of transfer: a heat map of who does how well where, and curves over rows of the target."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from emo_hf.report.grouping import flowing
from emo_hf.report.plots.fonts import drawable_labels
from emo_hf.report.plots.layout import (
    COLOURS,
    FRAME,
    MARKERS,
    drawing,
    is_leftmost,
    panels,
    picture_language,
    save,
    set_heading,
    short_labels,
)
from emo_hf.report.table import MISSING
from emo_hf.report.transfer import Arm, TransferAnalysis
from emo_hf.report.transfer_tables import seeds_of
from emo_hf.report.transfer_words import TRANSFER_WORDS

DARK = 0.55  # of the scale, from which on letters are white


def draw_heat_map(analysis: TransferAnalysis, path: Path, *, lang: str = "en") -> Path:
    """Draw macro-F1 of each source's model on each target, own models framed, with intervals and TF-IDF."""
    words = TRANSFER_WORDS[picture_language(lang)]
    lines, targets = analysis.lines, analysis.targets
    values = np.full((len(lines), len(targets)), np.nan)
    for source, target in analysis.cells:
        if (score := analysis.score(target, Arm(source))) is not None:
            values[lines.index(source), targets.index(target)] = 100 * score.estimate
    with drawing():
        figure, [[ax]] = panels([(0, 0)], width=1.75 * len(targets) + 2.2, height=0.95 * len(lines) + 0.7)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        image = ax.imshow(values, cmap="Blues", vmin=low - 0.15 * max(high - low, 1), vmax=high, aspect="auto")
        for row, source in enumerate(lines):
            for column, target in enumerate(targets):
                _write_cell(ax, analysis, (row, column), (source, target), image.norm(values[row, column]), words)
                if source == target:
                    place = (column - 0.49, row - 0.48)
                    ax.add_patch(Rectangle(place, 0.98, 0.96, fill=False, edgecolor=COLOURS[1], linewidth=2))
        ax.set_xticks(range(len(targets)), _names(targets))
        ax.set_yticks(range(len(lines)), _names(lines))
        ax.set_xlabel(words["tested_on"])
        ax.set_ylabel(words["trained_on"])
        ax.tick_params(length=0)
        ax.spines[:].set(visible=True, color=FRAME)
        set_heading(figure, str(analysis.told["model"]["encoder"]), words["heat"])
        return save(figure, path)


def _write_cell(
    ax: Axes,
    analysis: TransferAnalysis,
    place: tuple[int, int],
    pair: tuple[str, str],
    shade: float,
    words: dict[str, str],
) -> None:
    """The score, its interval and TF-IDF's score in a cell."""
    (row, column), (source, target) = place, pair
    score = analysis.score(target, Arm(source)) if pair in analysis.cells else None
    if score is None:
        ax.text(column, row, MISSING, ha="center", va="center", color="#777777")
        return
    colour = "white" if shade > DARK else "black"
    interval = "" if math.isnan(score.low) else f"[{100 * score.low:.1f}, {100 * score.high:.1f}]"
    linear = analysis.score(target, Arm(source, linear=True))
    below = "" if linear is None else words["heat_linear"].format(score=f"{100 * linear.estimate:.1f}")
    ax.text(column, row - 0.22, f"{100 * score.estimate:.1f}", ha="center", va="center", color=colour, fontsize=12)
    small = "\n".join(text for text in (interval, below) if text)
    ax.text(column, row + 0.17, small, ha="center", va="center", color=colour, fontsize=8, linespacing=1.35)


def draw_curves(analysis: TransferAnalysis, path: Path, *, lang: str = "en") -> Path:
    """Draw macro-F1 over the rows of the target that were trained on, a panel each target, a line each source."""
    words = TRANSFER_WORDS[picture_language(lang)]
    steps = [0, *analysis.rows]
    with drawing():
        figure, axes = panels(flowing(len(analysis.targets)), width=3.4, height=2.9)
        for target, (ax,) in zip(analysis.targets, axes, strict=True):
            _draw_target(ax, analysis, target, steps, words)
            ax.set_title(_names([target])[0])
            ax.set_xlabel(words["rows"])
            if is_leftmost(ax):
                ax.set_ylabel(f"{words['macro_f1']} (%)")
        shown = [ax for (ax,) in axes]
        low, high = (f(ax.get_ylim()[side] for ax in shown) for side, f in ((0, min), (1, max)))
        for ax in shown:
            ax.set_ylim(low, high)
        found = {label: handle for ax in shown for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=min(len(found), 4))
        seeds = seeds_of(analysis, picture_language(lang))
        title = words["curve_one_seed" if seeds == words["one_seed"] else "curve"].format(seeds=seeds)
        set_heading(figure, str(analysis.told["model"]["encoder"]), title)
        return save(figure, path)


def _draw_target(ax: Axes, analysis: TransferAnalysis, target: str, steps: list[int], words: dict[str, str]) -> None:
    """A line each source, one of the rows alone, and the target's own model as a level to measure them by."""
    own = analysis.score(target, Arm(target))
    if own is not None:
        ax.axhline(100 * own.estimate, color="#777777", linestyle="--", linewidth=1.2, label=words["all_rows"])
        if not math.isnan(own.low):
            ax.axhspan(100 * own.low, 100 * own.high, color="#777777", alpha=0.12, linewidth=0)
    names = ["", *analysis.sources]
    for place, source in enumerate(names):
        if source == target:
            continue
        at = [
            (step, score)
            for step, rows in enumerate(steps)
            if (source or rows) and (score := analysis.score(target, Arm(source, rows))) is not None
        ]
        if not at:
            continue
        y = np.array([100 * score.estimate for _, score in at])
        reach = np.nan_to_num([[100 * (s.estimate - s.low), 100 * (s.high - s.estimate)] for _, s in at]).T
        ax.errorbar(
            np.array([step for step, _ in at]) + 0.06 * (place - (len(names) - 1) / 2),
            y,
            reach if reach.any() else None,
            color="#333333" if not source else COLOURS[(place - 1) % len(COLOURS)],
            marker="x" if not source else MARKERS[(place - 1) % len(MARKERS)],
            markersize=4.5,
            linestyle=":" if not source else "-",
            linewidth=1.6,
            elinewidth=0.9,
            label=_names([source])[0] if source else words["alone_short"],
        )
    ax.set_xticks(range(len(steps)), [f"{rows:,}" for rows in steps])
    ax.set_xlim(-0.4, len(steps) - 0.6)
    ax.grid(axis="y", color="#e4e4e4", linewidth=0.6)


def _names(corpora: list[str]) -> list[str]:
    return short_labels(drawable_labels(corpora, "corpus"))
