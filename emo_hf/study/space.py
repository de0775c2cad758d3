"""The space of a search or of tuning: which arguments may vary, between which ends or over which values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from emo_hf.errors import UserError
from emo_hf.losses.capabilities import AUX_FLAGS, capability
from emo_hf.losses.classification import CHOICES, OF_ONE_VALUE, counts_under
from emo_hf.losses.distances import DISTANCES, OF_UNIT_ROWS
from emo_hf.models.pretrained import of_bundled
from emo_hf.study.variations import OPTION, Settings, parse_values, takes

if TYPE_CHECKING:
    from optuna import Trial

# What one trainer can change from trial to trial, beside the options of a loss. Seeds, rows and the choice of a
# checkpoint would change what is measured, and not what is trained; precision and devices are fixed once a process has
# a trainer.
SEARCHABLE = frozenset(
    (
        "encoder", "pooling", "embedding_size", "embedding_dropout", "ngrams", "prefix", "lora", "max_length",
        "aux", *(flag for flag in AUX_FLAGS if flag != "aux_kwargs"),
        *CHOICES, *OF_ONE_VALUE,
        "learning_rate", "lr_scheduler_type", "warmup_steps", "num_train_epochs", "per_device_train_batch_size",
        "gradient_accumulation_steps", "label_smoothing_factor", "weight_decay", "max_grad_norm", "optim",
        "adam_beta1", "adam_beta2", "adam_epsilon", "ngrams_learning_rate",
    )
)  # fmt: skip

# What is varied where no space is given: the one place for the usual ends and values of what a loss takes.
_USUAL_WEIGHTS = "0.03..3"
_USUAL_MARGINS = {True: "0.2..1.6", False: "1..30"}  # among embeddings at length 1, at most 2 apart; and as they are
_USUAL_OPTIONS = {"temperature": "0.03..0.5"}
_BATCH_SIZES = "8,16,32"


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; `log` spreads trials evenly over orders of magnitude."""

    low: float
    high: float
    log: bool
    whole: bool


Dimension = Range | tuple[Any, ...]
Space = Mapping[str, Dimension]


def default_space(
    encoder: str, aux: str, distance: str = DISTANCES[0], revision: str | None = None, *, adapted: bool = False
) -> list[str]:
    """The words of a space for when none is given: the learning rate, and the auxiliary loss if there is one.

    Margins are as large as the `distance` makes sense of, and rates those of adapters (LoRA) if it is `adapted`.
    """
    rates = ["1e-5..1e-4", "1e-4..1e-3"] if not of_bundled(encoder, revision) else ["1e-4..2e-3", "5e-4..5e-3"]
    words = [f"learning_rate={rates[adapted]}"]
    words.append("embedding_dropout=0..0.3")
    flags = capability(aux).flags
    usual = {"aux_weight": _USUAL_WEIGHTS, "margin": _USUAL_MARGINS[distance in OF_UNIT_ROWS]}
    return words + [f"{name}={ends}" for name, ends in usual.items() if name in flags]


def default_tuning(
    encoder: str,
    aux: str,
    distance: str = DISTANCES[0],
    options: Mapping[str, Any] | None = None,
    revision: str | None = None,
    *,
    adapted: bool = False,
) -> list[str]:
    """The words of the space in which a cell is tuned when none is given.

    That of a search, the batch size, and of the loss its mining and options; epochs are no part of it.
    """
    row = capability(aux, options)
    words = [
        *default_space(encoder, aux, distance, revision, adapted=adapted),
        f"per_device_train_batch_size={_BATCH_SIZES}",
    ]
    if "mining" in row.flags:
        words.append(f"mining={','.join(str(row.arguments['mining']).split(', '))}")
    return words + [f"{OPTION}{name}={ends}" for name, ends in _USUAL_OPTIONS.items() if name in row.options]


def parse_space(words: Sequence[str], flag: str = "--space") -> dict[str, Dimension]:
    """`["learning_rate=1e-4..1e-3", "pooling=cls,mean"]` to ranges and tuples of values, by name.

    A range of positive numbers over a decade or more is logarithmic; whole numbers stay whole, epochs too.
    `aux_kwargs.NAME` is an option of the loss, whose values are numbers or words.

    Raises:
        UserError: as `parse_values`; an argument that can't be varied; ends that are no numbers in order.
    """
    space: dict[str, Dimension] = {}
    for word in words:
        name, _, given = word.partition("=")
        low, dots, high = given.partition("..")
        ranged = bool(dots) and _is_number(low) and _is_number(high)
        found = parse_values([f"{name}={low},{high}" if ranged else word], flag)[name]
        if name in space:
            raise UserError(f"{flag} {name} is given twice; give all its values in one word")
        if name not in SEARCHABLE and not name.startswith(OPTION):
            allowed = ", ".join(sorted(SEARCHABLE))
            raise UserError(f"{flag} {name}: a search does not vary it; it can vary {allowed}")
        space[name] = _range(name, word, found, flag) if ranged else tuple(map(_plain, found))
    return space


def ends(dimension: Dimension) -> tuple[Any, ...]:
    """What has to be looked at to know that all of a dimension is allowed."""
    return (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension


def at(dimension: Dimension, place: float) -> Any:
    """The value at a place from 0 to below 1, every value as likely as the next (its logarithm, on such a range).

    Numbers have three digits, so that what is shown is what was trained.
    """
    if not isinstance(dimension, Range):
        return dimension[int(place * len(dimension))]
    low, high = dimension.low, dimension.high + (1 if dimension.whole else 0)
    value = low * (high / low) ** place if dimension.log else low + place * (high - low)
    if dimension.whole:
        return min(int(value), int(dimension.high))
    return min(max(float(f"{value:.3g}"), dimension.low), dimension.high)


def suggest(space: Space, trial: Trial, training: Mapping[str, Any]) -> Settings:
    """The values of a trial; what its losses, its own or else those of `training`, do not take is left out."""
    names = sorted(space, key=lambda name: name not in ("aux", *CHOICES))
    settings: dict[str, Any] = {}
    for name in names:
        together = {**training, **settings}
        if not takes(name, together["aux"], training.get("aux_kwargs")) or not counts_under(name, together):
            continue
        dimension = space[name]
        if not isinstance(dimension, Range):
            settings[name] = trial.suggest_categorical(name, dimension)
        elif dimension.whole:
            settings[name] = trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            settings[name] = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return tuple((name, settings[name]) for name in space if name in settings)


def _range(name: str, word: str, found: Sequence[Any], flag: str) -> Range:
    if not all(isinstance(end, int | float) for end in found):
        raise UserError(f"{flag} {word}: {name} takes words, not a range; give {flag} {name}=A,B")
    if len(found) != 2 or not found[0] < found[1] or not all(map(math.isfinite, found)):
        raise UserError(f"{flag} {word}: the first end of a range must be below the second, both finite")
    low, high = found
    whole = (isinstance(low, int) and not name.startswith(OPTION)) or name == "num_train_epochs"
    if whole and (low != int(low) or high != int(high)):
        raise UserError(f"{flag} {word}: epochs are searched in whole numbers")
    return Range(low, high, log=low > 0 and high >= low * 10 * (1 - 1e-9), whole=whole)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
