"""Baselines of a comparison: what needs no neural network at all."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.data.loading import EmotionData
from emo_hf.evaluation.calibration import reliability
from emo_hf.evaluation.metrics import ClassificationScores
from emo_hf.storage.record import SCHEMA, environment, is_done, now, write_record

TFIDF = "TF-IDF + logistic regression"
MAJORITY = "majority class"

BASELINES = {TFIDF: "TF-IDF-logistic-regression", MAJORITY: "majority-class"}


def run_baselines(data: EmotionData, study_dir: Path) -> None:
    """Fit both baselines on the training split, score them on the test split, and write a record for each.

    The most frequent class of training; and logistic regression on TF-IDF of character 1- to 4-grams, its strength C
    (1, 10, 100) and class weights (none, balanced) chosen by validation macro-F1, as the models' epochs are.
    """
    from sklearn.dummy import DummyClassifier

    for name, fit in ((TFIDF, _fit_tfidf), (MAJORITY, lambda train, _: DummyClassifier().fit(*train))):
        if is_done(study_dir / BASELINES[name]):
            continue
        started, clock = now(), time.monotonic()
        train, validation, test = (
            (data.splits[split]["text"][:], np.asarray(data.splits[split]["label"][:]))
            for split in ("train", "validation", "test")
        )
        classifier = fit(train, validation)
        probabilities = np.zeros((len(test[0]), len(data.labels)))
        probabilities[:, classifier.classes_] = classifier.predict_proba(test[0])
        _write(name, data, study_dir, probabilities, test[1], started, time.monotonic() - clock)


def _fit_tfidf(train: tuple[list[str], np.ndarray], validation: tuple[list[str], np.ndarray]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
    features, held_out = vectorizer.fit_transform(train[0]), vectorizer.transform(validation[0])
    best, best_score = None, -1.0
    for strength, weights in itertools.product((1, 10, 100), (None, "balanced")):
        classifier = LogisticRegression(C=strength, class_weight=weights, max_iter=2000).fit(features, train[1])
        # Of the classes that validation has: scikit-learn would count one that is only predicted too.
        present = np.unique(validation[1])
        score = f1_score(validation[1], classifier.predict(held_out), labels=present, average="macro")
        if score > best_score:
            best, best_score = classifier, score
    return make_pipeline(vectorizer, best)


def _write(
    name: str,
    data: EmotionData,
    study_dir: Path,
    probabilities: np.ndarray,
    references: np.ndarray,
    started: str,
    seconds: float,
) -> None:
    logits = np.log(np.clip(probabilities, 1e-12, 1))
    scores = ClassificationScores().compute(predictions=logits.argmax(-1), references=references, labels=data.labels)
    loss = float(-logits[np.arange(len(references)), references].mean())
    absent = dict.fromkeys(("encoder", "pooling", "aux", "parameters", "embedding_size"))
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": BASELINES[name],
        "kind": "baseline",
        "status": "completed",
        "error": None,
        "started": started,
        "finished": now(),
        "wall_seconds": round(seconds, 2),
        "model": {"name": name, **absent},
        "arguments": {},
        "seed": None,
        "data": data.summary(),
        **environment(),
        "history": [],
        "best": {},
        "test": {"loss": loss, **scores, "ece": reliability(logits, references).error},
    }
    write_record(
        study_dir / record["run_id"],
        record,
        {"logits": logits.astype(np.float32), "labels": references.astype(np.int64)},
    )
