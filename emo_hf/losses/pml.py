"""Any loss of pytorch-metric-learning by name, in the form of our own."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from emo_hf.errors import UserError, first_line
from emo_hf.losses.distances import as_float
from emo_hf.losses.pairs import LossOutput

PREFIX = "pml:"


class PmlLoss(nn.Module):
    """A loss of pytorch-metric-learning (Musgrave et al. 2020), as `pml:MultiSimilarityLoss`.

    `num_classes` and `embedding_size` are filled in where the loss takes them. Losses with parameters of their own
    (proxies, as SoftTripleLoss, ProxyAnchorLoss, ArcFaceLoss) keep them here, so that they can be trained and saved.
    The library reports no share of active pairs and no distances: those are NaN. Row ids are not used.

    Raises:
        UserError: the library is missing, has no such loss, or the loss does not take an argument.
    """

    def __init__(self, name: str, *, num_classes: int, embedding_size: int, **kwargs: Any) -> None:
        super().__init__()
        try:
            from pytorch_metric_learning import losses
        except ImportError as error:
            raise UserError(f"{name} needs pytorch-metric-learning; pip install 'emo-hf[pml]'") from error
        bare = name.removeprefix(PREFIX)
        loss_class = getattr(losses, bare, None)
        if not (inspect.isclass(loss_class) and issubclass(loss_class, nn.Module)):
            known = ", ".join(n for n in dir(losses) if n.endswith("Loss"))
            raise UserError(f"pytorch-metric-learning has no loss {bare!r}; it has {known}")
        takes = inspect.signature(loss_class).parameters
        filled = {"num_classes": num_classes, "embedding_size": embedding_size}
        try:
            self.loss = loss_class(**{**{k: v for k, v in filled.items() if k in takes}, **kwargs})
        except (TypeError, ValueError) as error:
            raise UserError(f"{name} with {kwargs}: {first_line(error)}") from error

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        reference: Tensor | None = None,
        reference_labels: Tensor | None = None,
        rows: Tensor | None = None,
        reference_rows: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> LossOutput:
        """The loss of `embeddings` (B, D) with `labels` (B,), among themselves or with a `reference` (R, D)."""
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = as_float(embeddings)
            beside = {}
            if reference is not None:
                beside = {"ref_emb": as_float(reference), "ref_labels": reference_labels}
            # The library returns a constant where no pair is formed; the sum keeps the graph.
            loss = self.loss(embeddings, labels, **beside) + 0.0 * embeddings.sum()
        unknown = torch.full((), torch.nan, device=embeddings.device, dtype=embeddings.dtype)
        return LossOutput(loss, unknown, unknown, unknown)
