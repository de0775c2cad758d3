"""From a YAML file and the command line to dataclasses of arguments; unknown keys are errors."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from transformers import HfArgumentParser

from emo_hf.arguments.config_file import read_config
from emo_hf.errors import UserError


class _Parser(HfArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse names both spellings of a flag, `--max_length/--max-length`
        message = re.sub(r"(--[a-z0-9_]+)/--[a-z0-9-]+", r"\1", message)
        raise UserError(f"{message}; see --help")


def parse_arguments(
    classes: Sequence[type],
    argv: Sequence[str],
    *,
    settings: dict[str, Any] | None = None,
    description: str = "",
    partial: bool = False,
) -> tuple[Any, ...]:
    """Fill the dataclasses from `--config FILE.yaml` (or `settings`, its content) and the command line, which wins.

    With `partial`, what belongs to none of the classes comes back as the last two elements, the words of the command
    line and the settings, for another call; else it is an error.

    Raises:
        UserError: unreadable YAML, unknown key or flag (with the nearest valid one), or a value of the wrong type.
    """
    if undecoded := next((word for word in argv if not word.isprintable() and _is_undecoded(word)), None):
        raise UserError(f"argument {undecoded!r} is not UTF-8, and no record could hold it; rename the file or folder")
    parser = _Parser(tuple(classes), description=description, allow_abbrev=False, add_help=not partial)
    parser.add_argument("--config", help="YAML file with defaults for these arguments")
    names = {f.name for cls in classes for f in dataclasses.fields(cls) if f.init}
    path = _config_path(argv)
    if settings is None:
        settings = read_config(path) if path else {}
    foreign = {key: value for key, value in settings.items() if key not in names}
    if foreign and not partial:
        raise UserError(f"{path or '--config'}: {_unknown(next(iter(foreign)), names)}")
    words = [word for key, value in settings.items() if key in names for word in _words(parser, key, value, path)]
    *filled, _, remaining = parser.parse_args_into_dataclasses(
        args=[*words, *_without_config(argv)], return_remaining_strings=True, look_for_args_file=False
    )
    if partial:
        if "--help" in argv or "-h" in argv:
            parser.print_help()
        return (*filled, [*(["--config", path] if path else []), *remaining], foreign)  # the file, to be named
    if remaining:
        raise UserError(_unknown(remaining[0], names, flag=True))
    return tuple(filled)


def _is_undecoded(word: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in word)


def named(argv: Sequence[str]) -> set[str]:
    """The arguments that a command line or its config file gives a value, by name."""
    path = _config_path(argv)
    flags = {word.removeprefix("--").split("=")[0].replace("-", "_") for word in argv if word.startswith("--")}
    return flags | {key for key, value in (read_config(path) if path else {}).items() if value is not None}


def _config_path(argv: Sequence[str]) -> str | None:
    for index, word in enumerate(argv):
        if word == "--config" and index + 1 < len(argv):
            return argv[index + 1]
        if word.startswith("--config="):
            return word.removeprefix("--config=")
    return None


def _without_config(argv: Sequence[str]) -> list[str]:
    words, skip = [], False
    for word in argv:
        if skip:
            skip = False
        elif word == "--config":
            skip = True
        elif not word.startswith("--config="):
            words.append(word)
    return words


def _words(parser: _Parser, key: str, value: Any, path: str | None) -> list[str]:
    """A setting as the command line has it, so that one check of its type serves both; null leaves the default."""
    if value is None:
        return []
    if isinstance(value, list):
        words = [f"--{key}", *map(str, value)]
    else:
        words = [f"--{key}={json.dumps(value) if isinstance(value, dict) else value}"]
    where = f"{path or '--config'}: "
    try:
        _, left = parser.parse_known_args(words)
    except UserError as error:
        raise UserError(where + str(error).removesuffix("; see --help")) from None
    if left:
        raise UserError(f"{where}{key} takes one value, but a list of {len(value)} is given")
    return words


def _unknown(key: str, names: set[str], flag: bool = False) -> str:
    bare = key.lstrip("-").split("=")[0]
    near = difflib.get_close_matches(bare, sorted(names), n=1, cutoff=0.5)
    hint = f"; did you mean {'--' if flag else ''}{near[0]}?" if near else "; see --help"
    return f"unknown {'argument' if flag else 'key'} {key!r}{hint}"
