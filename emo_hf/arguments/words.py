"""Words of a command line without a dataclass, and what is said of words and keys that nobody knows."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import NoReturn

from emo_hf.errors import UserError, nearest


class CommandParser(argparse.ArgumentParser):
    """argparse's parser with a recipe's docstring as its help; what it can't parse is a `UserError`."""

    def __init__(self, description: str | None):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def parse_words(self, argv: Sequence[str]) -> argparse.Namespace:
        """The values of the command line's words; raises `UserError`."""
        if undecoded := first_undecoded(argv):
            raise UserError(f"argument {undecoded!r} is not UTF-8; rename the file, or write the text as UTF-8")
        found, left = self.parse_known_intermixed_args(list(argv))  # options may stand before the last words
        if left:
            names = [flag.lstrip("-") for action in self._actions for flag in action.option_strings]
            raise UserError(unknown(left[0], names, flag=True))
        return found

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`, in place of a page of usage."""
        raise UserError(f"{message}; see --help")


def unknown(key: str, names: Collection[str], flag: bool = False) -> str:
    """What is said of a key or flag that nobody knows, with the nearest one of `names`."""
    bare = key.lstrip("-").split("=")[0]
    near = nearest(bare.replace("-", "_"), sorted(names))
    hint = f"; did you mean {'--' if flag else ''}{near}?" if near else "; see --help"
    return f"unknown {'argument' if flag else 'key'} {key!r}{hint}"


def first_undecoded(argv: Sequence[str]) -> str | None:
    """The first word with bytes that are no UTF-8, which no record could hold."""
    return next((word for word in argv if any("\ud800" <= letter <= "\udfff" for letter in word)), None)
