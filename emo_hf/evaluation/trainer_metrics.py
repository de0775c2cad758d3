"""What `Trainer(compute_metrics=…)` takes. Metrics are imported when they are first asked for, after an epoch.

`evaluate` imports pipelines of transformers and half of scipy, for which a run would wait before its first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from emo_hf.evaluation.thresholds import choose_thresholds, decide, macro_f1, sigmoid

if TYPE_CHECKING:
    from transformers import EvalPrediction


def trainer_metrics(labels: Sequence[str]) -> Callable[[EvalPrediction], dict[str, float]]:
    """The function that `Trainer(compute_metrics=…)` takes: accuracy and macro-F1 from logits (N, C)."""

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        from emo_hf.evaluation.metrics import ClassificationScores

        classes = classes_of(prediction)
        result = ClassificationScores().compute(predictions=classes, references=prediction.label_ids, labels=labels)
        return {"accuracy": result["accuracy"], "macro_f1": result["macro_f1"]}

    return compute


def label_set_metrics(kind: str) -> Callable[[EvalPrediction], dict[str, float]]:
    """The function that `Trainer(compute_metrics=…)` takes: scores of logits (N, C) at thresholds chosen on them.

    `accuracy` is the share of the rows whose labels are all right; `kind` as in `choose_thresholds`.
    """

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        given = prediction.predictions
        scores = sigmoid(np.asarray(given[0] if isinstance(given, tuple) else given))
        actual = np.asarray(prediction.label_ids).astype(bool)
        decided = decide(scores, choose_thresholds(scores, actual, kind))
        hits, total = (decided & actual).sum(), decided.sum() + actual.sum()
        return {
            "accuracy": float((decided == actual).all(1).mean()),
            "macro_f1": macro_f1(decided, actual),
            "micro_f1": float(2 * hits / max(total, 1)),
        }

    return compute


def classes_of(prediction: EvalPrediction) -> np.ndarray:
    """The predicted classes (N,), of logits (N, C) or where `preprocess_logits_for_metrics` has made them already.

    With embeddings asked for beside, predictions are a tuple that begins with the logits.
    """
    given = prediction.predictions
    first = np.asarray(given[0] if isinstance(given, tuple) else given)
    return first if first.ndim == 1 else first.argmax(-1)
