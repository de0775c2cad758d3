"""Metric losses of rows with sets of labels: against plain loops in float64, and by what becomes of embeddings."""

from __future__ import annotations

import itertools

import pytest
import torch
from plain_losses import distance, random_batch
from torch import Tensor, nn

from emo_hf.errors import UserError
from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss, triplet_sums
from emo_hf.losses.distances import DISTANCES
from emo_hf.losses.label_sets import OVERLAPS, overlaps
from emo_hf.losses.pairs import Pairs, draw

LOSSES = [
    *(ContrastiveLoss(margin=0.8, balanced=balanced) for balanced in (False, True)),
    *(TripletLoss(margin=0.3, reduction=reduction) for reduction in TripletLoss.reductions),
    SupConLoss(),
]


def name(loss: nn.Module) -> str:
    return "-".join([type(loss).__name__, *(str(v) for k, v in vars(loss).items() if k in ("balanced", "reduction"))])


def set_batch(seed: int, size: int, classes: int, reference: int | None, ids: bool) -> dict[str, Tensor]:
    """A random batch whose rows have from none to all of the labels."""
    batch = random_batch(seed, size, 3, 2, reference, ids)
    drawn = torch.Generator().manual_seed(seed + 50)
    for key in ("labels", "reference_labels"):
        if key in batch:
            share = torch.rand(len(batch[key]), 1, generator=drawn)
            batch[key] = (torch.rand(len(batch[key]), classes, generator=drawn) < share).to(torch.float32)
    batch["labels"][0] = 0.0
    batch["labels"][1] = 1.0
    return batch


def share_of(a: Tensor, b: Tensor, kind: str) -> float | None:
    ours, theirs = ({i for i, value in enumerate(row.tolist()) if value} for row in (a, b))
    if not ours | theirs:
        return None
    if kind == "any":
        return float(bool(ours & theirs))
    return float(ours == theirs) if kind == "equal" else len(ours & theirs) / len(ours | theirs)


def weights(batch: dict[str, Tensor], kind: str) -> dict[tuple[int, int], float]:
    """The overlap of every pair that is compared."""
    labels, columns = batch["labels"], batch.get("reference_labels", batch["labels"])
    rows = batch.get("rows", torch.arange(len(labels)))
    column_rows = batch.get("reference_rows", rows if "reference" not in batch else -1 - torch.arange(len(columns)))
    return {
        (i, j): share
        for i, j in itertools.product(range(len(labels)), range(len(columns)))
        if rows[i] != column_rows[j] and (share := share_of(labels[i], columns[j], kind)) is not None
    }


def loop(loss: nn.Module, d: list[list[Tensor]], w: dict[tuple[int, int], float]) -> Tensor:
    zero = torch.zeros((), dtype=torch.float64)
    if isinstance(loss, ContrastiveLoss):
        pulled = sum((share * d[i][j] ** 2 for (i, j), share in w.items()), zero)
        pushed = sum(((1 - share) * torch.relu(loss.margin - d[i][j]) ** 2 for (i, j), share in w.items()), zero)
        if not loss.balanced:
            return (pulled + pushed) / max(len(w), 1)
        all_shared = sum(w.values())
        return pulled / (2 * all_shared or 1) + pushed / (2 * (len(w) - all_shared) or 1)
    if isinstance(loss, SupConLoss):
        terms = []
        for i in range(len(d)):
            mine = {j: share for (a, j), share in w.items() if a == i}
            if sum(mine.values()) > 0 and any(share < 1 for share in mine.values()):
                scores = {j: (1 - d[i][j]) / loss.temperature for j in mine}
                spread = torch.stack(list(scores.values())).logsumexp(0)
                total = sum(mine.values())
                terms.append(spread - sum(share / total * scores[j] for j, share in mine.items()))
        return sum(terms, zero) / len(d)
    terms, active, valid = zero, 0.0, 0.0
    for (i, p), (a, n) in itertools.product(w, w):
        if i != a or p == n:
            continue
        weight = w[i, p] * (1 - w[i, n])
        value = torch.relu(d[i][p] - d[i][n] + loss.margin)
        terms = terms + weight * value
        valid += weight
        active += weight * (value.item() > 0)
    return terms / ((active if loss.reduction == "active" else valid) or 1)


