"""What a record says of a run before anything is trained, and when it has ended."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, plain
from emo_hf.arguments.lora import parse_lora
from emo_hf.models.pretrained import with_ngrams
from emo_hf.storage.record import SCHEMA, environment, now
from emo_hf.training.classifier_loss import differing
from emo_hf.training.run_names import encoder_name


def begun_record(
    model: ModelArguments,
    data: DataArguments,
    training: MetricTrainingArguments,
    settings: Sequence[tuple[str, Any]],
    tuned: Sequence[tuple[str, Any]],
) -> dict[str, Any]:
    """The record of a run that begins in `training.output_dir`."""
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": Path(training.output_dir).name,
        "kind": "model",
        "status": "running",
        "error": None,
        "started": now(),
        "finished": None,
        "wall_seconds": None,
        "model": {
            "encoder": model.encoder,
            "name": encoder_name(model.encoder),
            "pooling": model.pooling,
            "aux": training.aux,
            **({"lora": lora.summary()} if (lora := parse_lora(model.lora)) else {}),
            **({"classifier_loss": own} if (own := differing(vars(training))) else {}),
            **({"settings": dict(settings)} if settings else {}),
        },
        "arguments": {"model": with_ngrams(model), "data": asdict(data), "training": plain(training)},
        "seed": training.seed,
        **({"tuned": dict(tuned)} if tuned else {}),
        **environment(),
    }
    record["hardware"] |= {
        "device": str(training.device),
        "device_name": _device_name(training.device),
        "processes": training.world_size,
        "threads": torch.get_num_threads(),
        "bf16": bool(training.bf16),
    }
    return record


def ended(started: float) -> dict[str, Any]:
    """When a run has ended that began at `started`, of `time.monotonic`."""
    return {"finished": now(), "wall_seconds": round(time.monotonic() - started, 2)}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type
