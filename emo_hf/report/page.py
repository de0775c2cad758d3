"""One page to open: findings, table, maps to explore, and the sentences behind the numbers, in a single file."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.escaping import script_json
from emo_hf.report import answers, page_tables, page_tuning
from emo_hf.report import findings as questions
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding, Unanswered
from emo_hf.report.clusters import cluster_sentences
from emo_hf.report.colouring import Colouring, colouring
from emo_hf.report.grouping import panel_places
from emo_hf.report.page_font import font_face
from emo_hf.report.page_words import PAGE_WORDS
from emo_hf.report.plots.embeddings import map_of, thinned_rows
from emo_hf.report.plots.layout import COLOURS, WITHOUT
from emo_hf.report.predictions import answers as answers_of
from emo_hf.report.risk_words import RISK_WORDS
from emo_hf.report.risks import risk_findings_note, risk_sentences
from emo_hf.report.sentences import group_scores, read_runs, read_test_rows, sentences
from emo_hf.report.set_words import PAGE_SET_WORDS
from emo_hf.report.summary import caution, duration, summary
from emo_hf.report.table import more_notes
from emo_hf.report.taking import taking
from emo_hf.report.wording import WORDS
from emo_hf.storage.files import write_whole

PAGE_FILE = "report.html"
PICTURES = ("labels", "cooccurrence", "thresholds", "history", "confusion", "calibration", "risks", "sweep", "tuning")


def write_page(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write a page that needs neither network nor other files, and return its path."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    # Everything is escaped where it stands in the page, and what scripts read is JSON without a `<`.
    environment = Environment(loader=PackageLoader("emo_hf.report", "templates"), autoescape=True)
    environment.filters["json"] = script_json
    words = PAGE_WORDS[lang] | (PAGE_SET_WORDS[lang] if analysis.multi_label else {})
    shown = {"words": words, "lang": lang, **context(analysis, lang=lang)}
    template = environment.get_template("report.html")
    page = template.render(font=Markup(font_face(template.render(font="", **shown))), **shown)
    return write_whole(path, page.encode("utf-8"))


def context(analysis: Analysis, *, lang: str = "en") -> dict[str, Any]:
    """What the template shows, as plain values."""
    rows, mapped = read_test_rows(analysis), colouring(analysis, lang)
    runs = None if rows is None else read_runs(analysis, rows)
    key = PAGE_WORDS[lang]["key"].format(within=answers.points(analysis.equal_within))
    shown: dict[str, Any] = {
        "labels": mapped.names,
        "colours": [COLOURS[0], WITHOUT]
        if analysis.multi_label
        else [COLOURS[i % len(COLOURS)] for i in range(len(mapped.names))],
        "summary": summary(analysis, lang=lang),
        "caution": caution(analysis, lang=lang),
        "forests": _forests(analysis, lang),
        "unanswered": [
            questions.unanswered(found, lang=lang)
            for found in [*analysis.against_baseline, *analysis.unanswered]
            if isinstance(found, Unanswered)
        ],
        "single_runs": [] if analysis.repeated else questions.single_runs(analysis, lang=lang),
        "findings_note": f"{questions.findings_note(analysis, lang=lang)} {key}",
        "left_out": WORDS[lang]["sets_left_out"] if analysis.multi_label else "",
        "clusters_note": questions.findings_note(analysis, lang=lang, note="cluster_findings_note"),
        "notes": WORDS[lang],
        "table": page_tables.performance(analysis, lang),
        "table_notes": more_notes(analysis, lang),
        "clusters": page_tables.clusters(analysis, lang),
        "cluster_sentences": [] if analysis.swept else cluster_sentences(analysis, lang=lang),
        "risks": page_tables.risks(analysis, lang),
        "risk_sentences": risk_sentences(analysis, lang=lang),
        "risk_notes": [RISK_WORDS[lang]["note"], risk_findings_note(analysis, lang)],
        "drawn": _pictures(analysis.folder),
        "tuning": page_tuning.tuning(analysis, lang),
        "settings": _settings(analysis, lang),
        "maps": [] if analysis.swept else _maps(analysis, mapped, lang),
        "rows": None,
    }
    if rows is not None and runs is not None:
        shown["rows"] = {"text": rows.text}
        shown |= sentences(rows, runs, analysis.labels)
        shown["groups"] = group_scores(rows, runs)
    return shown


def _forests(analysis: Analysis, lang: str) -> list[dict[str, Any]]:
    """The findings over the baseline, main effects and interactions apart, as lines of numbers over one axis."""
    words, found = PAGE_WORDS[lang], analysis.findings
    over = [finding for finding in analysis.against_baseline if isinstance(finding, Finding)]
    apart = [
        (words["against_baseline"], over),
        (words["effects"], [finding for finding in found if not finding.asked.under]),
        (words["interactions"], [finding for finding in found if finding.asked.under]),
    ]
    ends = [end for finding in [*over, *found] for one in finding.decision.intervals for end in (one.low, one.high)]
    if not ends:
        return []
    axis = _axis(max(100 * max(map(abs, ends)), analysis.equal_within))
    band = round(100 * analysis.equal_within / axis["reach"], 2)
    return [
        {
            "title": title,
            "lines": [_finding(finding, analysis, axis["reach"], lang) for finding in findings],
            "band": band,
            **axis,
        }
        for title, findings in apart
        if findings
    ]


def _finding(finding: Finding, analysis: Analysis, reach: float, lang: str) -> dict[str, Any]:
    """What is asked and found, and where the estimate and its intervals lie on an axis from -100 to 100."""
    said = answers.answer(finding.effect, finding.decision, analysis.equal_within, lang=lang)
    return {
        "sentence": questions.sentence(finding, analysis, lang=lang),
        "question": questions.asked_over(
            finding.asked, finding.contrast, finding.lacking, lang=lang, chosen=finding.chosen
        ),
        "verdict": finding.verdict.name.lower(),
        "value": _unbroken(f"{said['estimate']} {said['answer']}"),
        "taking": taking(finding, analysis, lang=lang).removeprefix("; "),
        "at": round(100 * 100 * finding.effect.estimate / reach, 2),
        "intervals": [
            [round(100 * 100 * end / reach, 2) for end in (one.low, one.high)] for one in finding.decision.intervals
        ],
    }


def _unbroken(text: str) -> str:
    """No line ends within "p = 0.34" or "95 %"."""
    for sign in ("p = ", "p < ", " %"):
        text = text.replace(sign, sign.replace(" ", "\u00a0"))
    return text


def _axis(furthest: float) -> dict[str, Any]:
    """An axis around 0 that reaches over all intervals, with at most four round ticks on either side."""
    magnitude = 10.0 ** math.floor(math.log10(max(furthest, 0.01) / 4))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * 4 >= furthest)
    reach = 1.08 * max(furthest, step)
    count = int(reach / step)
    ticks = [round(place * step, 6) for place in range(-count, count + 1)]
    texts = [f"{tick:+g}" if tick else "0" for tick in ticks]
    places = [round(100 * tick / reach, 2) for tick in ticks]
    return {"reach": reach, "ticks": [{"at": at, "text": text} for at, text in zip(places, texts, strict=True)]}


def _pictures(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The pictures of the study that stand beside the page, by kind."""
    return {
        kind: [
            {"name": path.stem.removeprefix(f"{kind}_"), "data": base64.b64encode(path.read_bytes()).decode("ascii")}
            for path in sorted([*folder.glob(f"{kind}.png"), *folder.glob(f"{kind}_*.png")])
        ]
        for kind in PICTURES
    }


