"""Which vectors the character n-grams of texts have, by numpy alone: those of `CharacterNgrams`, which needs torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_FACTOR, _PRIME = 1_000_003, 2**31 - 1


def buckets_of(
    letters: np.ndarray, lengths: np.ndarray, longest: int, buckets: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The buckets of the n-grams of N texts, those of 1 letter first, then those of 2, up to `longest`.

    Args:
        letters: int64 code points (T,) of all texts in a row.
        lengths: how many letters are of each text (N,).
        longest: letters of the longest n-grams.
        buckets: number of them.

    Yields:
        for each number of letters the buckets (G,) in the order of the texts, and how many are of each text (N,).
    """
    hashes, last = letters, np.repeat(lengths.cumsum(), lengths)  # where the text of each letter ends
    yield letters % buckets, lengths
    for before in range(1, longest):
        hashes = (hashes[:-1] * _FACTOR + letters[before:]) % _PRIME
        inside = np.arange(before, len(letters)) < last[: len(hashes)]
        yield hashes[inside] % buckets, np.maximum(lengths - before, 0)
