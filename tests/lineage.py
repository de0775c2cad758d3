"""Runs that start from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.training.loaded import load_data
from emo_hf.training.run import run


def start(folder: Path, model: ModelArguments, data: DataArguments, **training: Any) -> dict[str, Any]:
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False, "disable_tqdm": True}
    return run(model, data, MetricTrainingArguments(output_dir=str(folder), **(settings | training)))


def of(data: DataArguments, split: str) -> list[str]:
    return load_data(data).splits[split]["text"][:]
