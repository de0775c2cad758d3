"""Texts through a model: those of one length together, while the next ones are cut into tokens."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future

import numpy as np

# Tokens in one pass of a CPU: enough for its products, few enough for what lies between them to stay in its caches.
TOKENS = 1024
# Texts that are cut into tokens at a time.
PIECE = 1024

Rows = list[int]
Outputs = tuple[np.ndarray, np.ndarray]
Batch = tuple[Rows, np.ndarray]


class Bins:
    """Texts by their length in tokens, until those of one length are a batch: none of them is padded.

    So a text is computed alike whatever stands beside it, up to the rounding of sums.

    Args:
        tokens: in a batch, or a single text that has more.
        most: texts in a batch, if there is a limit.
    """

    def __init__(self, tokens: int, most: int | None = None):
        self._tokens, self._most, self._count = tokens, most, 0
        self._waiting: dict[int, tuple[Rows, list[list[int]]]] = defaultdict(lambda: ([], []))

    def add(self, ids: Sequence[list[int]]) -> Iterator[Batch]:
        """Take further texts; gives the batches that are full: numbers of texts, and token ids (B, L)."""
        for row, text in enumerate(ids, self._count):
            rows, texts = self._waiting[len(text)]
            rows.append(row)
            texts.append(text)
        self._count += len(ids)
        for length, (rows, texts) in self._waiting.items():
            size = max(1, self._tokens // max(length, 1))
            size = min(size, self._most or size)
            full = len(rows) // size * size
            for start in range(0, full, size):
                yield rows[start : start + size], _stacked(texts[start : start + size], length)
            del rows[:full], texts[:full]

    def rest(self) -> Iterator[Batch]:
        """What is left, the longest first, so that no thread is left with a long one at the end."""
        for length in sorted(self._waiting, reverse=True):
            rows, texts = self._waiting[length]
            if rows:
                yield rows, _stacked(texts, length)
        self._waiting.clear()


def _stacked(texts: list[list[int]], length: int) -> np.ndarray:
    return np.array(texts, dtype=np.int64).reshape(len(texts), length)


def in_equal_lengths(
    texts: Sequence[str],
    cut: Callable[[Sequence[str]], list[list[int]]],
    outputs: Callable[[np.ndarray, np.ndarray], Outputs],
    executor: Executor,
    *,
    most: int | None = None,
) -> Outputs:
    """Logits (N, C) and embeddings (N, D) of N texts, N > 0, in their order.

    Args:
        texts: to be computed.
        cut: some texts to their token ids.
        outputs: token ids and their mask (B, L) to logits (B, C) and embeddings (B, D); in threads of the executor.
        executor: whose threads compute, while this one cuts.
        most: texts in a batch, if there is a limit.
    """
    bins = Bins(TOKENS, most)
    running: list[tuple[Rows, Future[Outputs]]] = []

    def start(batches: Iterable[Batch]) -> None:
        for rows, ids in batches:
            mask = np.ones_like(ids)
            if not ids.shape[1]:  # of a tokenizer that puts nothing around a text without a token
                ids, mask = np.zeros((2, len(rows), 1), dtype=np.int64)
            running.append((rows, executor.submit(outputs, ids, mask)))

    try:
        for first in range(0, len(texts), PIECE):
            start(bins.add(cut(texts[first : first + PIECE])))
        start(bins.rest())
        found = [future.result() for _, future in running]
    except BaseException:  # Ctrl-C too: what nobody waits for is not begun
        for _, future in running:
            future.cancel()
        raise
    places = np.argsort([*itertools.chain.from_iterable(rows for rows, _ in running)])
    logits, embeddings = (np.concatenate(part)[places] for part in zip(*found, strict=True))
    return logits, embeddings
