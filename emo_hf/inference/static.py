"""A static model as tables: texts to probabilities with tokenizers and numpy alone, without torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import promises_in
from emo_hf.inference.pieces import SETTINGS_FILE, TOKENIZER_FILE, json_object, labels_of, thresholds_in
from emo_hf.inference.spelling import buckets_of
from emo_hf.models.folders import (
    EMBEDDINGS_FILE,
    LETTERS_FILE,
    NGRAM_EMBEDDINGS_FILE,
    NGRAMS_FILE,
    PIECES_FILE,
    cant_load,
)


class StaticBackend:
    """A static export: what each piece adds to a text's logits and embedding, looked up and summed.

    In `pieces.npy` stand for each of V pieces its weight times its logits, and its weight (V, C + 1); of a text the
    sums of both, divided, are its logits. So are the embeddings, of `piece_embeddings.npy` (V, D), which is read from
    the disk where it is asked for. With character n-grams, `letters.npy` (V, 16) spells the pieces, and the rows of
    `ngrams.npy` (K, C), one a bucket, are summed over the n-grams of a text, divided by the root of their number, and
    added to the logits; those of `ngram_embeddings.npy` (K, S) are the last S values of the embedding.

    Attributes: labels, in the order of the logits; thresholds (C,), or None, and promises, as in `TorchBackend`;
    max_tokens, the longest sequence.

    Raises:
        UserError: files that can't be read, or a device that is not the CPU.
    """

    def __init__(self, folder: str | Path, *, device: str | None = None):
        if device not in (None, "cpu"):
            raise UserError(f"device is {device!r}, but the static export {folder} computes on the CPU; leave it out")
        try:
            config = json_object(Path(folder) / "config.json")
            self.labels, self.thresholds = labels_of(config), thresholds_in(config)
            self.promises = promises_in(config, len(self.labels))
            self.max_tokens: int = json_object(Path(folder) / SETTINGS_FILE)["model_max_length"]
            self.tokenizer = Tokenizer.from_file(str(Path(folder) / TOKENIZER_FILE))
            self._pieces = np.load(Path(folder) / PIECES_FILE, allow_pickle=False)
            self._embeddings = np.load(Path(folder) / EMBEDDINGS_FILE, mmap_mode="r", allow_pickle=False)
            longest = int(config.get("ngrams") or 0)  # an older export does not say
            self._ngrams = _Ngrams(Path(folder), longest, *self._pieces.shape) if longest else None
            rows, columns = self._pieces.shape
            if columns != len(self.labels) + 1 or not self.tokenizer.get_vocab_size() <= rows == len(self._embeddings):
                raise ValueError("its tables are of other labels, or of another tokenizer")
        except Exception as error:  # any files may stand there, and the tokenizer's errors have no class
            raise cant_load(folder, error) from error
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self._special = np.array(self.tokenizer.encode("").ids, dtype=np.int64)
        if self._ngrams is not None:
            self._ngrams.stand_around(self.tokenizer.encode("a"))

    def length(self, text: str) -> int:
        """Tokens of a text, special ones among them, uncut."""
        self.tokenizer.no_truncation()
        return len(self.tokenizer.encode(text).ids)

    def logits(self, texts: Sequence[str], max_length: int) -> np.ndarray:
        """(N, C) logits of N texts, of which at most `max_length` tokens count."""
        return self._logits(*self._ids(texts, max_length))

    def outputs(self, texts: Sequence[str], max_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits (N, C) and embeddings (N, D) of N texts."""
        ids, lengths = self._ids(texts, max_length)
        weights = self._sums(self._pieces[:, -1:], ids, lengths)
        embeddings = self._sums(self._embeddings, ids, lengths) / weights
        if self._ngrams is not None:
            embeddings = np.concatenate([embeddings, self._ngrams.vectors(ids, lengths)], axis=1)
        return self._logits(ids, lengths), embeddings

    def _logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        sums = self._sums(self._pieces, ids, lengths)
        logits: np.ndarray = sums[:, :-1] / sums[:, -1:]
        return logits if self._ngrams is None else logits + self._ngrams.logits(ids, lengths)

    def _ids(self, texts: Sequence[str], max_length: int) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of all texts in a row (T,), and how many are of each (N,); special ones are left to `_sums`."""
        self.tokenizer.enable_truncation(max(max_length - len(self._special), 0))
        # Neither offsets nor special tokens, which no text is without: a fifth less time.
        rows = [found.ids for found in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64, count=lengths.sum()), lengths

    def _sums(self, table: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, K) sums over the pieces of each text, of rows of a table (V, K)."""
        return _added(table, ids, lengths) + table[self._special].sum(0)


