"""The sentences behind the numbers: which are hard, disputed or suspected, and where models fail."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo_hf.evaluation.calibration import softmax
from emo_hf.evaluation.label_sets import f1_of_rows
from emo_hf.evaluation.thresholds import sigmoid
from emo_hf.report.analysis import Analysis
from emo_hf.report.predictions import Arrays, answers
from emo_hf.storage.record import TEST_FILE

logger = logging.getLogger(__name__)

MOST_SENTENCES = 50
MOST_VOTES = 8  # labels that a line names, of those that the runs give a sentence
NO_LABEL = "–"
GROUPS = ("situation", "sub_emotion", "age_group", "gender")


@dataclass(frozen=True)
class Utterances:
    """The test texts (N,) with true classes (N,), or sets of labels (N, C), and what else the data says of each."""

    text: list[str]
    label: np.ndarray
    groups: dict[str, list[str]]


@dataclass(frozen=True)
class Runs:
    """What all runs say of the test rows.

    Attributes:
        mean: their mean probabilities (N, C).
        votes: the share of the runs that give a row a class or a label (N, C).
        right: of each run whether a row is right (R, N) or, of sets of labels, the F1 of its labels.
        model: of which model each run is (R,).
    """

    mean: np.ndarray
    votes: np.ndarray
    right: np.ndarray
    model: np.ndarray


def read_test_rows(analysis: Analysis) -> Utterances | None:
    """The test rows that the study noted, or None where there are none of these models' data."""
    path = analysis.folder / TEST_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        text, labels = list(content["text"]), content["label"]
        label = sets_of(labels, len(analysis.labels)) if analysis.multi_label else np.array(labels)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    if content.get("fingerprint") not in {run["data"]["fingerprint"] for m in analysis.models for run in m.runs}:
        logger.warning("%s is of other data; the report shows no sentences", path)
        return None
    return Utterances(text, label, {name: content[name] for name in GROUPS if any(content.get(name) or ())})


def sets_of(places: list[list[int]], count: int) -> np.ndarray:
    """Sets of labels (N, C) from the places of each row's."""
    found = np.zeros((len(places), count), dtype=bool)
    for row, own in zip(found, places, strict=True):
        row[own] = True
    return found


def read_runs(analysis: Analysis, rows: Utterances) -> Runs | None:
    """What the runs say, if all were tested on as many rows as these, or None."""
    found = [(arrays, place) for place, model in enumerate(analysis.models) for arrays in analysis.readable(model)]
    if {arrays["logits"].shape for arrays, _ in found} != {(len(rows.text), len(analysis.labels))}:
        return None
    return runs_of([arrays for arrays, _ in found], rows, np.array([place for _, place in found]))


def runs_of(predictions: Sequence[Arrays], rows: Utterances, model: np.ndarray) -> Runs:
    """One run after the other: the probabilities of all at once would be gigabytes."""
    shape = predictions[0]["logits"].shape
    total, votes = np.zeros(shape), np.zeros(shape)
    right = np.empty((len(predictions), shape[0]))
    for place, arrays in enumerate(predictions):
        given = answers(arrays)
        if given.ndim > 1:
            total += sigmoid(arrays["logits"])
            votes += given
            right[place] = f1_of_rows(given, rows.label)
        else:
            total += softmax(arrays["logits"])
            votes[np.arange(len(given)), given] += 1
            right[place] = given == rows.label
    return Runs(total / len(predictions), votes / len(predictions), right, model)


