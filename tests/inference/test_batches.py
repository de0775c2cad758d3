"""Texts by length: every one once, none padded, in their order again; and what happens where one fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emo_hf.inference import batches
from emo_hf.inference.batches import Bins, in_equal_lengths


def numbered(count: int) -> list[list[int]]:
    """Texts of 1 to 12 tokens, which are the number of the text."""
    lengths = np.random.default_rng(0).integers(1, 13, size=count).tolist()
    return [[number] * length for number, length in enumerate(lengths)]


def outputs(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sums = (ids * mask).sum(1, keepdims=True)
    return sums, np.concatenate([sums, mask.sum(1, keepdims=True)], axis=1)


@pytest.mark.parametrize(("tokens", "most"), [(24, None), (24, 3), (5, None)])
def test_a_batch_holds_texts_of_one_length_and_no_more_than_it_may(tokens, most):
    texts, bins = numbered(300), Bins(tokens, most)
    full = [batch for start in range(0, 300, 70) for batch in bins.add(texts[start : start + 70])]
    rest = list(bins.rest())
    assert sorted(row for rows, _ in full + rest for row in rows) == list(range(300))
    for rows, ids in full + rest:
        assert [texts[row] for row in rows] == ids.tolist()
        assert len(rows) <= (most or 300) and (ids.size <= tokens or len(rows) == 1)
    for rows, ids in full:
        assert len(rows) == min(max(1, tokens // ids.shape[1]), most or 300)
    assert [ids.shape[1] for _, ids in rest] == sorted((ids.shape[1] for _, ids in rest), reverse=True)
    assert not list(bins.rest())


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_texts(workers, monkeypatch):
    monkeypatch.setattr(batches, "PIECE", 32)
    texts = numbered(200)
    texts[7] = []  # a text without a token
    threads = set()

    def watched(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        threads.add(threading.get_ident())
        return outputs(ids, mask)

    with ThreadPoolExecutor(workers) as executor:
        logits, embeddings = in_equal_lengths(texts, list, watched, executor)
    assert logits[:, 0].tolist() == [sum(text) for text in texts]
    assert embeddings.tolist() == [[sum(text), len(text)] for text in texts]
    assert threading.get_ident() not in threads and len(threads) <= workers


def test_the_next_texts_are_cut_while_the_first_are_computed(monkeypatch):
    """The first batch ends when the second piece was cut, and not before."""
    monkeypatch.setattr(batches, "PIECE", 4)
    monkeypatch.setattr(batches, "TOKENS", 8)
    second = threading.Event()
    pieces = 0

    def cut(texts: list[list[int]]) -> list[list[int]]:
        nonlocal pieces
        pieces += 1
        if pieces == 2:
            second.set()
        return texts

    def waiting(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert second.wait(30)
        return outputs(ids, mask)

    with ThreadPoolExecutor(1) as executor:
        logits, _ = in_equal_lengths([[n] * 2 for n in range(8)], cut, waiting, executor)
    assert logits[:, 0].tolist() == [2 * n for n in range(8)] and pieces == 2


def test_after_an_error_nothing_more_is_begun():
    begun = 0

    def failing(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal begun
        begun += 1
        raise ValueError("broken")

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(ValueError, match="broken"):
            in_equal_lengths([[1] * length for length in range(1, 400)], list, failing, executor)
        executor.submit(int).result()
    assert begun < 399
