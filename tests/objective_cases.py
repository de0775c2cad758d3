"""Every auxiliary loss × mining × pool × memory: what the product of the options holds, and what each needs."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import torch

from emo_hf.losses.capabilities import CAPABILITIES, capability
from emo_hf.training.objective import AUX_DEFAULTS, AuxiliaryObjective, auxiliary_loss

POOLS = ("batch", "accumulated")
MEMORIES = (0, 20)
MININGS = ("all", "semi-hard", "hard", "sampled")
LIBRARY = (
    "pml:ContrastiveLoss", "pml:TripletMarginLoss", "pml:NTXentLoss", "pml:SupConLoss", "pml:ProxyAnchorLoss",
    "pml:ArcFaceLoss",
)  # fmt: skip

Case = tuple[str, str, str, int]
PRODUCT: list[Case] = list(itertools.product((*CAPABILITIES, *LIBRARY), MININGS, POOLS, MEMORIES))


def works(case: Case) -> bool:
    """Whether the table says that a combination works; any other is refused."""
    aux, mining, pool, memory = case
    row = capability(aux)
    return (
        (mining == "all" or ("mining" in row.flags and row.arguments["mining"].takes(mining)))
        and (pool == "batch" or row.accumulated)
        and (not memory or row.memory)
    )


def arguments(case: Case, micro_batches: int, **more: Any) -> SimpleNamespace:
    """What an objective reads of the arguments of a training."""
    aux, mining, pool, memory = case
    given = {"aux": aux, "mining": mining, "aux_pool": pool, "aux_memory": memory, "seed": 3, **more}
    place = {"device": torch.device("cpu"), "gradient_accumulation_steps": micro_batches}
    return SimpleNamespace(**AUX_DEFAULTS | given | place)


def objective(case: Case, classes: int, size: int, micro_batches: int, **more: Any) -> AuxiliaryObjective | None:
    """The objective of a case in float64, its parameters always drawn alike."""
    torch.manual_seed(4)
    given = arguments(case, micro_batches, **more)
    loss = auxiliary_loss(given, num_classes=classes, embedding_size=size)
    return None if loss is None else AuxiliaryObjective(loss, given, torch.float64)
