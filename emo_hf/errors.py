"""The one exception that stands for a mistake in the user's input."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from emo_hf.redaction import redacted

_LONGEST = 1600
# What a terminal would obey or a line would end with: control characters, bidirectional overrides, halves of pairs.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class UserError(ValueError):
    """A mistake in a file or an argument, said in one line: what is wrong, where, what is allowed, what to do.

    Recipes print its message and exit with status 2; a traceback would only hide it. Whatever a file holds, the
    message stays one line of readable length, steers no terminal and names no secret.
    """

    def __init__(self, message: object = ""):
        super().__init__(one_line(redacted(str(message))))


def first_line(error: BaseException) -> str:
    """The first line of what a foreign error says, or its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def few(names: Iterable[str], shown: int = 10, count: int | None = None) -> str:
    """The first of some names, and how many there are more: `a, b and 3 more`; of `count`, if not all are given."""
    given = list(names)
    more = (len(given) if count is None else count) - len(given[:shown])
    return ", ".join(given[:shown]) + (f" and {more:,} more" if more > 0 else "")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The most similar of the known names, if one is similar at all."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def one_line(text: str) -> str:
    """A text in one line, as `visible`, a long middle cut."""
    text = visible(text.strip())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 600]} … {text[-600:]}"


def visible(text: str) -> str:
    """Line breaks and tabs as spaces, other control characters as escapes, so that a terminal shows all of a text."""
    text = re.sub(r"[\t\n\r]+", " ", text)
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
