"""The formats, one function each: fill a folder, load it again as a reader would, and compare with the model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from emo_hf.errors import UserError
from emo_hf.export.graph import trace
from emo_hf.export.heads import name_labels, stock_classifier
from emo_hf.inference.onnx import OnnxBackend
from emo_hf.models.folders import ONNX_FILE
from emo_hf.models.modeling import EmotionModel

TOLERANCE = 1e-4
# Short and long, with what tokenizers stumble over: no word at all, an unknown one, other scripts, repetition.
PROBES = (
    "",
    "기뻐",
    "합격 소식을 듣고 펑펑 울 만큼 기뻤어.",
    "내일이 면접인데 손이 떨리고 잠이 안 와…",
    "뷁 ㅋㅋㅋ ㅠㅠ 😀 OK?",
    "할머니가 보고 싶은 밤이야. " * 12,
)


def write_transformers(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """A stock sequence classifier; returns what stands between its two layers, and the largest difference of a logit.

    Raises:
        UserError: where no stock head computes these logits.
    """
    stock, between = stock_classifier(model)
    stock.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    inputs = probes(tokenizer, max_length)
    with torch.inference_mode():
        logits = AutoModelForSequenceClassification.from_pretrained(folder).eval()(**inputs).logits
    expected = outputs_of(model, inputs)
    return {"head": between, "max_logit_difference": difference_of("logits", logits, expected["logits"])}


def write_sentence_transformers(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Encoder, pooling and embedding layer as modules; returns the largest difference of an embedding's value.

    Raises:
        UserError: for attention pooling, or if sentence-transformers is missing.
    """
    if model.config.ngrams:
        raise UserError(
            "--to sentence-transformers: the embedding holds character n-grams, which sentence-transformers has not; "
            "--to onnx has them, and a model trained with --ngrams 0 has none"
        )
    if model.config.pooling == "attention":
        raise UserError(
            "--to sentence-transformers: pooling is attention, which sentence-transformers has not; allowed: cls, "
            "mean, max, last; --to onnx takes every pooling"
        )
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    except ImportError as error:
        raise UserError(
            "--to sentence-transformers needs sentence-transformers 6 or newer; pip install sentence-transformers"
        ) from error
    # The encoder has no pooler of its own, and the reader's must not get one of random weights.
    settings = {"add_pooling_layer": False} if hasattr(model.encoder, "pooler") else {}
    with tempfile.TemporaryDirectory() as encoder:
        model.encoder.save_pretrained(encoder)
        tokenizer.save_pretrained(encoder)
        transformer = Transformer(encoder, max_seq_length=max_length, model_kwargs=settings)
    dense = Dense(
        model.config.hidden_size,
        model.config.embedding_size,
        activation_function=None,
        init_weight=model.embedding.weight.detach(),
        init_bias=model.embedding.bias.detach(),
    )
    pooling = "lasttoken" if model.config.pooling == "last" else model.config.pooling
    modules = [transformer, Pooling(model.config.hidden_size, pooling), dense]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_kwargs": settings}, indent=4))
    loaded = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    embeddings = loaded.encode(list(PROBES), convert_to_tensor=True, show_progress_bar=False)
    expected = outputs_of(model, probes(tokenizer, max_length))["embeddings"]
    return {
        "min_cosine": float(nn.functional.cosine_similarity(embeddings.double(), expected.double()).min()),
        "max_embedding_difference": difference_of("embeddings", embeddings, expected),
    }


def write_onnx(
    folder: Path, model: EmotionModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """An ONNX graph with free batch and length; returns the largest differences of a logit and an embedding's value.

    Raises:
        UserError: if onnx or onnxruntime is missing, or the encoder can't be traced.
    """
    _check_onnx()
    tokenizer.save_pretrained(folder)
    config = type(model.config.encoder).from_dict(model.config.encoder.to_dict())
    # The encoder's own configuration with our labels: what the tokenizer's and other libraries' loaders look for.
    name_labels(config, model.config)
    config.save_pretrained(folder)
    trace(model, probes(tokenizer, max_length), folder / ONNX_FILE)
    session = OnnxBackend(folder).session
    found: dict[str, list[float]] = {"logits": [], "embeddings": []}
    for texts in (PROBES, PROBES[1:2], PROBES[2:5]):  # other batches and lengths than the traced one
        inputs = probes(tokenizer, max_length, texts)
        expected = outputs_of(model, inputs)
        results = session.run(list(found), {name: inputs[name].numpy() for name in ("input_ids", "attention_mask")})
        for name, result in zip(found, results, strict=True):
            found[name].append(difference_of(name, torch.from_numpy(result), expected[name]))
    return {
        "max_logit_difference": max(found["logits"]),
        "max_embedding_difference": max(found["embeddings"]),
    }


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError("--to onnx and onnx-int8 need onnx and onnxruntime; pip install onnx onnxruntime") from error


def probes(
    tokenizer: PreTrainedTokenizerBase, max_length: int, texts: tuple[str, ...] = PROBES
) -> dict[str, torch.Tensor]:
    """Token ids and mask (B, L); token types are all zero, which is what every encoder assumes."""
    return dict(
        tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
    )


@torch.inference_mode()
def outputs_of(model: EmotionModel, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Logits (B, C) and embeddings (B, D) of the model itself."""
    output = model(**inputs)
    return {"logits": output.logits, "embeddings": output.embeddings}


def difference_of(name: str, found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference of one of their values.

    Raises:
        UserError: it is above `TOLERANCE`.
    """
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:  # NaN too
        raise UserError(
            f"the export's {name} differ from the model's by up to {difference:.1e} on {len(PROBES)} sentences, and "
            f"{TOLERANCE:.0e} is allowed; nothing is written; try another --to"
        )
    return difference
