"""What a training says of itself: means of its losses, and when one is no number or embeddings fall together."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor

from emo_hf.distributed import sum_over_processes
from emo_hf.errors import UserError
from emo_hf.losses.capabilities import capability
from emo_hf.losses.distances import OF_UNIT_ROWS

logger = logging.getLogger(__name__)

# Below this share of their norm the embeddings of a batch are one point; a fresh model has about one half.
COLLAPSED = 0.02
# A class of this share of the validation rows is too large for no row at all to be given it.
NOTEWORTHY_SHARE = 0.05
# Nearly all pairs or triplets, and nearly none: the margin is out of reach, or reached before anything was learned.
NEARLY_ALL, NEARLY_NONE = 0.97, 0.01


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


@torch.no_grad()
def of_batch(logits: Tensor, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What a log says of a batch with logits (B, C), embeddings (B, D) and labels (B,) or sets of them (B, C)."""
    rows = embeddings.detach().float()
    right = ((logits > 0) == (labels > 0)).all(-1) if labels.ndim == 2 else logits.argmax(-1) == labels
    return {
        "accuracy": right.float().mean(),
        "embedding_norm": rows.norm(dim=1).mean(),
        "embedding_spread": (rows - rows.mean(0)).square().sum(1).mean().sqrt(),
    }


class Watch:
    """Looks at the losses of every step, one step late so that nothing waits for the device, and at every log."""

    def __init__(self) -> None:
        self._last: tuple[int, dict[str, Tensor], Tensor | None] | None = None
        self._said: set[str] = set()
        self._logs = 0

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
        """Warn, each kind once, if the embeddings since the last log have fallen together or a margin does not fit."""
        self.check()
        self._logs += 1
        norm, spread = logs.get("embedding_norm"), logs.get("embedding_spread")
        if norm and spread is not None and spread <= COLLAPSED * norm:
            self._say("collapse", _collapse(logs, arguments))
        elif misfit := _margin_misfit(logs, arguments, first=self._logs == 1):
            self._say("margin", misfit)

    def evaluated(self, predicted: np.ndarray, true: np.ndarray, names: Sequence[str], arguments: Any) -> None:
        """Warn once of a class that no validation row is given, from predicted and true classes (N,) of an evaluation.

        Not of small classes, which may need more epochs.
        """
        counts, given = (np.bincount(classes, minlength=len(names)) for classes in (true, predicted))
        lost = [
            place for place in range(len(names)) if not given[place] and counts[place] >= NOTEWORTHY_SHARE * len(true)
        ]
        if not lost:
            return
        shares = ", ".join(f"{names[place]} ({100 * counts[place] / len(true):.0f} % of them)" for place in lost[:3])
        self._say("lost class", f"no validation row is predicted as {shares}: {_advice_for_lost(arguments)}")

    def _say(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            logger.warning("%s", text)


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


def _collapse(logs: Mapping[str, float], arguments: Any) -> str:
    row = capability(arguments.aux, arguments.aux_kwargs)
    at_margin = advice = ""
    if row.loss_class is not None:
        advice = ", a smaller --aux_weight or --aux_warmup 0.1"
    if "margin" in row.flags and math.isclose(logs.get("aux_loss", math.inf), arguments.margin, rel_tol=0.02):
        at_margin = f" and the {arguments.aux} loss stands at the margin"
    if "mining" in row.flags and arguments.mining != "semi-hard" and row.arguments["mining"].takes("semi-hard"):
        advice += ", or --mining semi-hard"
    return (
        f"the embeddings have collapsed to a point (spread {logs['embedding_spread']:.2g}, norm "
        f"{logs['embedding_norm']:.2g}){at_margin}: try a lower --learning_rate{advice}"
    )


def _margin_misfit(logs: Mapping[str, float], arguments: Any, first: bool) -> str | None:
    """What is wrong with a margin, by the distances and the share of pairs or triplets above zero; None if nothing."""
    if "margin" not in capability(arguments.aux, arguments.aux_kwargs).flags:
        return None
    near, far, active = (logs.get(key, math.nan) for key in ("positive_distance", "negative_distance", "active_share"))
    measured = f"the texts of one class that it compares lie {near:.2g} apart, those of different classes {far:.2g}"
    of_scale = (
        "" if arguments.distance in OF_UNIT_ROWS else ", or use --distance normalized_euclidean, which has no scale"
    )
    if arguments.aux == "contrastive" and near > arguments.margin and far > arguments.margin:
        return (
            f"the contrastive loss squeezes the embeddings and may cost the rare classes: {measured}, both beyond the "
            f"margin {arguments.margin:g}, so that nothing is pushed apart; raise --margin{of_scale}"
        )
    # What `hard` and `semi-hard` choose is above zero by their choice.
    if not first and active > NEARLY_ALL and arguments.mining in ("all", "sampled"):
        return (
            f"the margin {arguments.margin:g} of the {arguments.aux} loss is out of reach: {measured}; lower --margin"
            f"{of_scale}"
        )
    if first and active < NEARLY_NONE:
        if math.isnan(near) or math.isnan(far):
            kind = "of one class" if math.isnan(near) else "of different classes"
            return f"the {arguments.aux} loss has nothing to do: no two texts of a batch are {kind}; use --aux none"
        return (
            f"the {arguments.aux} loss has nothing to do: {measured}, and {100 * active:.2g} % of what it compares is "
            f"within the margin {arguments.margin:g}; raise --margin{of_scale}"
        )
    return None


def _advice_for_lost(arguments: Any) -> str:
    """What may bring back a class that is never predicted."""
    row = capability(arguments.aux, arguments.aux_kwargs)
    advice = ["train for more epochs (--num_train_epochs)"]
    if row.loss_class is not None:
        advice.append("lower --aux_weight")
    if "distance" in row.flags and arguments.distance not in OF_UNIT_ROWS:
        advice.append("use --distance normalized_euclidean")
    return " or ".join(advice) if len(advice) < 3 else f"{', '.join(advice[:-1])} or {advice[-1]}"


def _short(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:8]))
    return f"{shown}, … ({len(rows)} rows)" if len(rows) > 8 else shown
