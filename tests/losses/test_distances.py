"""Distances against a plain loop in float64, and where they are hard to compute."""

from __future__ import annotations

import pytest
import torch
from plain_losses import distance

from emo_hf.losses.distances import DISTANCES, paired_distance, pairwise_distance


@pytest.mark.parametrize("kind", DISTANCES)
def test_distances_equal_the_plain_loop(kind: str) -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(n, 5, dtype=torch.float64, requires_grad=True) for n in (6, 4))
    weights = torch.randn(6, 4, dtype=torch.float64)
    plain = torch.stack([torch.stack([distance(a, b, kind) for b in y]) for a in x])
    wanted = torch.autograd.grad((plain * weights).sum(), (x, y))
    for ours in (pairwise_distance(x, y, kind), paired_distance(x[:, None], y[None], kind)):
        torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-12)
        for found, expected in zip(torch.autograd.grad((ours * weights).sum(), (x, y)), wanted, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(pairwise_distance(x, None, kind), pairwise_distance(x, x, kind), atol=1e-7, rtol=0)
    assert torch.autograd.gradcheck(lambda x: pairwise_distance(x, None, kind).tril(-1), (x,))


@pytest.mark.parametrize("kind", DISTANCES)
def test_duplicate_rows_are_at_distance_zero_without_gradient(kind: str) -> None:
    x = (torch.randn(200, 256).repeat(2, 1) + 100).requires_grad_()
    d = pairwise_distance(x, None, kind)
    same = torch.cat([d.diagonal(200), d.diagonal()])
    assert same.abs().max() <= (1e-6 if kind == "cosine" else 0)
    (d * torch.eye(200).repeat(2, 2)).sum().backward()
    assert x.grad.abs().max() <= (1e-6 if kind == "cosine" else 0)


def test_a_far_cloud_keeps_its_distances() -> None:
    x = torch.randn(64, 256) * 1e-2
    far = (x + 100).double()
    torch.testing.assert_close(pairwise_distance(far.float()).double(), pairwise_distance(far), atol=1e-5, rtol=1e-4)


def test_zero_rows_under_cosine() -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    d = pairwise_distance(x, None, "cosine")
    d.sum().backward()
    assert torch.equal(d, torch.ones(3, 3)) and torch.equal(x.grad, torch.zeros(3, 4))
