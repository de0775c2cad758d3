"""The loss of the classifier, for classes of every size: of one label a row, and of sets of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emo_hf.errors import UserError, few

CLASSIFICATION_LOSSES = ("cross_entropy", "focal", "logit_adjusted", "asymmetric")
OF_SETS_ALONE = "asymmetric"
CLASS_WEIGHTS = ("none", "balanced", "sqrt", "effective")
# What counts under one value of another argument alone.
OF_ONE_VALUE = {
    "focal_gamma": ("classification_loss", "focal"),
    "logit_adjustment": ("classification_loss", "logit_adjusted"),
    "effective_beta": ("class_weights", "effective"),
    "asymmetric_gamma": ("classification_loss", "asymmetric"),
    "asymmetric_clip": ("classification_loss", "asymmetric"),
}
CHOICES = {"classification_loss": CLASSIFICATION_LOSSES, "class_weights": CLASS_WEIGHTS}


class ClassificationLoss(nn.Module):
    """Σ_c −q_c log p_c of a row, times its focal factor and the weight of its class, as a mean over the rows.

    q is the smoothed target (Szegedy et al. 2016). p is softmax(z), under `logit_adjusted` softmax(z + τ log π) with
    the shares π of the classes among the training rows, so that z itself is made for classes of equal size (Menon et
    al. 2021). The factor of `focal` is (1 − p_y)^γ, of the row's own class y (Lin et al. 2017); it stands before the
    whole row, for before each class it would leave of an easy row the smoothing alone. So does the weight of the
    class: torch's `CrossEntropyLoss` weighs the smoothed share by the weights of the other classes, by which one that
    is rare and heavy wins the rows of all.

    Args:
        counts: training rows of each class (C,).
        kind: `cross_entropy`, `focal` or `logit_adjusted`.
        class_weights, effective_beta: as `weights_of`.
        focal_gamma: γ, 0 or more; of `focal` alone.
        logit_adjustment: τ, 0 or more; of `logit_adjusted` alone.
        smoothing: share of the target that is spread over all classes, in [0, 1).

    Raises:
        UserError: an unknown name; a loss of sets of labels alone; classes without a row under `logit_adjusted`, which
            have no share.
    """

    weights: Tensor | None
    offsets: Tensor | None

    def __init__(
        self,
        counts: Sequence[int],
        *,
        kind: str = "cross_entropy",
        class_weights: str = "none",
        focal_gamma: float = 2.0,
        logit_adjustment: float = 1.0,
        effective_beta: float = 0.999,
        smoothing: float = 0.0,
    ):
        super().__init__()
        check_names({"classification_loss": kind, "class_weights": class_weights})
        check_of_one_label(kind)
        rows = np.asarray(counts, dtype=np.float64)
        self.gamma = focal_gamma if kind == "focal" else 0.0
        self.smoothing = smoothing
        weights = weights_of(rows, class_weights, effective_beta)
        offsets = None
        if kind == "logit_adjusted":
            if (empty := np.flatnonzero(rows == 0)).size:
                raise UserError(
                    f"the logit-adjusted loss goes by the shares of the classes, and no training row is of class "
                    f"{few(map(str, empty))}; leave such classes out, or take another --classification_loss"
                )
            offsets = logit_adjustment * np.log(rows / rows.sum())
        _keep(self, weights=weights, offsets=offsets)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss (scalar) of logits (B, C) and labels (B,), in fp32 at least."""
        exact = logits if logits.dtype == torch.float64 else logits.float()
        if self.offsets is not None:
            exact = exact + self.offsets.to(exact)
        scores = exact.log_softmax(-1)
        own = scores.gather(-1, labels[:, None]).squeeze(-1)
        losses = -(1 - self.smoothing) * own - self.smoothing * scores.mean(-1)
        if self.gamma:
            # At a probability of 1 a power below 1 has no finite slope.
            away = (-torch.expm1(own)).clamp(min=torch.finfo(own.dtype).tiny)
            losses = away.pow(self.gamma) * losses
        if self.weights is not None:
            losses = losses * self.weights.to(losses)[labels]
        return losses.mean()


