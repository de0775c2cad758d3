"""Distances between rows of embeddings, computed in float32 or better whatever the autocast state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from emo_hf.errors import UserError

DISTANCES = ("normalized_euclidean", "cosine", "euclidean", "squared_euclidean")
OF_UNIT_ROWS = ("normalized_euclidean", "cosine")  # whatever the length of the embeddings

# A squared distance is the difference of numbers as large as the squared norms; what is smaller than this many units
# of rounding error of them is noise, and its square root would be a large one. Such pairs count as equal points.
_ROUNDING_UNITS = 32.0


def pairwise_distance(x: Tensor, y: Tensor | None = None, kind: str = "euclidean") -> Tensor:
    """Distance of every row of `x` (B, D) to every row of `y` (R, D), or of `x` where `y` is None, as (B, R).

    `euclidean` and `squared_euclidean` come from one matrix product of the rows centred on their common mean, so a
    cloud far from the origin loses no digits. Rows that coincide up to rounding (2e-3 of their distance from
    that mean in float32, 1e-7 in float64) have distance exactly 0 and gradient exactly 0, never NaN.
    `normalized_euclidean` is the euclidean distance of the rows at length 1, from 0 to 2; `cosine` is 1 - cos(x, y),
    half its square, not below 0. A row of zeros has distance 1 to everything and gradient 0 in both.
    Half-precision inputs are computed and returned in float32, float64 ones in float64, with autocast switched off.
    Gradients are of first order only.

    Raises `UserError` for an unknown `kind`, `ValueError` for shapes that do not fit.
    """
    check_distance(kind)
    if x.ndim != 2 or (y is not None and (y.ndim != 2 or y.shape[1] != x.shape[1])):
        shapes = " and ".join(str(tuple(rows.shape)) for rows in (x, y) if rows is not None)
        raise ValueError(f"embeddings must be (B, D) and (R, D) of one D, got {shapes}")
    with _without_autocast(x):
        return _Pairwise.apply(as_float(x), None if y is None else as_float(y), kind)


def paired_distance(x: Tensor, y: Tensor, kind: str = "euclidean") -> Tensor:
    """Distance of each row of `x` (..., D) to the row of `y` (..., D) in the same place, as (...); shapes broadcast.

    The same kinds, precision and zero gradients as `pairwise_distance`, from the differences themselves.
    Raises `UserError` for an unknown `kind`.
    """
    check_distance(kind)
    with _without_autocast(x):
        x, y = as_float(x), as_float(y)
        if kind in OF_UNIT_ROWS:
            x, y = _unit(x)[0], _unit(y)[0]
        if kind == "cosine":
            return (1 - (x * y).sum(-1)).clamp(min=0)
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


@dataclass(frozen=True)
class Measured:
    """Distances without graph, for losses whose gradient in them is known in closed form.

    `values` are the distances, (B, R) or (B, K). `loss(value, gradient)` is the scalar `value` as a loss of the
    embeddings, given its gradient in the distances, of their shape; nothing but that gradient and the distances is
    kept for the backward pass. `values` may be read but not overwritten.
    """

    values: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]


def measure(x: Tensor, y: Tensor | None, kind: str) -> Measured:
    """`pairwise_distance`, in one step of autograd with the loss that comes of it; float32 or float64 rows."""
    with torch.no_grad(), _without_autocast(x):
        kept = _forward(x.detach(), None if y is None else y.detach(), kind)
    return Measured(kept[0], lambda value, gradient: _Loss.apply(x, y, (value, gradient, kind, kept)))


def measure_pairs(x: Tensor, y: Tensor, kind: str) -> Measured:
    """`paired_distance`, for a loss of known gradient."""
    distances = paired_distance(x, y, kind)
    return Measured(distances.detach(), lambda value, gradient: _KnownGradient.apply(distances, value, gradient))


_Kept = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def _forward(x: Tensor, y: Tensor | None, kind: str) -> _Kept:
    """Distances (B, R), the rows they were computed from, and of unit rows one over the lengths of the given ones.

    Without `y` its place is None, for the rows are those of `x`.
    """
    if kind in OF_UNIT_ROWS:
        near, inverse = _unit(x)
        far, inverse_far = (None, None) if y is None else _unit(y)
        if kind == "cosine":
            products = torch.addmm(x.new_ones(1), near, (near if far is None else far).T, alpha=-1)
            return products.clamp_(min=0), near, far, inverse, inverse_far
        return _straight(near, far, root=True)[0], near, far, inverse, inverse_far
    return *_straight(x, y, root=kind == "euclidean"), None, None


def _straight(x: Tensor, y: Tensor | None, root: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Euclidean distances (B, R), squared without `root`, and the centred rows that they come from."""
    centre = x.mean(0) if y is None or not len(y) else y.mean(0)
    near = x - centre
    far = None if y is None else y - centre
    wide = _exact_product(near)
    norms = torch.linalg.vecdot(wide, wide)
    wide_far = wide if far is None else _exact_product(far)
    norms_far = norms if far is None else torch.linalg.vecdot(wide_far, wide_far)
    squared = torch.addmm(norms_far, wide, wide_far.T, alpha=-2).add_(norms[:, None])
    noise = norms[:, None] * (_ROUNDING_UNITS * torch.finfo(wide.dtype).eps)
    squared.masked_fill_(squared <= noise, 0)
    return (squared.sqrt_() if root else squared).to(x.dtype), near, far


