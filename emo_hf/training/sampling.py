"""Index samplers: batches of near-equal length in which every metric loss finds its pairs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emo_hf.errors import UserError
from emo_hf.training.class_swaps import spread_classes

logger = logging.getLogger(__name__)

Integers = Sequence[int] | np.ndarray

_SWAPPED = 1.25  # of a budget of tokens, which rows that are swapped in may fill


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

    def __init__(self, lengths: Integers, labels: Integers, batch_size: int, seed: int = 0, jitter: float = 2.0):
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
        # Where the batches of the order begin, and where the last ends; the first `_full` have all their rows.
        self._bounds = np.append(np.arange(0, len(self.labels), self.batch_size), len(self.labels))
        self._full = len(self.labels) // self.batch_size
        self._longest = np.full(len(self._bounds) - 1, np.inf)  # tokens of a row that may be swapped into a batch

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
        if size >= 4:
            self._spread_classes(order)
        batches = order[: full * size].reshape(full, size)[random.permutation(full)]
        return iter(np.concatenate([batches.ravel(), order[full * size :]]).tolist())

    def _spread_classes(self, order: np.ndarray) -> None:
        """Swap rows between the batches of an order (N,), in place, so that each has two rows of two classes."""
        if self._full == 0:
            return
        lacking = spread_classes(order, self.lengths, self.labels, self._bounds, self._full, self._longest)
        if lacking and not self._warned:
            logger.warning(
                "%d of %d batches lack two rows of a second class: the data has too few", lacking, self._full
            )
            self._warned = True


class TokenBudgetSampler(BalancedLengthSampler):
    """Batches of as many rows of near-equal length as fit into a number of tokens with their padding.

    A batch of short rows is large, one of long rows small, and all steps take about as much time and memory.
    Gives whole batches, for the `batch_sampler` of a data loader. Their sizes are the same in every epoch, and so is
    their number. Else it is as `BalancedLengthSampler`; rows swapped in for their class may make a batch a quarter
    larger, and where only longer ones have the class, the batch goes without.

    Several processes take batches in turn: their number is a multiple of `processes`, and those of a turn have equally
    many rows. For that, up to `processes` - 1 rows come twice an epoch.

    Args:
        tokens: of a batch on one process, padding included.

    Raises:
        UserError: if `tokens` do not hold four of the longest rows, which pairs of two classes need.
    """

    def __init__(
        self,
        lengths: Integers,
        labels: Integers,
        tokens: int,
        seed: int = 0,
        jitter: float = 2.0,
        processes: int = 1,
    ):
        super().__init__(lengths, labels, 1, seed, jitter)
        # As accelerate has it for batches of many sizes, when it deals them out.
        self.batch_size = None  # type: ignore[assignment]
        longest = np.sort(self.lengths) + self.jitter  # that the row at a place of the order may have
        if len(longest) and 4 * longest[-1] > tokens:
            raise UserError(
                f"--tokens_per_batch is {tokens}, but a batch needs four rows for its pairs, and the longest have "
                f"{int(self.lengths.max())} tokens; give at least {math.ceil(4 * longest[-1])}, or lower --max_length"
            )
        sizes = _sizes(longest, tokens, processes)
        self._processes = processes
        self._bounds = np.concatenate([[0], np.repeat(sizes, processes).cumsum()]).astype(np.int64)
        self._full = processes * sum(size >= 4 for size in sizes)
        self._longest = _SWAPPED * tokens / np.diff(self._bounds)
        self._repeated = int(self._bounds[-1]) - len(longest)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[list[int]]:  # type: ignore[override]  # a data loader's batch_sampler
        random = np.random.default_rng([self.seed, self.epoch])
        order = np.argsort(self.lengths + random.uniform(0, self.jitter, len(self.labels)), kind="stable")
        order = np.concatenate([order, np.resize(order[::-1], self._repeated)])
        self._spread_classes(order)
        batches = np.split(order, self._bounds[1:-1])
        for turn in random.permutation(len(batches) // self._processes) * self._processes:
            yield from (batch.tolist() for batch in batches[turn : turn + self._processes])


def whole_batches(
    dataset: Dataset, batches: TokenBudgetSampler, collate: Callable, arguments: TrainingArguments
) -> DataLoader:
    """A loader of the batches of a sampler that gives whole ones, with the arguments' workers."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=arguments.dataloader_num_workers,
        pin_memory=arguments.dataloader_pin_memory,
        persistent_workers=arguments.dataloader_persistent_workers,
        prefetch_factor=arguments.dataloader_prefetch_factor,
    )


def _sizes(longest: np.ndarray, tokens: int, processes: int) -> list[int]:
    """Rows of the batches of each turn, from the lengths (N,) in ascending order."""
    sizes: list[int] = []
    start, rows = 0, len(longest)
    while start < rows:
        left = math.ceil((rows - start) / processes)
        size = 1
        while size < left and (size + 1) * longest[min(start + processes * (size + 1), rows) - 1] <= tokens:
            size += 1
        sizes.append(size)
        start += processes * size
    if len(sizes) > 1 and sizes[-1] < 4 and sum(sizes[-2:]) >= 8:  # the last can have four, which hold pairs
        sizes[-2:] = [sum(sizes[-2:]) - 4, 4]
    return sizes


class EpochOfSampler(TrainerCallback):
    """Tells the sampler its epoch: on several processes accelerate does not, in an epoch that is resumed within."""

    def __init__(self, sampler: BalancedLengthSampler):
        self._sampler = sampler

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._sampler.set_epoch(int(state.epoch or 0))
