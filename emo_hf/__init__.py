"""Korean emotion classification with metric learning on the Hugging Face Trainer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emo_hf.registration import install

if TYPE_CHECKING:
    from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
    from emo_hf.data.loading import EmotionData, load_emotion_data
    from emo_hf.data.tokenization import tokenize_splits
    from emo_hf.errors import UserError
    from emo_hf.inference.predictor import Predictor
    from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss
    from emo_hf.models.configuration import EmotionConfig
    from emo_hf.models.modeling import EmotionModel
    from emo_hf.training.run import run
    from emo_hf.training.sampling import BalancedLengthSampler
    from emo_hf.training.trainer import MetricTrainer

__version__ = "0.1.0"  # pyproject.toml reads it here

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

__all__ = [
    "BalancedLengthSampler",
    "ContrastiveLoss",
    "DataArguments",
    "EmotionConfig",
    "EmotionData",
    "EmotionModel",
    "MetricTrainer",
    "MetricTrainingArguments",
    "ModelArguments",
    "Predictor",
    "SupConLoss",
    "TripletLoss",
    "UserError",
    "__version__",
    "load_emotion_data",
    "run",
    "tokenize_splits",
]

install()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"emo_hf.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'emo_hf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