class _Ngrams:
    """What the character n-grams of texts add, by the ids of their pieces.

    Args:
        folder: of the export.
        longest: letters of the longest n-grams.
        rows, columns: V and C + 1 of its `pieces.npy`.

    Raises:
        OSError, ValueError: files that can't be read, or tables of another model.
    """

    def __init__(self, folder: Path, longest: int, rows: int, columns: int):
        self._longest = longest
        self._letters = np.load(folder / LETTERS_FILE, allow_pickle=False)
        self._table = np.load(folder / NGRAMS_FILE, allow_pickle=False)
        self._vectors = np.load(folder / NGRAM_EMBEDDINGS_FILE, mmap_mode="r", allow_pickle=False)
        if len(self._letters) != rows or self._table.shape != (len(self._vectors), columns - 1):
            raise ValueError("its tables of n-grams are of other labels, or of another tokenizer")
        self._counts = (self._letters > 0).sum(1)
        self._before = self._after = np.array([], dtype=np.int64)

    def stand_around(self, probe: Encoding) -> None:
        """Learn from any text's tokens the special ones around it, of which the last is spelled as a space."""
        mask = probe.special_tokens_mask
        start, end = mask.index(0), len(mask) - mask[::-1].index(0)
        self._before, self._after = np.array(probe.ids[:start], np.int64), np.array(probe.ids[end:], np.int64)

    def logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """What they add to the logits (N, C)."""
        return self._mean(self._table, ids, lengths)

    def vectors(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Their part of the embedding (N, S)."""
        return self._mean(self._vectors, ids, lengths)

    def _mean(self, table: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Of each text the sum of its n-grams' rows of a table (K, W) over the root of their number (N, W)."""
        ids, lengths = self._with_special(ids, lengths)
        letters = self._letters[ids]
        ends = np.concatenate([[0], self._counts[ids].cumsum()])[lengths.cumsum()]
        spelled = letters[letters > 0].astype(np.int64)
        sums, number = np.zeros((len(lengths), table.shape[1]), dtype=np.float32), np.zeros(len(lengths), np.int64)
        for buckets, counts in buckets_of(spelled, np.diff(ends, prepend=0), self._longest, len(table)):
            sums += _added(table, buckets, counts)
            number += counts
        return sums / np.sqrt(np.maximum(number, 1, dtype=np.float32))[:, None]

    def _with_special(self, ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of all texts with the special ones around each, and how many are of each."""
        before, after = len(self._before), len(self._after)
        whole = np.empty(len(ids) + len(lengths) * (before + after), dtype=np.int64)
        texts = np.arange(len(lengths))
        whole[np.arange(len(ids)) + before + np.repeat(texts * (before + after), lengths)] = ids
        ends = (lengths + before + after).cumsum()
        whole[(ends - lengths - before - after)[:, None] + np.arange(before)] = self._before
        whole[(ends - after)[:, None] + np.arange(after)] = self._after
        return whole, lengths + before + after


def _added(table: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, W) sums of rows of a table (K, W), `lengths` of them in a row for each of N texts."""
    sums = np.zeros((len(lengths), table.shape[1]), dtype=np.float32)
    filled = lengths > 0  # of two starts that are the same, `reduceat` would take the row that stands there
    if len(ids):
        starts = (lengths.cumsum() - lengths)[filled]
        sums[filled] = np.add.reduceat(table[ids], starts, axis=0)
    return sums


def probabilities(logits: np.ndarray, *, several: bool) -> np.ndarray:
    """(N, C) probabilities of logits: of labels that are decisions of their own (`several`), or of one of them."""
    if several:
        with np.errstate(over="ignore"):  # which is 0 then, as it should be
            return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
