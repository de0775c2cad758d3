"""From token states to one vector a sentence. This file travels with every saved checkpoint."""

import torch
from torch import Tensor, nn

POOLINGS = ("cls", "mean", "max", "attention", "last")


def begins_at_once(attention_mask: Tensor) -> bool:
    """Whether no row of (B, L) begins with padding; of a graph that is traced, which takes any batch, False."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return bool(attention_mask[:, 0].all())


class Pooler(nn.Module):
    """Pool the states of the real tokens; padding, on either side, never changes the result.

    `cls` takes the first token (Devlin et al. 2019), `mean` and `max` go over the real tokens (Reimers & Gurevych
    2019), `attention` weighs the real tokens by a learned score (Lin et al. 2017, one head), `last` takes the last
    token, which in a causal encoder is the only one that sees all others (Wang et al. 2024, E5-Mistral).

    Args:
        kind: one of `POOLINGS`.
        hidden_size: width H of the states.

    Raises:
        ValueError: for an unknown kind.
    """

    def __init__(self, kind: str, hidden_size: int) -> None:
        super().__init__()
        if kind not in POOLINGS:
            raise ValueError(f"pooling is {kind!r}; allowed: {', '.join(POOLINGS)}")
        self.kind = kind
        self.score = nn.Linear(hidden_size, 1, bias=False) if kind == "attention" else None

    def forward(self, states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """states (B, L, H), attention_mask (B, L) with 1 at real tokens, or None if all are real -> (B, H)."""
        if self.kind == "cls" and (attention_mask is None or begins_at_once(attention_mask)):
            return states[:, 0]
        if attention_mask is None:
            attention_mask = torch.ones(states.shape[:2], dtype=torch.long, device=states.device)
        if self.kind in ("cls", "last"):
            # By the mask, not by the ids: many a tokenizer pads with the token that ends a text.
            rows = torch.arange(states.shape[0], device=states.device)
            places = torch.arange(states.shape[1], device=states.device)
            last = states.shape[1] - 1
            if self.kind == "cls":
                return states[rows, last - ((last - places) * attention_mask.long()).amax(1)]
            return states[rows, (places * attention_mask.long()).amax(1)]
        real = attention_mask.bool().unsqueeze(-1)
        if self.kind == "mean":
            # The sum runs in fp32: in half precision the 100th summand of a long sentence loses its last bits.
            weights = real.to(torch.promote_types(states.dtype, torch.float32))
            return ((states * weights).sum(1) / weights.sum(1).clamp(min=1)).to(states.dtype)
        lowest = torch.finfo(states.dtype).min
        if self.score is None:  # max
            return states.masked_fill(~real, lowest).amax(1)
        scores = self.score(states)
        weights = scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(dim=1)
        return (states * weights.to(states.dtype)).sum(1)