def _maps(analysis: Analysis, mapped: Colouring, lang: str) -> list[dict[str, Any]]:
    """Points of each model's map with the predictions of its median run, rounded to what a screen shows."""
    maps = []
    for number, (stem, sheet) in enumerate(analysis.sheets().items()):
        found = map_of(sheet, analysis.folder / f"embeddings_{stem}.png")
        for model, points, place in zip(sheet.models, found, panel_places(sheet.models), strict=True):
            if points is None:
                continue
            run = model.median_run()
            arrays = analysis.predictions[run["directory"]]
            chosen = thinned_rows(len(arrays["labels"]))
            centre = (points.min(0) + points.max(0)) / 2
            reach = float((points.max(0) - points.min(0)).max()) / 2 or 1.0
            maps.append(
                {
                    "sheet": number,
                    "place": place,
                    "title": f"{model.encoder} · {model.title(WORDS[lang]['model'])}",
                    "score": f"{100 * run['test']['macro_f1']:.1f}",
                    "row": chosen.tolist(),
                    "x": np.round((points[:, 0] - centre[0]) / reach, 3).tolist(),
                    "y": np.round((centre[1] - points[:, 1]) / reach, 3).tolist(),
                    "label": mapped.of(arrays["labels"])[chosen].tolist(),
                    "predicted": mapped.of(answers_of(arrays))[chosen].tolist(),
                }
            )
    return maps


def _settings(analysis: Analysis, lang: str) -> dict[str, Any]:
    """Data, versions, hardware and cost."""
    records = [run for model in analysis.rows for run in model.runs]
    trained = [run for model in analysis.models for run in model.runs]
    first, seconds = trained[0], sum(run.get("wall_seconds") or 0 for run in trained)
    data, words = first.get("data") or {}, PAGE_WORDS[lang]
    hardware = (first.get("hardware") or {}).items()
    said = {True: words["yes"], False: words["no"]}
    return {
        "source": words["sample"] if data.get("source") == "sample" else data.get("source"),
        "fingerprint": (data.get("fingerprint") or "")[:12],
        "counts": {words.get(split, split): counts for split, counts in (data.get("counts") or {}).items()},
        "versions": first.get("versions") or {},
        "hardware": {words.get(name, name): said[v] if isinstance(v, bool) else v for name, v in hardware},
        "arguments": (first.get("arguments") or {}).get("training") or {},
        "commit": first.get("commit"),
        "runs": len(trained),
        "duration": duration(seconds, lang),
        "started": min((run["started"] for run in records if run.get("started")), default=None),
        "finished": max((run["finished"] for run in records if run.get("finished")), default=None),
    }
