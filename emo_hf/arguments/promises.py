"""What a run is to say of its own answers: how sure they are, and when it gives none."""

from __future__ import annotations

from dataclasses import dataclass, field

from emo_hf.errors import UserError
from emo_hf.evaluation.temperature import CALIBRATIONS


@dataclass
class PromiseArguments:
    """What is done with validation rows after the training."""

    calibration: str = field(
        default="temperature",
        metadata={"help": "divide the logits by what makes their probabilities right on validation rows, or none"},
    )


def check_promises(arguments: PromiseArguments) -> None:
    """Raise `UserError` for a word that is none."""
    if arguments.calibration not in CALIBRATIONS:
        raise UserError(f"--calibration is {arguments.calibration!r}; allowed: {', '.join(CALIBRATIONS)}")
