"""Smaller models with the labels of a teacher: its own with fewer layers, one without any, or another encoder's."""

from __future__ import annotations

import copy
import re
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.errors import UserError
from emo_hf.models.configuration import EmotionConfig, StaticConfig
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pretrained import build_model, load_tokenizer
from emo_hf.models.static import StaticEncoder

STATIC = "static"


def layers_of(student: str) -> int | None:
    """How many layers `layers=N` asks for; None: it names something else.

    Raises:
        UserError: N is no number from 1 on.
    """
    if not student.startswith("layers="):
        return None
    if not (found := re.fullmatch(r"layers=([1-9]\d{0,3})", student)):
        raise UserError(f"--student is {student}; write layers=2, static, or the name of an encoder")
    return int(found[1])


def build_student(
    student: str, teacher: EmotionModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[EmotionModel, PreTrainedTokenizerBase]:
    """A student with its tokenizer, at its start: what it can take over from its teacher it has.

    Args:
        student: `layers=N`, `static`, or an encoder as --encoder takes it.
        teacher: the model, in fp32.
        tokenizer: that of the teacher.

    Raises:
        UserError: an encoder that can't be loaded, or as few layers as the teacher has not.
    """
    if (count := layers_of(student)) is not None:
        return cut(teacher, count), tokenizer
    if student == STATIC:
        return static_of(teacher), tokenizer
    own = teacher.config
    arguments = ModelArguments(
        encoder=student, pooling=own.pooling, embedding_size=own.embedding_size, ngrams=own.ngrams
    )
    model = build_model(arguments, own.labels, multi_label=own.multi_label)
    take_classifier(model, teacher)
    return model, load_tokenizer(arguments)


def cut(teacher: EmotionModel, count: int) -> EmotionModel:
    """The teacher with `count` of its layers, evenly spaced, the first and the last among them.

    A student that starts from every second layer of its teacher learns better than one that starts anew (DistilBERT,
    Sanh et al. 2019). All else, embeddings, pooling, n-grams and head, is the teacher's.
    """
    whole = teacher.config.encoder
    number = getattr(whole, "num_hidden_layers", 0)
    name = next(
        (name for name, part in teacher.encoder.named_modules() if _is_stack(part, number)),
        None,
    )
    if name is None:
        raise UserError(f"--student layers={count}: the teacher's encoder, {whole.model_type}, is no stack of layers")
    if count >= number:
        raise UserError(f"--student layers={count}, but the teacher has {number} layers; give fewer, or static")
    kept = [number - 1] if count == 1 else [round(place * (number - 1) / (count - 1)) for place in range(count)]
    settings: Any = copy.deepcopy(teacher.config)
    settings.encoder.num_hidden_layers = count
    if isinstance(types := getattr(settings.encoder, "layer_types", None), list):
        settings.encoder.layer_types = [types[place] for place in kept]
    model = EmotionModel(settings)
    start = f"encoder.{name}."
    weights = {}
    for key, value in teacher.state_dict().items():
        if key.startswith(start):
            place, _, rest = key.removeprefix(start).partition(".")
            if int(place) not in kept:
                continue
            key = f"{start}{kept.index(int(place))}.{rest}"
        weights[key] = value.clone()
    model.load_state_dict(weights)
    return model


def _is_stack(part: nn.Module, number: int) -> bool:
    return isinstance(part, nn.ModuleList) and number > 0 and len(part) == number


@torch.no_grad()
def static_of(teacher: EmotionModel) -> EmotionModel:
    """A student without layers: its vectors of pieces are the teacher's input embeddings, over their mean length.

    The character n-grams of a teacher that has them are the student's from the start, with all that they learned.
    """
    own = teacher.config
    embeddings: Any = teacher.get_input_embeddings()
    vectors = embeddings.weight.detach().float()
    problem: dict[str, Any] = {"problem_type": own.problem_type} if own.multi_label else {}
    config = EmotionConfig(
        encoder=StaticConfig(*vectors.shape, pad_token_id=own.encoder.pad_token_id, base_encoder=STATIC),
        labels=own.labels,
        pooling="mean",
        embedding_size=own.embedding_size,
        ngrams=own.ngrams,
        ngram_size=own.ngram_size,
        ngram_buckets=own.ngram_buckets,
        ngram_dropout=own.ngram_dropout,
        pad_token_id=own.encoder.pad_token_id,
        text_prefix=own.text_prefix,  # which its tokenizer, the teacher's, puts before every text
        **problem,
    )
    model = EmotionModel(config)
    assert isinstance(model.encoder, StaticEncoder)
    model.encoder.pieces.weight.copy_(vectors / vectors.norm(dim=1).mean())
    if model.ngrams is not None and teacher.ngrams is not None:
        model.ngrams.load_state_dict(teacher.ngrams.state_dict())
    take_classifier(model, teacher)
    return model


@torch.no_grad()
def take_classifier(model: EmotionModel, teacher: EmotionModel) -> None:
    """Give a student the teacher's classifier: its embedding is to become the teacher's, and is read alike."""
    classifier: Any = teacher.classifier
    model.classifier.load_state_dict(classifier.state_dict())
