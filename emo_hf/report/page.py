"""One page to open: findings, table, maps to explore, and the sentences behind the numbers, in a single file."""

from __future__ import annotations

import base64
import json
import logging
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.evaluation.statistics import softmax
from emo_hf.report import findings as questions
from emo_hf.report.clusters import COLUMNS as CLUSTER_COLUMNS
from emo_hf.report.clusters import cluster_scores, cluster_sentences
from emo_hf.report.grouping import ModelRuns, by_encoder
from emo_hf.report.page_words import PAGE_WORDS
from emo_hf.report.plots.embeddings import map_of, thinned_rows
from emo_hf.report.plots.sheet import COLOURS
from emo_hf.report.table import MISSING, Score, best_means, printed_mean, scores
from emo_hf.report.wording import WORDS, p_value
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import TEST_FILE, load_predictions, readable_predictions, study_arguments

logger = logging.getLogger(__name__)

PAGE_FILE = "report.html"
MOST_SENTENCES = 50
GROUPS = ("situation", "sub_emotion", "age_group", "gender")
PICTURES = ("history", "confusion", "calibration", "sweep")


@dataclass(frozen=True)
class Utterances:
    """The test texts (N,) with true classes (N,) and what else the data says of each."""

    text: list[str]
    label: np.ndarray
    groups: dict[str, list[str]]


@dataclass(frozen=True)
class Runs:
    """Every run's probabilities (R, N, C), and of which model each is (R,)."""

    probabilities: np.ndarray
    model: np.ndarray


def write_page(models: list[ModelRuns], yardsticks: list[ModelRuns], study_dir: Path, *, lang: str = "en") -> Path:
    """Write report.html, which needs neither network nor other files, and return its path."""
    from jinja2 import Environment, PackageLoader

    # Everything is escaped where it stands in the page, and what scripts read is JSON without a `<`.
    environment = Environment(loader=PackageLoader("emo_hf.report", "templates"), autoescape=True)
    environment.filters["json"] = _json
    page = environment.get_template("report.html").render(
        words=PAGE_WORDS[lang], lang=lang, **context(models, yardsticks, study_dir, lang=lang)
    )
    return write_whole(study_dir / PAGE_FILE, page.encode("utf-8"))


def context(
    models: list[ModelRuns], yardsticks: list[ModelRuns], study_dir: Path, *, lang: str = "en"
) -> dict[str, Any]:
    """What the template shows, as plain values."""
    labels = (models or yardsticks)[0].labels
    rows = read_test_rows(study_dir, models)
    runs = read_runs(models)
    answers = questions.find(models, study_arguments(study_dir))
    found = [finding for finding in answers if not math.isnan(finding.p)]
    shown: dict[str, Any] = {
        "labels": labels,
        "colours": [COLOURS[i % len(COLOURS)] for i in range(len(labels))],
        "findings": [_finding(finding, lang) for finding in found],
        "table": _table(models, yardsticks, lang),
        "clusters": _clusters(models, lang),
        "cluster_sentences": cluster_sentences(models, lang=lang) if _is_grid(models) else [],
        "pictures": _pictures(models, study_dir),
        "settings": _settings(models, yardsticks),
        "maps": _maps(models, study_dir, lang) if _is_grid(models) else [],
        "rows": None,
    }
    if rows is not None and runs is not None and runs.probabilities.shape[1] == len(rows.text):
        shown["rows"] = {"text": rows.text, "label": rows.label.tolist()}
        shown |= sentences(rows, runs, labels)
        shown["groups"] = group_scores(rows, runs)
    return shown


