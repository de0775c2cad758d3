"""How far two passes of the same rows under other dropout disagree (R-Drop, Liang et al. 2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def twice(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs (B, …) of a model, each row once more after all of them: two passes in one, which wrappers see."""
    return {name: torch.cat([values, values]) for name, values in inputs.items()}


def disagreement(logits: Tensor, multi_label: bool = False) -> Tensor:
    """½ (KL(p ‖ q) + KL(q ‖ p)) of two passes p and q, as a mean over the rows (scalar), in fp32 at least.

    Of sets of labels, each a decision of its own, it is the sum over the labels.

    Args:
        logits: (2 B, C), those of the first pass before those of the second.
        multi_label: whether a row may have several labels.
    """
    exact = logits if logits.dtype == torch.float64 else logits.float()
    # Of softmax and of sigmoid alike: KL(p ‖ q) + KL(q ‖ p) is (p - q) times what separates their log-odds.
    scores, shares = (exact, exact.sigmoid()) if multi_label else (F.log_softmax(exact, -1), exact.softmax(-1))
    first, second = scores.chunk(2)
    p, q = shares.chunk(2)
    return 0.5 * ((p - q) * (first - second)).sum(-1).mean()
