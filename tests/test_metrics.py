"""Scores by hand, on classes of unequal size."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import EvalPrediction

from emo_hf.metrics import ClassificationScores, trainer_metrics

REFERENCES = [0, 0, 0, 0, 1, 1, 2]
PREDICTIONS = [0, 0, 1, 1, 1, 0, 1]
LABELS = ["불안", "슬픔", "기쁨", "분노"]


def test_scores_by_hand():
    found = ClassificationScores().compute(predictions=PREDICTIONS, references=REFERENCES, labels=LABELS)
    assert found["accuracy"] == pytest.approx(3 / 7)
    assert found["per_class"]["불안"] == pytest.approx({"precision": 2 / 3, "recall": 0.5, "f1": 4 / 7, "support": 4})
    assert found["per_class"]["슬픔"] == pytest.approx({"precision": 0.25, "recall": 0.5, "f1": 1 / 3, "support": 2})
    for label, support in (("기쁨", 1), ("분노", 0)):  # nobody predicts the one, the other does not occur
        assert found["per_class"][label] == {"precision": 0, "recall": 0, "f1": 0, "support": support}
    assert found["macro_f1"] == pytest.approx((4 / 7 + 1 / 3) / 4)
    assert found["confusion_matrix"] == [[2, 2, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_what_the_trainer_is_given():
    logits = np.eye(4)[PREDICTIONS]
    compute = trainer_metrics(LABELS)
    expected = {"accuracy": pytest.approx(3 / 7), "macro_f1": pytest.approx((4 / 7 + 1 / 3) / 4)}
    for predictions in (logits, (logits, np.zeros((7, 16)))):  # with the embeddings beside, too
        assert compute(EvalPrediction(predictions=predictions, label_ids=np.array(REFERENCES))) == expected