@pytest.fixture(params=["one block", "several blocks"])
def blocks(request, monkeypatch) -> None:
    if request.param == "several blocks":
        monkeypatch.setattr(triplet_sums, "_BLOCK", 20)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_value_and_gradient_equal_the_plain_loop(loss, overlap, kind) -> None:
    settings = {k: v for k, v in vars(loss).items() if k[0] != "_" and k != "training"} | {"overlap": overlap}
    if "distance" in settings:
        settings["distance"] = kind
    loss = type(loss)(**settings)
    for seed, (size, reference, ids) in enumerate([(9, None, False), (9, None, True), (6, 8, False), (6, 8, True)]):
        batch = set_batch(seed, size, 5, reference, ids)
        x = batch["embeddings"]
        d = [[distance(a, b, settings.get("distance", "cosine")) for b in batch.get("reference", x)] for a in x]
        variables = [v for v in (x, batch.get("reference")) if v is not None]
        expected = loop(loss, d, weights(batch, overlap)) + sum(0 * v.sum() for v in variables)
        found = loss(**batch)
        torch.testing.assert_close(found.loss, expected, atol=1e-10, rtol=1e-10)
        ours = torch.autograd.grad(found.loss, variables, retain_graph=True)
        for a, b in zip(ours, torch.autograd.grad(expected, variables), strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_sets_of_one_label_are_labels(loss, overlap) -> None:
    batch = random_batch(3, 12, 3, 3, 8, True)
    sets = batch | {
        key: nn.functional.one_hot(batch[key], 3).to(torch.float32) for key in ("labels", "reference_labels")
    }
    loss.overlap = overlap
    one, other = loss(**batch), loss(**sets)
    torch.testing.assert_close(one.loss, other.loss, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(one.active, other.active, atol=1e-12, rtol=1e-12, check_dtype=False)
    torch.testing.assert_close(one.positive_distance, other.positive_distance, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(one.negative_distance, other.negative_distance, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=name)
@pytest.mark.parametrize("labels", [torch.zeros(6, 4), torch.ones(6, 4), torch.eye(6, 4)], ids=["none", "all", "few"])
def test_a_batch_with_nothing_to_tell_apart_is_finite(loss, labels) -> None:
    x = torch.randn(6, 3, requires_grad=True)
    found = loss(x, labels).loss
    assert found.isfinite()
    assert torch.autograd.grad(found, x)[0].isfinite().all()


def test_overlaps() -> None:
    rows = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=torch.bool)
    shares, compared = overlaps(rows, rows)
    expected = torch.tensor([[1, 0.25, 0, 1], [0.25, 1, 0, 0.25], [0, 0, 0, 0], [1, 0.25, 0, 1]])
    torch.testing.assert_close(shares, expected)
    assert (~compared).nonzero().tolist() == [[2, 2]]
    assert overlaps(rows, rows, "any")[0].tolist() == (expected > 0).float().tolist()
    assert overlaps(rows, rows, "equal")[0].tolist() == (expected == 1).float().tolist()


def test_weights_are_drawn_as_often_as_they_weigh() -> None:
    drawn = torch.Generator().manual_seed(0)
    mask = torch.tensor([0.0, 0.5, 0.0, 1.5, 2.0, 0.0]).expand(20_000, 6)
    index, found = draw(mask, drawn)
    assert found.all()
    shares = torch.bincount(index, minlength=6) / len(index)
    torch.testing.assert_close(shares, torch.tensor([0, 0.125, 0, 0.375, 0.5, 0]), atol=0.015, rtol=0)
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]
    assert draw(torch.zeros(3, 4))[1].tolist() == [False] * 3


@pytest.mark.parametrize("loss", [ContrastiveLoss(mining="sampled"), TripletLoss(mining="sampled", reduction="valid")])
def test_sampled_mining_is_near_all_of_it(loss) -> None:
    """Over many draws; a triplet's two rows are never one."""
    batch = set_batch(4, 16, 5, None, False)
    batch["labels"][0, 0] = 1.0
    drawn = torch.Generator().manual_seed(1)
    found = torch.stack([loss(**batch, generator=drawn).loss for _ in range(400)]).mean().item()
    whole = type(loss)(**({"reduction": "valid"} if isinstance(loss, TripletLoss) else {}))(**batch).loss.item()
    assert found == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("loss", [ContrastiveLoss(mining="hard"), TripletLoss(mining="semi-hard")])
def test_minings_that_sets_have_none_of_are_refused(loss) -> None:
    with pytest.raises(UserError, match="rows with several labels take all or sampled"):
        loss(**set_batch(0, 6, 3, None, False))


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"reference_labels must be \(2, 3\), one for each embedding, got \(2,\)"):
        Pairs.form(torch.ones(4, 2), torch.ones(4, 3), torch.ones(2, 2), torch.ones(2))
    with pytest.raises(ValueError, match=r"labels must be \(4,\), one for each embedding, got \(3,\)"):
        Pairs.form(torch.ones(4, 2), torch.ones(3))


def _spread(loss: nn.Module, labels: Tensor) -> tuple[float, float]:
    """Of free embeddings after training: their spread, and how their distances follow what the labels share."""
    torch.manual_seed(0)
    x = torch.randn(len(labels), 8, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss(x, labels).loss.backward()
        optimizer.step()
    unit = nn.functional.normalize(x.detach(), dim=1)
    apart = torch.pdist(unit)
    shares = overlaps(labels, labels)[0]
    upper = shares[torch.triu_indices(len(labels), len(labels), 1).unbind()].to(torch.float64)
    return apart.mean().item(), torch.corrcoef(torch.stack([apart, upper]))[0, 1].item()


@pytest.mark.parametrize("loss", [ContrastiveLoss, TripletLoss, SupConLoss])
def test_unweighed_pairs_collapse_where_nearly_all_share_a_label(loss) -> None:
    """As in KOTE, with 7.9 of 44 labels a row; weighed by their overlap, distances follow the labels."""
    drawn = torch.Generator().manual_seed(2)
    common = torch.linspace(0.75, 0.02, 44)  # some labels are on most rows
    labels = (torch.rand(48, 44, generator=drawn) < common * 7.9 / common.sum()).float()
    pairs = overlaps(labels, labels, "any")[0]
    assert 0.7 < (pairs.sum() - len(labels)) / (len(labels) * (len(labels) - 1)) < 0.95
    apart, follows = _spread(loss(), labels)
    plain_apart, plain_follows = _spread(loss(overlap="any"), labels)
    assert follows < -0.6
    assert follows < plain_follows - 0.15
    assert apart > 1.2 * plain_apart
