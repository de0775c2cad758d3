"""What every metric loss shares: which candidates an anchor is compared with, and what a loss returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from emo_hf.errors import UserError
from emo_hf.losses.distances import Measured, as_float, measure, measure_pairs
from emo_hf.losses.label_sets import overlaps

MININGS_OF_SETS = ("all", "sampled")


@dataclass(frozen=True)
class LossOutput:
    """A metric loss and what it was made of, all on the device of the embeddings.

    `loss` is a scalar that carries the graph even when it is zero. The others are detached scalars: `active`, the
    share of the compared pairs or triplets with a loss above zero (0 where nothing was compared), and the mean
    distance of the compared positive and negative pairs (NaN where there is none).
    """

    loss: Tensor
    active: Tensor
    positive_distance: Tensor
    negative_distance: Tensor


@dataclass(frozen=True)
class Pairs:
    """Anchors (B, D), the candidates (R, D) they are compared with, and who is positive or negative to whom (B, R).

    A pair that is neither is excluded: it is a row beside itself. Of rows with one label each both are masks; of rows
    with sets of labels both are weights, the overlap of the two sets and what it lacks to 1.
    """

    anchors: Tensor
    candidates: Tensor
    positive: Tensor
    negative: Tensor

    @classmethod
    def form(
        cls,
        embeddings: Tensor,
        labels: Tensor,
        reference: Tensor | None = None,
        reference_labels: Tensor | None = None,
        rows: Tensor | None = None,
        reference_rows: Tensor | None = None,
        overlap: str = "jaccard",
    ) -> Pairs:
        """Pairs of `embeddings` (B, D) with `reference` (R, D), or among themselves where there is none.

        Positive are pairs of equal label (B,), negative those of unequal label, and excluded those of equal row id
        (`rows` (B,) and `reference_rows` (R,); without a reference and without ids, the diagonal). Sets of labels, as
        rows (B, C) of zeros and ones, are both in part, by their `overlap` (see `overlaps`).
        Raises `ValueError` for arguments that do not fit each other.
        """
        _check_shapes(embeddings, labels, reference, reference_labels, rows, reference_rows)
        anchors = as_float(embeddings)
        candidates = anchors if reference is None else as_float(reference).to(anchors.dtype)
        columns = labels if reference_labels is None else reference_labels
        column_rows = rows if reference is None else reference_rows
        if labels.ndim == 2:
            itself = _itself(labels, columns, reference, rows, column_rows)
            shared, compared = overlaps(labels, columns, overlap, anchors.dtype)
            weights = (compared & ~itself).to(anchors.dtype)
            positive = shared * weights
            return cls(anchors, candidates, positive, weights.sub_(positive))
        positive = labels[:, None] == columns
        if rows is None or column_rows is None:
            negative = ~positive
            if reference is None:
                positive.fill_diagonal_(False)
        else:
            itself = rows[:, None] == column_rows
            negative = ~(positive | itself)
            positive &= ~itself
        return cls(anchors, candidates, positive, negative)

    @property
    def of_sets(self) -> bool:
        """Whether positive and negative are weights, of rows with sets of labels."""
        return self.positive.is_floating_point()

    @property
    def compared(self) -> Tensor:
        """Which pairs are not excluded, as a mask (B, R)."""
        return (self.positive + self.negative) > 0 if self.of_sets else self.positive | self.negative

    @property
    def empty(self) -> bool:
        """Whether there is no anchor or no candidate at all."""
        return not self.positive.numel()

    def distances(self, kind: str) -> Measured:
        """All distances (B, R)."""
        return measure(self.anchors, None if self.candidates is self.anchors else self.candidates, kind)

    def distances_to(self, index: Tensor, kind: str) -> Measured:
        """The distances of every anchor to the K candidates that its row of `index` (B, K) names, as (B, K)."""
        chosen = self.candidates.index_select(0, index.flatten()).view(*index.shape, -1)
        return measure_pairs(self.anchors[:, None], chosen, kind)

    def nothing(self) -> LossOutput:
        """The output where there is nothing to compare: zero, with the graph."""
        zero = self.anchors.sum() * 0 + self.candidates.sum() * 0
        nan = torch.full_like(zero.detach(), torch.nan)
        return LossOutput(zero, torch.zeros_like(nan), nan, nan)


def draw(mask: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """One column of each row of `mask` (B, R), uniform among the True ones, and whether there was one: both (B,).

    Of weights instead of a mask, each column as often as it weighs. `generator` may live on the CPU or on the device
    of `mask`; one that lives on the CPU draws the same everywhere.
    """
    device = mask.device if generator is None else generator.device
    share = torch.rand(len(mask), generator=generator, device=device, dtype=torch.float32).to(mask.device)
    if mask.is_floating_point():
        reached = mask.cumsum(1, dtype=torch.float64)
        index = torch.searchsorted(reached, share[:, None] * reached[:, -1:], right=True).squeeze(1)
        return index.clamp_(max=mask.shape[1] - 1), reached[:, -1] > 0
    count = mask.cumsum(1, dtype=torch.int32)
    total = count[:, -1]
    # The n-th True of a row stands where the running count first reaches n.
    wanted = torch.minimum((share * total).to(torch.int32) + 1, total)
    index = torch.searchsorted(count, wanted[:, None]).squeeze(1).clamp_(max=mask.shape[1] - 1)
    return index, total > 0


def check_mining(pairs: Pairs, mining: str) -> None:
    """Raise `UserError` for a mining that sets of labels don't have."""
    if pairs.of_sets and mining not in MININGS_OF_SETS:
        raise UserError(
            f"mining is {mining!r}, but rows with several labels take {' or '.join(MININGS_OF_SETS)}: two of them are "
            "positive and negative to each other, each in part"
        )


