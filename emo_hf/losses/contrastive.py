"""The contrastive loss over pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from emo_hf.losses.arguments import Choice, Number, Switch, Values, check_values
from emo_hf.losses.distances import DISTANCES, Measured
from emo_hf.losses.label_sets import OVERLAPS
from emo_hf.losses.pairs import LossOutput, Pairs, check_mining, draw, weighted_mean


class ContrastiveLoss(nn.Module):
    """Positive pairs are drawn together, negative pairs pushed apart up to a margin (Hadsell et al. 2006).

    Formula: the mean over pairs of y d² + (1 - y) max(0, margin - d)², with y = 1 for equal labels, 0 for others.
    The paper halves both terms; this is the form without the factor 1/2. `d` is the chosen `distance` itself, so
    `squared_euclidean` and `cosine` distances are squared once more.

    Distance: by default that of the embeddings at length 1, on the sphere, as Musgrave et al. 2020 compare losses; it
    goes from 0 to 2, and a margin of 1 is an angle of 60 degrees, whatever the encoder. The paper's own is
    `euclidean`, of the embeddings as they are: there a margin says nothing by itself. Inside the natural spread of the
    embeddings nearly every negative pair is beyond it, nothing is pushed apart, the positives draw the whole space
    together, and what becomes of that is lost first by the rarest class.

    Mining: `all` takes every pair of the batch; `hard` only positives farther apart than the closest negative pair
    of the batch and negatives closer than its farthest positive pair (none where either kind is missing); `sampled`
    one uniformly random other row for each anchor, whatever its label. `balanced` gives the mean over the positives
    and the mean over the negatives half the weight each, so that few positives count as much as many negatives; a
    kind that is missing counts as zero.

    Sets of labels: y is their overlap, so that a pair is drawn together as far as its labels are shared and pushed
    apart as far as they are not, with the least loss where d = margin (1 - y). `overlap` says how it is measured (see
    `overlaps`). Of the minings they take `all` and `sampled`.

    Inputs of `forward`: as in `TripletLoss`; half-precision embeddings are computed in float32.
    Raises `UserError` for unknown choices and a negative margin.
    """

    minings = ("all", "hard", "sampled")
    arguments: ClassVar[Mapping[str, Values]] = {
        "margin": Number(),
        "distance": Choice(DISTANCES),
        "mining": Choice(minings),
        "balanced": Switch(),
        "overlap": Choice(OVERLAPS),
    }

    def __init__(
        self,
        margin: float = 1.0,
        distance: str = "normalized_euclidean",
        mining: str = "all",
        balanced: bool = False,
        overlap: str = "jaccard",
    ) -> None:
        super().__init__()
        given = {"margin": margin, "distance": distance, "mining": mining, "balanced": balanced, "overlap": overlap}
        check_values("contrastive", self.arguments, given)
        self.margin, self.distance, self.mining, self.balanced = margin, distance, mining, balanced
        self.overlap = overlap

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        reference: Tensor | None = None,
        reference_labels: Tensor | None = None,
        rows: Tensor | None = None,
        reference_rows: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> LossOutput:
        """The loss of `embeddings` (B, D) with `labels` (B,); see `TripletLoss.forward` for the other arguments."""
        pairs = Pairs.form(embeddings, labels, reference, reference_labels, rows, reference_rows, self.overlap)
        check_mining(pairs, self.mining)
        if pairs.empty:
            return pairs.nothing()
        if self.mining == "sampled":
            index, _ = draw(pairs.compared, generator)  # where none is compared, both are 0
            index = index[:, None]
            positive, negative = pairs.positive.gather(1, index), pairs.negative.gather(1, index)
            return self._loss(pairs.distances_to(index, self.distance), positive, negative)
        distances = pairs.distances(self.distance)
        if self.mining == "hard":
            return self._loss(distances, *_hard(distances.values, pairs.positive, pairs.negative))
        return self._loss(distances, pairs.positive, pairs.negative)

    def _loss(self, measured: Measured, positive: Tensor, negative: Tensor) -> LossOutput:
        """The loss over the chosen pairs, from the distances and two masks, or weights, of one shape."""
        distances = measured.values
        of_positives, of_negatives = positive.to(distances.dtype), negative.to(distances.dtype)
        positives, negatives = of_positives.sum(), of_negatives.sum()
        of_kinds = [weighted_mean(distances, *kind) for kind in ((of_positives, positives), (of_negatives, negatives))]
        pairs = (positives + negatives).clamp(min=1)
        if self.balanced:
            each, other = 0.5 / _or_1(positives), 0.5 / _or_1(negatives)
        else:
            each = other = 1 / pairs
        # The loss is a sum of squares, weighed, and so half of its gradient times the residuals.
        short = (distances - self.margin).clamp_(max=0)
        pulled, pushed = of_positives.mul_(distances), of_negatives.mul_(short)
        value = each * torch.dot(pulled.flatten(), distances.flatten())
        value += other * torch.dot(pushed.flatten(), short.flatten())
        active = (pulled != pushed).sum() / pairs  # neither is on the other's side of 0
        gradient = pulled.mul_(2 * each).add_(pushed.mul_(2 * other))
        return LossOutput(measured.loss(value, gradient), active, *of_kinds)


def _or_1(total: Tensor) -> Tensor:
    """The sum of weights, or 1 where that is 0."""
    return total.masked_fill(total == 0, 1)


def _hard(distances: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """The positives beyond the closest negative and the negatives within the farthest positive, as masks (B, R)."""
    farthest_positive = torch.where(positive, distances, -torch.inf).max()
    closest_negative = torch.where(negative, distances, torch.inf).min()
    return positive & (distances > closest_negative), negative & (distances < farthest_positive)
