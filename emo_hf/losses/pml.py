"""Any loss of pytorch-metric-learning by name, in the form of our own."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from emo_hf.errors import UserError, first_line
from emo_hf.losses.arguments import Foreign, Values
from emo_hf.losses.distances import as_float
from emo_hf.losses.pairs import LossOutput

PREFIX = "pml:"
# Filled in by us, or objects, which no JSON of --aux_kwargs can hold.
NOT_TYPED = frozenset(
    (
        "num_classes", "embedding_size", "mat_based_loss", "distance", "reducer", "embedding_regularizer",
        "weight_regularizer", "weight_init_func", "collect_stats",
    )
)  # fmt: skip
_ALL = "all"  # what a loss of the library has for `triplets_per_anchor` when it draws none


class PmlLoss(nn.Module):
    """A loss of pytorch-metric-learning (Musgrave et al. 2020), as `pml:MultiSimilarityLoss`.

    `num_classes` and `embedding_size` are filled in where the loss takes them. Losses with parameters of their own
    (proxies, as SoftTripleLoss, ProxyAnchorLoss, ArcFaceLoss) keep them here, so that they can be trained and saved.
    The library reports no share of active pairs and no distances: those are NaN.

    `takes_pairs` says whether the loss compares the pairs that it is told to, also with a reference. Only such a loss
    takes a reference here, and leaves out pairs of one row; any other ignores row ids. It is found by trying.

    Raises:
        UserError: the library is missing, has no such loss, the loss does not take an argument, or it can't be trained
            on batches of embeddings and labels.
    """

    def __init__(self, name: str, *, num_classes: int, embedding_size: int, **kwargs: Any) -> None:
        super().__init__()
        loss_class = _named(name)
        takes = keywords(name)
        self.arguments: Mapping[str, Values] = dict.fromkeys(takes, Foreign())
        filled = {"num_classes": num_classes, "embedding_size": embedding_size}
        try:
            self.loss = loss_class(**{**{k: v for k, v in filled.items() if k in takes}, **kwargs})
        except Exception as error:  # the library checks by assertions and by whatever a wrong value leads to
            raise UserError(f"{name} with {kwargs}: {first_line(error)}") from error
        self.name = name
        with torch.random.fork_rng(devices=[]):
            _try_two_steps(name, self.loss, num_classes, embedding_size)
            self.takes_pairs = _takes_pairs(self.loss, num_classes, embedding_size)

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
        """The loss of `embeddings` (B, D) with `labels` (B,), among themselves or with a `reference` (R, D).

        Raises `UserError` for a reference that the loss does not take.
        """
        if reference is not None and not self.takes_pairs:
            raise UserError(f"{self.name} compares the embeddings of a batch alone and takes no reference")
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = as_float(embeddings)
            beside: dict[str, Any] = {}
            if reference is not None:
                beside = {"ref_emb": as_float(reference).to(embeddings.dtype), "ref_labels": reference_labels}
            itself = _same_row(rows, reference_rows, reference is not None) if self.takes_pairs else None
            if itself is not None:
                columns = labels if reference_labels is None else reference_labels
                beside["indices_tuple"] = _indices(self.loss, labels[:, None] == columns, itself)
            # The library returns a constant where no pair is formed; the sum keeps the graph.
            loss = self.loss(embeddings, labels, **beside) + 0.0 * embeddings.sum()
        unknown = torch.full((), torch.nan, device=embeddings.device, dtype=embeddings.dtype)
        return LossOutput(loss, unknown, unknown, unknown)


def _named(name: str) -> type[nn.Module]:
    """The class of the library that `pml:NAME` means."""
    try:
        from pytorch_metric_learning import losses
    except ImportError as error:
        raise UserError(f"{name} needs pytorch-metric-learning; pip install 'emo-hf[pml]'") from error
    bare = name.removeprefix(PREFIX)
    loss_class = getattr(losses, bare, None)
    if inspect.isclass(loss_class) and issubclass(loss_class, nn.Module):
        return loss_class
    known = ", ".join(n for n in dir(losses) if n.endswith("Loss"))
    raise UserError(f"pytorch-metric-learning has no loss {bare!r}; it has {known}")


def keywords(name: str) -> list[str]:
    """The arguments of the constructor that `pml:NAME` means, and of those that it hands further arguments on to."""
    found: dict[str, None] = {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for owner in _named(name).__mro__:
        if "__init__" in vars(owner):
            takes = inspect.signature(vars(owner)["__init__"]).parameters
            found |= dict.fromkeys(n for n, parameter in takes.items() if parameter.kind in named and n != "self")
            if inspect.Parameter.VAR_KEYWORD not in {parameter.kind for parameter in takes.values()}:
                break
    return list(found)


def _same_row(rows: Tensor | None, reference_rows: Tensor | None, beside: bool) -> Tensor | None:
    """Which pairs are a row beside itself, (B, R); None where the library leaves those out without being told."""
    if rows is None:
        return None
    if beside:
        return None if reference_rows is None else rows[:, None] == reference_rows
    itself = rows[:, None] == rows
    return itself if itself.sum() > len(rows) else None


def _indices(loss: nn.Module, same: Tensor, itself: Tensor) -> tuple[Tensor, ...]:
    """All pairs but those of a row with itself, or all triplets of such, in the library's form."""
    positive, negative = same & ~itself, ~(same | itself)
    if hasattr(loss, "triplets_per_anchor"):  # it would form the triplets from a table of all pairs by all pairs
        return torch.where(positive[:, :, None] & negative[:, None])
    return (*torch.where(positive), *torch.where(negative))


def _batch(num_classes: int, embedding_size: int) -> tuple[Tensor, Tensor]:
    """12 embeddings and labels, two of a class, among them the first and the last class."""
    labels = torch.arange(12) // 2 % num_classes
    labels[-2:] = num_classes - 1
    return torch.randn(12, embedding_size, dtype=torch.float64), labels


def _try_two_steps(name: str, loss: nn.Module, num_classes: int, embedding_size: int) -> None:
    """Raise the `UserError` that training would end with: some losses take no labels, or keep a graph."""
    loss = copy.deepcopy(loss)
    embeddings, labels = _batch(num_classes, embedding_size)
    try:
        for _ in range(2):
            leaf = embeddings.clone().requires_grad_()
            (loss(leaf, labels) + 0.0 * leaf.sum()).backward()
    except Exception as error:
        raise UserError(
            f"{name} can't be trained beside cross-entropy, on embeddings and labels: {first_line(error)}"
        ) from error


def _takes_pairs(loss: nn.Module, num_classes: int, embedding_size: int) -> bool:
    """Whether a reference that is in no pair, as the old embeddings of the anchors' own rows, changes nothing."""
    if getattr(loss, "triplets_per_anchor", _ALL) != _ALL:
        return False  # it draws triplets itself, and would draw none from those that it is given
    embeddings, labels = _batch(num_classes, embedding_size)
    anchors, same = embeddings[:2], labels[:2, None] == labels
    itself = torch.zeros_like(same)
    itself[:, :2] = True
    values = []
    for factor in (1.0, -3.0):
        reference = torch.cat([factor * anchors, embeddings[2:]])
        try:
            values.append(
                copy.deepcopy(loss)(
                    anchors.clone().requires_grad_(),
                    labels[:2],
                    indices_tuple=_indices(loss, same, itself),
                    ref_emb=reference,
                    ref_labels=labels.clone(),
                ).detach()
            )
        except Exception:  # the library refuses a reference by a ValueError, or fails by an index out of range
            return False
    return torch.allclose(values[0], values[1], rtol=1e-9, atol=1e-9)
