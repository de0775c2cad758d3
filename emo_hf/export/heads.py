"""Our head in the weights of a stock one, so that plain transformers computes our logits.

Ours is linear: embedding and classifier are two matrices with nothing between, so one matrix (C, H) and one bias (C,)
say all of it. A stock head is dense (H, H) -> activation -> output (C, H). How the activation is undone:

- none, after a change of the configuration: nothing to undo;
- ReLU and GELU: act(v) - act(-v) = v for every v, so the dense layer computes v and -v, and the output subtracts;
- tanh: tanh(εv) / ε with ε = 2^-20; below |v| = 2^8, tanh(εv) is εv to the last bit of fp32, and powers of two scale
  without rounding;
- layer norm: of (εv, -εv) the mean is 0, and beside the norm's own epsilon the variance vanishes, so that it divides
  by a constant; again to the last bit of fp32.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import PROMISES
from emo_hf.inference.backends import thresholds_of
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.prefix import KEY

_TANH_SCALE = 2.0**-20
_NORM_SCALE = 2.0**-30
OTHER_FORMATS = "--to onnx takes every pooling, --to sentence-transformers cls, mean, max and last"


@dataclass(frozen=True)
class _Head:
    """Where the two layers of a stock head stand, and what is between them."""

    dense: str
    output: str
    between: Literal["nothing", "rectifier", "tanh", "layer norm"]
    settings: dict[str, str] = field(default_factory=dict)
    poolings: tuple[str, ...] = ("cls",)


_ROBERTA = _Head("classifier.dense", "classifier.out_proj", "tanh")
_DEBERTA = _Head("pooler.dense", "classifier", "nothing", {"pooler_hidden_act": "linear"})
_HEADS = {
    "albert": _Head("albert.pooler", "classifier", "tanh"),
    "bert": _Head("bert.pooler.dense", "classifier", "tanh"),
    "camembert": _ROBERTA,
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "distilbert": _Head("pre_classifier", "classifier", "rectifier"),
    "electra": _Head("classifier.dense", "classifier.out_proj", "rectifier"),
    "modernbert": _Head(
        "head.dense", "classifier", "layer norm", {"classifier_activation": "linear"}, ("cls", "mean")
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}


def stock_classifier(model: EmotionModel) -> tuple[PreTrainedModel, str]:
    """The stock sequence classifier with the logits of `model`, and what stands between the layers of its head.

    Raises:
        UserError: where no stock head of the encoder's family can compute them.
    """
    config = copy.deepcopy(model.config.encoder)
    head = _head(model)
    config.problem_type = "single_label_classification"
    name_labels(config, model.config)
    for name, value in head.settings.items():
        setattr(config, name, value)
    if config.model_type == "modernbert":
        config.classifier_pooling = model.config.pooling
    stock = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).eval()
    # Of the stock encoder alone only its own pooler stays, which is a part of the head.
    stock.base_model.load_state_dict(model.encoder.state_dict(), strict=False)
    weight, bias = _collapsed(model)
    _fill(stock, head, weight, bias, getattr(config, "norm_eps", 0.0))
    return stock, head.between


def name_labels(config: Any, own: PreTrainedConfig) -> None:
    """Give another model's configuration the labels of ours, their thresholds where a text may have several, what its
    texts begin with, and what is promised of its answers.
    """
    config.id2label, config.label2id = dict(own.id2label or {}), dict(own.label2id or {})
    if prefix := getattr(own, KEY, ""):
        setattr(config, KEY, prefix)
    for name in PROMISES:
        if promised := getattr(own, name, None):
            setattr(config, name, promised)
    if (thresholds := thresholds_of(own)) is not None:
        config.problem_type, config.thresholds = own.problem_type, thresholds


def _head(model: EmotionModel) -> _Head:
    config, pooling = model.config.encoder, model.config.pooling
    if model.config.ngrams:
        raise UserError(
            "--to transformers: no stock head has the model's character n-grams; --to onnx has them, and a model "
            "trained with --ngrams 0 has none"
        )
    head = _HEADS.get(config.model_type)
    if head is None or type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise UserError(
            f"--to transformers: the stock head of {config.model_type} is not known to compute these logits; known: "
            f"{', '.join(sorted(_HEADS))}; {OTHER_FORMATS}"
        )
    if pooling not in head.poolings:
        raise UserError(
            f"--to transformers: pooling is {pooling}, but the stock {config.model_type} classifier pools by "
            f"{' or '.join(head.poolings)} only; {OTHER_FORMATS}"
        )
    rows = len(model.config.labels) * (2 if head.between in ("rectifier", "layer norm") else 1)
    if rows > config.hidden_size:
        raise UserError(
            f"--to transformers: {model.config.num_labels} labels need {rows} rows of the stock {config.model_type} "
            f"head, which has {config.hidden_size}; {OTHER_FORMATS}"
        )
    return head


def _collapsed(model: EmotionModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Embedding and classifier as one matrix (C, H) and one bias (C,), in fp64."""
    first, second = model.embedding, model.classifier
    outer = second.weight.double()
    return outer @ first.weight.double(), outer @ first.bias.double() + second.bias.double()


@torch.no_grad()
def _fill(stock: PreTrainedModel, head: _Head, weight: torch.Tensor, bias: torch.Tensor, norm_eps: float) -> None:
    identity = torch.eye(len(weight), dtype=weight.dtype)
    rows, columns = {
        "nothing": lambda: (weight, identity),
        "tanh": lambda: (_TANH_SCALE * weight, identity / _TANH_SCALE),
        "rectifier": lambda: (torch.cat([weight, -weight]), torch.cat([identity, -identity], dim=1)),
        "layer norm": lambda: (
            _NORM_SCALE * torch.cat([weight, -weight]),
            torch.cat([identity, -identity], dim=1) * norm_eps**0.5 / (2 * _NORM_SCALE),
        ),
    }[head.between]()
    dense, output = (cast(nn.Linear, stock.get_submodule(name)) for name in (head.dense, head.output))
    for parameter in (*dense.parameters(), *output.parameters()):
        parameter.zero_()
    dense.weight[: len(rows)] = rows.float()
    output.weight[:, : len(rows)] = columns.float()
    output.bias.copy_(bias)
