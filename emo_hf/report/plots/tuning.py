"""Is an arm better, or was it tuned longer? The expected best validation score over the number of draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from emo_hf.report.grouping import flowing
from emo_hf.report.plots.layout import (
    COLOURS,
    MARKERS,
    drawing,
    panels,
    picture_language,
    picture_words,
    save,
    set_heading,
)
from emo_hf.report.tuning import Tuned
from emo_hf.report.tuning_words import TUNING_WORDS


def draw_tuning(tuned: Sequence[Tuned], path: Path, *, lang: str = "en") -> Path:
    """Draw the models of one encoder, a panel each pooling and a line each loss, over the same axes."""
    words, said = picture_words(lang), TUNING_WORDS[picture_language(lang)]
    poolings = list(dict.fromkeys(str(one.model.pooling) for one in tuned))
    arms = list(dict.fromkeys(_arm(one) for one in tuned))
    with drawing():
        figure, axes = panels(flowing(len(poolings)), width=3.4, height=2.8, margin=1.0)
        for pooling, (ax,) in zip(poolings, axes, strict=True):
            for one in tuned:
                if one.model.pooling != pooling:
                    continue
                place = arms.index(_arm(one))
                curve = 100 * one.curve
                ax.plot(
                    np.arange(1, len(curve) + 1),
                    curve,
                    color=COLOURS[place % len(COLOURS)],
                    marker=MARKERS[place % len(MARKERS)],
                    markersize=4,
                    linewidth=1.6,
                    label=_arm(one),
                )
            ax.set_title(pooling)
            ax.set_xlabel(said["draws"])
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.grid(color="#e4e4e4", linewidth=0.6)
            if ax.get_subplotspec().is_first_col():
                ax.set_ylabel(f"{words['validation']}: {words['macro_f1']} (%)")
        shown = [ax for (ax,) in axes]
        low, high = min(ax.get_ylim()[0] for ax in shown), max(ax.get_ylim()[1] for ax in shown)
        for ax in shown:
            ax.set_ylim(low, high)
        found = {label: line for ax in shown for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=min(len(found), 4))
        set_heading(figure, tuned[0].model.encoder, said["expected_best"])
        return save(figure, path)


def _arm(one: Tuned) -> str:
    return ", ".join(text for text in (str(one.model.aux), one.model.setting_text()) if text)
