"""Scores by hand, on classes of unequal size."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import EvalPrediction

from emo_hf.evaluation.metrics import ClassificationScores, EmbeddingScores
from emo_hf.evaluation.trainer_metrics import trainer_metrics

REFERENCES = [0, 0, 0, 0, 1, 1, 2]
PREDICTIONS = [0, 0, 1, 1, 1, 0, 1]
LABELS = ["불안", "슬픔", "기쁨", "분노"]


def test_scores_by_hand():
    found = ClassificationScores().compute(predictions=PREDICTIONS, references=REFERENCES, labels=LABELS)
    assert found["accuracy"] == pytest.approx(3 / 7)
    assert found["per_class"]["불안"] == pytest.approx({"precision": 2 / 3, "recall": 0.5, "f1": 4 / 7, "support": 4})
    assert found["per_class"]["슬픔"] == pytest.approx({"precision": 0.25, "recall": 0.5, "f1": 1 / 3, "support": 2})
    assert found["per_class"]["기쁨"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}  # nobody predicts it
    assert found["per_class"]["분노"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert found["macro_f1"] == pytest.approx((4 / 7 + 1 / 3) / 3)
    assert found["confusion_matrix"] == [[2, 2, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_what_the_trainer_is_given():
    logits = np.eye(4)[PREDICTIONS]
    compute = trainer_metrics(LABELS)
    expected = {"accuracy": pytest.approx(3 / 7), "macro_f1": pytest.approx((4 / 7 + 1 / 3) / 3)}
    for predictions in (logits, (logits, np.zeros((7, 16)))):  # with the embeddings beside, too
        assert compute(EvalPrediction(predictions=predictions, label_ids=np.array(REFERENCES))) == expected


def clouds(distance: float, rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(rows) % 3
    return distance * np.eye(3, 6)[labels] + random.normal(size=(rows, 6)), labels


def embedding_scores(rows: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    return EmbeddingScores().compute(predictions=rows, references=labels)


def test_embedding_scores_by_plain_loops():
    rows, labels = clouds(1.0, 30)
    found = embedding_scores(rows, labels)
    rows = rows.astype(np.float32).astype(np.float64)
    unit = [row / np.sqrt((row * row).sum()) for row in rows]
    squared = {(i, j): ((unit[i] - unit[j]) ** 2).sum() for i in range(30) for j in range(i)}
    assert found["alignment"] == pytest.approx(np.mean([d for (i, j), d in squared.items() if labels[i] == labels[j]]))
    assert found["uniformity"] == pytest.approx(np.log(np.mean([np.exp(-2 * d) for d in squared.values()])))
    hits = 0
    for i, row in enumerate(rows):
        nearest = sorted((((row - other) ** 2).sum(), j) for j, other in enumerate(rows) if j != i)[:5]
        votes = [sum(labels[j] == label for _, j in nearest) for label in range(3)]
        hits += votes.index(max(votes)) == labels[i]
    assert found["knn_accuracy"] == pytest.approx(hits / 30)


def test_embedding_scores_tell_clusters_from_noise():
    apart, noise = embedding_scores(*clouds(30.0)), embedding_scores(*clouds(0.0))
    assert apart["knn_accuracy"] == apart["probe_accuracy"] == 1
    assert apart["nmi"] == apart["ari"] == pytest.approx(1)
    assert apart["silhouette"] > 0.8 and apart["davies_bouldin"] < 0.3 and apart["alignment"] < 0.2
    assert abs(noise["ari"]) < 0.1 and abs(noise["silhouette"]) < 0.05 and noise["probe_accuracy"] < 0.6


def test_embedding_scores_of_what_they_can_not_score():
    equal = embedding_scores(np.ones((12, 4)), np.arange(12) % 3)
    assert all(np.isfinite(value) for value in equal.values()) and equal["alignment"] == pytest.approx(0)
    lone = embedding_scores(*(part[:7] for part in (clouds(1.0)[0], np.array([0, 0, 0, 1, 1, 1, 2]))))
    infinite = embedding_scores(np.full((12, 4), np.inf), np.arange(12) % 3)
    assert set(lone.values()) == set(infinite.values()) == {None}