def weighted_mean(values: Tensor, weights: Tensor, total: Tensor) -> Tensor:
    """The mean of `values` under `weights` of their shape, dtype and sum `total`; NaN for none."""
    return torch.dot(values.flatten(), weights.flatten()) / total


def _check_shapes(
    embeddings: Tensor,
    labels: Tensor,
    reference: Tensor | None,
    reference_labels: Tensor | None,
    rows: Tensor | None,
    reference_rows: Tensor | None,
) -> None:
    if (reference is None) != (reference_labels is None):
        raise ValueError("reference and reference_labels go together: give both or neither")
    if reference is None and reference_rows is not None:
        raise ValueError("reference_rows needs a reference")
    if reference is not None and (rows is None) != (reference_rows is None):
        raise ValueError("with a reference, rows and reference_rows go together: give both or neither")
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings must be (B, D), got {tuple(embeddings.shape)}")
    if reference is not None and (reference.ndim != 2 or reference.shape[1] != embeddings.shape[1]):
        raise ValueError(f"reference must be (R, {embeddings.shape[1]}), got {tuple(reference.shape)}")
    for name, ids, table in (
        ("labels", labels, embeddings),
        ("rows", rows, embeddings),
        ("reference_labels", reference_labels, reference),
        ("reference_rows", reference_rows, reference),
    ):
        if ids is None or table is None:
            continue
        sets = labels.shape[1:] if labels.ndim == 2 and name.endswith("labels") else ()
        if ids.shape != (len(table), *sets):
            shown = "".join(f", {size}" for size in sets) or ","
            raise ValueError(f"{name} must be ({len(table)}{shown}), one for each embedding, got {tuple(ids.shape)}")


def _itself(
    labels: Tensor, columns: Tensor, reference: Tensor | None, rows: Tensor | None, column_rows: Tensor | None
) -> Tensor:
    """Which pairs are a row beside itself, as a mask (B, R)."""
    if rows is not None and column_rows is not None:
        return rows[:, None] == column_rows
    size = (len(labels), len(columns))
    none = torch.zeros(size, dtype=torch.bool, device=labels.device)
    return none.fill_diagonal_(True) if reference is None else none
