"""One page to open: findings, table, maps to explore, and the sentences behind the numbers, in a single file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.report import findings as questions
from emo_hf.report import page_tables
from emo_hf.report.analysis import Analysis, Finding
from emo_hf.report.clusters import cluster_sentences
from emo_hf.report.page_words import PAGE_WORDS
from emo_hf.report.plots.embeddings import map_of, thinned_rows
from emo_hf.report.plots.sheet import COLOURS
from emo_hf.report.sentences import group_scores, read_runs, read_test_rows, sentences
from emo_hf.report.wording import WORDS, p_value
from emo_hf.storage.files import write_whole

PAGE_FILE = "report.html"
PICTURES = ("history", "confusion", "calibration", "sweep")


def write_page(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write a page that needs neither network nor other files, and return its path."""
    from jinja2 import Environment, PackageLoader

    # Everything is escaped where it stands in the page, and what scripts read is JSON without a `<`.
    environment = Environment(loader=PackageLoader("emo_hf.report", "templates"), autoescape=True)
    environment.filters["json"] = _json
    page = environment.get_template("report.html").render(
        words=PAGE_WORDS[lang], lang=lang, **context(analysis, lang=lang)
    )
    return write_whole(path, page.encode("utf-8"))


def context(analysis: Analysis, *, lang: str = "en") -> dict[str, Any]:
    """What the template shows, as plain values."""
    labels = analysis.labels
    rows, runs = read_test_rows(analysis), read_runs(analysis)
    shown: dict[str, Any] = {
        "labels": labels,
        "colours": [COLOURS[i % len(COLOURS)] for i in range(len(labels))],
        "findings": [_finding(finding, lang) for finding in analysis.findings],
        "table": page_tables.performance(analysis, lang),
        "clusters": page_tables.clusters(analysis, lang),
        "cluster_sentences": [] if analysis.swept else cluster_sentences(analysis, lang=lang),
        "pictures": _pictures(analysis.folder),
        "settings": _settings(analysis),
        "maps": [] if analysis.swept else _maps(analysis, lang),
        "rows": None,
    }
    if rows is not None and runs is not None and runs.probabilities.shape[1] == len(rows.text):
        shown["rows"] = {"text": rows.text, "label": rows.label.tolist()}
        shown |= sentences(rows, runs, labels)
        shown["groups"] = group_scores(rows, runs)
    return shown


def _finding(finding: Finding, lang: str) -> dict[str, Any]:
    effect = finding.effect
    return {
        "sentence": questions.sentence(finding, lang=lang),
        "question": questions.question(finding.contrast, lang=lang),
        "shown": finding.p < questions.ALPHA,
        "interaction": finding.contrast.under is not None,
        "p": p_value(finding.p),
        **{name: 100 * getattr(effect, name) for name in ("estimate", "low", "high")},
    }


def _pictures(folder: Path) -> list[dict[str, str]]:
    """The pictures of the study that stand beside the page, by kind."""
    found = []
    for kind in PICTURES:
        for path in sorted(folder.glob(f"{kind}_*.png")):
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            found.append({"kind": kind, "name": path.stem.removeprefix(f"{kind}_"), "data": encoded})
    return found


def _maps(analysis: Analysis, lang: str) -> list[dict[str, Any]]:
    """Points of each model's map with the predictions of its median run, rounded to what a screen shows."""
    maps = []
    for stem, sheet in analysis.sheets().items():
        found = map_of(sheet, analysis.folder / f"embeddings_{stem}.png")
        for model, points in zip(sheet.models, found, strict=True):
            if points is None:
                continue
            run = model.median_run()
            arrays = analysis.predictions[run["directory"]]
            chosen = thinned_rows(len(arrays["labels"]))
            centre = (points.min(0) + points.max(0)) / 2
            reach = float((points.max(0) - points.min(0)).max()) / 2 or 1.0
            maps.append(
                {
                    "title": f"{model.encoder} · {model.title(WORDS[lang]['model'])}",
                    "score": f"{100 * run['test']['macro_f1']:.1f}",
                    "row": chosen.tolist(),
                    "x": np.round((points[:, 0] - centre[0]) / reach, 3).tolist(),
                    "y": np.round((centre[1] - points[:, 1]) / reach, 3).tolist(),
                    "label": arrays["labels"][chosen].tolist(),
                    "predicted": arrays["logits"].argmax(-1)[chosen].tolist(),
                }
            )
    return maps


def _settings(analysis: Analysis) -> dict[str, Any]:
    """Data, versions, hardware and cost."""
    records = [run for model in analysis.rows for run in model.runs]
    trained = [run for model in analysis.models for run in model.runs]
    first, seconds = trained[0], sum(run.get("wall_seconds") or 0 for run in trained)
    data = first.get("data") or {}
    return {
        "source": data.get("source"),
        "fingerprint": (data.get("fingerprint") or "")[:12],
        "counts": data.get("counts") or {},
        "versions": first.get("versions") or {},
        "hardware": first.get("hardware") or {},
        "arguments": (first.get("arguments") or {}).get("training") or {},
        "commit": first.get("commit"),
        "runs": len(trained),
        "hours": seconds / 3600,
        "started": min((run["started"] for run in records if run.get("started")), default=None),
        "finished": max((run["finished"] for run in records if run.get("finished")), default=None),
    }


def _json(value: Any) -> Any:
    """JSON that may stand in a script element: no `<`, so nothing in it ends the element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
