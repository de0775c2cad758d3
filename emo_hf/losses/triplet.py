"""The triplet loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emo_hf.errors import UserError
from emo_hf.losses.arguments import Choice, Number, Switch, Values, check_values
from emo_hf.losses.distances import DISTANCES, Measured
from emo_hf.losses.label_sets import OVERLAPS
from emo_hf.losses.pairs import LossOutput, Pairs, check_mining, draw, weighted_mean
from emo_hf.losses.triplet_sums import hinge_counts, semi_hard_negatives, weighted_hinge_counts


class TripletLoss(nn.Module):
    """An anchor's positive is drawn closer than its negative by a margin (Schroff et al. 2015).

    Formula: max(0, d(a, p) - d(a, n) + margin), averaged over triplets of an anchor a, a positive p of its label and
    a negative n of another; with `soft`, log(1 + exp(d(a, p) - d(a, n))) without a margin (Hermans et al. 2017).

    Distance: by default that of the embeddings at length 1, which is how the paper constrains them; it goes from 0 to
    2, so a margin of 1 means the same for every encoder. `euclidean` takes the embeddings as they are (Hermans et al.
    2017): they can meet any margin by growing.

    Mining, for every anchor that has a positive and a negative:
    - `all`: every triplet, exact, in O(B² log B) time and O(B²) memory; not with `soft`, whose sum has no such form;
    - `semi-hard`: with every positive, the closest of the negatives farther away than that positive, or the farthest
      negative where none is (as is usual since Schroff et al. 2015, who leave that case open);
    - `hard`: the farthest positive and the closest negative (batch-hard, Hermans et al. 2017);
    - `sampled`: one uniformly random positive and one uniformly random negative.

    Sets of labels: a triplet weighs w(a, p) (1 - w(a, n)), by the overlap w of the labels (see `overlaps`), so that of
    two candidates the one that shares more is drawn closer, in the measure of the difference: one order of the two
    weighs w(a, p) - w(a, n) more than the other. The minings are `all`, and `sampled`, a positive drawn by its overlap
    and another negative by what it lacks.

    Reduction: `active` is the mean over the triplets with a loss above zero, `valid` over all that mining gave.
    Raises `UserError` for unknown choices, a negative margin, or `soft` with `all`.
    """

    minings = ("all", "semi-hard", "hard", "sampled")
    reductions = ("active", "valid")
    arguments: ClassVar[Mapping[str, Values]] = {
        "margin": Number(),
        "distance": Choice(DISTANCES),
        "mining": Choice(minings),
        "reduction": Choice(reductions),
        "soft": Switch(),
        "overlap": Choice(OVERLAPS),
    }

    def __init__(
        self,
        margin: float = 1.0,
        distance: str = "normalized_euclidean",
        mining: str = "all",
        reduction: str = "active",
        soft: bool = False,
        overlap: str = "jaccard",
    ) -> None:
        super().__init__()
        given = {"margin": margin, "distance": distance, "mining": mining, "reduction": reduction, "soft": soft}
        given |= {"overlap": overlap}
        check_values("triplet", self.arguments, given)
        if soft and mining == "all":
            raise UserError("the soft triplet loss needs mining semi-hard, hard or sampled, got 'all'")
        self.margin, self.distance, self.mining, self.reduction, self.soft = margin, distance, mining, reduction, soft
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
        """The loss of the anchors `embeddings` (B, D) with integer `labels` (B,), or sets of them (B, C).

        Sets are rows of zeros and ones. Positives and negatives come from `reference` (R, D) with `reference_labels`,
        which may hold the joint batch of all processes or a memory of past embeddings, or else from the embeddings
        themselves. Gradients reach both. `rows` (B,) and `reference_rows` (R,) are ids of the data rows: a pair with
        one id is excluded, so a row is never its own positive, however often it occurs. Without ids only the diagonal
        of a batch with itself is excluded, and nothing of a reference. `generator` draws for `sampled` and may live on
        any device.

        Raises `ValueError` for arguments that do not fit each other.
        """
        pairs = Pairs.form(embeddings, labels, reference, reference_labels, rows, reference_rows, self.overlap)
        check_mining(pairs, self.mining)
        if pairs.empty:
            return pairs.nothing()
        if self.mining == "all":
            return self._all(pairs)
        if self.mining == "sampled":
            return self._sampled(pairs, generator)
        measured = pairs.distances(self.distance)
        distances, positive, negative = measured.values, pairs.positive, pairs.negative
        far = _far(distances)
        if self.mining == "hard":
            farthest = torch.where(positive, distances, -far).max(1, keepdim=True)
            closest = torch.where(negative, distances, far).min(1, keepdim=True)
            return self._mined(measured, farthest.values, closest.values, farthest.indices, closest.indices)
        columns = semi_hard_negatives(distances, positive, negative)
        to_positive = torch.where(positive & negative.any(1, keepdim=True), distances, -far)
        return self._mined(measured, to_positive, distances.gather(1, columns), None, columns)

    def _all(self, pairs: Pairs) -> LossOutput:
        measured = pairs.distances(self.distance)
        distances = measured.values
        if pairs.of_sets:
            counts, active, valid = weighted_hinge_counts(distances, pairs.positive, pairs.negative, self.margin)
            means = [weighted_mean(distances, kind, kind.sum()) for kind in (pairs.positive, pairs.negative)]
            return self._summed(measured, counts, active, valid, *means)
        counts = hinge_counts(distances, pairs.positive, pairs.negative, self.margin)
        # One mask of floats for both kinds of pairs in turn: with many rows such a matrix is what memory goes into.
        weights = pairs.negative.to(distances.dtype)
        negatives = weights.sum(1)
        to_negative = weighted_mean(distances, weights, negatives.sum())
        weights.copy_(pairs.positive)
        positives = weights.sum(1)
        to_positive = weighted_mean(distances, weights, positives.sum())
        valid = torch.dot(positives, negatives)
        # Each active triplet adds one to the count of its positive. Only `sum` adds pairwise: a norm or a dot product
        # loses up to a percent of 10**9 triplets in float32.
        active = weights.mul_(counts).sum()
        return self._summed(measured, counts, active, valid, to_positive, to_negative)

    def _summed(
        self,
        measured: Measured,
        counts: Tensor,
        active: Tensor,
        valid: Tensor,
        to_positive: Tensor,
        to_negative: Tensor,
    ) -> LossOutput:
        """The loss of `counts` (B, R), how often a distance counts in it, of `active` of all `valid` triplets."""
        distances = measured.values
        divisor = active if self.reduction == "active" else valid
        divisor = divisor.masked_fill(divisor == 0, 1)
        counts /= divisor
        value = torch.dot(counts.flatten(), distances.flatten()) + self.margin * (active / divisor)
        return LossOutput(
            measured.loss(value, counts), active / valid.masked_fill(valid == 0, 1), to_positive, to_negative
        )

    def _sampled(self, pairs: Pairs, generator: torch.Generator | None) -> LossOutput:
        positive, has_positive = draw(pairs.positive, generator)
        others = pairs.negative
        if pairs.of_sets:  # another row than the positive
            others = others.scatter(1, positive[:, None], 0)
        negative, has_negative = draw(others, generator)
        measured = pairs.distances_to(torch.stack((positive, negative), 1), self.distance)
        to_positive, to_negative = measured.values.split(1, 1)
        to_positive = torch.where((has_positive & has_negative)[:, None], to_positive, -_far(to_positive))
        column = torch.zeros_like(positive)[:, None]
        return self._mined(measured, to_positive, to_negative, column, column + 1)

    def _mined(
        self,
        measured: Measured,
        to_positive: Tensor,
        to_negative: Tensor,
        positive: Tensor | None,
        negative: Tensor,
    ) -> LossOutput:
        """The loss over K triplets an anchor, from their distances (B, K), which a triplet that is none has `_far`.

        `positive` and `negative` (B, K) are columns of the distances; without `positive` each column is one, in order.
        """
        distances = measured.values
        gap = to_positive - to_negative
        weights = (gap > -_far(gap) / 2).to(gap.dtype)
        count = weights.sum()
        if self.soft:
            # Above zero for every triplet, even where that is less than the smallest number.
            terms, active = F.softplus(gap, threshold=40), count
        else:
            terms = gap.add_(self.margin).clamp(min=0)
            active = terms.count_nonzero()
        divisor = (active if self.reduction == "active" else count).clamp(min=1)
        slopes = (gap.sigmoid_() if self.soft else terms.sign()).div_(divisor)
        back = -slopes
        gradient = slopes if positive is None else torch.zeros_like(distances).scatter_(1, positive, slopes)
        gradient.scatter_add_(1, negative, back)
        return LossOutput(
            measured.loss(terms.sum() / divisor, gradient),
            active / count.clamp(min=1),
            weighted_mean(to_positive, weights, count),
            weighted_mean(to_negative, weights, count),
        )


def _far(distances: Tensor) -> float:
    """A stand-in for the distance of what is not there: beyond every distance, yet sums of a few stay finite."""
    return torch.finfo(distances.dtype).max / 8
