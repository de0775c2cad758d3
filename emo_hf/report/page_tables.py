"""The tables of the page: headings and cells, with what a click on a heading sorts by."""

from __future__ import annotations

from typing import Any

from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import with_interval
from emo_hf.report.clusters import COLUMNS, cluster_scores
from emo_hf.report.grouping import ModelRuns
from emo_hf.report.risks import headings, risk_rows
from emo_hf.report.table import (
    LOWER_IS_BETTER,
    MISSING,
    NO_SCORE,
    Score,
    best_means,
    printed_mean,
    printing,
    score_name,
    scores,
    shown_columns,
)
from emo_hf.report.wording import WORDS, baseline_name

Table = dict[str, Any]


def performance(analysis: Analysis, lang: str) -> Table:
    """Header and rows of numbers; the page sorts by them."""
    # The score that decides comes first: a phone shows it right of the names.
    columns = sorted(shown_columns(analysis), key=lambda column: column != "macro_f1")
    header = naming_headings(lang, analysis.swept)
    header += [_number_heading(score_name(column, lang), column in LOWER_IS_BETTER) for column in columns]
    best = best_means(analysis.models)
    rows = []
    for model in analysis.rows:
        is_model, found = model.number is not None, scores(model)
        cells = naming_cells(model, lang, analysis.swept)
        for column in columns:
            score = found.get(column, NO_SCORE)
            is_best = is_model and score.mean is not None and printed_mean(column, score) == best[column]
            cells.append(_number(score, *printing(column)) | {"best": is_best})
        rows.append({"cells": cells, "baseline": not is_model})
    return {"header": header, "rows": rows}


def clusters(analysis: Analysis, lang: str) -> Table | None:
    """Scores of the embeddings; None where no run has any."""
    words, rows = WORDS[lang], []
    found = [(model, cluster_scores(model)) for model in analysis.models]
    if all(score.mean is None for _, columns in found for score in columns.values()):
        return None
    for model, columns in found:
        cells = naming_cells(model, lang, analysis.swept)
        for column, score in columns.items():
            decimals, percent = COLUMNS[column]
            cells.append(_number(score, decimals, 100 if percent else 1))
        rows.append({"cells": cells, "baseline": False})
    arrows = [(words[column].rpartition(" ")[0], words[column][-1]) for column in COLUMNS]
    headings = [_number_heading(f"{name}\u00a0{arrow}", arrow == "↓") for name, arrow in arrows]  # on one line
    return {"header": [*naming_headings(lang, analysis.swept), *headings], "rows": rows}


def risks(analysis: Analysis, lang: str) -> Table | None:
    """Areas under risk and coverage, and errors at some coverages; None where there are none."""
    found = risk_rows(analysis, lang)
    if not found:
        return None
    _, _, _, _, *columns = headings(lang)
    rows = []
    for (number, encoder, pooling, aux), effects in found:
        cells = [_text(number), _text(encoder) | {"rest": f"{pooling} · {aux}"}]
        cells += [_text(text) | {"wide": True} for text in (pooling, aux)]
        for effect in effects:
            text, _, interval = with_interval(effect).partition(" ")
            spread = f" {interval}" if interval else ""
            cells.append({"text": text, "spread": spread, "sort": effect.estimate, "number": True})
        rows.append({"cells": cells, "baseline": number == MISSING})
    header = [_number_heading(name.replace(" ", "\u00a0"), lower_is_better=True) for name in columns]
    return {"header": [*naming_headings(lang, analysis.swept), *header], "rows": rows}


def naming_headings(lang: str, swept: bool) -> list[dict[str, Any]]:
    """The headings of the columns that name a model."""
    names = ("model", "encoder", "pooling", "aux", *(["settings"] if swept else []))
    wide = ("pooling", "aux", "settings")
    return [{"name": WORDS[lang][name], "first": "ascending", "wide": name in wide} for name in names]


def naming_cells(model: ModelRuns, lang: str, swept: bool) -> list[dict[str, Any]]:
    """What names a model; the encoder's cell holds the rest too, for screens that have no room for its columns."""
    encoder = model.encoder if model.number is not None else baseline_name(model.encoder, lang)
    rest = [model.pooling, model.aux, *([model.setting_text()] if swept else [])]
    cells = [_text(model.number), _text(encoder) | {"rest": " · ".join(text for text in rest if text)}]
    return cells + [_text(text) | {"wide": True} for text in rest]


def _text(value: str | int | None) -> dict[str, Any]:
    return {"text": MISSING if value in (None, "") else str(value), "sort": value or ""}


def _number_heading(name: str, lower_is_better: bool) -> dict[str, Any]:
    """The first click on it puts the best on top."""
    return {"name": name, "first": "ascending" if lower_is_better else "descending", "number": True}


def _number(score: Score, decimals: int, scale: int) -> dict[str, Any]:
    """A cell with a mean and, smaller beside it, its spread."""
    text = MISSING if score.mean is None else f"{scale * score.mean:.{decimals}f}"
    spread = "" if score.sd is None else f" ± {scale * score.sd:.{decimals}f}"
    return {"text": text, "spread": spread, "sort": score.mean, "number": True}
