"""The predictions of a study's runs and of its linear baseline, read from their folders."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.evaluation.thresholds import decide, sigmoid
from emo_hf.report.grouping import ModelRuns, shots_seed
from emo_hf.storage.record import readable_predictions

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

LINEAR = "TF-IDF + logistic regression"  # the baseline that a model has to beat, as its record names it


@dataclass(frozen=True)
class LinearBaseline:
    """The linear baseline of a study, or why the models can't be compared with it.

    Attributes:
        classes: what it predicts on the test rows (S, N), or sets of labels (S, N, C), by its `cell`: one of the whole
            training split, or where few rows are drawn one for each number of them. S is 1, or the number of draws.
        deterministic: the cells that no seed draws the rows of.
        reason: a key of the report's words, where there are no `classes`.
        arrays: its predictions of these runs, by the same cells.
    """

    classes: Mapping[tuple[Any, ...], np.ndarray]
    deterministic: frozenset[tuple[Any, ...]] = frozenset()
    reason: str | None = None
    arrays: Mapping[tuple[Any, ...], Sequence[Arrays]] = field(default_factory=dict)

    @property
    def known(self) -> set[tuple[Any, ...]]:
        """The cells whose uncertainty is known."""
        return {cell for cell, runs in self.classes.items() if len(runs) > 1 or cell in self.deterministic}


def answers(arrays: Arrays) -> np.ndarray:
    """The classes (N,) that a run predicts, or which labels (N, C) it gives, where rows may have several."""
    if "thresholds" not in arrays:
        return arrays["logits"].argmax(-1)
    return decide(sigmoid(arrays["logits"]), arrays["thresholds"])


def read_predictions(models: Sequence[ModelRuns]) -> dict[Path, Arrays]:
    """Logits and labels of every run that has them, by its folder, and embeddings where a map shows them.

    Where rows may have several labels, thresholds too.

    One warning names a run without predictions, or whose embeddings a map should show and can not.
    """
    found = {}
    for model in models:
        shown = model.median_run()
        for run in model.runs:
            arrays = readable_predictions(run, "report")
            if arrays is None:
                continue
            needed = ("logits", "labels", *(["thresholds"] if model.multi_label else []))
            if missing := [name for name in needed if name not in arrays]:
                logger.warning("%s is left out of the report: its predictions lack %s", run["run_id"], missing[0])
                continue
            found[run["directory"]] = {name: arrays[name] for name in needed}
            if run is not shown:
                continue
            if "embeddings" in arrays and np.isfinite(arrays["embeddings"]).all():
                found[run["directory"]]["embeddings"] = arrays["embeddings"]
            else:
                logger.warning("no embedding map for %s: its embeddings are missing or not finite", run["run_id"])
    return found


def read_linear(baselines: Sequence[ModelRuns], labels: np.ndarray) -> LinearBaseline:
    """What TF-IDF with logistic regression predicts, if it was tested on the rows of these true classes (N,)."""
    found = [baseline for baseline in baselines if baseline.encoder == LINEAR]
    if not found:
        return LinearBaseline({}, reason="no_run")
    of_all = frozenset(one.cell for one in found if shots_seed(one.runs[0]) is None)
    read = {
        one.cell: [
            readable_predictions(run, "comparison with the baseline")
            for run in (one.runs[:1] if one.cell in of_all else one.runs)
        ]
        for one in found
    }
    kept = {cell: have for cell, runs in read.items() if (have := [arrays for arrays in runs if arrays is not None])}
    if not kept:
        return LinearBaseline({}, reason="no_predictions")
    if not all(np.array_equal(arrays["labels"], labels) for runs in kept.values() for arrays in runs):
        return LinearBaseline({}, reason="other_rows")
    classes = {cell: np.stack([answers(arrays) for arrays in runs]) for cell, runs in kept.items()}
    return LinearBaseline(classes, of_all, arrays=kept)
