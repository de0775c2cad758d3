"""A static model as tables of what each piece adds to a text, read with tokenizers and numpy alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from emo_hf.errors import UserError
from emo_hf.export.formats import PROBES, difference_of, outputs_of, probes
from emo_hf.export.heads import name_labels
from emo_hf.inference.static import StaticBackend
from emo_hf.models.folders import EMBEDDINGS_FILE, PIECES_FILE
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.static import StaticEncoder


def write_static(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Tables that are added up; returns the largest differences of a logit and an embedding's value.

    Raises:
        UserError: an encoder that has layers, n-grams, or a tokenizer without tokenizer.json.
    """
    encoder = model.encoder
    if not isinstance(encoder, StaticEncoder):
        raise UserError(
            f"--to static: the encoder is {model.config.encoder.model_type}, which reads a text as a whole; only one "
            "of --encoder static can be looked up piece by piece; --to onnx takes every encoder"
        )
    if model.config.ngrams:
        raise UserError("--to static: the model's character n-grams stretch over pieces; --to onnx has them")
    if not tokenizer.is_fast or tokenizer.truncation_side != "right":
        raise UserError("--to static: its tokenizer has no tokenizer.json, or cuts texts at the left; use --to onnx")
    tokenizer.save_pretrained(folder)
    config = copy.deepcopy(model.config.encoder)
    name_labels(config, model.config)
    config.save_pretrained(folder)
    pieces, embeddings = _tables(model, encoder)
    np.save(folder / PIECES_FILE, pieces)
    np.save(folder / EMBEDDINGS_FILE, embeddings)
    backend = StaticBackend(folder)
    model_says = outputs_of(model, probes(tokenizer, max_length))
    found = zip(("logits", "embeddings"), backend.outputs(PROBES, max_length), strict=True)
    differences = [difference_of(name, torch.from_numpy(values), model_says[name]) for name, values in found]
    return {"max_logit_difference": differences[0], "max_embedding_difference": differences[1]}


@torch.no_grad()
def _tables(model: EmotionModel, encoder: StaticEncoder) -> tuple[np.ndarray, np.ndarray]:
    """Of each piece its weight times its logits, and its weight (V, C + 1); its weight times its embedding (V, D).

    All is linear after the weighted mean, so that it may as well come before; the weights' common factor is free.
    """
    embeddings = model.double().embedding(encoder.pieces.weight)
    weights = (encoder.importance.weight - encoder.importance.weight.max()).exp()
    pieces = torch.cat([weights * model.classifier(embeddings), weights], dim=1)
    tables = pieces.float().numpy(), (weights * embeddings).float().numpy()
    model.float()
    return tables