def read_test_rows(study_dir: Path, models: list[ModelRuns]) -> Utterances | None:
    """The test rows that the study noted, or None where there are none of these models' data."""
    try:
        content = json.loads((study_dir / TEST_FILE).read_text(encoding="utf-8"))
        text, label = list(content["text"]), np.array(content["label"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not models or content.get("fingerprint") not in {run["data"]["fingerprint"] for m in models for run in m.runs}:
        logger.warning("%s is of other data; the report shows no sentences", study_dir / TEST_FILE)
        return None
    return Utterances(text, label, {name: content[name] for name in GROUPS if any(content.get(name) or ())})


def read_runs(models: list[ModelRuns]) -> Runs | None:
    """The probabilities of all runs that were tested on the same rows, or None."""
    probabilities, owners = [], []
    for place, model in enumerate(models):
        for run in model.runs:
            if (arrays := readable_predictions(run, "sentences of the report")) is not None:
                probabilities.append(softmax(arrays["logits"]))
                owners.append(place)
    if not probabilities or len({p.shape for p in probabilities}) > 1:
        return None
    return Runs(np.stack(probabilities), np.array(owners))


def sentences(rows: Utterances, runs: Runs, labels: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The hardest sentences, those on which models disagree, and suspected label errors.

    Hardest: the lowest mean probability of the true class. Disagreement: the entropy of the votes of all runs.
    Suspected errors: confident learning (Northcutt et al. 2021) on the mean of all runs, none of which has trained on
    these rows: another class is above the mean probability that rows of that class have for it.
    """
    count, true = len(labels), rows.label
    mean = runs.probabilities.mean(0)
    votes = np.stack([(runs.probabilities.argmax(-1) == c).mean(0) for c in range(count)], axis=1)
    own = mean[np.arange(len(true)), true]
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nan_to_num(votes * np.log2(votes)).sum(1)
    thresholds = np.array([mean[true == c, c].mean() if (true == c).any() else np.inf for c in range(count)])
    confident = np.where(mean >= thresholds, mean, -1.0)
    likely = confident.argmax(1)
    suspected = (confident.max(1) > 0) & (likely != true)

    def described(order: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "row": int(i),
                "text": rows.text[i],
                "label": labels[true[i]],
                "votes": [
                    [labels[c], round(100 * float(votes[i, c]))] for c in np.argsort(-votes[i]) if votes[i, c] > 0
                ],
                "probability": round(100 * float(own[i]), 1),
                "likely": labels[likely[i]],
            }
            for i in order[:MOST_SENTENCES]
        ]

    wrong = np.flatnonzero(mean.argmax(1) != true)
    split = np.flatnonzero(entropy > 0)
    doubtful = np.flatnonzero(suspected)
    return {
        "hardest": described(wrong[np.argsort(own[wrong], kind="stable")]),
        "disputed": described(split[np.argsort(-entropy[split], kind="stable")]),
        "suspected": described(doubtful[np.argsort((own - confident.max(1))[doubtful], kind="stable")]),
    }


def group_scores(rows: Utterances, runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """For each value of situation, sub-emotion, …: rows, and the accuracy of all runs, of the best and worst model."""
    right = runs.probabilities.argmax(-1) == rows.label
    found = {}
    for name, values in rows.groups.items():
        kinds = np.array(values)
        lines = []
        for value, count in Counter(values).items():
            by_model = [right[runs.model == m][:, kinds == value].mean() for m in np.unique(runs.model)]
            lines.append(
                {
                    "value": value,
                    "rows": count,
                    "mean": 100 * float(right[:, kinds == value].mean()),
                    "low": 100 * float(min(by_model)),
                    "high": 100 * float(max(by_model)),
                }
            )
        found[name] = sorted(lines, key=lambda line: line["mean"])
    return found


def _finding(finding: questions.Finding, lang: str) -> dict[str, Any]:
    effect = finding.effect
    return {
        "sentence": questions.sentence(finding, lang=lang),
        "question": questions.question(finding.contrast, lang=lang),
        "shown": finding.p < questions.ALPHA,
        "interaction": finding.contrast.under is not None,
        "p": p_value(finding.p),
        **{name: 100 * getattr(effect, name) for name in ("estimate", "low", "high")},
    }


def _table(models: list[ModelRuns], yardsticks: list[ModelRuns], lang: str) -> dict[str, Any]:
    """Header and rows of numbers; the page sorts by them."""
    words = WORDS[lang]
    columns = list(scores((models or yardsticks)[0]))
    swept = any(model.settings for model in models)
    header = [words[key] for key in ("model", "encoder", "pooling", "aux")] + ([words["settings"]] if swept else [])
    names = {"accuracy": words["accuracy"], "macro_f1": words["macro_f1"], "test_loss": words["test_loss"]}
    header += [names.get(c) or (words["ece"] if c == "ece" else f"F1 {c.removeprefix('f1_')}") for c in columns]
    best = best_means(models)
    rows = []
    for model in models + yardsticks:
        is_model = model.number is not None
        texts = [model.number, model.encoder, model.pooling, model.aux, *([model.setting_text()] if swept else [])]
        cells = [{"text": MISSING if text in (None, "") else str(text), "sort": text or ""} for text in texts]
        for column, score in scores(model).items():
            is_best = is_model and score.mean is not None and printed_mean(column, score) == best[column]
            cells.append(_number(score, *((3, 1) if column == "test_loss" else (1, 100))) | {"best": is_best})
        rows.append({"cells": cells, "yardstick": not is_model})
    return {"header": header, "texts": 5 if swept else 4, "rows": rows}


def _clusters(models: list[ModelRuns], lang: str) -> dict[str, Any] | None:
    words = WORDS[lang]
    rows = []
    for model in models:
        cells = [{"text": str(name), "sort": name} for name in (model.number, model.encoder, model.pooling, model.aux)]
        for column, score in cluster_scores(model).items():
            decimals, percent = CLUSTER_COLUMNS[column]
            cells.append(_number(score, decimals, 100 if percent else 1))
        rows.append({"cells": cells})
    if not any(cell["sort"] is not None for row in rows for cell in row["cells"][4:]):
        return None
    header = [words[key] for key in ("model", "encoder", "pooling", "aux", *CLUSTER_COLUMNS)]
    return {"header": header, "texts": 4, "rows": rows}


def _number(score: Score, decimals: int, scale: int) -> dict[str, Any]:
    """A cell with a mean and, smaller beside it, its spread."""
    text = MISSING if score.mean is None else f"{scale * score.mean:.{decimals}f}"
    spread = "" if score.sd is None else f" ± {scale * score.sd:.{decimals}f}"
    return {"text": text, "spread": spread, "sort": score.mean, "number": True}


def _pictures(models: list[ModelRuns], study_dir: Path) -> list[dict[str, str]]:
    """The pictures of the study that stand beside the page, by kind."""
    found = []
    for kind in PICTURES:
        for path in sorted(study_dir.glob(f"{kind}_*.png")):
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            found.append({"kind": kind, "name": path.stem.removeprefix(f"{kind}_"), "data": encoded})
    return found


def _maps(models: list[ModelRuns], study_dir: Path, lang: str) -> list[dict[str, Any]]:
    """Points of each model's map with the predictions of its median run, rounded to what a screen shows."""
    maps = []
    for stem, members in by_encoder(models).items():
        for model, points in zip(members, map_of(members, study_dir / f"embeddings_{stem}.png"), strict=True):
            if points is None:
                continue
            run = model.median_run()
            arrays = load_predictions(run)
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


def _settings(models: list[ModelRuns], yardsticks: list[ModelRuns]) -> dict[str, Any]:
    """Data, versions, hardware and cost."""
    records = [run for model in models + yardsticks for run in model.runs]
    first = (models or yardsticks)[0].runs[0]
    seconds = sum(run.get("wall_seconds") or 0 for model in models for run in model.runs)
    data = first.get("data") or {}
    return {
        "source": data.get("source"),
        "fingerprint": (data.get("fingerprint") or "")[:12],
        "counts": data.get("counts") or {},
        "versions": first.get("versions") or {},
        "hardware": first.get("hardware") or {},
        "arguments": (first.get("arguments") or {}).get("training") or {},
        "commit": first.get("commit"),
        "runs": sum(len(model.runs) for model in models),
        "hours": seconds / 3600,
        "started": min((run["started"] for run in records if run.get("started")), default=None),
        "finished": max((run["finished"] for run in records if run.get("finished")), default=None),
    }


def _is_grid(models: list[ModelRuns]) -> bool:
    return not any(model.settings for model in models)


def _json(value: Any) -> Any:
    """JSON that may stand in a script element: no `<`, so nothing in it ends the element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
