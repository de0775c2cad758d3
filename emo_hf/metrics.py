"""Metrics as `evaluate.Metric` subclasses over scikit-learn; instantiated directly, they need no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from transformers import EvalPrediction

_FEATURES = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})


class ClassificationScores(evaluate.Metric):
    """Accuracy, macro-F1, precision, recall and F1 of each class, and the confusion matrix.

    `compute(predictions=(N,), references=(N,), labels=[names])` gives a dictionary: `accuracy`, `macro_f1` (the mean
    of the classes' F1, over all given labels; a class that nobody predicts counts 0), `per_class` {name: {precision,
    recall, f1, support}}, `confusion_matrix` (C, C), rows true and columns predicted.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{"keep_in_memory": True, **kwargs})

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy, macro-F1 and the scores of each class, computed by scikit-learn.",
            citation="Pedregosa et al. 2011, Scikit-learn: Machine Learning in Python",
            inputs_description="predictions, references: class indices; labels: class names in their order",
            features=_FEATURES,
        )

    def _compute(self, predictions: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
        from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

        indices = list(range(len(labels)))
        precision, recall, f1, support = precision_recall_fscore_support(
            references, predictions, labels=indices, zero_division=0
        )
        return {
            "accuracy": float(accuracy_score(references, predictions)),
            "macro_f1": float(np.mean(f1)),
            "per_class": {
                label: {
                    "precision": float(precision[i]),
                    "recall": float(recall[i]),
                    "f1": float(f1[i]),
                    "support": int(support[i]),
                }
                for i, label in enumerate(labels)
            },
            "confusion_matrix": confusion_matrix(references, predictions, labels=indices).tolist(),
        }


def trainer_metrics(labels: Sequence[str]) -> Callable[[EvalPrediction], dict[str, float]]:
    """The function that `Trainer(compute_metrics=…)` takes: accuracy and macro-F1 from logits (N, C)."""
    scores = ClassificationScores()

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        # With the embeddings asked for beside, the predictions are a tuple that begins with the logits.
        given = prediction.predictions
        logits = given[0] if isinstance(given, tuple) else given
        result = scores.compute(
            predictions=np.asarray(logits).argmax(-1), references=prediction.label_ids, labels=labels
        )
        return {"accuracy": result["accuracy"], "macro_f1": result["macro_f1"]}

    return compute
