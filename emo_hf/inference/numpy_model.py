"""A run's model by numpy alone, for the first sentences: torch and transformers take seconds to import."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.evaluation.abstaining import promises_in
from emo_hf.inference.pieces import SETTINGS_FILE, TOKENIZER_FILE, Pieces, json_object, labels_of, thresholds_in
from emo_hf.inference.spelling import buckets_of
from emo_hf.models.folders import WEIGHTS_FILE

# Layers as BERT's (Devlin et al. 2019), whose tensors have the same names; those of RoBERTa's kind count places from
# the token that pads.
_FROM_ZERO, _FROM_PADDING = ("bert", "electra"), ("roberta", "xlm-roberta", "camembert")
_TYPES = {"F32": np.float32, "I32": np.int32}
_LONGEST = 16  # letters of a piece that CharacterNgrams knows
# numpy has no erf. Between values of it so far apart, straight lines are off by less than 3e-8.
_STEP = 2.0**-11
_ERF = np.array([math.erf(place * _STEP) for place in range(int(6 / _STEP) + 2)])
_RISE = np.diff(_ERF, append=1.0)
# Sentences that numpy computes before torch, once it is imported, would have been faster: at most so many, and fewer
# of an encoder with larger layers than tiny-bert's, which have 2.4 million weights.
FIRST, _WORK = 256, 256 * 2_400_000
_CACHED = 2**14  # numbers at a time that a core keeps at hand


class NumpyBackend:
    """A run with an encoder of BERT's kind, computed as torch computes it, up to its rounding.

    Attributes: as of `TorchBackend`; pieces, its tokenizer; first, the number of sentences that it is meant for.

    Raises:
        ValueError, KeyError, OSError and others: whatever is not as this class knows it. That says nothing against
            the run, which transformers may well read: see `numpy_backend`.
    """

    device = "cpu"
    workers = 1  # numpy parts the work itself

    def __init__(self, folder: Path):
        config = json_object(folder / "config.json")
        self.labels, self.thresholds = labels_of(config), thresholds_in(config)
        self.promises = promises_in(config, len(self.labels))
        self.prefix = str(config.get("text_prefix") or "")
        self.pieces = Pieces(folder)
        encoder = config["encoder"]
        kind = encoder["model_type"]
        if config["model_type"] != "emo_hf" or kind not in (*_FROM_ZERO, *_FROM_PADDING):
            raise ValueError(f"no layout that is known: {kind}")
        # Of the tokenizers' library, else tokenizer.json need not say all of it; with the prefix of the model.
        if self.pieces.settings.get("backend") != "tokenizers" or self.pieces.prefix != self.prefix:
            raise ValueError("no tokenizer that is known")
        usual = encoder.get("position_embedding_type", "absolute") == "absolute" and not encoder.get("is_decoder")
        if encoder["hidden_act"] != "gelu" or not usual or encoder.get("add_cross_attention"):
            raise ValueError("no layers that are known")
        self._config, self._encoder = config, encoder
        self._first_place = encoder["pad_token_id"] + 1 if kind in _FROM_PADDING else 0
        self._weights = _tensors(folder / WEIGHTS_FILE)
        shapes = {name: (tensor.dtype.type, tensor.shape) for name, tensor in self._weights.items()}
        if shapes != dict(_expected(config, encoder)):
            raise ValueError("other tensors than those of the layout")
        width, inner = encoder["hidden_size"], encoder["intermediate_size"]
        layers = encoder["num_hidden_layers"] * 2 * width * (2 * width + inner)
        self.first = max(1, min(FIRST, _WORK // max(layers, 1)))
        self.max_tokens: int = encoder["max_position_embeddings"] - self._first_place

    def outputs(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """input_ids and attention_mask (B, L), padded at the end -> logits (B, C) and embeddings (B, D)."""
        real = attention_mask.astype(bool)
        pooled = self._pooled(self._states(input_ids, real), real)
        embeddings = self._linear("embedding", pooled)
        if self._config["ngrams"]:
            spelt = [self._ngrams(ids[here]) for ids, here in zip(input_ids, real, strict=True)]
            embeddings = np.concatenate([embeddings, np.stack(spelt)], axis=-1)
        return self._linear("classifier", embeddings), embeddings

    def _states(self, ids: np.ndarray, real: np.ndarray) -> np.ndarray:
        """Token ids, and which are real (B, L) -> states (B, L, H)."""
        table = "encoder.embeddings.{}_embeddings.weight".format
        states = self._weights[table("word")][ids] + self._weights[table("token_type")][0]
        states = states + self._weights[table("position")][self._places(ids)]
        states = self._normed("encoder.embeddings.LayerNorm", states)
        if "encoder.embeddings_project.weight" in self._weights:  # ELECTRA's small ones
            states = self._linear("encoder.embeddings_project", states)
        hidden = None if real.all() else np.where(real, np.float32(0), np.float32(-np.inf))[:, None, None]
        for layer in range(self._encoder["num_hidden_layers"]):
            name = f"encoder.encoder.layer.{layer}"
            seen = self._linear(f"{name}.attention.output.dense", self._attention(name, states, hidden))
            states = self._normed(f"{name}.attention.output.LayerNorm", seen + states)
            wide = gelu(self._linear(f"{name}.intermediate.dense", states))
            states = self._normed(f"{name}.output.LayerNorm", self._linear(f"{name}.output.dense", wide) + states)
        return states

    def _places(self, ids: np.ndarray) -> np.ndarray:
        """The row of the position table of each token (B, L); RoBERTa counts what is no padding by its id."""
        if not self._first_place:
            return np.arange(ids.shape[1])
        counted = ids != self._encoder["pad_token_id"]
        found: np.ndarray = counted.cumsum(1) * counted + self._encoder["pad_token_id"]
        return found

    def _attention(self, name: str, states: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
        """States (B, L, H) -> what each token sees (B, L, H); `hidden` is added to the scores."""
        rows, length, width = states.shape
        heads = self._encoder["num_attention_heads"]
        query, key, value = (
            self._linear(f"{name}.attention.self.{part}", states)
            .reshape(rows, length, heads, width // heads)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(-1, -2) * (1 / math.sqrt(width // heads))
        weights = _softmax(scores if hidden is None else scores + hidden)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(rows, length, width)

    def _pooled(self, states: np.ndarray, real: np.ndarray) -> np.ndarray:
        """States (B, L, H) of tokens that are real (B, L) -> one vector a text (B, H)."""
        kind, count = self._config["pooling"], real.sum(1)
        if kind == "cls":
            return states[:, 0]
        if kind == "last":
            return states[np.arange(len(states)), count - 1]
        if kind == "max":
            return np.where(real[..., None], states, -np.inf).max(1).astype(np.float32)
        if kind == "mean":
            return (states * real[..., None]).sum(1) / count[:, None].astype(np.float32)
        scores = states @ self._weights["pooler.score.weight"][0]
        weights = _softmax(np.where(real, scores, np.float32(-np.inf)))
        return (states * weights[..., None]).sum(1)

    def _ngrams(self, ids: np.ndarray) -> np.ndarray:
        """Token ids of a text (L,) -> the vector of its character n-grams."""
        table = self._weights["ngrams.table.weight"]
        letters = self._weights["ngrams.letters"][ids].astype(np.int64)
        letters = letters[letters > 0]
        found = buckets_of(letters, np.array([len(letters)]), self._config["ngrams"], len(table))
        buckets = np.concatenate([places for places, _ in found])
        sums: np.ndarray = table[buckets].sum(0) / math.sqrt(max(len(buckets), 1))
        return sums

    def _linear(self, name: str, vectors: np.ndarray) -> np.ndarray:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        flat = vectors.reshape(-1, vectors.shape[-1]) @ weight.T
        flat += bias
        return flat.reshape(*vectors.shape[:-1], len(bias))

    def _normed(self, name: str, states: np.ndarray) -> np.ndarray:
        states = states - states.mean(-1, keepdims=True)
        scale = np.sqrt((states * states).mean(-1, keepdims=True) + np.float32(self._encoder["layer_norm_eps"]))
        states /= scale
        states *= self._weights[f"{name}.weight"]
        states += self._weights[f"{name}.bias"]
        return states


def numpy_backend(folder: str | Path) -> NumpyBackend | None:
    """The model in a folder, where all of it is known; None for every other, be it whole or broken."""
    if not all((Path(folder) / name).is_file() for name in (WEIGHTS_FILE, TOKENIZER_FILE, SETTINGS_FILE)):
        return None
    try:
        return NumpyBackend(Path(folder))
    except Exception:  # any files may stand there: transformers reads more, or says what is wrong
        return None


def gelu(values: np.ndarray) -> np.ndarray:
    """GELU (Hendrycks & Gimpel 2016) with the exact erf, of values in fp32 and in their shape."""
    found = np.empty(values.shape, dtype=np.float32)
    given, taken = values.reshape(-1), found.reshape(-1)
    for start in range(0, len(given), _CACHED):
        part = given[start : start + _CACHED]
        places = np.minimum(np.abs(part) * (math.sqrt(0.5) / _STEP), len(_ERF) - 1.0, dtype=np.float64)
        below = places.astype(np.int32)
        places -= below
        places *= _RISE[below]
        places += _ERF[below]
        taken[start : start + _CACHED] = part * (0.5 + 0.5 * np.copysign(places, part))
    return found


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    powers /= powers.sum(-1, keepdims=True)
    return powers


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, of which only what is used is read from the disk.

    Raises:
        ValueError, KeyError: a file that is not whole, or a tensor of a type that no run of ours has.
    """
    content = np.memmap(path, mode="r", dtype=np.uint8).view(np.ndarray)
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header: dict[str, Any] = json.loads(content[8:start].tobytes())
    header.pop("__metadata__", None)
    found = {}
    for name, of in header.items():
        begin, end = of["data_offsets"]
        found[name] = content[start + begin : start + end].view(_TYPES[of["dtype"]]).reshape(of["shape"])
    return found


