"""Every collective call of the package. Nothing else of emo_hf talks to other processes."""

from __future__ import annotations

import torch
import torch.distributed as dist


def is_distributed() -> bool:
    """Whether this process is one of several that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The elementwise sum of `values` (any shape, the same on all processes) over all processes, detached."""
    values = values.detach().clone()
    if is_distributed():
        dist.all_reduce(values)
    return values
