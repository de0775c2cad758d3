"""One table of the auxiliary losses: what each takes and works with; every check, sweep, search and text reads it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from emo_hf.errors import UserError
from emo_hf.losses.arguments import Values
from emo_hf.losses.classification import counts_under
from emo_hf.losses.contrastive import ContrastiveLoss
from emo_hf.losses.label_sets import OVERLAPS
from emo_hf.losses.pairs import MININGS_OF_SETS
from emo_hf.losses.pml import NOT_TYPED, PREFIX, PmlLoss, keywords
from emo_hf.losses.supcon import SupConLoss
from emo_hf.losses.triplet import TripletLoss

# Arguments of our losses that have a flag of their own; their others, and all of a library's, come in --aux_kwargs.
OWN_FLAGS = ("margin", "distance", "mining")
# All flags that only an auxiliary loss has: without one, every value of them makes one and the same run.
AUX_FLAGS = ("aux_weight", "aux_warmup", "aux_pool", "aux_memory", *OWN_FLAGS, "aux_kwargs")


@dataclass(frozen=True)
class Capability:
    """What an auxiliary loss takes and works with.

    `arguments` are those of the loss by name, each with the values that it takes; `parameters` says whether it has
    some of its own to train, as proxies; `rows` whether a row beside itself, as a batch over several processes or a
    memory may hold it, is no pair; `memory` whether it works with `--aux_memory`; `accumulated` whether it works with
    `--aux_pool accumulated`.
    """

    name: str
    loss_class: type[nn.Module] | None
    arguments: Mapping[str, Values] = field(default_factory=dict)
    parameters: bool = False
    rows: bool = True
    memory: bool = True
    accumulated: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """The arguments of the loss that come in `--aux_kwargs`."""
        without = NOT_TYPED if self.name.startswith(PREFIX) else OWN_FLAGS
        return tuple(name for name in self.arguments if name not in without)

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that the loss takes, without their dashes."""
        if self.loss_class is None:
            return ()
        works = {"aux_pool": self.accumulated, "aux_memory": self.memory, "aux_kwargs": bool(self.options)}
        own = () if self.name.startswith(PREFIX) else self.arguments
        return tuple(name for name in AUX_FLAGS if (name in own if name in OWN_FLAGS else works.get(name, True)))


CAPABILITIES = {
    "none": Capability("none", None, rows=False, memory=False, accumulated=False),
    "contrastive": Capability("contrastive", ContrastiveLoss, ContrastiveLoss.arguments),
    "triplet": Capability("triplet", TripletLoss, TripletLoss.arguments),
    "supcon": Capability("supcon", SupConLoss, SupConLoss.arguments),
}
AUXILIARY_LOSSES = tuple(CAPABILITIES)


def capability(aux: str, options: Mapping[str, Any] | None = None) -> Capability:
    """The row of the table for a name; that of `pml:NAME` is derived from the library's class, with its `options`.

    Options that the class does not take are left out.

    Raises:
        UserError: an unknown name; for `pml:NAME`, as `PmlLoss`.
    """
    if aux in CAPABILITIES:
        return CAPABILITIES[aux]
    if not aux.startswith(PREFIX):
        names = ", ".join(AUXILIARY_LOSSES)
        raise UserError(
            f"unknown auxiliary loss {aux!r}; choose one of {names}, or {PREFIX}NAME of pytorch-metric-learning"
        )
    return _of_library(aux, json.dumps(options or {}, sort_keys=True, default=str))


@functools.lru_cache(maxsize=64)  # a sweep asks for the same again and again, and each time a loss is built and tried
def _of_library(aux: str, options: str) -> Capability:
    takes = [name for name in keywords(aux) if name not in NOT_TYPED]
    given = {name: value for name, value in json.loads(options).items() if name in takes}
    with torch.random.fork_rng(devices=[]):  # to look at a loss must not move the draws of a run
        loss = PmlLoss(aux, num_classes=2, embedding_size=8, **given)
    own = next(iter(loss.parameters()), None) is not None
    return Capability(aux, PmlLoss, loss.arguments, parameters=own, rows=loss.takes_pairs, memory=loss.takes_pairs)


def check_taken(losses: Sequence[str], given: Mapping[str, Any]) -> None:
    """Check that one loss of `losses` at least takes each argument, by the name of its flag, and each of `aux_kwargs`.

    Raises:
        UserError: an argument that none takes; an unknown loss.
    """
    options = given.get("aux_kwargs") or {}
    rows = [capability(aux, options) for aux in losses]
    for name, value in given.items():
        if name != "aux_kwargs" and not any(name in row.flags for row in rows):
            raise UserError(f"--{name} is {value}, but {_take(rows)}")
    for name in options:
        if any(name in row.options for row in rows):
            continue
        if any(name in row.flags for row in rows):
            raise UserError(f"--aux_kwargs has {name!r}, which has a flag of its own; give it as --{name}")
        raise UserError(f"--aux_kwargs has {name!r}, but {_take(rows)}")


def check_labels(aux: str, mining: str, options: Mapping[str, Any], multi_label: bool) -> None:
    """Check that a loss can tell rows apart that have several labels each, or one.

    Raises:
        UserError: a loss or a mining of rows with one label, for others; `overlap` where rows have one.
    """
    if not multi_label:
        if options.get("overlap", OVERLAPS[0]) != OVERLAPS[0]:
            raise UserError(
                f"--aux_kwargs has overlap {options['overlap']!r}, but these rows have one label each; leave it out"
            )
    elif aux.startswith(PREFIX):
        known = ", ".join(name for name in AUXILIARY_LOSSES if name != "none")
        raise UserError(f"--aux {aux} compares rows with one label each, but these have several; take {known}")
    elif mining not in MININGS_OF_SETS and "mining" in capability(aux).flags:
        raise UserError(
            f"--mining is {mining}, but of rows with several labels two are alike and unlike in part; allowed: "
            f"{', '.join(MININGS_OF_SETS)}"
        )


def counted(aux: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of arguments by name, those that count under a loss: all that no loss takes, and what this one takes.

    Of the arguments of the classifier's loss, those that its own form takes.
    """
    options = settings.get("aux_kwargs")
    row = capability(aux, options)
    taken = {name: value for name, value in settings.items() if name not in AUX_FLAGS or name in row.flags}
    kept = {name: value for name, value in taken.items() if counts_under(name, settings)}
    if isinstance(options, dict) and "aux_kwargs" in kept:
        kept["aux_kwargs"] = {name: value for name, value in options.items() if name in row.options} or None
    return kept


def _take(rows: Sequence[Capability]) -> str:
    """What the losses of a check take, as the end of a sentence that names what they don't."""
    if all(row.loss_class is None for row in rows):
        return "it needs an auxiliary loss: add --aux contrastive, triplet, supcon or pml:NAME, or leave it out"
    if len(rows) > 1:
        return f"none of the losses {', '.join(row.name for row in rows)} takes it; leave it out"
    [row] = rows
    flags = ", ".join(f"--{name}" for name in row.flags if name != "aux_kwargs")
    options = f", and in --aux_kwargs {', '.join(row.options)}" if row.options else ""
    return f"the {row.name} loss does not take it; it takes {flags}{options}; leave it out"
