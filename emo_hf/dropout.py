"""Dropout for training on a CPU, where torch's own draws one number after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STEPS = 2**16  # a draw of 16 bits decides on an element


class FastDropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) that takes four decisions from each 64-bit draw: in half the time.

    The probability is rounded to a multiple of 2^-16. Draws come from torch's default generator of the CPU, so a seed
    decides them; they are not those of `nn.Dropout`. On other devices it is `nn.Dropout`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape; zeroes elements while training."""
        if not self.training or self.p in (0, 1) or input.device.type != "cpu":
            return super().forward(input)
        threshold = min(round(self.p * _STEPS), _STEPS - 1)
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: input.numel()] >= threshold - _STEPS // 2
        return input * kept.view(input.shape).to(input.dtype).mul_(_STEPS / (_STEPS - threshold))


def use_fast_dropout(model: nn.Module) -> nn.Module:
    """Replace every `nn.Dropout` of a model in place; parameters, names and what is saved stay the same."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout and not child.inplace:
                fast = FastDropout(child.p)
                fast.train(child.training)
                setattr(module, name, fast)
    return model
