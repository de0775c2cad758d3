"""Other libraries as oracles of our losses, where the definitions coincide, in float64; and where they do not."""

from __future__ import annotations

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from sentence_transformers.sentence_transformer import losses as sentence_losses

from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss

PML = {
    "euclidean": distances.LpDistance(normalize_embeddings=False),
    "normalized_euclidean": distances.LpDistance(),  # their default, and ours
}
DISTANCES = {
    "euclidean": sentence_losses.BatchHardTripletLossDistanceFunction.eucledian_distance,
    "cosine": sentence_losses.BatchHardTripletLossDistanceFunction.cosine_distance,
}


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(24, 8, dtype=torch.float64), torch.randint(3, (24,))


@pytest.mark.parametrize("kind", PML)
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_triplets_agree(batch, margin: float, kind: str) -> None:
    """Both average over the triplets with a loss above zero."""
    theirs = losses.TripletMarginLoss(margin=margin, distance=PML[kind])(*batch)
    assert torch.allclose(TripletLoss(margin=margin, distance=kind)(*batch).loss, theirs, atol=1e-7)


@pytest.mark.parametrize("kind", PML)
def test_batch_hard_agrees(batch, kind: str) -> None:
    reduced = losses.TripletMarginLoss(margin=1.0, distance=PML[kind], reducer=reducers.MeanReducer())
    theirs = reduced(*batch, miners.BatchHardMiner(distance=PML[kind])(*batch))
    ours = TripletLoss(margin=1.0, distance=kind, mining="hard", reduction="valid")(*batch)
    assert torch.allclose(ours.loss, theirs, atol=1e-7)


def test_contrastive_agrees(batch) -> None:
    """Theirs is linear in the distance and adds the two means; ours squares the hinge and, balanced, halves them."""
    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    theirs = losses.ContrastiveLoss(0.0, 4.0, distance=squared, reducer=reducers.MeanReducer())(*batch)
    d = torch.cdist(*batch[:1] * 2).square()
    same = batch[1][:, None] == batch[1]
    other = ~same
    same.fill_diagonal_(False)
    assert torch.allclose(theirs, d[same].mean() + (4.0 - d[other]).clamp(min=0).mean(), atol=1e-8)
    ours = ContrastiveLoss(margin=2.0, distance="euclidean", balanced=True)(*batch).loss
    expected = (d[same].mean() + (2.0 - d[other].sqrt()).clamp(min=0).square().mean()) / 2
    assert torch.allclose(ours, expected, atol=1e-10)


def test_supcon_agrees(batch) -> None:
    theirs = losses.SupConLoss(temperature=0.1)(*batch)
    assert torch.allclose(SupConLoss(temperature=0.1)(*batch).loss, theirs, atol=1e-6)


def sentence_transformers(loss: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return loss.compute_loss_from_embeddings([batch[0]], batch[1])


def agree(ours: torch.nn.Module, theirs: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Value and gradient; theirs come from float32 masks and epsilons."""
    x = batch[0].clone().requires_grad_()
    values = [ours(x, batch[1]).loss, sentence_transformers(theirs, (x, batch[1]))]
    gradients = [torch.autograd.grad(value, x)[0] for value in values]
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(*values, atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_batch_all_agrees_with_sentence_transformers(batch, margin: float, kind: str) -> None:
    theirs = sentence_losses.BatchAllTripletLoss(None, distance_metric=DISTANCES[kind], margin=margin)
    agree(TripletLoss(margin=margin, distance=kind), theirs, batch)


@pytest.mark.parametrize("kind", DISTANCES)
def test_batch_hard_agrees_with_sentence_transformers(batch, kind: str) -> None:
    theirs = sentence_losses.BatchHardTripletLoss(None, distance_metric=DISTANCES[kind], margin=1.0)
    agree(TripletLoss(margin=1.0, distance=kind, mining="hard", reduction="valid"), theirs, batch)


@pytest.mark.parametrize("kind", DISTANCES)
def test_soft_batch_hard_agrees_with_sentence_transformers(batch, kind: str) -> None:
    theirs = sentence_losses.BatchHardSoftMarginTripletLoss(None, distance_metric=DISTANCES[kind])
    agree(TripletLoss(distance=kind, mining="hard", soft=True, reduction="valid"), theirs, batch)


@pytest.mark.parametrize("kind", DISTANCES)
def test_semi_hard_agrees_with_sentence_transformers(batch, kind: str) -> None:
    theirs = sentence_losses.BatchSemiHardTripletLoss(None, distance_metric=DISTANCES[kind], margin=0.5)
    agree(TripletLoss(margin=0.5, distance=kind, mining="semi-hard", reduction="valid"), theirs, batch)


def test_an_anchor_without_a_positive_is_left_out_where_they_count_it(batch) -> None:
    """Their batch-hard takes the anchor itself for its farthest positive when its label occurs once."""
    x, labels = batch[0][:7], torch.tensor([0, 0, 0, 1, 1, 1, 2])
    theirs = sentence_transformers(sentence_losses.BatchHardTripletLoss(None, margin=5.0), (x, labels))
    loss = TripletLoss(margin=5.0, distance="euclidean", mining="hard", reduction="valid")
    ours = loss(x, labels).loss
    lone = torch.relu(5.0 - torch.cdist(x[6:], x[:6]).min())
    assert torch.allclose(theirs, (6 * ours + lone) / 7, atol=1e-6)
    assert not torch.allclose(theirs, ours, atol=1e-3)


def test_their_contrastive_loss_halves_the_sum(batch) -> None:
    """Hadsell's factor 1/2, over given pairs: all pairs of a batch give half of ours."""
    x, labels = batch
    first, second = torch.triu_indices(len(x), len(x), 1)
    theirs = sentence_losses.ContrastiveLoss(
        None, distance_metric=sentence_losses.SiameseDistanceMetric.EUCLIDEAN, margin=4.0
    ).compute_loss_from_embeddings([x[first], x[second]], (labels[first] == labels[second]).long())
    # They take torch's pairwise distance, which adds 1e-6 to every difference.
    ours = ContrastiveLoss(margin=4.0, distance="euclidean")(x, labels).loss
    assert torch.allclose(ours, 2 * theirs, rtol=1e-4)
