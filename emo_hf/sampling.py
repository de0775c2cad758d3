"""Index samplers: batches of near-equal length in which every metric loss finds its pairs."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

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
        order = np.concatenate([order[:start], order[start + rest_size :], order[start : start + rest_size]])
        self._spread_classes(order)
        batches = order[: full * size].reshape(full, size)[random.permutation(full)]
        return iter(np.concatenate([batches.ravel(), order[full * size :]]).tolist())

    def _spread_classes(self, order: np.ndarray) -> None:
        """Swap rows between the batches of an order (N,), in place, so that each has two rows of two classes."""
        full = len(order) // self.batch_size
        if self.batch_size < 4 or full == 0:
            return
        batch_of = np.arange(len(order)) // self.batch_size
        counts = np.zeros((int(batch_of[-1]) + 1, int(self.labels.max()) + 1), dtype=np.int64)
        np.add.at(counts, (batch_of, self.labels[order]), 1)
        poor, left = np.flatnonzero(_paired(counts[:full]) < 2), None
        while len(poor) and len(poor) != left:  # a swap may free rows that a batch before it lacked
            left, exhausted = len(poor), set()
            for batch in poor:
                choices = itertools.combinations(np.argsort(-counts[batch], kind="stable").tolist(), 2)
                any(self._mend(order, counts, int(batch), classes, exhausted) for classes in choices)
            poor = np.flatnonzero(_paired(counts[:full]) < 2)
        if len(poor) and not self._warned:
            logger.warning("%d of %d batches lack two rows of a second class: the data has too few", len(poor), full)
            self._warned = True

    def _mend(
        self, order: np.ndarray, counts: np.ndarray, batch: int, classes: tuple[int, int], exhausted: set[int]
    ) -> bool:
        """Bring both classes of a batch up to two rows; classes that no other batch can give go to `exhausted`."""
        swaps: list[tuple[int, int, int, int]] = []
        missing = [wanted for wanted in classes if counts[batch, wanted] < 2]
        if not exhausted.isdisjoint(missing):
            return False
        for wanted in missing:
            while (need := int(2 - counts[batch, wanted])) > 0:
                surplus = counts[batch].copy()
                surplus[list(classes)] -= 2
                given = int(surplus.argmax())
                for number in range(min(need, int(surplus[given])), 0, -1):
                    donor = self._donor(counts, batch, wanted, given, number, len(order) // self.batch_size)
                    if donor is not None:
                        break
                else:
                    exhausted.add(wanted)
                    for donor, got, gave, number in swaps:
                        _move(counts, donor, batch, got, gave, -number)
                    return False
                _move(counts, donor, batch, wanted, given, number)
                swaps.append((donor, wanted, given, number))
        for donor, wanted, given, number in swaps:
            give = self._places(order, batch, given)[:number]
            take = self._places(order, donor, wanted)[:number]
            order[give], order[take] = order[take], order[give]
        return True

    def _places(self, order: np.ndarray, batch: int, label: int) -> np.ndarray:
        """Where in the order the rows of a label stand in a batch."""
        start = batch * self.batch_size
        return start + np.flatnonzero(self.labels[order[start : start + self.batch_size]] == label)

    @staticmethod
    def _donor(counts: np.ndarray, batch: int, wanted: int, given: int, number: int, full: int) -> int | None:
        """The nearest batch that can trade `number` wanted rows for as many of the given class and get no worse."""
        for reach in (32, len(counts)):
            near = np.arange(max(0, batch - reach), min(len(counts), batch + reach + 1))
            rows = counts[near]
            lacking = (_paired(rows) < 2) | (near >= full)  # what lacks anyway, and the incomplete batch
            rows[:, wanted] -= number
            rows[:, given] += number
            able = near[(rows[:, wanted] >= 0) & (lacking | (_paired(rows) >= 2)) & (near != batch)]
            if len(able):
                return int(able[np.abs(able - batch).argmin()])
        return None


def _move(counts: np.ndarray, donor: int, batch: int, wanted: int, given: int, number: int) -> None:
    counts[donor, [wanted, given]] += [-number, number]
    counts[batch, [wanted, given]] += [number, -number]


def _paired(counts: np.ndarray) -> np.ndarray:
    """How many classes have two rows or more, from the rows of each class (..., C)."""
    return (counts >= 2).sum(-1)


class EpochOfSampler(TrainerCallback):
    """Tells the sampler its epoch: on several processes accelerate does not, in an epoch that is resumed within."""

    def __init__(self, sampler: BalancedLengthSampler):
        self._sampler = sampler

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._sampler.set_epoch(int(state.epoch or 0))
