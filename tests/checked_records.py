"""A record as a finished run leaves it, checked from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

LABELS = ["불안", "슬픔", "기쁨"]
TOP = {
    "schema", "run_id", "kind", "status", "error", "started", "finished", "wall_seconds", "model", "arguments", "seed",
    "data", "versions", "commit", "hardware", "history", "best", "test", "files",
}  # fmt: skip
EPOCH = {
    "epoch", "train_loss", "train_accuracy", "ce_loss",
    "validation_loss", "validation_accuracy", "validation_macro_f1",
}  # fmt: skip


def check_record(folder: Path, baseline: bool = False) -> dict:
    """The record and its predictions, complete and of one piece."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert set(record) == (TOP if baseline else TOP | {"tokens", "calibration"})
    assert record["schema"] == 1
    assert record["run_id"] == folder.name
    assert (record["status"], record["error"]) == ("completed", None)
    assert record["started"] <= record["finished"] and record["started"].endswith("+00:00")
    assert set(record["model"]) == {"encoder", "name", "pooling", "aux", "parameters", "embedding_size"}
    assert record["data"]["labels"] == LABELS
    assert record["data"]["counts"] == {
        split: dict.fromkeys(LABELS, rows) for split, rows in (("train", 48), ("validation", 12), ("test", 20))
    }
    assert record["data"]["fingerprint"] and record["data"]["report"]
    assert {"emo_hf", "torch", "transformers", "datasets", "python"} <= set(record["versions"])
    assert record["hardware"]["cpus"] >= 1
    arrays = np.load(folder / record["files"]["predictions"], allow_pickle=False)
    assert arrays["logits"].shape == (60, 3) and arrays["logits"].dtype == np.float32
    assert arrays["labels"].shape == (60,) and arrays["labels"].dtype == np.int64
    test = record["test"]
    predicted = arrays["logits"].argmax(1)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (arrays["labels"], predicted), 1)
    assert test["confusion_matrix"] == confusion.tolist()
    assert test["accuracy"] == pytest.approx(np.trace(confusion) / 60)
    scores = []
    for i, label in enumerate(LABELS):
        precision = confusion[i, i] / max(confusion[:, i].sum(), 1)
        recall = confusion[i, i] / confusion[i].sum()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
        expected = {"precision": precision, "recall": recall, "f1": scores[-1], "support": 20}
        assert test["per_class"][label] == pytest.approx(expected)
    assert test["macro_f1"] == pytest.approx(np.mean(scores))
    if baseline:
        assert record["kind"] == "baseline" and record["history"] == []
        assert set(arrays.files) == {"logits", "labels"}
        return record
    assert record["kind"] == "model"
    hashes = np.load(folder / record["files"]["texts"], allow_pickle=False)["hashes"]
    assert 0 < len(hashes) <= 3 * 48 and hashes.dtype == np.uint64
    assert arrays["embeddings"].shape == (60, 16) and arrays["embeddings"].dtype == np.float16
    assert record["model"]["embedding_size"] == 16 and record["model"]["parameters"] > 1000
    assert [row["epoch"] for row in record["history"]] == [1.0, 2.0]
    assert all(set(row) >= EPOCH for row in record["history"])
    assert set(record["best"]) == {"epoch", "validation_macro_f1"}
    assert set(record["arguments"]) == {"model", "data", "training"}
    assert record["seed"] == record["arguments"]["training"]["seed"]
    return record
