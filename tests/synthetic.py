"""Records of studies that nobody ran, for what is built from records alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.storage.files import file_stem

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & {{ 7 * 7 }}"
LABELS = ["불안", "슬픔", "기쁨"]
# The models 1 to 6 of the published comparison, as pooling and loss.
ORIGINAL = [
    ("cls", "none"),
    ("mean", "none"),
    ("cls", "contrastive"),
    ("mean", "contrastive"),
    ("cls", "triplet"),
    ("mean", "triplet"),
]


def write_run(
    study: Path,
    *,
    encoder: str = "tiny-bert",
    pooling: str = "cls",
    aux: str = "none",
    seed: int = 42,
    correct: float = 0.7,
    rows: int = 45,
    labels: list[str] = LABELS,
    baseline: str | None = None,
    epochs: int = 3,
    absent: int = 0,
    embeddings: dict[str, float | None] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One run on disk, as training would leave it: about `correct` of its test rows are predicted right.

    The last `absent` labels have no test row.
    """
    run_id = f"{baseline or f'{file_stem(encoder)}_{pooling}_{aux}'}_seed{seed}".replace(" ", "-")
    generator = np.random.default_rng([seed, sum(map(ord, run_id))])
    count = len(labels)
    counts = {"train": dict.fromkeys(labels, rows), "test": dict.fromkeys(labels, rows // count)}
    true = np.arange(rows) % (count - absent)
    wrong = generator.random(rows) > correct
    predicted = np.where(wrong, (true + generator.integers(1, count, rows)) % count, true)
    confusion = np.zeros((count, count), dtype=int)
    np.add.at(confusion, (true, predicted), 1)
    per_class = {}
    for index, label in enumerate(labels):
        hits, found, support = confusion[index, index], confusion[:, index].sum(), confusion[index].sum()
        per_class[label] = {
            "precision": float(hits / max(found, 1)) if support else None,
            "recall": float(hits / support) if support else None,
            "f1": float(2 * hits / (found + support)) if support else None,
            "support": int(support),
        }
    history = [
        {
            "epoch": float(epoch),
            "train_loss": 1 / epoch + 0.1 * generator.random(),
            "train_accuracy": 1 - 0.4 / epoch,
            "validation_loss": 0.5 + 0.5 / epoch + 0.1 * generator.random(),
            "validation_accuracy": 0.8 - 0.3 / epoch,
        }
        for epoch in range(1, epochs + 1)
    ]
    record = {
        "schema": 1,
        "run_id": run_id,
        "kind": "baseline" if baseline else "model",
        "status": "completed",
        "wall_seconds": 30.0 + generator.random(),
        "model": {
            "encoder": None if baseline else encoder,
            "name": baseline or encoder,
            "pooling": None if baseline else pooling,
            "aux": None if baseline else aux,
            "embedding_size": None if baseline else 8,
        },
        "best": {} if baseline else {"epoch": float(epochs), "validation_macro_f1": correct},
        "hardware": {"device_name": "cpu", "processes": 1, "bf16": False},
        "seed": seed,
        "data": {"source": "sample", "fingerprint": "f", "labels": labels, "counts": counts},
        "history": [] if baseline else history,
        "test": {
            "loss": None if baseline == "majority class" else float(0.5 + generator.random()),
            "accuracy": float(np.mean(true == predicted)),
            "macro_f1": float(np.mean([scores["f1"] for scores in per_class.values() if scores["support"]])),
            "per_class": per_class,
            "confusion_matrix": confusion.tolist(),
        },
        "files": {"predictions": "predictions.npz"},
    } | changes
    if embeddings is not None:
        record["test"]["embeddings"] = embeddings
    folder = study / run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    arrays = {"logits": np.eye(count, dtype=np.float32)[predicted], "labels": true}
    if not baseline:
        centres = 3 * generator.normal(size=(count, 8))
        arrays["embeddings"] = (centres[true] + generator.normal(size=(rows, 8))).astype(np.float16)
    np.savez(folder / "predictions.npz", **arrays)
    return record


def write_study(
    study: Path, *, encoders: tuple[str, ...] = ("tiny-bert",), seeds: tuple[int, ...] = (1, 2, 3)
) -> None:
    for encoder in encoders:
        for pooling, aux in ORIGINAL:
            for seed in seeds:
                write_run(study, encoder=encoder, pooling=pooling, aux=aux, seed=seed)
    write_run(study, baseline="TF-IDF + logistic regression", correct=0.6)
    write_run(study, baseline="majority class", correct=0.3)


def write_sentences(study: Path, rows: int = 45) -> None:
    """The test rows that a study notes, in the order of all predictions; the first is hostile."""
    content = {
        "fingerprint": "f",
        "text": [EVIL, *(f"문장 {i}" for i in range(1, rows))],
        "label": [i % 3 for i in range(rows)],
        "situation": ["학업" if i % 2 else "건강" for i in range(rows)],
    }
    (study / "test.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
