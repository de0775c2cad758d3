"""A sheet: the panels of one encoder's models on one page, all drawn alike."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from emo_hf.report.grouping import ModelRuns
from emo_hf.report.plots.fonts import drawable, hangul_font, text_settings
from emo_hf.report.wording import WORDS
from emo_hf.storage.files import write_whole

DPI = 150

# Okabe & Ito 2008, told apart under every common colour blindness; the pale ones come last.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
FRAME = "#bbbbbb"
WITHOUT = "#b8b8b8"  # of what lacks the label that a map shows
LONGEST_LABEL = 16

_LOOK = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Fonts and look of all pictures; figure and file must both be made inside."""
    with matplotlib.rc_context(_LOOK | text_settings()):
        yield


def picture_language(lang: str) -> str:
    """A language, or English where no font can draw it."""
    return lang if lang == "en" or hangul_font() else "en"


def picture_words(lang: str) -> dict[str, str]:
    """The words of a language, or English where no font can draw them."""
    return WORDS[picture_language(lang)]


def picture_name(encoder: str) -> str:
    """An encoder's name for a title, shortened to fit; without a font for it, just "encoder"."""
    name = " ".join(encoder.split())
    return (name if len(name) <= 48 else f"…{name[-47:]}") if drawable(name) else "encoder"


def short_labels(labels: list[str]) -> list[str]:
    """Class names cut to what fits an axis or a legend."""
    return [label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…" for label in labels]


def letters(text: str) -> int:
    """The room that a text takes, in Latin letters: a Hangul syllable takes two."""
    return sum(2 if letter >= "ᄀ" else 1 for letter in text)


def set_heading(figure: Figure, encoder: str, phrase: str) -> None:
    """Write the encoder's name and what the sheet shows above it, on as many lines as they need, three at most."""
    name = picture_name(encoder)
    fits = letters(f"{name} · {phrase}") <= 10 * figure.get_figwidth()
    if letters(phrase) > 12 * figure.get_figwidth():
        phrase = ",\n".join(phrase.rsplit(", ", maxsplit=1))
    figure.suptitle(f"{name}{' · ' if fits else chr(10)}{phrase}", linespacing=1.4)


def seed_phrase(models: list[ModelRuns], words: dict[str, str], many: str) -> str:
    """How many seeds stand behind a sheet: "seed 42", "mean ± sd of 3 seeds", "… of 2–3 seeds"."""
    counts = {len(model.runs) for model in models}
    seeds = {run["seed"] for model in models for run in model.runs}
    if counts == {1} and len(seeds) == 1:
        return words["one_seed"].format(seeds.pop())
    return words[many].format(min(counts) if len(counts) == 1 else f"{min(counts)}–{max(counts)}")


def panels(
    places: Sequence[tuple[int, int]], *, width: float, height: float, stacked: int = 1, margin: float = 0.9
) -> tuple[Figure, np.ndarray]:
    """A figure with panels at these rows and columns, and their axes (panels, stacked); other places stay empty.

    `width` and `height` are the inches of one axes, `margin` those for heading and legend.
    """
    rows, columns = (1 + max(place[side] for place in places) for side in (0, 1))
    # One narrow panel would not hold the sheet's title.
    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.09)
    figure = Figure(figsize=(max(columns * width, 6.5), rows * stacked * height + margin), layout=layout)
    axes = figure.subplots(rows * stacked, columns, squeeze=False)
    by_place = axes.reshape(rows, stacked, columns).transpose(0, 2, 1)
    for row, column in np.ndindex(rows, columns):
        if (row, column) not in places:
            for unused in by_place[row, column]:
                unused.remove()
    return figure, np.array([by_place[place] for place in places])


def is_leftmost(ax: Axes) -> bool:
    """Whether no panel stands left of this one in its row, so that it bears the labels of the y axis."""
    figure, own = ax.get_figure(), ax.get_subplotspec()
    assert figure is not None and own is not None, "it is a panel of a sheet"
    others = [spec for other in figure.axes if (spec := other.get_subplotspec()) is not None]
    return own.colspan.start == min(spec.colspan.start for spec in others if spec.rowspan.start == own.rowspan.start)


def save(figure: Figure, path: Path, **metadata: str) -> Path:
    """Write a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata=metadata)
    return write_whole(path, buffer.getvalue())