def sentences(rows: Utterances, runs: Runs, labels: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The hardest sentences, those on which models disagree, and suspected label errors.

    Hardest: the lowest mean probability of the true class. Disagreement: the entropy of the votes of all runs.
    Suspected errors: confident learning (Northcutt et al. 2021) on the mean of all runs, none of which has trained on
    these rows: another class is above the mean probability that rows of that class have for it.

    Where rows may have several labels, hardest: the lowest mean F1 of a row's labels, and of those of one F1 the
    least probable sets. Disagreement: the entropy of the votes on each label, summed. Suspected errors: the labels
    that a row lacks with the highest mean probabilities.
    """
    if rows.label.ndim > 1:
        return _of_sets(rows, runs, labels)
    count, true, mean = len(labels), rows.label, runs.mean
    own = mean[np.arange(len(true)), true]
    entropy = _entropy(runs.votes)
    thresholds = np.array([mean[true == c, c].mean() if (true == c).any() else np.inf for c in range(count)])
    confident = np.where(mean >= thresholds, mean, -1.0)
    likely = confident.argmax(1)
    suspected = (confident.max(1) > 0) & (likely != true)

    def described(order: np.ndarray) -> list[dict[str, Any]]:
        return [
            _described(rows, runs, int(i), labels[true[i]], labels, own[i], labels[likely[i]])
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


def _of_sets(rows: Utterances, runs: Runs, labels: list[str]) -> dict[str, list[dict[str, Any]]]:
    has = rows.label.astype(bool)
    f1, surprise = runs.right.mean(0), -np.log(np.clip(np.where(has, runs.mean, 1 - runs.mean), 1e-12, 1)).sum(1)
    divided = _entropy(np.stack([runs.votes, 1 - runs.votes], axis=-1))
    entropy = divided.sum(1)
    names = [", ".join(labels[c] for c in np.flatnonzero(row)) or NO_LABEL for row in has]
    lacking = np.where(has, -1.0, runs.mean)
    most = min(MOST_SENTENCES, int((~has).sum()))
    places = np.argsort(-lacking, axis=None, kind="stable")[:most]

    def described(order: np.ndarray, shown: np.ndarray) -> list[dict[str, Any]]:
        return [
            _described(rows, runs, int(i), names[i], labels, f1[i], shown=shown[i]) for i in order[:MOST_SENTENCES]
        ]

    wrong, split = np.flatnonzero(f1 < 1), np.flatnonzero(entropy > 0)
    return {
        "hardest": described(wrong[np.lexsort((-surprise[wrong], f1[wrong]))], runs.votes),
        "disputed": described(split[np.argsort(-entropy[split], kind="stable")], divided),
        "suspected": [
            _described(rows, runs, int(i), names[i], labels, runs.mean[i, c], labels[c])
            for i, c in zip(*np.unravel_index(places, lacking.shape), strict=True)
        ],
    }


def _entropy(votes: np.ndarray) -> np.ndarray:
    """Of shares along the last axis, in bits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.nan_to_num(votes * np.log2(votes)).sum(-1)


def _described(
    rows: Utterances,
    runs: Runs,
    i: int,
    label: str,
    labels: list[str],
    share: float,
    likely: str = "",
    shown: np.ndarray | None = None,
) -> dict[str, Any]:
    """A line of the page: a sentence, its label, what the runs make of it, and how probable or right that is.

    `shown` (C,) ranks the votes, of which those above 0 there are named; by default it is their share.
    """
    votes, several = runs.votes[i], rows.label.ndim > 1
    ranks = votes if shown is None else shown
    voted = [c for c in np.argsort(-ranks) if ranks[c] > 0]
    return {
        "row": i,
        "text": rows.text[i],
        "label": label,
        "votes": [[labels[c], round(100 * float(votes[c]))] for c in (voted[:MOST_VOTES] if several else voted)],
        "more": " …" if several and len(voted) > MOST_VOTES else "",
        "cell": "labels" if several else "label",
        "probability": round(100 * float(share), 1),
        "likely": likely,
    }


def group_scores(rows: Utterances, runs: Runs) -> dict[str, list[dict[str, Any]]]:
    """For each value of situation, sub-emotion, …: rows, and the accuracy of all runs, of the best and worst model.

    Of sets of labels, the mean F1 of the rows in its place.
    """
    found = {}
    for name, values in rows.groups.items():
        kinds = np.array(values)
        lines: list[dict[str, Any]] = []
        for value, count in Counter(values).items():
            right = runs.right[:, kinds == value]
            by_model = [right[runs.model == m].mean() for m in np.unique(runs.model)]
            lines.append(
                {
                    "value": value,
                    "rows": count,
                    "mean": 100 * float(right.mean()),
                    "low": 100 * float(min(by_model)),
                    "high": 100 * float(max(by_model)),
                }
            )
        found[name] = sorted(lines, key=lambda line: line["mean"])
    return found
