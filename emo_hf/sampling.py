"""Index samplers: batches of near-equal length in which every metric loss finds its pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

logger = logging.getLogger(__name__)


class BalancedLengthSampler(Sampler[int]):
    """Row indices in an order whose consecutive chunks of `batch_size` are good batches.

    * Every row comes exactly once an epoch.
    * Rows of a batch have nearly the same number of tokens, so little is padded; which rows meet changes with the
      epoch.
    * Every full batch holds at least two rows of at least two classes (as long as the data has them), so that
      contrastive and triplet losses have pairs in every step; a batch that lacks a second class swaps rows with the
      nearest batch that can spare them.
    * The order depends on `seed` and the epoch alone: the same for every arm of a comparison and after a resume.

    Several processes take chunks in turn, as accelerate deals them out.

    Args:
        lengths: tokens of every row (N,).
        labels: class index of every row (N,).
        batch_size: rows of a batch on one process.
        seed: of the order.
        jitter: lengths are sorted after noise of up to this many tokens is added, so that batches mix over epochs.

    Raises:
        ValueError: if `lengths` and `labels` differ in length or `batch_size` is below 1.
    """

    def __init__(
        self, lengths: Sequence[int], labels: Sequence[int], batch_size: int, seed: int = 0, jitter: float = 2.0
    ):
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.labels = np.asarray(labels, dtype=np.int64)
        if self.lengths.shape != self.labels.shape:
            raise ValueError(f"lengths has {len(self.lengths)} rows but labels has {len(self.labels)}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.jitter = float(jitter)
        self.epoch = 0
        self._warned = False

    def __len__(self) -> int:
        return len(self.labels)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration gives the order of this epoch."""
        self.epoch = int(epoch)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        size, rows = self.batch_size, len(self)
        order = np.argsort(self.lengths + random.uniform(0, self.jitter, rows), kind="stable")
        full = rows // size
        rest_size = rows - full * size
        # The incomplete batch has to come last; taken at a random place, it is not always the longest rows.
        start = int(random.integers(full + 1)) * size
        rest = order[start : start + rest_size]
        batches = np.concatenate([order[:start], order[start + rest_size :]]).reshape(full, size)
        self._spread_classes(batches)
        return iter(np.concatenate([batches[random.permutation(full)].ravel(), rest]).tolist())

    def _spread_classes(self, batches: np.ndarray) -> None:
        """Swap rows between batches (F, B), in place, until each holds two rows of two classes."""
        if self.batch_size < 4 or len(batches) == 0:
            return
        classes = int(self.labels.max()) + 1
        counts = np.stack([np.bincount(self.labels[batch], minlength=classes) for batch in batches])
        poor = np.flatnonzero((counts >= 2).sum(1) < 2)
        for batch in poor:
            if not any(
                self._trade(batches, counts, int(batch), donor) for donor in self._nearest(int(batch), len(batches))
            ):
                if not self._warned:
                    logger.warning("the data has too few rows of a second class: some batches hold one class only")
                    self._warned = True
                return

    @staticmethod
    def _nearest(batch: int, number: int) -> Iterator[int]:
        for distance in range(1, number):
            for donor in (batch - distance, batch + distance):
                if 0 <= donor < number:
                    yield donor

    def _trade(self, batches: np.ndarray, counts: np.ndarray, batch: int, donor: int) -> bool:
        """Bring a second class of `batch` up to two rows with rows of `donor`, if `donor` stays good."""
        main = int(counts[batch].argmax())
        for wanted in np.argsort(-counts[donor]):
            need = 2 - int(counts[batch, wanted])
            if wanted == main or need <= 0 or counts[donor, wanted] < need:
                continue
            after = counts[donor].copy()
            after[wanted] -= need
            after[main] += need
            if (after >= 2).sum() < 2 or counts[batch, main] - need < 2:
                continue
            give = np.flatnonzero(self.labels[batches[batch]] == main)[:need]
            take = np.flatnonzero(self.labels[batches[donor]] == wanted)[:need]
            batches[batch, give], batches[donor, take] = batches[donor, take], batches[batch, give]
            counts[donor] = after
            counts[batch, wanted] += need
            counts[batch, main] -= need
            return True
        return False
