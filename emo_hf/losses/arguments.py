"""What an argument of a loss takes: one of some words, a number, or yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from emo_hf.errors import UserError


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def takes(self, value: object) -> bool:
        """Whether `value` is one of the words."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        return ", ".join(self.words)


@dataclass(frozen=True)
class Number:
    """A finite number from 0 on, or above 0."""

    above: bool = False

    def takes(self, value: object) -> bool:
        """Whether `value` is such a number."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = float(value)
        return (number > 0 if self.above else number >= 0) and number < float("inf")

    def __str__(self) -> str:
        return "above 0, finite" if self.above else "0 or more, finite"


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    def takes(self, value: object) -> bool:
        """Whether `value` is `True` or `False`."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true, false"


@dataclass(frozen=True)
class Foreign:
    """What the library takes that the loss comes from, which looks at it itself."""

    def takes(self, value: object) -> bool:
        """Always: the library decides."""
        return True

    def __str__(self) -> str:
        return "as its library has it"


Values = Choice | Number | Switch | Foreign


def check_values(loss: str, arguments: Mapping[str, Values], given: Mapping[str, Any]) -> None:
    """Check the values `given` by name for a loss called `loss`, which takes `arguments`.

    Raises:
        UserError: a value that its argument does not take.
    """
    for name, value in given.items():
        if not arguments[name].takes(value):
            raise UserError(f"{name} of the {loss} loss is {value!r}; allowed: {arguments[name]}")
