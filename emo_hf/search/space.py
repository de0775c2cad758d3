"""The space of a search: which arguments it may vary, between which ends or over which values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from emo_hf.encoders import BUNDLED
from emo_hf.errors import UserError
from emo_hf.losses.capabilities import AUX_FLAGS, capability
from emo_hf.study.variations import Settings, parse_values

if TYPE_CHECKING:
    from optuna import Trial

# What one trainer can change from trial to trial. Seeds, rows and the choice of a checkpoint would change what is
# measured, and not what is trained; precision and devices are fixed once a process has a trainer.
SEARCHABLE = frozenset(
    (
        "encoder", "pooling", "embedding_size", "embedding_dropout", "max_length",
        "aux", *(flag for flag in AUX_FLAGS if flag != "aux_kwargs"),
        "learning_rate", "lr_scheduler_type", "warmup_steps", "num_train_epochs", "per_device_train_batch_size",
        "gradient_accumulation_steps", "label_smoothing_factor", "weight_decay", "max_grad_norm", "optim",
        "adam_beta1", "adam_beta2", "adam_epsilon",
    )
)  # fmt: skip

_USUAL = {"aux_weight": "0.03..3", "margin": "0.2..2"}  # what a search varies of a loss that takes it


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; `log` spreads trials evenly over orders of magnitude."""

    low: float
    high: float
    log: bool
    whole: bool


Dimension = Range | tuple[Any, ...]
Space = Mapping[str, Dimension]


def default_space(encoder: str, aux: str) -> list[str]:
    """The words of a space for when none is given: the learning rate, and the auxiliary loss if there is one."""
    words = ["learning_rate=1e-4..2e-3" if encoder in BUNDLED else "learning_rate=1e-5..1e-4"]
    words.append("embedding_dropout=0..0.3")
    flags = capability(aux).flags
    return words + [f"{name}={ends}" for name, ends in _USUAL.items() if name in flags]


def parse_space(words: Sequence[str]) -> dict[str, Dimension]:
    """`["learning_rate=1e-4..1e-3", "pooling=cls,mean"]` to ranges and tuples of values, by name.

    A range of positive numbers over a decade or more is logarithmic; whole numbers stay whole, epochs too.

    Raises:
        UserError: as `parse_values`; an argument that a search can't vary; ends that are no numbers in order.
    """
    space: dict[str, Dimension] = {}
    for word in words:
        name, _, given = word.partition("=")
        low, dots, high = given.partition("..")
        ranged = bool(dots) and _is_number(low) and _is_number(high)
        found = parse_values([f"{name}={low},{high}" if ranged else word], "--space")[name]
        if name in space:
            raise UserError(f"--space {name} is given twice; give all its values in one word")
        if name not in SEARCHABLE:
            allowed = ", ".join(sorted(SEARCHABLE))
            raise UserError(f"--space {name}: a search does not vary it; it can vary {allowed}")
        space[name] = _range(name, word, found) if ranged else tuple(map(_plain, found))
    return space


def suggest(space: Space, trial: Trial, aux: str, options: Mapping[str, Any] | None = None) -> Settings:
    """The values of a trial; what its auxiliary loss, its own or else `aux`, does not take is left out."""
    names = sorted(space, key=lambda name: name != "aux")
    settings: dict[str, Any] = {}
    for name in names:
        if name in AUX_FLAGS and name not in capability(settings.get("aux", aux), options).flags:
            continue
        dimension = space[name]
        if not isinstance(dimension, Range):
            settings[name] = trial.suggest_categorical(name, dimension)
        elif dimension.whole:
            settings[name] = trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            settings[name] = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return tuple((name, settings[name]) for name in space if name in settings)


def _range(name: str, word: str, ends: Sequence[Any]) -> Range:
    if len(ends) != 2 or not ends[0] < ends[1] or not all(map(math.isfinite, ends)):
        raise UserError(f"--space {word}: the first end of a range must be below the second, both finite")
    low, high = ends
    whole = isinstance(low, int) or name == "num_train_epochs"
    if whole and (low != int(low) or high != int(high)):
        raise UserError(f"--space {word}: epochs are searched in whole numbers")
    return Range(low, high, log=low > 0 and high >= low * 10 * (1 - 1e-9), whole=whole)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
