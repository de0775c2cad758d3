"""The supervised contrastive loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from emo_hf.losses.arguments import Choice, Number, Values, check_values
from emo_hf.losses.label_sets import OVERLAPS
from emo_hf.losses.pairs import LossOutput, Pairs, weighted_mean


class SupConLoss(nn.Module):
    """Positives are told from all other candidates by a softmax over cosine similarities (Khosla et al. 2020).

    Formula: with s(a, c) = cos(a, c) / temperature, the mean over rows of log Σ_c exp s(a, c) - mean_p s(a, p),
    where c runs over all candidates but the anchor itself and p over its positives (the paper's L_out, with the sum
    inside its logarithm over positives and negatives alike). Beside cross-entropy: Gunel et al. 2020. The embeddings
    are normalised here. An anchor without a positive or without a negative counts as zero, as in the paper's sum over
    the batch: were the mean one over the others alone, the few pairs that a batch of many classes holds would weigh as
    much as a batch full of them. Of sets of labels, mean_p is weighed by the overlap with the anchor's labels, so that
    the softmax follows how much of them a candidate shares (the Jaccard form of Lin et al. 2023, arXiv 2212.00552);
    `overlap` says how that is measured (see `overlaps`). `active` is the share of anchors that count; the distances
    are cosine distances.

    Inputs of `forward`: as in `TripletLoss`; half-precision embeddings are computed in float32.
    Raises `UserError` for a temperature that is not positive.
    """

    arguments: ClassVar[Mapping[str, Values]] = {"temperature": Number(above=True), "overlap": Choice(OVERLAPS)}

    def __init__(self, temperature: float = 0.1, overlap: str = "jaccard") -> None:
        super().__init__()
        check_values("supcon", self.arguments, {"temperature": temperature, "overlap": overlap})
        self.temperature, self.overlap = temperature, overlap

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
        if pairs.empty:
            return pairs.nothing()
        measured = pairs.distances("cosine")
        distances = measured.values
        of_positives, of_negatives = pairs.positive.to(distances.dtype), pairs.negative.to(distances.dtype)
        positives, negatives = of_positives.sum(1, keepdim=True), of_negatives.sum(1, keepdim=True)
        counted = (torch.minimum(positives, negatives) > 0).to(distances.dtype)  # 1 for an anchor with both, else 0
        anchors = counted.sum()
        weights = counted / len(counted)
        # s = (1 - distance) / temperature; the 1 cancels between the two terms.
        scores = torch.where(pairs.compared, distances / -self.temperature, -torch.inf)
        spread = scores.logsumexp(1, keepdim=True)
        target = of_positives / positives.masked_fill(positives == 0, 1)
        pulled = (target * distances).sum(1, keepdim=True) / -self.temperature
        # The gradient in the scores is softmax - target; a row without candidates has no softmax at all.
        gradient = scores.sub_(spread).exp_().sub_(target).mul_(weights / -self.temperature)
        gradient.masked_fill_(counted == 0, 0)
        value = torch.dot((spread - pulled).masked_fill_(counted == 0, 0).flatten(), weights.flatten())
        return LossOutput(
            measured.loss(value, gradient),
            anchors / len(counted),
            weighted_mean(distances, of_positives, positives.sum()),
            weighted_mean(distances, of_negatives, negatives.sum()),
        )
