"""Dropout for training on a CPU, where torch's own draws one number after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STEPS = 2**16  # a draw of 16 bits decides on an element


def multipliers(input: Tensor, p: float) -> Tensor | None:
    """What dropout multiplies a tensor on the CPU with, of its shape and type: 0 with probability p, else 1 / (1 - p).

    Four decisions come from each 64-bit draw of torch's default generator, and p is rounded to a multiple of 2^-16.
    None for a p of 0.
    """
    threshold = round(p * _STEPS)
    if threshold == 0:
        return None
    if threshold == _STEPS:
        return torch.zeros_like(input)
    scale = torch.tensor(_STEPS / (_STEPS - threshold), dtype=input.dtype)
    draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = torch.empty(input.shape, dtype=torch.int16)
    # Into integers of its own size a comparison is seven times as fast as into booleans.
    torch.ge(draws.view(torch.int16)[: input.numel()].view(input.shape), threshold - _STEPS // 2, out=kept)
    if scale.element_size() == kept.element_size():
        return kept.mul_(scale.view(torch.int16)).view(scale.dtype)  # the bits of the scale, or none
    return kept.to(scale.dtype).mul_(scale)


def dropped(input: Tensor, kept: Tensor | None) -> Tensor:
    """A tensor times its `multipliers`."""
    return input if kept is None else input * kept


class FastDropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) by `multipliers`, in a fraction of the time; a seed decides its draws.

    They are not those of `nn.Dropout`. On other devices it is `nn.Dropout`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape; zeroes elements while training."""
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        return dropped(input, multipliers(input, self.p))


def use_fast_dropout(model: nn.Module) -> nn.Module:
    """Replace every `nn.Dropout` of a model in place; parameters, names and what is saved stay the same."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout and not child.inplace:
                fast = FastDropout(child.p)
                fast.train(child.training)
                setattr(module, name, fast)
    return model
