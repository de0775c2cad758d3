"""Baselines of a comparison: what needs no neural network at all."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.loading import EmotionData
from emo_hf.data.several import zeros_and_ones
from emo_hf.evaluation.calibration import reliability
from emo_hf.evaluation.metrics import ClassificationScores
from emo_hf.evaluation.thresholds import choose_thresholds, decide, macro_f1, sigmoid
from emo_hf.storage.record import SCHEMA, environment, is_done, now, write_record
from emo_hf.study.grid import Study
from emo_hf.study.variations import parse_over
from emo_hf.training.loaded import drawn_by, load_data
from emo_hf.training.outcome import Predicted, score_test_rows

TFIDF = "TF-IDF + logistic regression"
MAJORITY = "majority class"
PRIORS = "label priors"  # in its place where rows have several labels

BASELINES = {TFIDF: "TF-IDF-logistic-regression", MAJORITY: "majority-class", PRIORS: "label-priors"}
STRENGTHS = (1, 10, 100)

Split = tuple[list[str], np.ndarray]  # texts, and their classes (N,) or sets of labels (N, C)
Scored = tuple[dict[str, Any], dict[str, np.ndarray]]  # what a record says of the test rows, and the predictions


@dataclass(frozen=True)
class Rows:
    """The three splits as the baselines take them, the names of the classes, and how thresholds are chosen."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    thresholds: str


def run_baselines(data: EmotionData, study_dir: Path, *, thresholds: str = "label") -> None:
    """Fit both baselines on the training split, score them on the test split, and write a record for each.

    The most frequent class of training; and logistic regression on TF-IDF of character 1- to 4-grams, its strength C
    (1, 10, 100) and class weights (none, balanced) chosen by validation macro-F1, as the models' epochs are.

    Where rows have several labels: the shares of the labels in training as every row's probabilities; and a logistic
    regression a label, all of one strength. Their `thresholds` are chosen on the validation rows as the models' are,
    which does for rare labels what class weights would.
    """
    for name in (TFIDF, PRIORS if data.multi_label else MAJORITY):
        _run(name, data, study_dir / BASELINES[name], thresholds)


def run_study_baselines(study: Study, data: EmotionData) -> None:
    """The baselines of a study, on its `data`; where it trains on few rows a label, TF-IDF on the rows of each run.

    So its curve has as many draws as the models have seeds, each of the rows that the models of that seed are trained
    on; what is chosen of it, is on all validation rows, as the models' epochs are.
    """
    thresholds = study.training["thresholds"]
    if not study.shots:
        run_baselines(data, study.folder, thresholds=thresholds)
        return
    varied = "shots" in parse_over(study.grid.over)
    for seed, shots in itertools.product(study.grid.seeds, study.shots):
        settings = {"shots": shots} if varied else {}
        folder = study.folder / "_".join([BASELINES[TFIDF], *(f"{k}={v}" for k, v in settings.items()), f"seed{seed}"])
        drawn = drawn_by(replace(study.data, shots=shots), seed)
        _run(TFIDF, load_data(drawn), folder, thresholds, settings=settings, seed=seed, drawn=drawn)
    name = PRIORS if data.multi_label else MAJORITY
    _run(name, data, study.folder / BASELINES[name], thresholds)


def _run(name: str, data: EmotionData, folder: Path, thresholds: str, **more: Any) -> None:
    """Fit one baseline and write its record, unless that is done."""
    if is_done(folder):
        return
    fits = {TFIDF: _tfidf_sets if data.multi_label else _tfidf, PRIORS: _priors, MAJORITY: _majority}
    started, clock = now(), time.monotonic()
    scored = fits[name](_rows(data, thresholds))
    _write(name, data, folder, scored, started, time.monotonic() - clock, **more)


def _rows(data: EmotionData, thresholds: str) -> Rows:
    splits: list[Split] = []
    for split in ("train", "validation", "test"):
        labels = data.splits[split]["label"][:]
        if data.multi_label:
            labels = zeros_and_ones(labels, len(data.labels)).astype(bool)
        splits.append((data.splits[split]["text"][:], np.asarray(labels)))
    train, validation, test = splits
    return Rows(train, validation, test, data.labels, thresholds)


def _majority(rows: Rows) -> Scored:
    from sklearn.dummy import DummyClassifier

    return _scored_classes(rows, DummyClassifier().fit(*rows.train))


