"""The part of the page that tells how the models were tuned."""

from __future__ import annotations

from typing import Any

from emo_hf.report.analysis import Analysis
from emo_hf.report.page_tables import naming_cells, naming_headings
from emo_hf.report.tuning import chosen_text, counts_shown, score_text, tuned_models, tuning_note
from emo_hf.report.tuning_words import TUNING_WORDS


def tuning(analysis: Analysis, lang: str) -> dict[str, Any] | None:
    """The table of what was chosen and the note below it, as the template takes them; None if nothing was tuned."""
    tuned, words = tuned_models(analysis), TUNING_WORDS[lang]
    if not tuned:
        return None
    counts = counts_shown(tuned)
    header = naming_headings(lang, analysis.swept)
    header += [_heading(words["best_of"].format(n=n)) for n in counts]
    header += [_heading(words["draw"]), {"name": words["chosen"], "first": "ascending"}]
    rows = []
    for one in tuned:
        cells = naming_cells(one.model, lang, analysis.swept)
        for count in counts:
            known = float(one.curve[count - 1]) if count <= len(one.scores) else None
            cells.append({"text": score_text(one, count), "sort": known, "number": True})
        cells.append({"text": str(one.chosen), "sort": one.chosen, "number": True})
        text = chosen_text(one.settings)
        rows.append({"cells": [*cells, {"text": text, "sort": text, "wraps": True}], "baseline": False})
    return {"table": {"header": header, "rows": rows}, "note": tuning_note(tuned, lang)}


def _heading(name: str) -> dict[str, Any]:
    return {"name": name, "first": "descending", "number": True}
