"""Which numbers an argument takes: told before anything runs, not by the library that meets them an hour later."""

from __future__ import annotations

import argparse
import dataclasses
import math
from typing import Any, NamedTuple

from emo_hf.errors import UserError

SEED = 2**32 - 1  # what numpy takes
LARGEST = 1e38  # what fp32 holds
COUNT = 10**9


class Limits(NamedTuple):
    """From `low` to `high`, either of them itself taken unless it is open."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        above = self.low < value if self.open_low else self.low <= value
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        """`0 to 1`, `above 0 to 1`, `0 to below 1`."""
        return f"{'above ' * self.open_low}{_short(self.low)} to {'below ' * self.open_high}{_short(self.high)}"


_SHARE = Limits(0, 1, open_high=True)
_STEPS = Limits(0, COUNT)
LIMITS = {
    "embedding_size": Limits(1, 2**16),
    "embedding_dropout": _SHARE,
    "ngrams": Limits(0, 16),
    "max_length": Limits(1, COUNT),
    "drop_labels_below": Limits(1, COUNT),
    "validation_size": _SHARE,
    "test_size": _SHARE,
    "split_seed": Limits(0, SEED),
    "train_fraction": Limits(0, 1, open_low=True),
    "shots": Limits(1, COUNT),
    "shots_seed": Limits(0, SEED),
    "num_train_epochs": Limits(0, 10**6, open_low=True),
    "max_steps": Limits(-1, COUNT),  # -1: as many as the epochs have
    "per_device_train_batch_size": Limits(1, 2**20),
    "per_device_eval_batch_size": Limits(1, 2**20),
    "tokens_per_batch": Limits(0, COUNT),
    "gradient_accumulation_steps": Limits(1, 2**20),
    "eval_accumulation_steps": Limits(1, COUNT),
    "learning_rate": Limits(0, LARGEST),
    "ngrams_learning_rate": Limits(0, LARGEST),
    "label_smoothing_factor": _SHARE,
    "warmup_steps": _STEPS,
    "weight_decay": Limits(0, LARGEST),
    "adam_beta1": _SHARE,
    "adam_beta2": _SHARE,
    "adam_epsilon": Limits(0, 1, open_low=True),
    "max_grad_norm": Limits(0, LARGEST),
    "neftune_noise_alpha": Limits(0, 10**6),
    "torch_empty_cache_steps": Limits(1, COUNT),
    "logging_steps": _STEPS,
    "eval_steps": _STEPS,
    "save_steps": _STEPS,
    "eval_delay": _STEPS,
    "save_total_limit": Limits(1, COUNT),
    "seed": Limits(0, SEED),
    "data_seed": Limits(0, SEED),
    "dataloader_num_workers": Limits(0, 1024),
    "dataloader_prefetch_factor": Limits(1, 1024),
    "ddp_bucket_cap_mb": Limits(1, 10**6),
    "ddp_timeout": Limits(1, COUNT),
    "focal_gamma": Limits(0, 100),
    "logit_adjustment": Limits(0, 100),
    "effective_beta": _SHARE,
    "asymmetric_gamma": Limits(0, 100),
    "asymmetric_clip": _SHARE,
    "r_drop": Limits(0, 10**6),
    "max_error": Limits(0, 1, open_low=True, open_high=True),
    "coverage": Limits(0, 1, open_low=True, open_high=True),
    "aux_weight": Limits(0, 10**6),
    "aux_warmup": _STEPS,
    "aux_memory": Limits(0, 2**24),
    "margin": Limits(0, 10**6),
    "early_stopping_patience": Limits(1, COUNT),
    "seeds": Limits(0, SEED),
    "jobs": Limits(1, 1024),
    "equal_within": Limits(0, 100, open_low=True),
    "trials": Limits(1, COUNT),
    "tune": Limits(2, 10**4),  # the first draw tunes nothing
    "batch_size": Limits(1, 2**20),
    "rows": Limits(0, COUNT),
    "row_epochs": Limits(0, 10**6, open_low=True),
    "temperature": Limits(0, 100, open_low=True),
    "embedding_weight": Limits(0, 10**6),
    "distill_epochs": Limits(0, 10**6, open_low=True),
    "distill_batch_size": Limits(1, 2**20),
    "distill_learning_rate": Limits(0, LARGEST),
}


def check_numbers(arguments: Any) -> None:
    """Look at every number of a dataclass of arguments.

    Raises:
        UserError: one that is not finite, or beyond its argument's limits.
    """
    for field in dataclasses.fields(arguments):
        values = getattr(arguments, field.name, None)
        for value in values if isinstance(values, list) else [values]:
            check_number(field.name, value)


def check_number(name: str, value: Any) -> None:
    """As `check_numbers`, for one value; what is no number is left to others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    limits = LIMITS.get(name)
    if math.isfinite(value) if limits is None else value in limits:  # a NaN is in no limits
        return
    raise UserError(f"--{name} is {value}; allowed: {'any finite number' if limits is None else limits}")


def check_few_rows(shots: int | None, train_fraction: float) -> None:
    """Raise UserError for a number of rows a label and a share of them at once."""
    if shots is not None and train_fraction != 1:
        raise UserError(
            f"--shots {shots} and --train_fraction {train_fraction:g} both say how many rows to train on; give one"
        )


def _short(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def positive(text: str) -> int:
    """A whole number from 1 on, as the `type` of an argument of argparse."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)
