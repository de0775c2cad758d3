"""What a training says of itself: means of its losses, and when one is no number or embeddings fall together."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor

from emo_hf.distributed import sum_over_processes
from emo_hf.errors import UserError
from emo_hf.losses.capabilities import capability

logger = logging.getLogger(__name__)

# Below this share of their norm the embeddings of a batch are one point; a fresh model has about one half.
COLLAPSED = 0.02


def explain(error: BaseException, arguments: Any) -> BaseException:
    """The error of a training itself, or the `UserError` that says what to do about it."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, Exception) and (should_reduce_batch_size(error) or "No executable batch size" in str(error))
    ):
        by_tokens = bool(arguments.tokens_per_batch)
        size = "tokens_per_batch" if by_tokens else "per_device_train_batch_size"
        return UserError(
            f"out of memory: lower --{size}, which is {getattr(arguments, size)} "
            f"(--per_device_eval_batch_size is {arguments.per_device_eval_batch_size}), or --max_length"
            + ("" if by_tokens else ", or let --auto_find_batch_size true find the largest that fits")
        )
    if isinstance(error, pickle.UnpicklingError):
        return UserError(
            f"{arguments.resume_from_checkpoint or arguments.output_dir}: a file of the checkpoint is damaged, or "
            "holds more than tensors and might run code; start again without --resume_from_checkpoint"
        )
    return error


class Watch:
    """Looks at the losses of every step, one step late so that nothing waits for the device, and at every log."""

    def __init__(self) -> None:
        self._last: tuple[int, dict[str, Tensor], Tensor | None] | None = None
        self._warned = False

    def step(self, step: int, parts: Mapping[str, Tensor], rows: Tensor | None) -> None:
        """Note the losses of a batch, scalars by name, and check those of the batch before.

        Raises:
            UserError: if a loss of the batch before was not finite; names the step, the loss and the rows.
        """
        self.check()
        self._last = (step, {name: v.detach() for name, v in parts.items() if name.endswith("loss")}, rows)

    def check(self) -> None:
        """Check the last batch noted; raises as `step`."""
        if self._last is None:
            return
        step, parts, rows = self._last
        self._last = None
        for name, value in parts.items():
            if not math.isfinite(number := value.item()):
                where = "" if rows is None else f", training rows {_short(rows.tolist())}"
                raise UserError(
                    f"{name} is {number} at step {step}{where}: training diverged; lower --learning_rate, keep "
                    "--max_grad_norm above 0, or use --bf16 false"
                )

    def log(self, logs: Mapping[str, float], arguments: Any) -> None:
        """Warn once if the embeddings of the batches since the last log have fallen together."""
        self.check()
        norm, spread = logs.get("embedding_norm"), logs.get("embedding_spread")
        if self._warned or not norm or spread is None or spread > COLLAPSED * norm:
            return
        self._warned = True
        row = capability(arguments.aux, arguments.aux_kwargs)
        at_margin = advice = ""
        if row.loss_class is not None:
            advice = ", a smaller --aux_weight or --aux_warmup 0.1"
        if "margin" in row.flags and math.isclose(logs.get("aux_loss", math.inf), arguments.margin, rel_tol=0.02):
            at_margin = f" and the {arguments.aux} loss stands at the margin"
        if "mining" in row.flags and arguments.mining != "semi-hard" and row.arguments["mining"].takes("semi-hard"):
            advice += ", or --mining semi-hard"
        logger.warning(
            "the embeddings have collapsed to a point (spread %.2g, norm %.2g)%s: try a lower --learning_rate%s",
            spread,
            norm,
            at_margin,
            advice,
        )


class Means:
    """Running means of scalars, kept on their device: nothing waits for it until they are taken."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._losses: Tensor | None = None  # (N,): which of them are losses
        self._sums: Tensor | None = None  # (2, N): of the values, and how many there were

    def add(self, parts: Mapping[str, Tensor]) -> None:
        """Note one batch's scalars, the same names in the same order every time; a NaN that is no loss is no value."""
        values = torch.stack([value.detach().float() for value in parts.values()])
        if self._losses is None:
            self._names = list(parts)
            self._losses = torch.tensor([name.endswith("loss") for name in self._names], device=values.device)
        known = ~values.isnan() | self._losses
        sums = torch.stack([values.where(known, 0.0), known.float()])
        self._sums = sums if self._sums is None else self._sums + sums

    def take(self) -> dict[str, float]:
        """The means over all processes since the last time, of what had a value."""
        if self._sums is None:
            return {}
        sums, counts = sum_over_processes(self._sums).cpu()
        self._sums = None
        return {n: float(s / c) for n, s, c in zip(self._names, sums, counts, strict=True) if c > 0}


def _short(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:8]))
    return f"{shown}, … ({len(rows)} rows)" if len(rows) > 8 else shown
