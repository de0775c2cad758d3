"""Whether torch.compile works on the device of a training."""

from __future__ import annotations

import torch
from transformers import TrainingArguments


def cannot_compile(args: TrainingArguments) -> str | None:
    """What keeps torch.compile from working on the device, as a missing C++ compiler, in one line; or None."""
    try:
        compiled = torch.compile(
            lambda x: (x @ x).relu() + 1,
            backend=args.torch_compile_backend or "inductor",
            mode=args.torch_compile_mode,
        )
        compiled(torch.ones(8, 8, device=args.device, requires_grad=True)).sum().backward()
    except Exception as error:  # backends raise errors of their own of every kind
        said = str(error).partition("Set TORCHDYNAMO_VERBOSE")[0]
        return " ".join(said.split())[:200]
    return None
