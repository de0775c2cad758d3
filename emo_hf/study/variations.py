"""What a sweep varies: any argument of a run, by name, over several values."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.lora import NONE
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.errors import UserError, nearest
from emo_hf.losses.capabilities import AUX_FLAGS, capability, check_taken, counted
from emo_hf.losses.classification import counts_under
from emo_hf.training.classifier_loss import check_classification
from emo_hf.training.objective import given_to_losses

Settings = tuple[tuple[str, Any], ...]

OPTION = "aux_kwargs."  # before the name of a single option of a loss, as aux_kwargs.temperature
_CLASSES = (ModelArguments, DataArguments, MetricTrainingArguments)
_OWN_AXES = {
    "encoder": "encoders",
    "init_from": "encoders",
    "pooling": "poolings",
    "aux": "aux",
    "seed": "seeds",
    "output_dir": "study_dir",
}


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
        if owner is None and not name.startswith(OPTION):
            names = [f.name for cls in _CLASSES for f in dataclasses.fields(cls)]
            near = nearest(name, names, 0.6)
            raise UserError(f"{flag} {name}: no such argument" + (f"; did you mean {near}?" if near else ""))
        if name in found:
            raise UserError(f"{flag} {name} is given twice; give all its values in one word, with commas")
        parsed = [_parsed(owner, name, value, flag) if owner else _option(value) for value in values.split(",")]
        if name == "lora":  # all words of a value in one
            parsed = [" ".join(value or [NONE]) for value in parsed]
        if name == "data":  # each value a source of its own
            parsed = [source for (source,) in parsed]
        if any(isinstance(value, dict | list) for value in parsed):
            raise UserError(
                f"{flag} {name}: it takes numbers and words; of {name}, give each value a study of its own"
            )
        found[name] = list(dict.fromkeys(parsed))
    return found


def check_losses(losses: Sequence[str], training: Mapping[str, Any], varied: Mapping[str, Any], flag: str) -> None:
    """Check that what is given to the losses of a grid, or varied, is an argument of one of them at least.

    Args:
        losses: names of the auxiliary losses.
        training: arguments that all runs share, by name.
        varied: arguments that differ from run to run, as `flag` gave them, each with its values.

    Raises:
        UserError: an argument that no loss takes: its values would make one and the same run.
    """
    options = training.get("aux_kwargs")
    for name in varied:
        if not any(takes(name, aux, options) for aux in losses):
            needed = "it needs an auxiliary loss; add one, as triplet, or leave it out"
            none_takes = f"no loss takes it, of {', '.join(losses)}; leave it out"
            raise UserError(f"{flag} {name}: {needed if set(losses) == {'none'} else none_takes}")
    steps = "gradient_accumulation_steps"
    if "aux_pool" in varied and steps not in varied and training.get(steps, 1) == 1:
        raise UserError(f"{flag} aux_pool: without accumulation its values make one and the same run; raise --{steps}")
    check_taken(losses, given_to_losses(training))
    check_classification(training, varied, flag)


def combinations(
    over: Mapping[str, Sequence[Any]], aux: str, training: Mapping[str, Any] | None = None
) -> list[tuple[str, Settings]]:
    """Every combination of values under one auxiliary loss, as (loss, settings) of what is really different.

    A weight of 0 is no auxiliary loss; and values of what the losses do not take make no difference. `training` are
    the arguments that all runs share: of them, `aux_kwargs`, by which a loss of a library may take more or less, and
    the classifier's loss.
    """
    shared = training or {}
    found = []
    for values in itertools.product(*over.values()):
        settings = dict(zip(over, values, strict=True))
        real = "none" if settings.get("aux_weight") == 0 else aux
        kept = [(name, value) for name, value in settings.items() if takes(name, real, shared.get("aux_kwargs"))]
        found.append((real, counting(kept, shared)))
    return list(dict.fromkeys(found))


def counting(settings: Iterable[tuple[str, Any]], training: Mapping[str, Any]) -> Settings:
    """The settings of a run that make a difference to the classifier's loss beside each other and `training`."""
    together = {**training, **dict(settings)}
    return tuple((name, value) for name, value in settings if counts_under(name, together))


def takes(name: str, aux: str, options: Mapping[str, Any] | None = None) -> bool:
    """Whether an argument, or an option `aux_kwargs.NAME`, counts under an auxiliary loss; what no loss has does."""
    row = capability(aux, options)
    if name.startswith(OPTION):
        return name.removeprefix(OPTION) in row.options
    return name not in AUX_FLAGS or name in row.flags


def split(settings: Settings) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of the model, of the data, and of the training."""
    parts = []
    for cls in _CLASSES:
        names = {f.name for f in dataclasses.fields(cls) if f.init}
        parts.append({name: value for name, value in settings if name in names})
    if options := {name.removeprefix(OPTION): value for name, value in settings if name.startswith(OPTION)}:
        parts[2]["aux_kwargs"] = options
    return parts[0], parts[1], parts[2]


def joined(training: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a training with others in their place; of `aux_kwargs` each option by itself."""
    together = {**training, **more}
    if isinstance(more.get("aux_kwargs"), dict):
        together["aux_kwargs"] = {**(training.get("aux_kwargs") or {}), **more["aux_kwargs"]}
    return together


def applied(
    settings: Settings, model: ModelArguments, data: DataArguments, training: dict[str, Any]
) -> tuple[ModelArguments, DataArguments, dict[str, Any]]:
    """The arguments of model and data, and those of the training by name, with the settings in place.

    Of what all runs share, only what the loss of this one takes counts.
    """
    of_model, of_data, of_training = split(settings)
    together = joined(training, of_training)
    taken = counted(together.get("aux", "none"), together)
    return dataclasses.replace(model, **of_model), dataclasses.replace(data, **of_data), taken


def describe(settings: Settings) -> str:
    """`aux_weight=0.3, margin=1`."""
    return ", ".join(f"{name}={_text(value)}" for name, value in settings)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _option(text: str) -> Any:
    """A value of an option: a number, true or false as JSON has them; all else is a word."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int | float) else text


def _parsed(owner: type, name: str, value: str, flag: str) -> Any:
    try:
        return getattr(parse_arguments([owner], [f"--{name}={value}"])[0], name)
    except UserError as error:
        raise UserError(f"{flag} {name}: {str(error).removesuffix('; see --help')}") from None
