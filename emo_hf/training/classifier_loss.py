"""The loss of the classifier as the arguments name it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.arguments.promises import check_promised_rows
from emo_hf.errors import UserError
from emo_hf.evaluation.thresholds import THRESHOLDS
from emo_hf.losses.capabilities import check_labels
from emo_hf.losses.classification import (
    CHOICES,
    OF_ONE_VALUE,
    ClassificationLoss,
    LabelSetLoss,
    check_names,
    check_of_one_label,
    counts_under,
)
from emo_hf.storage.record import PLAIN_LOSSES

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


def check_labels_a_row(arguments: MetricTrainingArguments, multi_label: bool) -> None:
    """Check what counts with one label a row alone, or with several.

    Raises:
        UserError: such an argument with the others' rows; as `check_labels`.
    """
    options = arguments.aux_kwargs if isinstance(arguments.aux_kwargs, dict) else {}
    check_labels(arguments.aux, arguments.mining, options, multi_label)
    check_promised_rows(arguments, multi_label)
    if arguments.thresholds not in THRESHOLDS:
        raise UserError(f"--thresholds is {arguments.thresholds!r}; allowed: {', '.join(THRESHOLDS)}")
    if multi_label:
        smoothing, usual = arguments.label_smoothing_factor, _usual("label_smoothing_factor")
        if smoothing not in (0.0, usual):
            raise UserError(
                f"--label_smoothing_factor is {smoothing}, but these rows have several labels each, and smoothing "
                "would put a little of every label on every row; leave it out"
            )
    elif arguments.thresholds != _usual("thresholds"):
        raise UserError(
            f"--thresholds is {arguments.thresholds}, but these rows have one label each, the likeliest; leave it out"
        )
    else:
        check_of_one_label(arguments.classification_loss)


def classification_loss(
    arguments: MetricTrainingArguments, labels: np.ndarray, classes: int
) -> ClassificationLoss | LabelSetLoss | None:
    """The loss for training rows with labels (N,), or sets of them (N, C); None where it is the model's own.

    It stands in the place of Trainer's smoother of labels, which would stand in its own. Sets are not smoothed.

    Raises:
        UserError: as `ClassificationLoss`.
    """
    options: dict[str, Any] = {
        "kind": arguments.classification_loss,
        "class_weights": arguments.class_weights,
        "focal_gamma": arguments.focal_gamma,
        "logit_adjustment": arguments.logit_adjustment,
        "effective_beta": arguments.effective_beta,
    }
    own = differing(vars(arguments))
    if labels.ndim == 2:
        options |= {"asymmetric_gamma": arguments.asymmetric_gamma, "asymmetric_clip": arguments.asymmetric_clip}
        counts = labels.sum(0).tolist()
        return LabelSetLoss(counts, len(labels), **options).to(arguments.device) if own else None
    if not own and not arguments.label_smoothing_factor:
        return None
    counts = np.bincount(labels, minlength=classes).tolist()
    return ClassificationLoss(counts, **options, smoothing=arguments.label_smoothing_factor).to(arguments.device)


def _usual(name: str) -> Any:
    return MetricTrainingArguments.__dataclass_fields__[name].default


def differing(training: Mapping[str, Any]) -> dict[str, Any]:
    """Of training arguments by name, what makes the classifier's loss another than plain cross-entropy."""
    chosen = [name for name, (usual, *_) in CHOICES.items() if training.get(name, usual) != usual]
    chosen += [name for name in OF_ONE_VALUE if name in training and counts_under(name, training)]
    return {name: training[name] for name in chosen}


def loss_of_sets(training: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of a run on sets of labels says of the classifier's loss; the plain one has a name too."""
    return {"classification_loss": PLAIN_LOSSES[1]} | differing(training)
