"""Answers that may be none or several: what a model says below its threshold, and sets of labels. With numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emo_hf.errors import UserError, first_line

UNKNOWN = "모름"  # the answer where a model gives none
PROMISES = ("abstention", "label_sets")  # what a configuration calls them


def promises_in(config: Mapping[str, Any], labels: int) -> dict[str, Any]:
    """What a configuration promises of the answers of a model with so many labels, by name.

    Raises:
        UserError: one that nobody could keep, as of a configuration from elsewhere.
    """
    found = {name: config[name] for name in PROMISES if config.get(name) is not None}
    try:
        if "abstention" in found and (least := found["abstention"]["threshold"]) is not None:
            float(least)
        if "label_sets" in found:
            bounds = np.asarray(found["label_sets"]["bounds"], dtype=np.float64)
            if len(bounds) not in (1, labels) or not isinstance(found["label_sets"]["kind"], str):
                raise ValueError(f"{len(bounds)} bounds for {labels} labels")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"config.json promises what can't be read ({first_line(error)}); take abstention and label_sets out of it"
        ) from error
    return found


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
