"""Sums over all triplets, and semi-hard negatives, from one sort of each row instead of a tensor of all triplets."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Up to this many (anchor, positive, negative) entries, comparing them all takes fewer steps than sorting.
_FEW_TRIPLETS = 2**17
# Rows are sorted in blocks of about this many entries: on a CPU a block stays in the cache, elsewhere few are needed.
_BLOCK = 2**16
_BLOCK_ON_DEVICES = 2**25


@torch.no_grad()
def hinge_counts(distances: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """The gradient of the sum over all triplets of max(0, d(a, p) - d(a, n) + margin) in the distances, as (B, R).

    That sum is piecewise linear: each positive pair counts once for every negative closer than d(a, p) + margin,
    and each negative pair counts minus once for every positive with d(a, p) + margin beyond d(a, n). With both kinds
    of numbers of an anchor in one ascending order (a positive before an equal negative, as an equality is not
    active), both counts are running counts of that order. Whole numbers in the dtype of the distances, which is
    exact up to 2**24 columns.
    """
    if distances.numel() * distances.shape[1] <= _FEW_TRIPLETS:
        return _count_all(distances, positive, negative, margin)
    counts = torch.empty_like(distances)
    steps = torch.arange(1, distances.shape[1] + 1, device=distances.device, dtype=distances.dtype)
    for rows in _blocks(distances):
        is_positive, is_negative = positive[rows], negative[rows]
        columns = _merge(distances[rows].add(is_positive, alpha=margin), is_positive, is_negative, last=is_negative)
        at_negative = is_negative.gather(1, columns)
        closer = at_negative.to(distances.dtype).cumsum_(1)
        beyond = (steps - is_positive.sum(1, keepdim=True)).sub_(closer)  # minus the positives still to come
        counts[rows].scatter_(1, columns, torch.where(at_negative, beyond, closer))
    return counts.masked_fill_(~(positive | negative), 0)


def _count_all(distances: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """`hinge_counts` by comparing every positive with every negative."""
    limits = torch.where(positive, distances + margin, -torch.inf)[:, :, None]
    nearest = torch.where(negative, distances, torch.inf)[:, None]
    # Comparing into floats at once spares the slow sum of booleans.
    active = torch.gt(limits, nearest, out=distances.new_empty(*distances.shape, distances.shape[1]))
    return active.sum(2) - active.sum(1)


@torch.no_grad()
def weighted_hinge_counts(
    distances: Tensor, positive: Tensor, negative: Tensor, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`hinge_counts` where a triplet counts as the product of its two weights (B, R), each from 0 on.

    A row may be positive and negative, but not in one triplet. Beside the counts the sums of the weights of the
    triplets that are active, and of all. From one sort of both kinds of numbers of an anchor.
    """
    counts, active = torch.empty_like(distances), distances.new_zeros(())
    for rows in _blocks(distances):
        near, pulls, pushes = distances[rows], positive[rows], negative[rows]
        limits = near + margin
        # A limit comes before an equal distance, as an equality is not active: the sort is stable.
        columns = torch.cat([limits, near], 1).sort(dim=1, stable=True).indices
        size = near.shape[1]
        kinds = torch.cat([torch.zeros_like(pushes), pushes], 1), torch.cat([pulls, torch.zeros_like(pulls)], 1)
        at_columns = [torch.empty_like(kinds[0]).scatter_(1, columns, k.gather(1, columns).cumsum_(1)) for k in kinds]
        own = limits > near  # where a row would be a triplet with itself
        closer = at_columns[0][:, :size] - pushes * own
        beyond = pulls.sum(1, keepdim=True) - at_columns[1][:, size:] - pulls * own
        active += (pulls * closer).sum()
        counts[rows] = pulls * closer - pushes * beyond
    valid = torch.dot(positive.sum(1), negative.sum(1)) - torch.dot(positive.flatten(), negative.flatten())
    return counts, active, valid


@torch.no_grad()
def semi_hard_negatives(distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """For every positive pair the column of the closest negative that is farther away, else of the farthest negative.

    Shapes (B, R); what stands at other pairs and in rows without negatives is arbitrary but within range.
    """
    semi_hard = torch.empty_like(distances, dtype=torch.int64)
    for rows in _blocks(distances):
        is_positive, is_negative = positive[rows], negative[rows]
        columns = _merge(distances[rows] + 0.0, is_positive, is_negative, last=is_positive)
        at_negative = is_negative.gather(1, columns)
        closer = at_negative.cumsum(1)
        # A negative goes to its rank among the negatives, all else to one more column that nothing reads.
        ordered = columns.new_zeros(len(columns), columns.shape[1] + 1)
        ordered.scatter_(1, torch.where(at_negative, closer - 1, columns.shape[1]), columns)
        farthest = (closer[:, -1:] - 1).clamp_(min=0)
        semi_hard[rows].scatter_(1, columns, ordered.gather(1, torch.minimum(closer, farthest)))
    return semi_hard


def _merge(values: Tensor, positive: Tensor, negative: Tensor, last: Tensor) -> Tensor:
    """The columns of each row in ascending order of `values` >= 0; at equality those in `last` come last.

    `values` is overwritten. Columns neither positive nor negative come at the end.
    """
    values.masked_fill_(~(positive | negative), torch.inf)
    if values.dtype != torch.float32:
        first = last.to(torch.int8).sort(dim=1, stable=True).indices
        return first.gather(1, values.gather(1, first).sort(dim=1, stable=True).indices)
    # The bits of a float that is not negative order like an integer: value, tie and column fit one 64-bit key, and
    # sorting keys alone is several times faster than sorting with indices.
    keys = values.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).add_(last, alpha=2**31)
    keys.add_(torch.arange(keys.shape[1], device=keys.device))
    if keys.is_cpu and not torch.compiler.is_compiling():
        keys.numpy().sort(axis=1)
    else:
        keys = keys.sort(1).values
    return keys.bitwise_and_(2**31 - 1)


def _blocks(distances: Tensor) -> Iterator[slice]:
    """Slices of rows that make blocks of bounded size."""
    count = max(1, (_BLOCK if distances.is_cpu else _BLOCK_ON_DEVICES) // distances.shape[1])
    return (slice(start, start + count) for start in range(0, len(distances), count))
