"""Metrics as `evaluate.Metric` subclasses over scikit-learn; instantiated directly, they need no network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

_MOST_ROWS = 5000
_FEATURES = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})


class ClassificationScores(evaluate.Metric):
    """Accuracy, macro-F1, precision, recall and F1 of each class, and the confusion matrix.

    `compute(predictions=(N,), references=(N,), labels=[names])` gives a dictionary: `accuracy`, `macro_f1` (the mean
    of the F1 of those classes that references have; one that nobody predicts counts 0), `per_class` {name: {precision,
    recall, f1, support}}, `confusion_matrix` (C, C), rows true and columns predicted. The scores of a class without a
    reference are None: no answer could raise them.
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
            "macro_f1": float(np.mean(f1[support > 0])),
            "per_class": {
                label: {
                    "precision": float(precision[i]) if support[i] else None,
                    "recall": float(recall[i]) if support[i] else None,
                    "f1": float(f1[i]) if support[i] else None,
                    "support": int(support[i]),
                }
                for i, label in enumerate(labels)
            },
            "confusion_matrix": confusion_matrix(references, predictions, labels=indices).tolist(),
        }


class EmbeddingScores(evaluate.Metric):
    """How well embeddings of known classes cluster, where a map can only suggest it.

    `compute(predictions=(N, D), references=(N,))` gives a dictionary; a score that the data do not allow is None:
    `silhouette` (Rousseeuw 1987, -1 to 1) and `davies_bouldin` (1979, lower is better) of the true classes;
    `knn_accuracy` of the 5 nearest other rows; `probe_accuracy` of logistic regression, 5-fold cross-validated;
    `nmi` and `ari` of k-means with as many clusters as classes against the classes; and on the unit sphere
    `alignment`, the mean squared distance of two rows of one class, and `uniformity`, the logarithm of the mean
    Gaussian potential of two rows (Wang & Isola 2020; both lower is better). Of more than 5,000 rows, 5,000 are drawn.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{"keep_in_memory": True, **kwargs})

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Clustering, neighbours, linear probe, alignment and uniformity of embeddings.",
            citation="Pedregosa et al. 2011; Wang & Isola 2020",
            inputs_description="predictions: embeddings (N, D); references: class indices",
            features=datasets.Features(
                {"predictions": datasets.List(datasets.Value("float32")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[int]) -> dict[str, float | None]:
        from sklearn import metrics
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.neighbors import NearestNeighbors
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits

        rows, labels = np.asarray(predictions, dtype=np.float64), np.asarray(references)
        if len(rows) > _MOST_ROWS:
            kept = np.sort(np.random.default_rng(0).choice(len(rows), _MOST_ROWS, replace=False))
            rows, labels = rows[kept], labels[kept]
        classes, sizes = np.unique(labels, return_counts=True)
        found: dict[str, float | None] = dict.fromkeys(
            ("silhouette", "davies_bouldin", "knn_accuracy", "probe_accuracy", "nmi", "ari", "alignment", "uniformity")
        )
        if not np.isfinite(rows).all() or len(classes) < 2 or sizes.min() < 2:
            return found
        # One thread: the order of the sums of several would move the last digits.
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # equal rows, or a probe that is still improving
            clusters = KMeans(len(classes), n_init=10, random_state=0).fit_predict(rows)
            folds = StratifiedKFold(min(5, int(sizes.min())), shuffle=True, random_state=0)
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            probed = cross_val_predict(probe, rows, labels, cv=folds)
            search = NearestNeighbors(n_neighbors=min(5, len(rows) - 1)).fit(rows)
            neighbours = search.kneighbors(return_distance=False)
            votes = (labels[neighbours][:, :, None] == classes).sum(1)
            unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            squared = np.clip(2 - 2 * unit @ unit.T, 0, None)[np.triu_indices(len(unit), 1)]
            same = (labels[:, None] == labels)[np.triu_indices(len(unit), 1)]
            values = {
                "silhouette": metrics.silhouette_score(rows, labels),
                "davies_bouldin": metrics.davies_bouldin_score(rows, labels),
                "knn_accuracy": (classes[votes.argmax(1)] == labels).mean(),
                "probe_accuracy": (probed == labels).mean(),
                "nmi": metrics.normalized_mutual_info_score(labels, clusters),
                "ari": metrics.adjusted_rand_score(labels, clusters),
                "alignment": squared[same].mean(),
                "uniformity": np.log(np.exp(-2 * squared).mean()),
            }
        return {name: float(value) for name, value in values.items()}
