"""Answers that may be none or several: what a model says below its threshold, and sets of labels. With numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

UNKNOWN = "모름"  # the answer where a model gives none
PROMISES = ("abstention", "label_sets")  # what a configuration calls them


def sureness(probabilities: np.ndarray) -> np.ndarray:
    """How sure the answer of each row (N,) is: its highest probability, of probabilities (N, C)."""
    found: np.ndarray = probabilities.max(-1)
    return found


def unanswered(probabilities: np.ndarray, abstention: Mapping[str, Any]) -> np.ndarray:
    """Which rows (N,) get no answer, of probabilities (N, C): all, where no threshold holds what was asked."""
    threshold = abstention["threshold"]
    if threshold is None:
        return np.ones(len(probabilities), dtype=bool)
    return sureness(probabilities) < threshold


def set_scores(probabilities: np.ndarray, kind: str) -> np.ndarray:
    """How far each label (N, C) is from being the answer, in [0, 1], of probabilities (N, C).

    `split` and `class`: 1 - its probability (Lei et al. 2018; Sadinle et al. 2019). `adaptive`: the probability of all
    likelier labels together (Romano et al. 2020, without their lot, so that one text has one set).
    """
    if kind != "adaptive":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    found = np.empty_like(ranked)
    np.put_along_axis(found, order, ranked.cumsum(1) - ranked, axis=1)
    return found


def label_sets(probabilities: np.ndarray, promised: Mapping[str, Any]) -> np.ndarray:
    """Which labels (N, C) are in the set of each row: those with a score within the bound, and the likeliest always.

    The bounds are one for all labels, or one a label.
    """
    found = set_scores(probabilities, promised["kind"]) <= np.asarray(promised["bounds"])
    found[np.arange(len(found)), probabilities.argmax(1)] = True
    return found
