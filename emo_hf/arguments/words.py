"""What is said of words of a command line or keys of a file that can't be read."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence


def unknown(key: str, names: Collection[str], flag: bool = False) -> str:
    """What is said of a key or flag that nobody knows, with the nearest one of `names`."""
    bare = key.lstrip("-").split("=")[0]
    near = difflib.get_close_matches(bare.replace("-", "_"), sorted(names), n=1, cutoff=0.5)
    hint = f"; did you mean {'--' if flag else ''}{near[0]}?" if near else "; see --help"
    return f"unknown {'argument' if flag else 'key'} {key!r}{hint}"


def first_undecoded(argv: Sequence[str]) -> str | None:
    """The first word with bytes that are no UTF-8, which no record could hold."""
    return next((word for word in argv if any("\ud800" <= letter <= "\udfff" for letter in word)), None)
