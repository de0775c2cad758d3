"""Korean emotion classification with metric learning on the Hugging Face Trainer."""

from __future__ import annotations

import importlib
from typing import Any

from emo_hf.registration import install

__version__ = "0.1.0"

# Where each public name lives; imported on first use, so that `import emo_hf` costs nothing.
_HOMES = {
    "DataArguments": "arguments",
    "MetricTrainingArguments": "arguments",
    "ModelArguments": "arguments",
    "EmotionConfig": "configuration",
    "EmotionData": "data",
    "load_emotion_data": "data",
    "tokenize_splits": "data",
    "UserError": "errors",
    "ContrastiveLoss": "losses",
    "SupConLoss": "losses",
    "TripletLoss": "losses",
    "EmotionModel": "modeling",
    "Predictor": "prediction",
    "BalancedLengthSampler": "sampling",
    "MetricTrainer": "trainer",
    "run": "training",
}

__all__ = ["__version__", *_HOMES]

install()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"emo_hf.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'emo_hf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
