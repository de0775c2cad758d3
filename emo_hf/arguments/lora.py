"""The words of `--lora`: how an encoder is trained by low-rank adapters, and what they may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emo_hf.arguments.bounds import Limits
from emo_hf.errors import UserError, nearest

NONE = "none"  # all of the encoder is trained; a value of its own among others that are varied
ALL_LINEAR = "all-linear"
PRECISIONS = ("fp32", "bf16")
_LIMITS = {
    "r": Limits(1, 4096),
    "alpha": Limits(0, 10**6, open_low=True),
    "dropout": Limits(0, 1, open_high=True),
}
_KEYS = ("r", "alpha", "dropout", "target", "weights")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adaptation of an encoder's linear layers: W x + (alpha / r) B A x, W frozen (Hu et al. 2021).

    Attributes: r, the rank of the adapters; alpha, of their scale alpha / r; dropout on what goes into them; target,
    the last names of the linear layers that have one, or all-linear; weights, fp32 or bf16, in which the frozen
    encoder is kept while adapters and head are trained in fp32.
    """

    r: int = 16
    alpha: float = 32
    dropout: float = 0.0
    target: tuple[str, ...] = (ALL_LINEAR,)
    weights: str = PRECISIONS[0]

    def summary(self) -> dict[str, Any]:
        """As a record has it."""
        return {key: ",".join(self.target) if key == "target" else getattr(self, key) for key in _KEYS}


def parse_lora(words: Sequence[str] | str | None) -> LoraSettings | None:
    """`["r=16", "target=all-linear"]` to settings; None for none.

    Without alpha it is 2 r: a scale of 2 whatever the rank, so that one learning rate serves every rank. It is what
    Biderman et al. (2024, "LoRA Learns Less and Forgets Less") found best.

    Raises:
        UserError: a word without `=`, an unknown or doubled key, a value that is not allowed.
    """
    found = _split(words)
    if not found:
        return None
    values: dict[str, Any] = {}
    for word in found:
        key, mark, text = word.partition("=")
        if not mark or not text:
            raise UserError(f"--lora {word}: give a key and a value, as in --lora r=16 target={ALL_LINEAR}, or {NONE}")
        if key not in _KEYS:
            near = nearest(key, _KEYS, 0.5)
            hint = f"; did you mean {near}?" if near else ""
            raise UserError(f"--lora {word}: no such key; allowed: {', '.join(_KEYS)}{hint}")
        if key in values:
            raise UserError(f"--lora {key} is given twice; give it once")
        values[key] = _value(key, text)
    values.setdefault("alpha", 2 * values.get("r", LoraSettings.r))
    return LoraSettings(**values)


def checked_words(words: Sequence[str] | str | None) -> list[str] | None:
    """The words one by one, of which `parse_lora` can make settings; None for none."""
    parse_lora(words)
    return _split(words) or None


def _split(words: Sequence[str] | str | None) -> list[str]:
    """The words one by one, though several may stand in one, as in a sweep; none for `none`."""
    found = " ".join([words] if isinstance(words, str) else [str(word) for word in words or ()]).split()
    return [] if found == [NONE] else found


def _value(key: str, text: str) -> Any:
    if key == "target":
        names = tuple(dict.fromkeys(re.split(r"[,+]", text)))  # in a sweep, commas part its values
        if "" in names or (ALL_LINEAR in names and len(names) > 1):
            raise UserError(f"--lora target={text}: give {ALL_LINEAR}, or names of layers as query,value")
        return names
    if key == "weights":
        if text not in PRECISIONS:
            raise UserError(f"--lora weights={text}: allowed: {', '.join(PRECISIONS)}")
        return text
    try:
        number = int(text) if key == "r" else float(text)
    except ValueError:
        number = float("nan")
    if number not in _LIMITS[key]:
        kind = "whole numbers, " if key == "r" else ""
        raise UserError(f"--lora {key}={text}: allowed: {kind}{_LIMITS[key]}")
    return int(number) if number == int(number) and key != "dropout" else number
