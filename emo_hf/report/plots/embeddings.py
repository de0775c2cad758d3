"""Maps of the test embeddings: t-SNE (van der Maaten & Hinton 2008) or UMAP (McInnes et al. 2018), same for all."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from PIL import Image

from emo_hf.report.analysis import Analysis
from emo_hf.report.colouring import Colouring, colouring
from emo_hf.report.grouping import ModelRuns, panel_places
from emo_hf.report.plots import layout, projection
from emo_hf.report.plots.fonts import drawable_labels, hangul_font
from emo_hf.report.plots.layout import (
    COLOURS,
    FRAME,
    MARKERS,
    WITHOUT,
    drawing,
    letters,
    panels,
    picture_words,
    save,
    set_heading,
    short_labels,
)
from emo_hf.report.plots.projection import SEED, cached

MOST_ROWS = 2000  # beyond it a map only gets slower and darker
LAYERS = 6
WIDTH = 3.4
DIGEST = "Input-Digest"

Cloud = tuple[np.ndarray, np.ndarray]
Sign = tuple[str, str]  # colour and marker


def draw_embeddings(sheet: Analysis, path: Path, *, lang: str = "en", method: str = "t-SNE") -> Path:
    """Draw one map a model, each from the seed whose macro-F1 is the median; rows, seed and settings are the same.

    A picture that stands there already and was drawn from the same input is left as it is.
    """
    words, models = picture_words(lang), sheet.models
    found = colouring(sheet)
    labels, signs = _labels(sheet, found, words), _signs(found)
    titles = [_title(model, words) for model in models]
    clouds = [_cloud(sheet, model) for model in models]
    total = _rows(clouds)
    clouds = [cloud and _thinned(cloud) for cloud in clouds]
    phrase = _phrase(sheet, found, words, method, (_rows(clouds), total))
    digest = _digest(clouds, [method, lang, models[0].encoder, *titles, *labels, phrase])
    if _drawn_from(path) == digest:
        return path
    points = iter(cached([cloud[0] for cloud in clouds if cloud], method, maps_file(path)))
    with drawing():
        places = panel_places(models)
        columns = _legend_columns(labels, (1 + max(column for _, column in places)) * WIDTH)
        legend_height = 0.21 * math.ceil(len(labels) / columns)
        figure, axes = panels(places, width=WIDTH, height=3.7, margin=0.7 + legend_height)
        for (ax,), cloud, title in zip(axes, clouds, titles, strict=True):
            ax.set_title(title, linespacing=1.4)
            if cloud:
                _draw_map(ax, next(points), cloud[1], signs)
            else:
                ax.set_axis_off()
                ax.text(0.5, 0.5, words["no_embeddings"], ha="center", va="center", transform=ax.transAxes)
        figure.legend(_handles(signs), labels, loc="outside lower center", ncols=columns)
        set_heading(figure, models[0].encoder, phrase)
        return save(figure, path, **{DIGEST: digest})


def map_of(sheet: Analysis, path: Path, method: str = "t-SNE") -> list[np.ndarray | None]:
    """The points (N, 2) of each model's map in the picture `path`; None for a model without embeddings."""
    clouds = [cloud and _thinned(cloud) for cloud in (_cloud(sheet, model) for model in sheet.models)]
    points = iter(cached([cloud[0] for cloud in clouds if cloud], method, maps_file(path)))
    return [next(points) if cloud else None for cloud in clouds]


def maps_file(path: Path) -> Path:
    """Where the points of a picture of maps are kept: beside it, under its name."""
    return path.with_suffix(".npz")


def _title(model: ModelRuns, words: dict[str, str]) -> str:
    run = model.median_run()
    score = f"{words['macro_f1']} {100 * run['test']['macro_f1']:.1f}"
    return f"{model.title(words['model'])}\n{score}, {words['one_seed'].format(run['seed'])}"


def _labels(sheet: Analysis, found: Colouring, words: dict[str, str]) -> list[str]:
    """What the legend says of each colour; of one of many labels, that a text has it, and that it lacks it."""
    labels = short_labels(drawable_labels(sheet.labels, words["class"]))
    if found.label is None:
        return labels
    return [words[key].format(labels[found.label]) for key in ("with_label", "without_label")]


