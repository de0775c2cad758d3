"""The contrastive loss over pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from emo_hf.losses.arguments import Choice, Number, Switch, Values, check_values
from emo_hf.losses.distances import DISTANCES, Measured
from emo_hf.losses.pairs import LossOutput, Pairs, draw, weighted_mean


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

    Inputs of `forward`: as in `TripletLoss`; half-precision embeddings are computed in float32.
    Raises `UserError` for unknown choices and a negative margin.
    """

    minings = ("all", "hard", "sampled")
    arguments: ClassVar[Mapping[str, Values]] = {
        "margin": Number(),
        "distance": Choice(DISTANCES),
        "mining": Choice(minings),
        "balanced": Switch(),
    }

    def __init__(
        self,
        margin: float = 1.0,
        distance: str = "normalized_euclidean",
        mining: str = "all",
        balanced: bool = False,
    ) -> None:
        super().__init__()
        given = {"margin": margin, "distance": distance, "mining": mining, "balanced": balanced}
        check_values("contrastive", self.arguments, given)
        self.margin, self.distance, self.mining, self.balanced = margin, distance, mining, balanced

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
        pairs = Pairs.form(embeddings, labels, reference, reference_labels, rows, reference_rows)
        if pairs.empty:
            return pairs.nothing()
        if self.mining == "sampled":
            index, found = draw(pairs.positive | pairs.negative, generator)
            index, found = index[:, None], found[:, None]
            positive = pairs.positive.gather(1, index)
            return self._loss(pairs.distances_to(index, self.distance), positive, found & ~positive)
        distances = pairs.distances(self.distance)
        if self.mining == "hard":
            return self._loss(distances, *_hard(distances.values, pairs.positive, pairs.negative))
        return self._loss(distances, pairs.positive, pairs.negative)

    def _loss(self, measured: Measured, positive: Tensor, negative: Tensor) -> LossOutput:
        """The loss over the chosen pairs, from the distances and two masks of one shape."""
        distances = measured.values
        of_positives, of_negatives = positive.to(distances.dtype), negative.to(distances.dtype)
        positives, negatives = of_positives.sum(), of_negatives.sum()
        pairs = (positives + negatives).clamp(min=1)
        # The loss is a sum of squares of residuals, which are therefore half its gradient.
        residuals = (distances - self.margin).clamp_(max=0).mul_(of_negatives).addcmul_(distances, of_positives)
        active = residuals.count_nonzero() / pairs
        if self.balanced:
            weights = of_positives * (0.5 / positives.clamp(min=1)) + of_negatives * (0.5 / negatives.clamp(min=1))
            gradient = weights.mul_(residuals)
            value = torch.dot(gradient.flatten(), residuals.flatten())
            gradient.mul_(2)
        else:
            value = torch.dot(residuals.flatten(), residuals.flatten()) / pairs
            gradient = residuals.mul_(2 / pairs)
        return LossOutput(
            measured.loss(value, gradient),
            active,
            weighted_mean(distances, of_positives, positives),
            weighted_mean(distances, of_negatives, negatives),
        )


def _hard(distances: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """The positives beyond the closest negative and the negatives within the farthest positive, as masks (B, R)."""
    farthest_positive = torch.where(positive, distances, -torch.inf).max()
    closest_negative = torch.where(negative, distances, torch.inf).min()
    return positive & (distances > closest_negative), negative & (distances < farthest_positive)
