"""What int8 costs and gains, on the run's own test set: macro-F1 and speed beside fp32 ONNX and torch."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.loading import EmotionData
from emo_hf.data.several import zeros_and_ones
from emo_hf.errors import UserError
from emo_hf.evaluation.metrics import ClassificationScores
from emo_hf.evaluation.thresholds import decide, macro_f1
from emo_hf.inference.predictor import Predictor
from emo_hf.training.loaded import load_data

ROUNDS = 5
BATCH_SIZE = 32
WEIGHTS = ("*.safetensors", "*.onnx")


def run_data(record: dict[str, Any] | None) -> EmotionData:
    """The data of a run, by the arguments of its record.

    Raises:
        UserError: without a record, or if the data can't be read or are not those of the run any more.
    """
    if record is None or record.get("status") != "completed":
        raise UserError(
            "--to onnx-int8 measures on the test set of the run, but MODEL holds no record.json of a completed run; "
            "give the folder that training wrote, or take --to onnx"
        )
    data = load_data(DataArguments(**record["arguments"]["data"]))
    if data.fingerprint != record["data"]["fingerprint"]:
        raise UserError(
            f"--to onnx-int8 measures on the test set of the run, but {record['data']['source']} has changed since "
            "(another fingerprint); bring the file back, or take --to onnx"
        )
    return data


def measure(models: dict[str, Path], data: EmotionData, max_length: int) -> list[dict[str, Any]]:
    """One row a model, on the test split of `data`.

    A row has name, macro_f1, changed (sentences with another label, or another set of labels, than the first model
    gives them), sentences_per_second (median of `ROUNDS`, on the CPU, tokenization included), threads, and bytes of
    the weights. Sets of labels are those at the model's thresholds.

    Args:
        models: the folders by name. They take turns in every round, so that a busy machine slows all of them.
        data: where the test sentences and their labels come from.
        max_length: in tokens.
    """
    texts = list(data.splits["test"]["text"])
    predictors = {
        name: Predictor(folder, batch_size=BATCH_SIZE, max_length=max_length, device="cpu")
        for name, folder in models.items()
    }
    predicted = {name: _decided(predictor, texts) for name, predictor in predictors.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, predictor in predictors.items():
            started = time.perf_counter()
            predictor.probabilities(texts)
            seconds[name].append(time.perf_counter() - started)
    first = next(iter(predicted.values()))
    return [
        {
            "name": name,
            "macro_f1": _macro_f1(predicted[name], data),
            "changed": int((predicted[name] != first).reshape(len(texts), -1).any(1).sum()),
            "sentences": len(texts),
            "sentences_per_second": round(len(texts) / statistics.median(seconds[name]), 1),
            "threads": torch.get_num_threads(),
            "bytes": sum(file.stat().st_size for end in WEIGHTS for file in folder.glob(end)),
        }
        for name, folder in models.items()
    ]


def _decided(predictor: Predictor, texts: list[str]) -> np.ndarray:
    """The class of each sentence (N,), or which labels it has (N, C)."""
    probabilities = predictor.probabilities(texts).numpy()
    if predictor.thresholds is None:
        return probabilities.argmax(-1)
    return decide(probabilities, np.asarray(predictor.thresholds))


def _macro_f1(predicted: np.ndarray, data: EmotionData) -> float:
    labels = data.splits["test"]["label"][:]
    if data.multi_label:
        return macro_f1(predicted, zeros_and_ones(labels, len(data.labels)).astype(bool))
    return ClassificationScores().compute(predictions=predicted, references=labels, labels=data.labels)["macro_f1"]