def _phrase(sheet: Analysis, found: Colouring, words: dict[str, str], method: str, rows: tuple[int, int]) -> str:
    """What the sheet shows: so many `rows` of all, by which label, and of several seeds, which."""
    drawn, total = rows
    given = {"method": method, "n": f"{drawn:,}", "total": f"{total:,}"}
    key = "sampled" if drawn < total else "embeddings"
    if found.label is not None:
        key += "_sets"
        given["label"] = short_labels(drawable_labels(sheet.labels, words["class"]))[found.label]
    several = any(len(model.runs) > 1 for model in sheet.models)
    return ", ".join([words[key].format(**given), *([words["median_seed"]] if several else [])])


def _cloud(sheet: Analysis, model: ModelRuns) -> Cloud | None:
    """Embeddings (N, D) of the median run and what each has the colour of (N,).

    None where `read_predictions` found no embeddings.
    """
    arrays = sheet.predictions.get(model.median_run()["directory"], {})
    return (arrays["embeddings"], colouring(sheet).of(arrays["labels"])) if "embeddings" in arrays else None


def _thinned(cloud: Cloud) -> Cloud:
    chosen = thinned_rows(len(cloud[1]))
    return cloud[0][chosen], cloud[1][chosen]


def thinned_rows(count: int) -> np.ndarray:
    """At most MOST_ROWS of `count` rows, in order; for equal test sets the same ones."""
    return np.sort(np.random.default_rng(SEED).permutation(count)[:MOST_ROWS])


def _rows(clouds: list[Cloud | None]) -> int:
    return max((len(cloud[1]) for cloud in clouds if cloud), default=0)


def _draw_map(ax: Axes, points: np.ndarray, classes: np.ndarray, signs: list[Sign]) -> None:
    size = float(np.clip(6500 / len(points), 5, 24))
    # In shuffled layers, so that no class lies on top of all others.
    for layer in np.array_split(np.random.default_rng(SEED).permutation(len(points)), LAYERS):
        for index, (colour, marker) in enumerate(signs):
            chosen = layer[classes[layer] == index]
            if len(chosen):
                x, y = points[chosen].T
                ax.scatter(x, y, s=size, color=colour, marker=marker, alpha=0.75, linewidths=0)
    # Distances on such a map have no unit: square panels of equal margin and no ticks.
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = 0.55 * float((points.max(axis=0) - points.min(axis=0)).max()) or 1.0
    ax.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach))
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set(visible=True, color=FRAME)


def _signs(found: Colouring) -> list[Sign]:
    """Colour and marker of each class; each pair is met once among 64 classes. What lacks a label is grey."""
    if found.label is not None:
        return [(COLOURS[0], MARKERS[0]), (WITHOUT, MARKERS[0])]
    return [
        (COLOURS[index % len(COLOURS)], MARKERS[(index + index // len(COLOURS)) % len(MARKERS)])
        for index in range(len(found.names))
    ]


def _legend_columns(labels: list[str], width: float) -> int:
    """How many columns of the legend fit into `width` inches."""
    return max(1, min(len(labels), int(width / (0.6 + 0.075 * max(map(letters, labels))))))


def _handles(signs: list[Sign]) -> list[Line2D]:
    return [Line2D([], [], color=colour, marker=marker, linestyle="", markersize=7) for colour, marker in signs]


def _digest(clouds: list[Cloud | None], texts: list[str]) -> str:
    """Changes with everything that the picture shows: data, words, fonts, and the code that draws it."""
    digest = hashlib.sha256(json.dumps([*texts, hangul_font(), matplotlib.__version__]).encode())
    for module in (__file__, projection.__file__, layout.__file__):
        digest.update(Path(module).read_bytes())
    for cloud in clouds:
        for array in cloud or ():
            digest.update(repr((array.shape, array.dtype)).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _drawn_from(path: Path) -> str | None:
    try:
        with Image.open(path) as image:
            image.load()  # a damaged picture is drawn again
            return image.info.get(DIGEST)
    except (OSError, SyntaxError):
        return None