class LabelSetLoss(nn.Module):
    """The loss of sets of labels, each a decision of its own: a sum over the labels, a mean over the rows.

    With p = sigmoid(z) of a label that a row has it is −w⁺ log p, of one that it lacks −w⁻ log(1 − p). `focal` puts
    (1 − p)^γ and p^γ before them (Lin et al. 2017). `asymmetric` leaves the labels that a row has as they are and puts
    q^γ before −log(1 − q) of those that it lacks, with q = max(p − m, 0), so that the many easy ones don't count
    (Ridnik et al. 2021, with their γ⁺ of 0). `logit_adjusted` takes z + τ log(n / (N − n)) for z, so that z itself is
    made for labels on half of the rows, after Menon et al. 2021. Nothing is smoothed: it would put a little of every
    label on every row.

    Args:
        counts: training rows n that have each label (C,).
        rows: training rows N.
        kind: `cross_entropy`, `focal`, `logit_adjusted` or `asymmetric`.
        class_weights, effective_beta: as `set_weights_of`.
        focal_gamma, logit_adjustment: γ and τ of the losses of that name, 0 or more.
        asymmetric_gamma, asymmetric_clip: γ, 0 or more, and m, in [0, 1), of `asymmetric`.

    Raises:
        UserError: an unknown name.
    """

    weights: Tensor | None
    offsets: Tensor | None

    def __init__(
        self,
        counts: Sequence[int],
        rows: int,
        *,
        kind: str = "cross_entropy",
        class_weights: str = "none",
        focal_gamma: float = 2.0,
        logit_adjustment: float = 1.0,
        effective_beta: float = 0.999,
        asymmetric_gamma: float = 4.0,
        asymmetric_clip: float = 0.05,
    ):
        super().__init__()
        check_names({"classification_loss": kind, "class_weights": class_weights})
        have = np.asarray(counts, dtype=np.float64)
        self.kind = kind
        self.gamma = {"focal": focal_gamma, "asymmetric": asymmetric_gamma}.get(kind, 0.0)
        self.clip = asymmetric_clip if kind == "asymmetric" else 0.0
        weights = set_weights_of(have, rows, class_weights, effective_beta)
        offsets = None
        if kind == "logit_adjusted":
            known = np.clip(have, 0.5, rows - 0.5)  # a label on no row, or on all, has no finite odds
            offsets = logit_adjustment * np.log(known / (rows - known))
        _keep(self, weights=weights, offsets=offsets)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss (scalar) of logits (B, C) and labels (B, C), zeros and ones, in fp32 at least."""
        exact = logits if logits.dtype == torch.float64 else logits.float()
        if self.offsets is not None:
            exact = exact + self.offsets.to(exact)
        have = labels.to(exact)
        of_had, of_lacked = -F.logsigmoid(exact), -F.logsigmoid(-exact)
        if self.kind == "focal":
            of_had, of_lacked = of_had * (-self.gamma * of_lacked).exp(), of_lacked * (-self.gamma * of_had).exp()
        elif self.kind == "asymmetric":
            left = (exact.sigmoid() - self.clip).clamp(min=0)
            # At 0 a power below 1 has no finite slope.
            of_lacked = left.clamp(min=torch.finfo(left.dtype).tiny).pow(self.gamma) * -torch.log1p(
                -left.clamp(max=1 - torch.finfo(left.dtype).eps)
            )
        if self.weights is not None:
            weights = self.weights.to(exact)
            of_had, of_lacked = of_had * weights[0], of_lacked * weights[1]
        return torch.where(have > 0, of_had, of_lacked).sum(-1).mean()


def _keep(loss: nn.Module, **arrays: np.ndarray | None) -> None:
    """Give a loss arrays by name as buffers, which move to its device and are not stored."""
    for name, values in arrays.items():
        loss.register_buffer(name, None if values is None else torch.tensor(values), persistent=False)


def set_weights_of(counts: np.ndarray, rows: int, kind: str, beta: float = 0.999) -> np.ndarray | None:
    """The weights (2, C) of the n rows that have a label and of the N − n that lack it, by their numbers.

    As `weights_of` of these two classes: 1 in the mean over the rows, for each label by itself. A label that no row
    has, or that all have, weighs 1.
    """
    if kind == "none":
        return None
    found = np.ones((2, len(counts)))
    for place, n in enumerate(counts):
        if 0 < n < rows:
            found[:, place] = weights_of(np.array([n, rows - n]), kind, beta)
    return found


def weights_of(counts: np.ndarray, kind: str, beta: float = 0.999) -> np.ndarray | None:
    """The weight of each class (C,), 1 in the mean over the training rows; None for `none`.

    `balanced` is 1 / n of a class's n rows, `sqrt` its square root, `effective` (1 − β) / (1 − β^n), by the effective
    number of rows (Cui et al. 2019). A mean of 1 keeps the size of the loss, and so the learning rate and the weight
    of a metric loss, whatever the classes; a class without rows has the weight 0.
    """
    rows = np.asarray(counts, dtype=np.float64)
    if kind == "none":
        return None
    with np.errstate(divide="ignore"):
        of_class = {
            "balanced": lambda: 1 / rows,
            "sqrt": lambda: rows**-0.5,
            "effective": lambda: (1 - beta) / (1 - beta**rows),
        }[kind]()
    found = np.where(rows > 0, of_class, 0.0)
    return found * rows.sum() / (found * rows).sum()


def check_names(given: Mapping[str, Any]) -> None:
    """Raise `UserError` for a loss or for weights that nobody knows."""
    for name, allowed in CHOICES.items():
        if given.get(name, allowed[0]) not in allowed:
            raise UserError(f"--{name} is {given[name]!r}; allowed: {', '.join(allowed)}")


def check_of_one_label(kind: str) -> None:
    """Raise `UserError` for a loss that rows with one label each can't be trained with."""
    if kind == OF_SETS_ALONE:
        raise UserError(
            f"--classification_loss {kind} tells the labels that a row has from those that it lacks; rows with one "
            "label each take cross_entropy, focal or logit_adjusted"
        )


def counts_under(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether an argument makes a difference beside the others: those of one loss or of one weighting may not."""
    if name not in OF_ONE_VALUE:
        return True
    owner, value = OF_ONE_VALUE[name]
    return settings.get(owner, CHOICES[owner][0]) == value
