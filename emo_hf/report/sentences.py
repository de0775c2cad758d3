"""The sentences behind the numbers: which are hard, disputed or suspected, and where models fail."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo_hf.evaluation.calibration import softmax
from emo_hf.report.analysis import Analysis
from emo_hf.storage.record import TEST_FILE

logger = logging.getLogger(__name__)

MOST_SENTENCES = 50
GROUPS = ("situation", "sub_emotion", "age_group", "gender")


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


def read_test_rows(analysis: Analysis) -> Utterances | None:
    """The test rows that the study noted, or None where there are none of these models' data."""
    path = analysis.folder / TEST_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        text, label = list(content["text"]), np.array(content["label"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if content.get("fingerprint") not in {run["data"]["fingerprint"] for m in analysis.models for run in m.runs}:
        logger.warning("%s is of other data; the report shows no sentences", path)
        return None
    return Utterances(text, label, {name: content[name] for name in GROUPS if any(content.get(name) or ())})


def read_runs(analysis: Analysis) -> Runs | None:
    """The probabilities of all runs, if they were tested on equally many rows, or None."""
    found = [
        (softmax(arrays["logits"]), place)
        for place, model in enumerate(analysis.models)
        for arrays in analysis.readable(model)
    ]
    if len({probabilities.shape for probabilities, _ in found}) != 1:
        return None
    return Runs(np.stack([probabilities for probabilities, _ in found]), np.array([place for _, place in found]))


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
        lines: list[dict[str, Any]] = []
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
