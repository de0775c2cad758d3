"""Data and records of studies whose rows have several labels each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import EVIL

from emo_hf.evaluation.calibration import reliability_of_sets
from emo_hf.evaluation.label_set_metrics import LabelSetScores
from emo_hf.evaluation.thresholds import sigmoid
from emo_hf.storage.files import file_stem

# Words that the tests' tokenizer knows.
CUES = {"기쁨": "웃었어", "슬픔": "울었어", "불안": "떨렸어", "분노": "초조했어"}
TIMES = ("오늘", "어제", "아침에", "저녁에", "주말에")
PLACES = ("학교에서", "집에서", "회사에서", "버스에서")


def write_label_sets(path: Path, rows: int = 240) -> Path:
    """A table of texts with one to three labels each, joined by `|`, of which every label has its cue in the text."""
    random = np.random.default_rng(0)
    names, shares = list(CUES), np.array([0.6, 0.4, 0.3, 0.15])
    lines = ["text,label"]
    for row in range(rows):
        has = random.random(len(names)) < shares
        if not has.any():
            has[row % len(names)] = True
        own = [name for name, there in zip(names, has, strict=True) if there]
        words = [TIMES[row % 5], PLACES[row // 5 % 4], str(row), *(CUES[name] for name in own)]
        lines.append(f"{' '.join(words)},{'|'.join(own)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_set_run(
    study: Path,
    *,
    encoder: str = "tiny-bert",
    pooling: str = "cls",
    aux: str = "none",
    seed: int = 1,
    rows: int = 60,
    labels: list[str] | None = None,
    baseline: str | None = None,
    skill: float = 2.0,
    loss: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One run on disk, as training would leave it: the logit of a label that a row has is higher by `skill`."""
    names, plain_loss = labels or list(CUES), "binary_cross_entropy"
    run_id = f"{baseline or f'{file_stem(encoder)}_{pooling}_{aux}'}_seed{seed}".replace(" ", "-")
    truth = true_sets(rows, len(names))
    random = np.random.default_rng([seed, sum(map(ord, run_id))])
    logits = (skill * (truth - 0.8) + random.normal(size=truth.shape)).astype(np.float32)
    thresholds = np.round(random.uniform(0.2, 0.5, len(names)), 3)
    probabilities = sigmoid(logits)
    scores = LabelSetScores().compute(predictions=probabilities, references=truth, labels=names, thresholds=thresholds)
    test = {"loss": 5.0 + random.random(), **scores, "ece": reliability_of_sets(probabilities, truth).error}
    counts = {split: dict(zip(names, truth.sum(0).tolist(), strict=True)) for split in ("train", "test")}
    report = {"task": "multi", "rows": {"train": rows, "validation": rows, "test": rows}, "counts": counts}
    record = {
        "schema": 1,
        "run_id": run_id,
        "kind": "baseline" if baseline else "model",
        "status": "completed",
        "wall_seconds": 30.0,
        "model": {
            "encoder": None if baseline else encoder,
            "name": baseline or encoder,
            "pooling": None if baseline else pooling,
            "aux": None if baseline else aux,
            "embedding_size": None if baseline else 8,
            **({} if baseline else {"classifier_loss": {"classification_loss": plain_loss} | (loss or {})}),
        },
        "seed": seed,
        "data": {"source": "sets.csv", "fingerprint": "f", "labels": names, "counts": counts, "report": report},
        "history": [
            {"epoch": float(epoch), "train_loss": 9 / epoch, "validation_loss": 10 / epoch}
            | {"validation_accuracy": 0.0, "validation_macro_f1": 0.5 - 0.2 / epoch}
            for epoch in ((1, 2, 3) if not baseline else ())
        ],
        "test": test,
        "files": {"predictions": "predictions.npz"},
    } | changes
    folder = study / run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    arrays = {"logits": logits, "labels": truth.astype(np.uint8), "thresholds": thresholds}
    if not baseline:
        arrays["embeddings"] = (truth @ random.normal(size=(len(names), 8)) + random.normal(size=(rows, 8))).astype(
            np.float16
        )
    np.savez(folder / "predictions.npz", **arrays)
    return record


def true_sets(rows: int, count: int) -> np.ndarray:
    """The labels (N, C) that the test rows of all runs have, the last ones the rarest."""
    random = np.random.default_rng(7)
    groups = random.random((rows, 1)) < 0.5  # labels of one half go together
    shares = np.linspace(0.5, 0.08, count) * np.where(groups, np.arange(count) % 2 + 0.5, 1.5 - np.arange(count) % 2)
    return (random.random((rows, count)) < np.minimum(shares, 0.9)).astype(int)


def write_set_texts(study: Path, rows: int = 60, count: int = len(CUES)) -> None:
    """The test rows that a study notes, in the order of all predictions."""
    truth = true_sets(rows, count)
    content = {
        "fingerprint": "f",
        "text": [EVIL, *(f"문장 {row}" for row in range(1, rows))],
        "label": [np.flatnonzero(row).tolist() for row in truth],
        "situation": ["학업" if row % 2 else "건강" for row in range(rows)],
    }
    (study / "test.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_set_study(study: Path, seeds: tuple[int, ...] = (1, 2, 3), **options: Any) -> None:
    """Four models and the baselines."""
    for pooling in ("cls", "mean"):
        for aux, skill in (("none", 2.0), ("triplet", 2.3)):
            for seed in seeds:
                write_set_run(study, pooling=pooling, aux=aux, seed=seed, skill=skill, **options)
    write_set_run(study, baseline="TF-IDF + logistic regression", skill=1.5, **options)
    write_set_run(study, baseline="label priors", skill=0.3, **options)
