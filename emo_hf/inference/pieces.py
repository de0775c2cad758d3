"""The tokenizer of a saved model by its files, with tokenizers alone: transformers takes seconds to import."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

TOKENIZER_FILE, SETTINGS_FILE = "tokenizer.json", "tokenizer_config.json"
_PREFIX = "text_prefix"  # as models.prefix writes it; that needs transformers


class Pieces:
    """What a tokenizer.json makes of texts, cut as transformers cuts them.

    Such a file holds all of the tokenizer that saved it, be it of a class that reads it in part only.

    Attributes: longest, the longest sequence that the settings allow; prefix, which stands before every text.

    Raises:
        ValueError, OSError, Exception of tokenizers: files that are missing or can't be read.
    """

    def __init__(self, folder: str | Path):
        self.settings = json_object(Path(folder) / SETTINGS_FILE)
        self.longest = int(self.settings.get("model_max_length", 10**30))
        self.prefix = str(self.settings.get(_PREFIX) or "")
        self._side = self.settings.get("truncation_side", "right")
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / TOKENIZER_FILE))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        pad = self.settings.get("pad_token")
        self._pad = self.tokenizer.token_to_id(pad["content"] if isinstance(pad, dict) else pad) if pad else None
        self.tokenizer.encode_special_tokens = bool(self.settings.get("split_special_tokens", False))

    def ids(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """The token ids of N texts, of each at most `max_length`, special ones among them."""
        self.tokenizer.enable_truncation(max_length, direction=self._side)
        return [found.ids for found in self.tokenizer.encode_batch_fast(list(texts))]

    def padded(self, rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and mask (B, L) of B rows of ids, padded at their ends: the side changes no result."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self._pad or 0, dtype=np.int64)
        ids[mask] = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64, count=lengths.sum())
        return ids, mask.astype(np.int64)

    def length(self, text: str) -> int:
        """Tokens of a text, special ones among them, uncut."""
        self.tokenizer.no_truncation()
        return len(self.tokenizer.encode(text).ids)


def json_object(path: Path) -> dict[str, Any]:
    """The object that a file of JSON holds.

    Raises:
        OSError, ValueError: it can't be read, or holds something else.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no object")
    return found


def labels_of(config: dict[str, Any]) -> list[str]:
    """The labels in a saved configuration, in the order of the logits."""
    names = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})  # transformers leaves out what is its default
    return [str(names[str(place)]) for place in range(len(names))]


def thresholds_in(config: dict[str, Any]) -> list[float] | None:
    """From which probability on a text has a label (C,); None where each has one label, the likeliest.

    Raises:
        ValueError: thresholds that are not one a label, in [0, 1].
    """
    if config.get("problem_type") != "multi_label_classification":
        return None
    count = len(labels_of(config))
    found = [float(threshold) for threshold in config.get("thresholds") or [0.5] * count]
    if len(found) != count or not all(0 <= threshold <= 1 for threshold in found):
        raise ValueError(f"its thresholds are not {count} numbers in [0, 1]")
    return found
