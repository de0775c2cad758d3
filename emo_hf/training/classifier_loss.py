"""The loss of the classifier as the arguments name it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.errors import UserError
from emo_hf.losses.classification import CHOICES, OF_ONE_VALUE, ClassificationLoss, check_names, counts_under

NAMES = (*CHOICES, *OF_ONE_VALUE)
# The arguments of the classifier's loss, as they are where nothing is said.
CLASSIFIER_DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(MetricTrainingArguments) if field.name in NAMES
}


def check_classification(training: Mapping[str, Any], varied: Mapping[str, Any] | None = None, flag: str = "") -> None:
    """Check the arguments of the classifier's loss, by name, that one run or all runs of a grid have.

    Args:
        training: what is given; defaults are left aside.
        varied: arguments that differ from run to run, as `flag` gave them, each with its values.

    Raises:
        UserError: an unknown name; an argument that counts under none of the runs.
    """
    check_names(training)
    varied = varied or {}
    given = [name for name in OF_ONE_VALUE if training.get(name, usual := CLASSIFIER_DEFAULTS[name]) != usual]
    for name in dict.fromkeys([*given, *(name for name in varied if name in OF_ONE_VALUE)]):
        owner, value = OF_ONE_VALUE[name]
        if value in varied[owner] if owner in varied else counts_under(name, training):
            continue
        said = f"{flag} {name}" if name in varied else f"--{name} is {training[name]}"
        raise UserError(f"{said}, but it counts with --{owner} {value} alone; add that, or leave it out")


def classification_loss(arguments: MetricTrainingArguments, counts: Sequence[int]) -> ClassificationLoss | None:
    """The loss for training rows of which `counts` (C,) are of each class; None for plain cross-entropy.

    It stands in the place of Trainer's smoother of labels, which would stand in its own.

    Raises:
        UserError: as `ClassificationLoss`.
    """
    if not differing(vars(arguments)) and not arguments.label_smoothing_factor:
        return None
    return ClassificationLoss(
        counts,
        kind=arguments.classification_loss,
        class_weights=arguments.class_weights,
        focal_gamma=arguments.focal_gamma,
        logit_adjustment=arguments.logit_adjustment,
        effective_beta=arguments.effective_beta,
        smoothing=arguments.label_smoothing_factor,
    ).to(arguments.device)


def differing(training: Mapping[str, Any]) -> dict[str, Any]:
    """Of training arguments by name, what makes the classifier's loss another than plain cross-entropy."""
    chosen = [name for name, (usual, *_) in CHOICES.items() if training.get(name, usual) != usual]
    chosen += [name for name in OF_ONE_VALUE if name in training and counts_under(name, training)]
    return {name: training[name] for name in chosen}
