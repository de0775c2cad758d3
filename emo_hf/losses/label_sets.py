"""Pairs of rows that have several labels each: how much of their labels they share."""

from __future__ import annotations

import torch
from torch import Tensor

OVERLAPS = ("jaccard", "any", "equal")


def overlaps(
    labels: Tensor, columns: Tensor, kind: str = "jaccard", dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """How much of their labels the rows of `labels` (B, C) share with those of `columns` (R, C), and who is compared.

    Both (B, R): the overlap from 0 to 1, and whether at least one of the two has a label; two without any are neither
    alike nor unlike. `jaccard` is the number of shared labels over that of all labels of the two; `any` is 1 where
    they share one and `equal` where they share all, the coefficients of Lin et al. 2023 (arXiv 2212.00552) and the
    strict form beside them.
    """
    ours, theirs = labels.to(torch.float32), columns.to(torch.float32)
    shared = ours @ theirs.T  # whole numbers far below 2**24, exact in any matrix product
    joint = ours.sum(1)[:, None] + theirs.sum(1) - shared
    if kind == "any":
        return (shared > 0).to(dtype), joint > 0
    if kind == "equal":
        return ((shared == joint) & (shared > 0)).to(dtype), joint > 0
    return shared.to(dtype) / joint.clamp(min=1), joint > 0
