"""Parameters that an optimizer takes apart from the others: those of a metric loss, and the vectors of n-grams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

_NGRAMS_WEIGHT_DECAY = 0.1


def set_apart(
    optimizer: torch.optim.Optimizer, of_loss: Sequence[nn.Parameter], model: nn.Module, ngrams_learning_rate: float
) -> None:
    """Give `of_loss`, if any, a group without weight decay, and the model's n-grams one with their learning rate.

    The vectors of n-grams start at zero and are met by few rows each; at the rate of an encoder they would stay there.
    Their weight decay keeps them from growing with the number of steps: under AdamW no value goes beyond its inverse.
    """
    if of_loss:
        optimizer.add_param_group({"params": list(of_loss), "weight_decay": 0.0})
    ngrams = getattr(model, "ngrams", None)
    if ngrams is None:
        return
    vectors = ngrams.table.weight
    for group in optimizer.param_groups:
        kept = [parameter for parameter in group["params"] if parameter is not vectors]
        if len(kept) < len(group["params"]):
            group["params"] = kept
            own = {"params": [vectors], "lr": ngrams_learning_rate, "weight_decay": _NGRAMS_WEIGHT_DECAY}
            optimizer.add_param_group(group | own)
            return
