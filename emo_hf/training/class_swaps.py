"""Swaps of rows between batches, so that each batch holds two rows of two classes, as pairs and triplets need."""

from __future__ import annotations

import numpy as np

_TRIED = 4  # classes that a batch asks for in vain before it goes without
_NEAREST = 16  # batches that are asked for rows that are short enough


def spread_classes(
    order: np.ndarray, lengths: np.ndarray, labels: np.ndarray, bounds: np.ndarray, full: int, longest: np.ndarray
) -> int:
    """Swap rows between the batches of an order (N,), in place; return how many still lack a second class.

    Args:
        order: the rows, batch after batch.
        lengths: tokens of every row (N,), and its class in `labels` (N,).
        bounds: where the B batches of the order begin, and where the last ends (B + 1,).
        full: how many batches, the first ones, have all their rows.
        longest: tokens of a row that may be swapped into each batch (B,).
    """
    swaps = ClassSwaps(order, lengths, labels, bounds, full, longest)
    poor, left = swaps.poor(), None
    while len(poor) and len(poor) != left:  # a swap may free rows that a batch before it lacked
        left, exhausted = len(poor), np.zeros(swaps.counts.shape[1], dtype=bool)
        for batch in poor:
            swaps.mend(int(batch), exhausted)
        poor = swaps.poor()
    return len(poor)


class ClassSwaps:
    """An order of rows, and how many of each class its batches hold, kept right as rows change places."""

    def __init__(
        self,
        order: np.ndarray,
        lengths: np.ndarray,
        labels: np.ndarray,
        bounds: np.ndarray,
        full: int,
        longest: np.ndarray,
    ):
        self._order, self._lengths, self._labels, self._bounds, self._longest = order, lengths, labels, bounds, longest
        self._frequency = np.bincount(labels)
        batch_of = np.searchsorted(bounds, np.arange(len(order)), side="right") - 1
        self.counts = np.zeros((len(bounds) - 1, len(self._frequency)), dtype=np.int64)
        np.add.at(self.counts, (batch_of, labels[order]), 1)
        self._paired = (self.counts >= 2).sum(-1)  # classes of a batch that have two rows or more
        self._full = np.arange(len(self.counts)) < full

    def poor(self) -> np.ndarray:
        """The batches that lack a second class, though they have all their rows."""
        return np.flatnonzero((self._paired < 2) & self._full)

    def mend(self, batch: int, exhausted: np.ndarray) -> None:
        """Give a batch two rows of two classes, if others can; classes that none can give are marked `exhausted`."""
        failed = np.zeros_like(exhausted)
        while failed.sum() < _TRIED:
            counts = self.counts[batch]
            open_ = np.flatnonzero((counts >= 2) | ~(exhausted | failed))
            # What it has most of, and of that what the data have most of.
            classes = open_[np.lexsort((-self._frequency[open_], -counts[open_]))][:2]
            if len(classes) < 2 or self._bring(batch, classes, exhausted, failed):
                return

    def _bring(self, batch: int, classes: np.ndarray, exhausted: np.ndarray, failed: np.ndarray) -> bool:
        """Bring the classes of a batch up to two rows each, or change nothing and mark the one that fails."""
        done: list[tuple[int, int, int, np.ndarray, np.ndarray]] = []
        for wanted in classes:
            while (need := int(2 - self.counts[batch, wanted])) > 0:
                surplus = self.counts[batch].copy()
                surplus[classes] -= 2
                given = int(surplus.argmax())
                for number in range(min(need, int(surplus[given])), 0, -1):
                    donors = self._donors(batch, wanted, given, number)
                    if found := self._rows(batch, donors, wanted, given, number):
                        break
                else:
                    (failed if len(donors) else exhausted)[wanted] = True
                    for donor, got, gave, take, give in reversed(done):
                        self._swap(batch, donor, gave, got, take, give)
                    return False
                donor, take, give = found
                self._swap(batch, donor, wanted, given, take, give)
                done.append((donor, wanted, given, take, give))
        return True

    def _donors(self, batch: int, wanted: int, given: int, number: int) -> np.ndarray:
        """The batches that can trade `number` wanted rows for as many given ones and get no worse, nearest first."""
        for reach in (32, len(self.counts)):
            near = np.arange(max(0, batch - reach), min(len(self.counts), batch + reach + 1))
            having, getting = self.counts[near, wanted], self.counts[near, given]
            lost = (having >= 2) & (having - number < 2)
            won = (getting < 2) & (getting + number >= 2)
            lacking = (self._paired[near] < 2) | ~self._full[near]  # what lacks anyway, and the incomplete batch
            able = (having >= number) & (lacking | (self._paired[near] - lost + won >= 2)) & (near != batch)
            if able.any():
                near = near[able]
                return near[np.argsort(np.abs(near - batch), kind="stable")]
        return near[:0]

    def _rows(
        self, batch: int, donors: np.ndarray, wanted: int, given: int, number: int
    ) -> tuple[int, np.ndarray, np.ndarray] | None:
        """The first donor with rows that are short enough on both sides, and the places of those."""
        for donor in donors[:_NEAREST].tolist():
            take = self._places(donor, wanted, self._longest[batch])[:number]
            give = self._places(batch, given, self._longest[donor])[:number]
            if len(take) == len(give) == number:
                return donor, take, give
        return None

    def _places(self, batch: int, label: int, longest: float) -> np.ndarray:
        """Where in the order the rows of a label stand in a batch, but for longer ones."""
        start, end = self._bounds[batch : batch + 2]
        rows = self._order[start:end]
        return start + np.flatnonzero((self._labels[rows] == label) & (self._lengths[rows] <= longest))

    def _swap(self, batch: int, donor: int, got: int, gave: int, take: np.ndarray, give: np.ndarray) -> None:
        """Change places of `give` in a batch and `take` in a donor; twice is not at all, with classes exchanged."""
        self._order[give], self._order[take] = self._order[take], self._order[give]
        both = [batch, donor]
        self.counts[both, got] += [len(take), -len(take)]
        self.counts[both, gave] += [-len(take), len(take)]
        self._paired[both] = (self.counts[both] >= 2).sum(-1)
