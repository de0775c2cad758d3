"""Honest yardsticks of a comparison: what needs no neural network at all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.data import EmotionData
from emo_hf.metrics import ClassificationScores
from emo_hf.record import SCHEMA, environment, now, write_record

TFIDF = "TF-IDF + logistic regression"
MAJORITY = "majority class"


def run_yardsticks(data: EmotionData, study_dir: Path) -> None:
    """Fit both yardsticks on the training split, score them on the test split, and write a record for each.

    TF-IDF of character 1- to 4-grams with logistic regression (C = 10), and the most frequent class of training.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipelines = {
        TFIDF: make_pipeline(
            TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, min_df=2),
            LogisticRegression(C=10, max_iter=2000),
        ),
        MAJORITY: DummyClassifier(strategy="prior"),
    }
    train, test = data.splits["train"], data.splits["test"]
    for name, pipeline in pipelines.items():
        started = time.monotonic()
        pipeline.fit(train["text"][:], train["label"][:])
        probabilities = np.full((len(test), len(data.labels)), 1e-12)
        probabilities[:, pipeline.classes_] = pipeline.predict_proba(test["text"][:])
        references = np.asarray(test["label"][:])
        logits = np.log(np.clip(probabilities, 1e-12, 1))
        scores = ClassificationScores().compute(
            predictions=logits.argmax(-1), references=references, labels=data.labels
        )
        loss = float(-logits[np.arange(len(references)), references].mean())
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "run_id": name.replace(" + ", "-").replace(" ", "-"),
            "kind": "yardstick",
            "status": "completed",
            "error": None,
            "started": now(),
            "finished": now(),
            "wall_seconds": round(time.monotonic() - started, 2),
            "model": {
                "encoder": None,
                "name": name,
                "pooling": None,
                "aux": None,
                "parameters": None,
                "embedding_size": None,
            },
            "arguments": {},
            "seed": None,
            "data": {
                "source": data.report["source"],
                "fingerprint": data.fingerprint,
                "labels": list(data.labels),
                "counts": data.counts(),
                "report": data.report,
            },
            **environment(),
            "history": [],
            "best": {},
            "test": {"loss": loss, **scores},
        }
        write_record(
            study_dir / record["run_id"],
            record,
            {"logits": logits.astype(np.float32), "labels": references.astype(np.int64)},
        )