def _expected(config: dict[str, Any], encoder: dict[str, Any]) -> Iterator[tuple[str, tuple[type, tuple[int, ...]]]]:
    """The name, type and shape of every tensor of such a model."""

    def linear(name: str, out: int, of: int) -> Iterator[tuple[str, tuple[type, tuple[int, ...]]]]:
        yield f"{name}.weight", (np.float32, (out, of))
        yield f"{name}.bias", (np.float32, (out,))

    def norm(name: str, size: int) -> Iterator[tuple[str, tuple[type, tuple[int, ...]]]]:
        yield f"{name}.weight", (np.float32, (size,))
        yield f"{name}.bias", (np.float32, (size,))

    width, inner = encoder["hidden_size"], encoder["intermediate_size"]
    narrow = encoder.get("embedding_size", width)
    for table, rows in {
        "word": encoder["vocab_size"],
        "position": encoder["max_position_embeddings"],
        "token_type": encoder["type_vocab_size"],
    }.items():
        yield f"encoder.embeddings.{table}_embeddings.weight", (np.float32, (rows, narrow))
    yield from norm("encoder.embeddings.LayerNorm", narrow)
    if narrow != width:
        yield from linear("encoder.embeddings_project", width, narrow)
    for layer in range(encoder["num_hidden_layers"]):
        name = f"encoder.encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from linear(f"{name}.attention.{part}", width, width)
        yield from norm(f"{name}.attention.output.LayerNorm", width)
        yield from linear(f"{name}.intermediate.dense", inner, width)
        yield from linear(f"{name}.output.dense", width, inner)
        yield from norm(f"{name}.output.LayerNorm", width)
    if config["pooling"] == "attention":
        yield "pooler.score.weight", (np.float32, (1, width))
    size = config["embedding_size"]
    if config["ngrams"]:
        yield "ngrams.table.weight", (np.float32, (config["ngram_buckets"], config["ngram_size"]))
        yield "ngrams.letters", (np.int32, (encoder["vocab_size"], _LONGEST))
    yield from linear("embedding", size - (config["ngram_size"] if config["ngrams"] else 0), width)
    yield from linear("classifier", len(labels_of(config)), size)
