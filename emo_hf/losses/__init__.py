"""Metric losses over a batch of embeddings: tensors in, tensors out, exact, finite on every batch.

>>> from emo_hf.losses import TripletLoss
>>> output = TripletLoss(margin=1.0)(embeddings, labels)
>>> output.loss.backward()
"""

from __future__ import annotations

from typing import Any

from torch import nn

from emo_hf.losses.capabilities import AUXILIARY_LOSSES, capability, check_taken
from emo_hf.losses.contrastive import ContrastiveLoss
from emo_hf.losses.pairs import LossOutput
from emo_hf.losses.pml import PREFIX, PmlLoss
from emo_hf.losses.supcon import SupConLoss
from emo_hf.losses.triplet import TripletLoss

__all__ = ["AUXILIARY_LOSSES", "ContrastiveLoss", "LossOutput", "PmlLoss", "SupConLoss", "TripletLoss", "build_loss"]


def build_loss(
    aux: str,
    *,
    margin: float = 1.0,
    distance: str = "normalized_euclidean",
    mining: str = "all",
    num_classes: int = 2,
    embedding_size: int = 256,
    **kwargs: Any,
) -> nn.Module | None:
    """The auxiliary loss of that name, or None for `none`; `pml:Name` is a loss of pytorch-metric-learning.

    `kwargs` go to the constructor as they are: `balanced` (contrastive), `reduction`, `soft` (triplet), `temperature`
    (supcon), and whatever a loss of pytorch-metric-learning takes; only those use `num_classes` and `embedding_size`.
    Raises `UserError` for an unknown name, for an argument that the loss does not take (a `margin`, `distance` or
    `mining` other than the default), and for a value that an argument does not take.
    """
    flags: dict[str, Any] = {"margin": margin, "distance": distance, "mining": mining}
    usual = build_loss.__kwdefaults__ or {}
    given = {name: value for name, value in flags.items() if value != usual[name]}
    if aux.startswith(PREFIX):
        check_taken([aux], given)
        return PmlLoss(aux, num_classes=num_classes, embedding_size=embedding_size, **kwargs)
    check_taken([aux], given | {"aux_kwargs": kwargs})
    row = capability(aux)
    taken = {name: value for name, value in flags.items() if name in row.arguments}
    return None if row.loss_class is None else row.loss_class(**taken, **kwargs)
