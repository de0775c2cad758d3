"""Every collective call of the package. Nothing else of emo_hf talks to other processes."""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world_size() -> int:
    """How many processes train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """The elementwise sum of `values` (any shape, the same on all processes) over all processes, detached."""
    values = values.detach().clone()
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world_size() > 1:
        dist.barrier()


def gather_rows(values: Tensor) -> Tensor:
    """The rows (B, …) of all processes in the order of their ranks, (W·B, …), detached.

    B has to be the same on all processes, as accelerate's `even_batches` makes it; nothing is waited for to find out.
    """
    if world_size() == 1:
        return values.detach()
    own = values.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts)


def gather_embeddings(embeddings: Tensor) -> Tensor:
    """As `gather_rows`, but the own rows carry the graph.

    Let every process compute one and the same loss on the result. Its gradient reaches the own rows, and the gradients
    of all processes *summed* are those of one process with the joint batch. A data-parallel wrapper *averages* them,
    so the loss has to be multiplied by `world_size()`.
    """
    if world_size() == 1:
        return embeddings
    joint, own = gather_rows(embeddings), dist.get_rank() * len(embeddings)
    return torch.cat([joint[:own], embeddings, joint[own + len(embeddings) :]])


def average_gradients(model: nn.Module, count: int) -> int:
    """Average the gradients (unused ones count zero) and sum a count over all processes, in one all-reduce."""
    if world_size() == 1:
        return count
    parameters = list(model.parameters())
    parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    flat = torch.cat([*parts, torch.tensor([float(count)])])
    dist.all_reduce(flat)
    count = round(float(flat[-1]))
    flat /= world_size()
    for parameter, part in zip(parameters, flat[:-1].split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
    return count


def leave(code: int) -> None:
    """End this process with an exit code; with others, together with them once all is well.

    The process does not run the interpreter's teardown then: it can abort in the threads of a process group that is
    still in use somewhere, after everything is written, and the launcher would report a failure.
    """
    if world_size() > 1 and code == 0:
        dist.barrier()  # no process leaves while another still talks to it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
