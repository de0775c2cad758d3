"""What a run is to say of its own answers: how sure they are, and when it gives none, or several."""

from __future__ import annotations

from dataclasses import dataclass, field

from emo_hf.errors import UserError

CALIBRATIONS = ("temperature", "none")
SETS = ("adaptive", "split", "class")


@dataclass
class PromiseArguments:
    """What is done with validation rows after the training."""

    calibration: str = field(
        default="temperature",
        metadata={"help": "how probabilities are put right after training, or none"},
    )
    max_error: float | None = field(
        default=None, metadata={"help": "promise at most this share of errors; where unsure the answer is 모름"}
    )
    coverage: float | None = field(
        default=None, metadata={"help": "promise sets of labels that hold the right one in at least this share"}
    )
    coverage_sets: str = field(
        default="adaptive", metadata={"help": "how those sets are made: adaptive, split or class"}
    )

    @property
    def promising(self) -> bool:
        """Whether a half of the validation rows is kept for a promise."""
        return self.max_error is not None or self.coverage is not None


def check_promises(arguments: PromiseArguments) -> None:
    """Raise `UserError` for a word that is none, or one that nothing asks for."""
    for name, allowed in (("calibration", CALIBRATIONS), ("coverage_sets", SETS)):
        if (given := getattr(arguments, name)) not in allowed:
            raise UserError(f"--{name} is {given!r}; allowed: {', '.join(allowed)}")
    if arguments.coverage is None and arguments.coverage_sets != SETS[0]:
        raise UserError(
            f"--coverage_sets is {arguments.coverage_sets}, but no sets are asked for; add --coverage 0.9, or leave it"
        )


def check_promised_rows(arguments: PromiseArguments, multi_label: bool) -> None:
    """Raise `UserError` for a promise about rows with several labels each."""
    if multi_label and arguments.promising:
        name = "max_error" if arguments.max_error is not None else "coverage"
        raise UserError(
            f"--{name} is {getattr(arguments, name)}, but these rows have several labels each, and it promises "
            "something of one answer a row; leave it out: their thresholds and calibrated probabilities stay"
        )
