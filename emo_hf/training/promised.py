"""Promises of a run: a half of the validation rows is kept from all choices, and the promises rest on it."""

from __future__ import annotations

import logging
from typing import Any

import datasets
import numpy as np

from emo_hf.arguments.promises import PromiseArguments
from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import label_sets, unanswered
from emo_hf.evaluation.calibration import softmax
from emo_hf.evaluation.promises import (
    Abstention,
    LabelSets,
    answers_of,
    binomial_interval,
    choose_sets,
    choose_threshold,
)

logger = logging.getLogger(__name__)

HELD = "held"  # what the half is called among the splits of tokens


def halved(tokens: datasets.DatasetDict, arguments: PromiseArguments, seed: int) -> datasets.DatasetDict:
    """The splits, and where something is promised half of the validation rows, of each label, as one of their own.

    Raises:
        UserError: a single validation row.
    """
    if not arguments.promising:
        return tokens
    rows = tokens["validation"]
    if len(rows) < 2:
        raise UserError("a promise takes half of the validation rows, and there is 1; give a larger --validation_size")
    labels = np.asarray(rows["labels"])
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # by label, and by lot within each
    halves = {"validation": np.sort(order[::2]), HELD: np.sort(order[1::2])}
    return datasets.DatasetDict({**tokens, **{name: rows.select(places) for name, places in halves.items()}})


def promise(
    arguments: PromiseArguments, chosen_by: tuple[np.ndarray, np.ndarray], held: tuple[np.ndarray, np.ndarray]
) -> dict[str, Abstention | LabelSets]:
    """What the held rows allow to be promised, by the names of a configuration.

    Args:
        arguments: what is asked for.
        chosen_by: logits (M, C) and labels (M,) of the rows that chose the model.
        held: the same (N, C), (N,) of those that chose nothing.
    """
    found: dict[str, Abstention | LabelSets] = {}
    probabilities, labels = softmax(held[0]), held[1]
    if arguments.max_error is not None:
        others = answers_of(softmax(chosen_by[0]), chosen_by[1])
        made = choose_threshold(others, answers_of(probabilities, labels), arguments.max_error)
        found["abstention"] = made
        if made.threshold is None:
            logger.warning(
                "no threshold promises at most %g %% of errors, by %d validation rows: every answer is 모름; give "
                "a larger --max_error, or more validation rows",
                100 * arguments.max_error,
                made.rows,
            )
    if arguments.coverage is not None:
        sets = choose_sets(probabilities, labels, arguments.coverage, arguments.coverage_sets)
        found["label_sets"] = sets
        if whole := sum(bound >= 1 for bound in sets.bounds):
            logger.warning(
                "%s, by %d validation rows: %s in every set; give a smaller --coverage, or more validation rows",
                f"sets can't be promised to hold {100 * arguments.coverage:g} % of the labels",
                sets.rows,
                "all labels are" if whole == len(sets.bounds) else f"{whole} labels are",
            )
    return found


def kept(promises: dict[str, Any], logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What a record says of promises: how they did on test rows, logits (N, C) and labels (N,), with intervals."""
    probabilities = softmax(logits)
    found: dict[str, Any] = {}
    if (abstention := promises.get("abstention")) is not None:
        stored = abstention.stored()
        answered = ~unanswered(probabilities, stored)
        errors = int((probabilities.argmax(1) != labels)[answered].sum())
        count = int(answered.sum())
        found["abstention"] = stored | {
            "test": {
                "answered": _share(count, len(labels)),
                "errors": _share(errors, count),
            }
        }
    if (sets := promises.get("label_sets")) is not None:
        within = label_sets(probabilities, sets.stored())
        held = int(within[np.arange(len(labels)), labels].sum())
        found["label_sets"] = sets.stored() | {
            "test": {
                "coverage": _share(held, len(labels)),
                "labels": float(within.sum(1).mean()),
                "single": float((within.sum(1) == 1).mean()),
            }
        }
    return found


def _share(count: int, rows: int) -> list[float] | None:
    """A share with its interval; None of no rows."""
    return [count / rows, *binomial_interval(count, rows)] if rows else None
