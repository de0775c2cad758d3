"""Metrics of rows with several labels each, as an `evaluate.Metric` over scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from emo_hf.evaluation.thresholds import decide


class LabelSetScores(evaluate.Metric):
    """Scores of rows with several labels each.

    `compute(predictions=(N, C) probabilities, references=(N, C) of 0 and 1, labels=[names], thresholds=(C,))` gives a
    dictionary: `macro_f1` (the mean of the F1 of those labels that a row has), `micro_f1` (of all decisions),
    `sample_f1` (the mean over rows; 1 where a row has no label and gets none), `accuracy` (rows all right),
    `mean_average_precision` (over the labels that a row has), `lrap` (label ranking average precision) and
    `coverage_error` (how far down a row's ranking all of its labels are found), which need no thresholds; and
    `per_class` {name: {precision, recall, f1, average_precision, threshold, support}}. The scores of a label without a
    row are None: no answer could raise them.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{"keep_in_memory": True, **kwargs})

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="F1 in three means, average precision and rankings of label sets, computed by scikit-learn.",
            citation="Pedregosa et al. 2011, Scikit-learn: Machine Learning in Python",
            inputs_description="predictions: probabilities (N, C); references (N, C); labels; thresholds (C,)",
            features=datasets.Features(
                {
                    "predictions": datasets.List(datasets.Value("float64")),
                    "references": datasets.List(datasets.Value("int64")),
                }
            ),
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[float]],
        references: Sequence[Sequence[int]],
        labels: Sequence[str],
        thresholds: Sequence[float],
    ) -> dict[str, Any]:
        from sklearn import metrics

        scores, actual = np.asarray(predictions), np.asarray(references, dtype=bool)
        given = decide(scores, np.asarray(thresholds))
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            actual, given, average=None, zero_division=0
        )
        precisions = [
            float(metrics.average_precision_score(actual[:, c], scores[:, c])) if support[c] else None
            for c in range(len(labels))
        ]
        known = [value for value in precisions if value is not None]
        return {
            "accuracy": float((given == actual).all(1).mean()),
            "macro_f1": float(f1[support > 0].mean()) if known else 0.0,
            "micro_f1": float(metrics.f1_score(actual, given, average="micro", zero_division=0)),
            "sample_f1": float(metrics.f1_score(actual, given, average="samples", zero_division=1)),
            "mean_average_precision": float(np.mean(known)) if known else 0.0,
            "lrap": float(metrics.label_ranking_average_precision_score(actual, scores)),
            "coverage_error": float(metrics.coverage_error(actual, scores)),
            "per_class": {
                label: {
                    "precision": float(precision[c]) if support[c] else None,
                    "recall": float(recall[c]) if support[c] else None,
                    "f1": float(f1[c]) if support[c] else None,
                    "average_precision": precisions[c],
                    "threshold": float(thresholds[c]),
                    "support": int(support[c]),
                }
                for c, label in enumerate(labels)
            },
        }


def label_set_intervals(
    predicted: np.ndarray,
    actual: np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Intervals of one run's macro-, micro- and sample-F1 and accuracy over other test rows, as `bootstrap_interval`.

    Takes which labels rows are given and have, both (N, C). A label that the rows have, but not the ones that were
    drawn, has F1 0, as there.
    """
    count = len(actual)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = drawn.astype(np.float32)
    hits, total = (predicted & actual).astype(np.float32), predicted.astype(np.float32) + actual
    hits_a_row, total_a_row = hits.sum(1), total.sum(1)
    of_rows = np.where(total_a_row > 0, 2 * hits_a_row / np.maximum(total_a_row, 1), 1)
    known = actual.any(0)
    of_labels = 2 * (weights @ hits[:, known]) / np.maximum(weights @ total[:, known], 1)
    scores = {
        "macro_f1": of_labels.mean(1) if known.any() else np.zeros(resamples),
        "micro_f1": 2 * (weights @ hits_a_row) / np.maximum(weights @ total_a_row, 1),
        "sample_f1": weights @ of_rows / count,
        "accuracy": weights @ (predicted == actual).all(1) / count,
    }
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {name: tuple(np.quantile(values, ends).tolist()) for name, values in scores.items()}
