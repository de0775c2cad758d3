"""Which precision a run multiplies in, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import TrainingArguments


def bf16_is_native(cpu: bool) -> bool:
    """Whether the processor multiplies bfloat16 natively: AVX512-BF16, AMX, or a GPU from Ampere on."""
    if cpu:
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def precision(args: TrainingArguments) -> str:
    """What a run multiplies in, and why: the words for its log."""
    if args.bf16:
        native = bf16_is_native(cpu=args.device.type == "cpu")
        reason = "which it multiplies natively" if native else "as asked, though it has no instructions for it"
        return f"bf16, {reason} (--bf16 false for fp32)"
    return "fp16" if args.fp16 else "fp32"
