"""Where a training begins, or a draw: what has to be as it was for the same to come of it twice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class RandomState:
    """The state of the generators that dropout draws from, to draw the same twice."""

    def __init__(self, device: torch.device):
        self._cpu = torch.get_rng_state()
        self._gpu = (torch.cuda.get_rng_state(device), device) if device.type == "cuda" else None

    def restore(self) -> None:
        """Set the generators back to this state."""
        torch.set_rng_state(self._cpu)
        if self._gpu is not None:
            torch.cuda.set_rng_state(*self._gpu)


class Beginning:
    """Weights of a model, parameters of its loss, and the random state, before the first step."""

    def __init__(self, model: nn.Module, parameters: Sequence[nn.Parameter], device: torch.device):
        self._weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        self._values = [parameter.detach().clone() for parameter in parameters]
        self._random_state = RandomState(device)

    def restore(self, model: nn.Module, parameters: Sequence[nn.Parameter]) -> None:
        """Set them all back."""
        model.load_state_dict(self._weights)
        model.zero_grad()
        with torch.no_grad():
            for parameter, value in zip(parameters, self._values, strict=True):
                parameter.copy_(value)
        self._random_state.restore()
