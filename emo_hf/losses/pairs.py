"""What every metric loss shares: which candidates an anchor is compared with, and what a loss returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from emo_hf.losses.distances import Measured, as_float, measure, measure_pairs


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

    A pair that is neither is excluded: it is a row beside itself.
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
    ) -> Pairs:
        """Pairs of `embeddings` (B, D) with `reference` (R, D), or among themselves where there is none.

        Positive are pairs of equal label, negative those of unequal label, and excluded those of equal row id
        (`rows` (B,) and `reference_rows` (R,); without a reference and without ids, the diagonal).
        Raises `ValueError` for arguments that do not fit each other.
        """
        _check_shapes(embeddings, labels, reference, reference_labels, rows, reference_rows)
        anchors = as_float(embeddings)
        candidates = anchors if reference is None else as_float(reference).to(anchors.dtype)
        columns = labels if reference_labels is None else reference_labels
        column_rows = rows if reference is None else reference_rows
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

    `generator` may live on the CPU or on the device of `mask`; one that lives on the CPU draws the same everywhere.
    """
    device = mask.device if generator is None else generator.device
    share = torch.rand(len(mask), generator=generator, device=device, dtype=torch.float32).to(mask.device)
    count = mask.cumsum(1, dtype=torch.int32)
    total = count[:, -1]
    # The n-th True of a row stands where the running count first reaches n.
    wanted = torch.minimum((share * total).to(torch.int32) + 1, total)
    index = torch.searchsorted(count, wanted[:, None]).squeeze(1).clamp_(max=mask.shape[1] - 1)
    return index, total > 0


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
        if ids is not None and table is not None and ids.shape != table.shape[:1]:
            raise ValueError(f"{name} must be ({len(table)},), one for each embedding, got {tuple(ids.shape)}")
