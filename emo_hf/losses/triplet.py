"""The triplet loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emo_hf.distances import Measured, check_distance
from emo_hf.errors import UserError
from emo_hf.losses.counts import hinge_counts, semi_hard_negatives
from emo_hf.losses.pairs import LossOutput, Pairs, check_choice, check_margin, draw, weighted_mean


class TripletLoss(nn.Module):
    """An anchor's positive is drawn closer than its negative by a margin (Schroff et al. 2015).

    Formula: max(0, d(a, p) - d(a, n) + margin), averaged over triplets of an anchor a, a positive p of its label and
    a negative n of another; with `soft`, log(1 + exp(d(a, p) - d(a, n))) without a margin (Hermans et al. 2017).

    Mining, for every anchor that has a positive and a negative:
    - `all`: every triplet, exact, in O(B² log B) time and O(B²) memory; not with `soft`, whose sum has no such form;
    - `semi-hard`: with every positive, the closest of the negatives farther away than that positive, or the farthest
      negative where none is (as is usual since Schroff et al. 2015, who leave that case open);
    - `hard`: the farthest positive and the closest negative (batch-hard, Hermans et al. 2017);
    - `sampled`: one uniformly random positive and one uniformly random negative.

    Reduction: `active` is the mean over the triplets with a loss above zero, `valid` over all that mining gave.
    Raises `UserError` for unknown choices, a negative margin, or `soft` with `all`.
    """

    minings = ("all", "semi-hard", "hard", "sampled")
    reductions = ("active", "valid")

    def __init__(
        self,
        margin: float = 1.0,
        distance: str = "euclidean",
        mining: str = "all",
        reduction: str = "active",
        soft: bool = False,
    ) -> None:
        super().__init__()
        check_margin(margin)
        check_distance(distance)
        check_choice("mining of the triplet loss", mining, self.minings)
        check_choice("reduction of the triplet loss", reduction, self.reductions)
        if soft and mining == "all":
            raise UserError("the soft triplet loss needs mining semi-hard, hard or sampled, got 'all'")
        self.margin, self.distance, self.mining, self.reduction, self.soft = margin, distance, mining, reduction, soft

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
        """The loss of the anchors `embeddings` (B, D) with integer `labels` (B,).

        Positives and negatives come from `reference` (R, D) with `reference_labels` (R,), which may hold the joint
        batch of all processes or a memory of past embeddings, or else from the embeddings themselves. Gradients
        reach both. `rows` (B,) and `reference_rows` (R,) are ids of the data rows: a pair with one id is excluded,
        so a row is never its own positive, however often it occurs. Without ids only the diagonal of a batch with
        itself is excluded, and nothing of a reference. `generator` draws for `sampled` and may live on any device.

        Raises `ValueError` for arguments that do not fit each other.
        """
        pairs = Pairs.form(embeddings, labels, reference, reference_labels, rows, reference_rows)
        if pairs.empty:
            return pairs.nothing()
        if self.mining == "all":
            return self._all(pairs)
        if self.mining == "sampled":
            return self._sampled(pairs, generator)
        measured = pairs.distances(self.distance)
        distances, positive, negative = measured.values, pairs.positive, pairs.negative
        if self.mining == "hard":
            farthest = torch.where(positive, distances, -1.0).max(1, keepdim=True)
            closest = torch.where(negative, distances, torch.inf).min(1, keepdim=True)
            valid = (farthest.values >= 0) & (closest.values < torch.inf)
            return self._mined(measured, farthest.indices, closest.indices, valid)
        semi_hard = semi_hard_negatives(distances, positive, negative)
        return self._mined(measured, None, semi_hard, positive & negative.any(1, keepdim=True))

    def _all(self, pairs: Pairs) -> LossOutput:
        measured = pairs.distances(self.distance)
        distances = measured.values
        of_positives, of_negatives = pairs.positive.to(distances.dtype), pairs.negative.to(distances.dtype)
        counts = hinge_counts(distances, pairs.positive, pairs.negative, self.margin)
        # Each active triplet adds one to the count of its positive. Only `sum` adds pairwise: a norm or a dot product
        # loses up to a percent of 10**9 triplets in float32.
        active = counts.clamp(min=0).sum()
        positives, negatives = of_positives.sum(1), of_negatives.sum(1)
        valid = torch.dot(positives, negatives)
        divisor = (active if self.reduction == "active" else valid).clamp(min=1)
        counts /= divisor
        value = torch.dot(counts.flatten(), distances.flatten()) + self.margin * (active / divisor)
        return LossOutput(
            measured.loss(value, counts),
            active / valid.clamp(min=1),
            weighted_mean(distances, of_positives, positives.sum()),
            weighted_mean(distances, of_negatives, negatives.sum()),
        )

    def _sampled(self, pairs: Pairs, generator: torch.Generator | None) -> LossOutput:
        positive, has_positive = draw(pairs.positive, generator)
        negative, has_negative = draw(pairs.negative, generator)
        measured = pairs.distances_to(torch.stack((positive, negative), 1), self.distance)
        column = torch.zeros_like(positive)[:, None]
        return self._mined(measured, column, column + 1, (has_positive & has_negative)[:, None])

    def _mined(self, measured: Measured, positive: Tensor | None, negative: Tensor, valid: Tensor) -> LossOutput:
        """The loss over K triplets an anchor, those that are `valid` (B, K).

        `positive` and `negative` (B, K) are columns of the distances; without `positive` each column is one, in order.
        """
        distances = measured.values
        to_positive = distances if positive is None else distances.gather(1, positive)
        to_negative = distances.gather(1, negative)
        weights = valid.to(distances.dtype)
        count = weights.sum()
        gap = torch.sub(to_positive, to_negative)
        if not self.soft:
            gap.add_(self.margin)
        terms = (F.softplus(gap, threshold=40) if self.soft else gap.clamp(min=0)).mul_(weights)
        active = terms.count_nonzero()
        divisor = (active if self.reduction == "active" else count).clamp(min=1)
        slopes = (gap.sigmoid_().mul_(weights) if self.soft else terms.sign()).div_(divisor)
        back = -slopes
        gradient = slopes if positive is None else torch.zeros_like(distances).scatter_(1, positive, slopes)
        gradient.scatter_add_(1, negative, back)
        return LossOutput(
            measured.loss(terms.sum() / divisor, gradient),
            active / count.clamp(min=1),
            weighted_mean(to_positive, weights, count),
            weighted_mean(to_negative, weights, count),
        )