def _backward(
    gradient: Tensor, kept: _Kept, kind: str, needs: tuple[bool, ...], scale: Tensor | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients in the rows, from that in the distances (B, R) times `scale`: one buffer of that size."""
    distances, near, far, inverse, inverse_far = kept
    if kind in ("euclidean", "normalized_euclidean"):
        # d|x - y| = (x - y) / |x - y|, d|x - y|^2 = 2 (x - y); equal points pull nowhere.
        weights = (gradient / distances).masked_fill_(distances == 0, 0)
        if kind == "normalized_euclidean":  # on the sphere only the part along it counts, where x itself has none
            weights.neg_()
    elif kind == "squared_euclidean":
        weights = gradient * 2
    else:
        weights = -gradient
    if scale is not None:
        weights.mul_(scale)
    if far is None:
        return _to_rows(weights + weights.T, near, near, inverse), None
    to_near = _to_rows(weights, near, far, inverse) if needs[0] else None
    return to_near, _to_rows(weights.T, far, near, inverse_far) if needs[1] else None


class _Pairwise(torch.autograd.Function):
    """Distances (B, R) as a step of a graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None, kind: str) -> Tensor:
        kept = _forward(x, y, kind)
        ctx.kind = kind
        ctx.save_for_backward(*kept)
        return kept[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        with _without_autocast(gradient):
            return (*_backward(gradient, ctx.saved_tensors, ctx.kind, ctx.needs_input_grad), None)


class _Loss(torch.autograd.Function):
    """A scalar of known gradient in the distances (B, R) of rows, as a function of the rows."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor | None, known: tuple[Tensor, Tensor, str, tuple[Tensor | None, ...]]
    ) -> Tensor:
        # In a tuple, none of them is an input to autograd, so the value needs no copy to be an output.
        value, gradient, ctx.kind, kept = known
        ctx.save_for_backward(gradient, *kept)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        gradient, *kept = ctx.saved_tensors
        with _without_autocast(gradient):
            return (*_backward(gradient, tuple(kept), ctx.kind, ctx.needs_input_grad, scale), None)


class _KnownGradient(torch.autograd.Function):
    """`apply(variable, value, gradient)`: the scalar `value`, whose gradient in `variable` is `gradient`."""

    @staticmethod
    def forward(ctx: Any, variable: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * scale, None, None


def _to_rows(weights: Tensor, x: Tensor, y: Tensor, inverse: Tensor | None) -> Tensor:
    """The gradient in the rows x (B, D), from weights of their pairs with y; `inverse` comes with unit rows."""
    return _pull(weights, x, y) if inverse is None else _turn(weights, x, y, inverse)


def _pull(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The sum over j of weights_ij (x_i - y_j), as (B, D)."""
    wide = _exact_product(weights)
    return torch.addmm(wide.sum(1, keepdim=True) * x, wide, y.to(wide.dtype), alpha=-1).to(x.dtype)


def _turn(weights: Tensor, x: Tensor, y: Tensor, inverse: Tensor) -> Tensor:
    """The sum over j of weights_ij y_j for unit rows y, without what would change the length of the row x_i."""
    pulled = weights @ y
    return pulled.addcmul_((pulled * x).sum(1, keepdim=True), x, value=-1).mul_(inverse)


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


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of `x` (..., D) at length 1, and one over their lengths; a row of zeros stays zero, with 0."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    inverse = length.masked_fill(length == 0, torch.inf).reciprocal()
    return x * inverse, inverse
