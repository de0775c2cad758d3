"""The losses as plain Python loops, each a scalar with a graph through single pairs of rows, to compare ours with."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss
from emo_hf.losses.pairs import draw


def distance(a: Tensor, b: Tensor, kind: str) -> Tensor:
    if kind == "cosine":
        if not a.any() or not b.any():
            return (a * b).sum() + 1
        return 1 - (a @ b) / (a @ a).sqrt() / (b @ b).sqrt()
    if kind == "normalized_euclidean":
        a, b = (row / (row @ row).sqrt() if row.any() else row * 0 for row in (a, b))
    squared = ((a - b) ** 2).sum()
    if kind == "squared_euclidean" or not squared:
        return squared
    return squared.sqrt()


def mean(terms: list[Tensor], count: int | None = None) -> Tensor:
    count = len(terms) if count is None else count
    return torch.stack(terms).sum() / count if terms and count else torch.zeros((), dtype=torch.float64)


def kinds(labels: Tensor, columns: Tensor, rows: Tensor, column_rows: Tensor) -> tuple[list, list]:
    pairs = [
        (i, j) for i in range(len(labels)) for j in range(len(columns)) if rows[i].item() != column_rows[j].item()
    ]
    positives = [(i, j) for i, j in pairs if labels[i].item() == columns[j].item()]
    return positives, [pair for pair in pairs if pair not in positives]


def loop_contrastive(d, positives, negatives, loss, draws):
    if loss.mining == "hard":
        closest = min((d[i][j].item() for i, j in negatives), default=math.inf)
        farthest = max((d[i][j].item() for i, j in positives), default=-math.inf)
        positives, negatives = (
            [(i, j) for i, j in positives if d[i][j].item() > closest],
            [(i, j) for i, j in negatives if d[i][j].item() < farthest],
        )
    elif loss.mining == "sampled":
        positives = [(i, j) for i, j in positives if draws[0][i] == j]
        negatives = [(i, j) for i, j in negatives if draws[0][i] == j]
    drawn = [d[i][j] ** 2 for i, j in positives]
    pushed = [torch.relu(loss.margin - d[i][j]) ** 2 for i, j in negatives]
    value = (mean(drawn) + mean(pushed)) / 2 if loss.balanced else mean(drawn + pushed)
    return value, drawn + pushed


def count_active(terms: list[Tensor], loss: nn.Module) -> int:
    """How many terms pull: all of a soft margin, whose smallest a number of 64 bits can not tell from 0."""
    return len(terms) if getattr(loss, "soft", False) else sum(term.item() > 0 for term in terms)


def loop_triplet(d, positives, negatives, loss, draws):
    chosen = []
    for i in range(len(d)):
        mine = [j for a, j in positives if a == i]
        other = [j for a, j in negatives if a == i]
        if not mine or not other:
            continue
        near = d[i].tolist()
        if loss.mining == "all":
            chosen += [(i, p, n) for p in mine for n in other]
        elif loss.mining == "hard":
            chosen.append((i, max(mine, key=near.__getitem__), min(other, key=near.__getitem__)))
        elif loss.mining == "sampled":
            chosen.append((i, draws[0][i], draws[1][i]))
        else:
            for p in mine:
                farther = [n for n in other if near[n] > near[p]]
                pick = min(farther, key=near.__getitem__) if farther else max(other, key=near.__getitem__)
                chosen.append((i, p, pick))
    if loss.soft:
        terms = [torch.logaddexp(d[i][p] - d[i][n], d.new_zeros(())) for i, p, n in chosen]
    else:
        terms = [torch.relu(d[i][p] + loss.margin - d[i][n]) for i, p, n in chosen]
    active = count_active(terms, loss)
    return mean(terms, active if loss.reduction == "active" else len(terms)), terms


def loop_supcon(d, positives, negatives, loss, draws):
    terms = []
    for i in range(len(d)):
        mine = [j for a, j in positives if a == i]
        other = [j for a, j in negatives if a == i]
        if mine and other:
            scores = {j: (1 - d[i][j]) / loss.temperature for j in mine + other}
            spread = torch.stack(list(scores.values())).logsumexp(0)
            terms.append(spread - sum(scores[j] for j in mine) / len(mine))
    return mean(terms, len(d)), terms


LOOPS = {ContrastiveLoss: loop_contrastive, TripletLoss: loop_triplet, SupConLoss: loop_supcon}


def draws_of(loss: nn.Module, d: Tensor, positives: list, negatives: list, seed: int) -> list[list[int]]:
    """The columns that sampled mining draws with a fresh generator of that seed."""
    generator = torch.Generator().manual_seed(seed)
    masks = []
    for pairs in (positives, negatives):
        mask = torch.zeros(d.shape, dtype=torch.bool)
        for i, j in pairs:
            mask[i, j] = True
        masks.append(mask)
    if isinstance(loss, ContrastiveLoss):
        masks = [masks[0] | masks[1]]
    return [draw(mask, generator)[0].tolist() for mask in masks]


def compare(loss: nn.Module, batch: dict[str, Tensor], d: Tensor, gradients: bool = True) -> None:
    """Assert that `loss` on `batch` equals the plain loop over the entries of `d`, and so do the gradients."""
    x, labels = batch["embeddings"], batch["labels"]
    columns = batch.get("reference_labels", labels)
    rows = batch.get("rows", torch.arange(len(labels)))
    column_rows = batch.get("reference_rows", rows if "reference" not in batch else -1 - torch.arange(len(columns)))
    positives, negatives = kinds(labels, columns, rows, column_rows)
    sampled = getattr(loss, "mining", None) == "sampled" and d.numel()
    draws = draws_of(loss, d, positives, negatives, seed=5) if sampled else []
    plain, terms = LOOPS[type(loss)](d, positives, negatives, loss, draws)
    ours = loss(**batch, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(ours.loss, plain, atol=1e-10, rtol=1e-10)
    if not isinstance(loss, SupConLoss):
        share = count_active(terms, loss) / max(len(terms), 1)
        assert ours.active.item() == pytest.approx(share)
    variables = [v for v in (x, batch.get("reference")) if v is not None]
    found = torch.autograd.grad(ours.loss, variables, retain_graph=True)
    assert all(g.isfinite().all() for g in found)
    if gradients:
        wanted = (
            torch.autograd.grad(plain, variables, allow_unused=True, materialize_grads=True)
            if plain.requires_grad
            else [torch.zeros_like(v) for v in variables]
        )
        for ours_gradient, plain_gradient in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours_gradient, plain_gradient, atol=1e-10, rtol=1e-10)


def settings_of(loss: nn.Module) -> dict[str, object]:
    """What a loss was built with."""
    return {k: v for k, v in vars(loss).items() if k[0] != "_" and k != "training"}


def kind_of(loss: nn.Module) -> str:
    return getattr(loss, "distance", "cosine")


def random_batch(
    seed: int, size: int, width: int, classes: int, reference: int | None, ids: bool
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def rows(n: int) -> Tensor:
        return torch.randn(n, width, generator=generator, dtype=torch.float64).requires_grad_()

    def integers(n: int, high: int) -> Tensor:
        return torch.randint(0, high, (n,), generator=generator)

    batch = {"embeddings": rows(size), "labels": integers(size, classes)}
    if reference is not None:
        batch |= {"reference": rows(reference), "reference_labels": integers(reference, classes)}
    if ids:
        batch["rows"] = integers(size, 2 * size + 1)
        if reference is not None:
            batch["reference_rows"] = integers(reference, 2 * size + 1)
    return batch
