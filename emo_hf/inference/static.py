"""A static model as tables: texts to probabilities with tokenizers and numpy alone, without torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import promises_in
from emo_hf.inference.pieces import SETTINGS_FILE, TOKENIZER_FILE, json_object, labels_of, thresholds_in
from emo_hf.models.folders import EMBEDDINGS_FILE, PIECES_FILE, cant_load


class StaticBackend:
    """A static export: what each piece adds to a text's logits and embedding, looked up and summed.

    In `pieces.npy` stand for each of V pieces its weight times its logits, and its weight (V, C + 1); of a text the
    sums of both, divided, are its logits. So are the embeddings, of `piece_embeddings.npy` (V, D), which is read from
    the disk where it is asked for.

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
            rows, columns = self._pieces.shape
            if columns != len(self.labels) + 1 or not self.tokenizer.get_vocab_size() <= rows == len(self._embeddings):
                raise ValueError("its tables are of other labels, or of another tokenizer")
        except Exception as error:  # any files may stand there, and the tokenizer's errors have no class
            raise cant_load(folder, error) from error
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self._special = np.array(self.tokenizer.encode("").ids, dtype=np.int64)

    def length(self, text: str) -> int:
        """Tokens of a text, special ones among them, uncut."""
        self.tokenizer.no_truncation()
        return len(self.tokenizer.encode(text).ids)

    def logits(self, texts: Sequence[str], max_length: int) -> np.ndarray:
        """(N, C) logits of N texts, of which at most `max_length` tokens count."""
        sums = self._sums(self._pieces, *self._ids(texts, max_length))
        return sums[:, :-1] / sums[:, -1:]

    def outputs(self, texts: Sequence[str], max_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits (N, C) and embeddings (N, D) of N texts."""
        ids, lengths = self._ids(texts, max_length)
        sums = self._sums(self._pieces, ids, lengths)
        return sums[:, :-1] / sums[:, -1:], self._sums(self._embeddings, ids, lengths) / sums[:, -1:]

    def _ids(self, texts: Sequence[str], max_length: int) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of all texts in a row (T,), and how many are of each (N,); special ones are left to `_sums`."""
        self.tokenizer.enable_truncation(max(max_length - len(self._special), 0))
        # Neither offsets nor special tokens, which no text is without: a fifth less time.
        rows = [found.ids for found in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64, count=lengths.sum()), lengths

    def _sums(self, table: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(N, K) sums over the pieces of each text, of rows of a table (V, K)."""
        sums = np.zeros((len(lengths), table.shape[1]), dtype=np.float32)
        filled = lengths > 0  # of two starts that are the same, `reduceat` would take the row that stands there
        if len(ids):
            starts = (lengths.cumsum() - lengths)[filled]
            sums[filled] = np.add.reduceat(table[ids], starts, axis=0)
        return sums + table[self._special].sum(0)


def probabilities(logits: np.ndarray, *, several: bool) -> np.ndarray:
    """(N, C) probabilities of logits: of labels that are decisions of their own (`several`), or of one of them."""
    if several:
        with np.errstate(over="ignore"):  # which is 0 then, as it should be
            return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
