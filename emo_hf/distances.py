"""Distances between rows of embeddings, computed in float32 or better whatever the autocast state."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from emo_hf.errors import UserError

DISTANCES = ("euclidean", "squared_euclidean", "cosine")

# A squared distance is the difference of numbers as large as the squared norms; what is smaller than this many units
# of rounding error of them is noise, and its square root would be a large one. Such pairs count as equal points.
_ROUNDING_UNITS = 32.0


def pairwise_distance(x: Tensor, y: Tensor | None = None, kind: str = "euclidean") -> Tensor:
    """Distance of every row of `x` (B, D) to every row of `y` (R, D), or of `x` where `y` is None, as (B, R).

    `euclidean` and `squared_euclidean` come from one matrix product of the rows centred on their common mean, so a
    cloud far from the origin loses no digits. Rows that coincide up to rounding (2e-3 of their distance from
    that mean in float32, 1e-7 in float64) have distance exactly 0 and gradient exactly 0, never NaN. `cosine` is
    1 - cos(x, y), not below 0; a row of zeros has distance 1 to everything and gradient 0.
    Half-precision inputs are computed and returned in float32, float64 ones in float64, with autocast switched off.
    Gradients are of first order only.

    Raises `UserError` for an unknown `kind`, `ValueError` for shapes that do not fit.
    """
    check_distance(kind)
    if x.ndim != 2 or (y is not None and (y.ndim != 2 or y.shape[1] != x.shape[1])):
        shapes = " and ".join(str(tuple(rows.shape)) for rows in (x, y) if rows is not None)
        raise ValueError(f"embeddings must be (B, D) and (R, D) of one D, got {shapes}")
    with _without_autocast(x):
        x, y = as_float(x), None if y is None else as_float(y)
        if kind == "cosine":
            x = _unit(x)
            y = x if y is None else _unit(y)
            return torch.addmm(x.new_ones(1), x, y.T, alpha=-1).clamp(min=0)
        return _Euclidean.apply(x, y, kind == "euclidean")


def paired_distance(x: Tensor, y: Tensor, kind: str = "euclidean") -> Tensor:
    """Distance of each row of `x` (..., D) to the row of `y` (..., D) in the same place, as (...); shapes broadcast.

    The same three kinds, precision and zero gradients as `pairwise_distance`, from the differences themselves.
    Raises `UserError` for an unknown `kind`.
    """
    check_distance(kind)
    with _without_autocast(x):
        x, y = as_float(x), as_float(y)
        if kind == "cosine":
            return (1 - (_unit(x) * _unit(y)).sum(-1)).clamp(min=0)
        if kind == "squared_euclidean":
            return (x - y).square().sum(-1)
        return torch.linalg.vector_norm(x - y, dim=-1)


def check_distance(kind: str) -> None:
    """Raise `UserError` unless `kind` is one of `DISTANCES`."""
    if kind not in DISTANCES:
        raise UserError(f"unknown distance {kind!r}; choose one of {', '.join(DISTANCES)}")


def as_float(x: Tensor) -> Tensor:
    """`x` itself in float32 or float64, otherwise `x` in float32."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


class _Euclidean(torch.autograd.Function):
    """(Squared) Euclidean distances (B, R) whose backward needs one (B, R) buffer and, without `y`, one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None, root: bool) -> Tensor:
        ctx.root, ctx.alone = root, y is None
        centre = x.mean(0) if y is None or not len(y) else y.mean(0)
        x = x - centre
        y = x if y is None else y - centre
        wide, wide_y = _exact_product(x), _exact_product(y)
        norms = wide.square().sum(1)
        norms_y = norms if ctx.alone else wide_y.square().sum(1)
        squared = torch.addmm(norms_y, wide, wide_y.T, alpha=-2).add_(norms[:, None])
        noise = _ROUNDING_UNITS * torch.finfo(wide.dtype).eps * norms[:, None]
        squared.masked_fill_(squared <= noise, 0)
        distances = (squared.sqrt_() if root else squared).to(x.dtype)
        ctx.save_for_backward(x, y, distances)
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, y, distances = ctx.saved_tensors
        with _without_autocast(x):
            # d|x - y| = (x - y) / |x - y|, d|x - y|^2 = 2 (x - y); equal points pull nowhere.
            weights = gradient / distances if ctx.root else gradient * 2
            weights.masked_fill_(distances == 0, 0)
            if ctx.alone:
                weights = weights + weights.T
                return _pull(weights, x, x), None, None
            to_x = _pull(weights, x, y) if ctx.needs_input_grad[0] else None
            to_y = _pull(weights.T, y, x) if ctx.needs_input_grad[1] else None
        return to_x, to_y, None


def _pull(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The sum over j of weights_ij (x_i - y_j), as (B, D)."""
    wide = _exact_product(weights)
    return torch.addmm(wide.sum(1, keepdim=True) * x, wide, y.to(wide.dtype), alpha=-1).to(x.dtype)


def _exact_product(x: Tensor) -> Tensor:
    """`x` in a dtype whose products keep float32 digits: in TF32 or bf16 ones the small distances would drown."""
    if x.dtype != torch.float32:
        return x
    # A compiled graph cannot ask for the setting, so it takes the safe way.
    exact = not torch.compiler.is_compiling() and torch.get_float32_matmul_precision() == "highest"
    return x if exact else x.double()


def _without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Autocast off on the device of `x`; entering that context takes as long as a product of small matrices."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _unit(x: Tensor) -> Tensor:
    """The rows of `x` (..., D) at length 1; a row of zeros stays zero, with gradient 0."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.masked_fill(length == 0, torch.inf)