def _tfidf(rows: Rows) -> Scored:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
    (texts, classes), (others, truth) = rows.train, rows.validation
    features, held_out = vectorizer.fit_transform(texts), vectorizer.transform(others)
    best, best_score = None, -1.0
    for strength, weights in itertools.product(STRENGTHS, (None, "balanced")):
        classifier = LogisticRegression(C=strength, class_weight=weights, max_iter=2000).fit(features, classes)
        # Of the classes that validation has: scikit-learn would count one that is only predicted too.
        score = f1_score(truth, classifier.predict(held_out), labels=np.unique(truth), average="macro")
        if score > best_score:
            best, best_score = classifier, score
    return _scored_classes(rows, make_pipeline(vectorizer, best))


def _scored_classes(rows: Rows, classifier: Any) -> Scored:
    """A classifier of scikit-learn on the test rows."""
    texts, references = rows.test
    probabilities = np.zeros((len(texts), len(rows.labels)))
    probabilities[:, classifier.classes_] = classifier.predict_proba(texts)
    logits = np.log(np.clip(probabilities, 1e-12, 1))
    scores = ClassificationScores().compute(predictions=logits.argmax(-1), references=references, labels=rows.labels)
    loss = float(-logits[np.arange(len(references)), references].mean())
    test = {"loss": loss, **scores, "ece": reliability(logits, references).error}
    return test, {"logits": logits.astype(np.float32), "labels": references.astype(np.int64)}


def _priors(rows: Rows) -> Scored:
    logits = _log_odds(rows.train[1].mean(0))
    validation, test = (np.tile(logits, (len(texts), 1)) for texts, _ in (rows.validation, rows.test))
    return _scored_sets(rows, validation, test)


def _tfidf_sets(rows: Rows) -> Scored:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
    features = vectorizer.fit_transform(rows.train[0])
    held_out, tested = (vectorizer.transform(texts) for texts, _ in (rows.validation, rows.test))
    found = [_one_vs_rest(features, rows.train[1], strength, held_out, tested) for strength in STRENGTHS]
    return _scored_sets(rows, *max(found, key=lambda logits: _macro_f1(rows, logits[0])))


def _one_vs_rest(features: Any, labels: np.ndarray, strength: float, *asked: Any) -> list[np.ndarray]:
    """The log-odds (N, C) of each of the matrices that are `asked`; a label that no row has, or all, has its prior."""
    from sklearn.linear_model import LogisticRegression

    logits = [np.tile(_log_odds(labels.mean(0)), (other.shape[0], 1)) for other in asked]
    for place in np.flatnonzero(labels.any(0) & ~labels.all(0)):
        # Of the solvers that leave the intercept free the fastest here: 40 % of the time of the usual one.
        classifier = LogisticRegression(C=strength, max_iter=2000, solver="newton-cg").fit(features, labels[:, place])
        for found, other in zip(logits, asked, strict=True):
            found[:, place] = classifier.decision_function(other)
    return logits


def _macro_f1(rows: Rows, logits: np.ndarray) -> float:
    """Of the validation rows, at the thresholds that are chosen on them."""
    probabilities, actual = sigmoid(logits), rows.validation[1]
    decided = decide(probabilities, choose_thresholds(probabilities, actual, rows.thresholds))
    return macro_f1(decided, actual)


def _log_odds(shares: np.ndarray) -> np.ndarray:
    return special.logit(np.clip(shares, 1e-12, 1 - 1e-12))


def _scored_sets(rows: Rows, validation: np.ndarray, test: np.ndarray) -> Scored:
    """Log-odds (N, C) of the validation rows, which thresholds are chosen on, and of the test rows."""
    thresholds = choose_thresholds(sigmoid(validation), rows.validation[1], rows.thresholds)
    logits, actual = test.astype(np.float32), rows.test[1].astype(np.uint8)  # scored as they are stored
    loss = float(np.logaddexp(0, np.where(actual, -test, test)).sum(1).mean())
    predicted = Predicted(logits, np.empty((len(test), 0)), actual, loss, thresholds)
    arrays = predicted.arrays()
    del arrays["embeddings"]
    return score_test_rows(predicted, rows.labels), arrays


def _write(
    name: str,
    data: EmotionData,
    folder: Path,
    scored: Scored,
    started: str,
    seconds: float,
    *,
    settings: dict[str, Any] | None = None,
    seed: int | None = None,
    drawn: DataArguments | None = None,
) -> None:
    test, arrays = scored
    absent = dict.fromkeys(("encoder", "pooling", "aux", "parameters", "embedding_size"))
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": folder.name,
        "kind": "baseline",
        "status": "completed",
        "error": None,
        "started": started,
        "finished": now(),
        "wall_seconds": round(seconds, 2),
        "model": {"name": name, **absent, **({"settings": settings} if settings else {})},
        "arguments": {"data": asdict(drawn)} if drawn else {},
        "seed": seed,
        "data": data.summary(),
        **environment(),
        "history": [],
        "best": {},
        "test": test,
    }
    write_record(folder, record, arrays)
