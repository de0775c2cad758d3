"""The tables of the page: headings and cells, with what a click on a heading sorts by."""

from __future__ import annotations

from typing import Any

from emo_hf.report.analysis import Analysis
from emo_hf.report.clusters import COLUMNS, cluster_scores
from emo_hf.report.table import MISSING, Score, best_means, printed_mean, scores
from emo_hf.report.wording import WORDS


def performance(analysis: Analysis, lang: str) -> dict[str, Any]:
    """Header and rows of numbers; the page sorts by them."""
    words = WORDS[lang]
    columns, swept = list(scores(analysis.models[0])), analysis.swept
    header = [words[key] for key in ("model", "encoder", "pooling", "aux")] + ([words["settings"]] if swept else [])
    names = {"accuracy": words["accuracy"], "macro_f1": words["macro_f1"], "test_loss": words["test_loss"]}
    header += [names.get(c) or (words["ece"] if c == "ece" else f"F1 {c.removeprefix('f1_')}") for c in columns]
    best = best_means(analysis.models)
    rows = []
    for model in analysis.rows:
        is_model = model.number is not None
        texts = [model.number, model.encoder, model.pooling, model.aux, *([model.setting_text()] if swept else [])]
        cells = [{"text": MISSING if text in (None, "") else str(text), "sort": text or ""} for text in texts]
        for column, score in scores(model).items():
            is_best = is_model and score.mean is not None and printed_mean(column, score) == best[column]
            cells.append(_number(score, *((3, 1) if column == "test_loss" else (1, 100))) | {"best": is_best})
        rows.append({"cells": cells, "baseline": not is_model})
    return {"header": header, "texts": 5 if swept else 4, "rows": rows}


def clusters(analysis: Analysis, lang: str) -> dict[str, Any] | None:
    """Scores of the embeddings; None where no run has any."""
    words = WORDS[lang]
    rows = []
    for model in analysis.models:
        cells = [{"text": str(name), "sort": name} for name in (model.number, model.encoder, model.pooling, model.aux)]
        for column, score in cluster_scores(model).items():
            decimals, percent = COLUMNS[column]
            cells.append(_number(score, decimals, 100 if percent else 1))
        rows.append({"cells": cells})
    if not any(cell["sort"] is not None for row in rows for cell in row["cells"][4:]):
        return None
    header = [words[key] for key in ("model", "encoder", "pooling", "aux", *COLUMNS)]
    return {"header": header, "texts": 4, "rows": rows}


def _number(score: Score, decimals: int, scale: int) -> dict[str, Any]:
    """A cell with a mean and, smaller beside it, its spread."""
    text = MISSING if score.mean is None else f"{scale * score.mean:.{decimals}f}"
    spread = "" if score.sd is None else f" ± {scale * score.sd:.{decimals}f}"
    return {"text": text, "spread": spread, "sort": score.mean, "number": True}
