"""Korean emotion classification with metric learning on the Hugging Face Trainer."""

from __future__ import annotations

import importlib
from typing import Any

from emo_hf.registration import install

__version__ = "0.1.0"

# Where each public name lives; imported on first use, so that `import emo_hf` costs nothing.
_HOMES = {
    "DataArguments": "arguments.dataclasses",
    "MetricTrainingArguments": "arguments.dataclasses",
    "ModelArguments": "arguments.dataclasses",
    "EmotionConfig": "models.configuration",
    "EmotionData": "data.loading",
    "load_emotion_data": "data.loading",
    "tokenize_splits": "data.tokenization",
    "UserError": "errors",
    "ContrastiveLoss": "losses",
    "SupConLoss": "losses",
    "TripletLoss": "losses",
    "EmotionModel": "models.modeling",
    "Predictor": "inference.predictor",
    "BalancedLengthSampler": "training.sampling",
    "MetricTrainer": "training.trainer",
    "run": "training.run",
}

__all__ = ["__version__", *_HOMES]

install()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"emo_hf.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'emo_hf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
