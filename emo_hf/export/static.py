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
from emo_hf.models.folders import EMBEDDINGS_FILE, LETTERS_FILE, NGRAM_EMBEDDINGS_FILE, NGRAMS_FILE, PIECES_FILE
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.static import StaticEncoder


def write_static(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Tables that are added up; returns letters of n-grams, and the largest differences of outputs.

    Raises:
        UserError: an encoder that has layers, or a tokenizer without tokenizer.json.
    """
    encoder = model.encoder
    if not isinstance(encoder, StaticEncoder):
        raise UserError(
            f"--to static: the encoder is {model.config.encoder.model_type}, which reads a text as a whole; only one "
            "of --encoder static can be looked up piece by piece; --to onnx takes every encoder"
        )
    if not tokenizer.is_fast or tokenizer.truncation_side != "right":
        raise UserError("--to static: its tokenizer has no tokenizer.json, or cuts texts at the left; use --to onnx")
    tokenizer.save_pretrained(folder)
    config = copy.deepcopy(model.config.encoder)
    name_labels(config, model.config)
    config.ngrams = model.config.ngrams
    config.save_pretrained(folder)
    for name, table in _tables(model, encoder).items():
        np.save(folder / name, table)
    backend = StaticBackend(folder)
    model_says = outputs_of(model, probes(tokenizer, max_length))
    found = zip(("logits", "embeddings"), backend.outputs(PROBES, max_length), strict=True)
    differences = [difference_of(name, torch.from_numpy(values), model_says[name]) for name, values in found]
    return {
        "ngrams": model.config.ngrams,
        "max_logit_difference": differences[0],
        "max_embedding_difference": differences[1],
    }


@torch.no_grad()
def _tables(model: EmotionModel, encoder: StaticEncoder) -> dict[str, np.ndarray]:
    """The tables by the names of their files.

    Of each piece its weight times its logits, and its weight (V, C + 1); its weight times its embedding (V, D). All is
    linear after the weighted mean, so that it may as well come before; the weights' common factor is free. With
    character n-grams, which take S of the D dimensions, also the letters of each piece (V, 16), and of each bucket
    what it adds to the logits (K, C) and to the embedding (K, S).
    """
    classifier: Any = model.double().classifier
    embeddings = model.embedding(encoder.pieces.weight)  # (V, D - S)
    own = embeddings.shape[1]
    weights = (encoder.importance.weight - encoder.importance.weight.max()).exp()
    logits = embeddings @ classifier.weight[:, :own].T + classifier.bias
    tables = {
        PIECES_FILE: torch.cat([weights * logits, weights], dim=1).float().numpy(),
        EMBEDDINGS_FILE: (weights * embeddings).float().numpy(),
    }
    if model.ngrams is not None:
        vectors = model.ngrams.table.weight
        tables[LETTERS_FILE] = model.ngrams.letters.numpy()
        tables[NGRAMS_FILE] = (vectors @ classifier.weight[:, own:].T).float().numpy()
        tables[NGRAM_EMBEDDINGS_FILE] = vectors.float().numpy()
    model.float()
    return tables
