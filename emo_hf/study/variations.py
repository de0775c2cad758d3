"""What a sweep varies: any argument of a run, by name, over several values."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.errors import UserError

Settings = tuple[tuple[str, Any], ...]

# What only an auxiliary loss has: without one, all its values are one and the same run.
AUX_SETTINGS = frozenset(
    ("aux_weight", "aux_warmup", "aux_kwargs", "aux_pool", "aux_memory", "margin", "distance", "mining")
)
_CLASSES = (ModelArguments, DataArguments, MetricTrainingArguments)
_OWN_AXES = {"encoder": "encoders", "pooling": "poolings", "aux": "aux", "seed": "seeds", "output_dir": "study_dir"}


def parse_over(words: Sequence[str]) -> dict[str, list[Any]]:
    """`["learning_rate=1e-4,3e-4", "margin=0.5,1"]` to values of the right types, by name.

    Raises:
        UserError: as `parse_values`, or a name that the grid varies itself.
    """
    over = parse_values(words, "--over")
    if own := [name for name in over if name in _OWN_AXES]:
        raise UserError(f"--over {own[0]}: the grid varies it; use --{_OWN_AXES[own[0]]}")
    return over


def parse_values(words: Sequence[str], flag: str) -> dict[str, list[Any]]:
    """Words `name=a,b,c` of a flag to values of the arguments' types, by name; a value that comes twice counts once.

    Raises:
        UserError: a word without `=`, an unknown or doubled name, a wrong value.
    """
    found: dict[str, list[Any]] = {}
    for word in words:
        name, mark, values = word.partition("=")
        if not mark or not values:
            raise UserError(f"{flag} {word}: give a name and values, as in {flag} aux_weight=0.1,0.3,1")
        owner = next((cls for cls in _CLASSES if name in {f.name for f in dataclasses.fields(cls) if f.init}), None)
        if owner is None:
            names = [f.name for cls in _CLASSES for f in dataclasses.fields(cls)]
            near = difflib.get_close_matches(name, names, n=1)
            raise UserError(f"{flag} {name}: no such argument" + (f"; did you mean {near[0]}?" if near else ""))
        if name in found:
            raise UserError(f"{flag} {name} is given twice; give all its values in one word, with commas")
        parsed = [_parsed(owner, name, value, flag) for value in values.split(",")]
        if any(isinstance(value, dict | list) for value in parsed):
            raise UserError(
                f"{flag} {name}: it takes numbers and words; of {name}, give each value a study of its own"
            )
        found[name] = list(dict.fromkeys(parsed))
    return found


def combinations(over: Mapping[str, Sequence[Any]], aux: str) -> list[tuple[str, Settings]]:
    """Every combination of values under one auxiliary loss, as (loss, settings) of what is really different.

    A weight of 0 is no auxiliary loss; and without one, its own arguments change nothing.
    """
    found = []
    for values in itertools.product(*over.values()):
        settings = dict(zip(over, values, strict=True))
        real = "none" if settings.get("aux_weight") == 0 else aux
        kept = {k: v for k, v in settings.items() if real != "none" or k not in AUX_SETTINGS}
        found.append((real, tuple(kept.items())))
    return list(dict.fromkeys(found))


def split(settings: Settings) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of the model, of the data, and of the training."""
    parts = []
    for cls in _CLASSES:
        names = {f.name for f in dataclasses.fields(cls)}
        parts.append({name: value for name, value in settings if name in names})
    return parts[0], parts[1], parts[2]


def applied(
    settings: Settings, model: ModelArguments, data: DataArguments, training: dict[str, Any]
) -> tuple[ModelArguments, DataArguments, dict[str, Any]]:
    """The arguments of model and data, and those of the training by name, with the settings in place."""
    of_model, of_data, of_training = split(settings)
    return dataclasses.replace(model, **of_model), dataclasses.replace(data, **of_data), training | of_training


def describe(settings: Settings) -> str:
    """`aux_weight=0.3, margin=1`."""
    return ", ".join(f"{name}={_text(value)}" for name, value in settings)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parsed(owner: type, name: str, value: str, flag: str) -> Any:
    try:
        return getattr(parse_arguments([owner], [f"--{name}={value}"])[0], name)
    except UserError as error:
        raise UserError(f"{flag} {name}: {str(error).removesuffix('; see --help')}") from None
