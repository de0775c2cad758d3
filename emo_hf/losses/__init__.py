"""Metric losses over a batch of embeddings: tensors in, tensors out, exact, finite on every batch.

>>> from emo_hf.losses import TripletLoss
>>> output = TripletLoss(margin=1.0)(embeddings, labels)
>>> output.loss.backward()
"""

from __future__ import annotations

from typing import Any

from torch import nn

from emo_hf.errors import UserError
from emo_hf.losses.contrastive import ContrastiveLoss
from emo_hf.losses.pairs import LossOutput
from emo_hf.losses.pml import PREFIX, PmlLoss
from emo_hf.losses.supcon import SupConLoss
from emo_hf.losses.triplet import TripletLoss

__all__ = ["AUXILIARY_LOSSES", "ContrastiveLoss", "LossOutput", "PmlLoss", "SupConLoss", "TripletLoss", "build_loss"]

AUXILIARY_LOSSES = ("none", "contrastive", "triplet", "supcon")


def build_loss(
    aux: str,
    *,
    margin: float = 1.0,
    distance: str = "euclidean",
    mining: str = "all",
    num_classes: int = 2,
    embedding_size: int = 256,
    **kwargs: Any,
) -> nn.Module | None:
    """The auxiliary loss of that name, or None for `none`; `pml:Name` is a loss of pytorch-metric-learning.

    `margin`, `distance` and `mining` go to the losses that know them (contrastive, triplet) and `kwargs` to the
    constructor as they are: `balanced` (contrastive), `reduction`, `soft` (triplet), `temperature` (supcon), and
    whatever a loss of pytorch-metric-learning takes; only those use `num_classes` and `embedding_size`.
    Raises `UserError` for an unknown name or argument.
    """
    if aux == "none":
        return None
    if aux.startswith(PREFIX):
        return PmlLoss(aux, num_classes=num_classes, embedding_size=embedding_size, **kwargs)
    if aux not in AUXILIARY_LOSSES:
        names = ", ".join(AUXILIARY_LOSSES)
        raise UserError(
            f"unknown auxiliary loss {aux!r}; choose one of {names}, or {PREFIX} and a loss of that library"
        )
    loss, options = {
        "contrastive": (ContrastiveLoss, ("balanced",)),
        "triplet": (TripletLoss, ("reduction", "soft")),
        "supcon": (SupConLoss, ("temperature",)),
    }[aux]
    if unknown := sorted(set(kwargs) - set(options)):
        raise UserError(f"the {aux} loss takes no argument {unknown[0]!r}; choose among {', '.join(options)}")
    if aux == "supcon":
        return loss(**kwargs)
    return loss(margin=margin, distance=distance, mining=mining, **kwargs)
