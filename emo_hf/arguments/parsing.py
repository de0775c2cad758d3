"""From a YAML file and the command line to dataclasses of arguments; unknown keys are errors."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from transformers import HfArgumentParser

from emo_hf.arguments.config_file import read_config
from emo_hf.arguments.help import asked_for_help, help_text
from emo_hf.arguments.words import first_undecoded, unknown
from emo_hf.errors import UserError

# What one recipe alone takes, so that its file, given to another, is named for what it is.
OWN_KEYS = {
    "compare.py": frozenset(
        ("encoders", "poolings", "seeds", "over", "tune", "tune_space", "study_dir", "jobs", "backend", "scheduler",
         "lang", "umap", "map_label", "equal_within", "report_only")
    ),
    "search.py": frozenset(("space", "trials", "search_dir")),
    "train.py": frozenset(("from_record",)),
    "transfer.py": frozenset(("sources", "targets", "rows", "row_epochs")),
}  # fmt: skip


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
    partial: bool = False,
    others: Sequence[type] = (),
    description: str | None = None,
) -> tuple[Any, ...]:
    """Fill the dataclasses from `--config FILE.yaml` (or `settings`, its content) and the command line, which wins.

    With `partial`, what belongs to none of the classes comes back as the last two elements, the words of the command
    line and the settings, for another call; else it is an error. Where `others`, the classes of that call, are named,
    `--help` prints the help of all and ends, and what belongs to none of all is an error at once.

    Raises:
        UserError: unreadable YAML, unknown key or flag (with the nearest valid one), or a value of the wrong type.
    """
    if undecoded := first_undecoded(argv):
        raise UserError(f"argument {undecoded!r} is not UTF-8, and no record could hold it; rename the file or folder")
    if asked_for_help(argv) and (others or not partial):
        sys.stdout.write(help_text([*classes, *others], argv, description))
        raise SystemExit(0)
    types: Any = tuple(classes)  # for the parser they are a type of their own
    parser = _Parser(types, allow_abbrev=False, add_help=False)
    parser.add_argument("--config", help="YAML file with defaults for these arguments")
    names = _names(classes)
    path = _config_path(argv)
    if settings is None:
        settings = read_config(path) if path else {}
    foreign = {key: value for key, value in settings.items() if key not in names}
    if not partial or others:
        _check_keys(foreign, path, names | _names(others))
    words = [word for key, value in settings.items() if key in names for word in _words(parser, key, value, path)]
    *filled, _, remaining = parser.parse_args_into_dataclasses(
        args=[*words, *_without_config(argv)], return_remaining_strings=True, look_for_args_file=False
    )
    if others:
        _check_flags(remaining, names | _names(others))
    if partial:
        return (*filled, [*(["--config", path] if path else []), *remaining], foreign)  # the file, to be named
    if remaining:
        raise UserError(unknown(remaining[0], names, flag=True))
    return tuple(filled)


def _names(classes: Sequence[type]) -> set[str]:
    return {f.name for cls in classes for f in dataclasses.fields(cls) if f.init}


def _check_keys(keys: Collection[str], path: str | None, names: set[str]) -> None:
    """Raise for a key that is none of `names`; the file of another recipe is named as such."""
    if not (strange := [key for key in keys if key not in names]):
        return
    for recipe, own in OWN_KEYS.items():
        if path and (key := next((key for key in strange if key in own), None)):
            raise UserError(f"{path} is for {recipe} (its key {key!r}); run: python recipes/{recipe} --config {path}")
    raise UserError(f"{path or '--config'}: {unknown(strange[0], names)}")


def _check_flags(words: Sequence[str], names: set[str]) -> None:
    """Raise for a flag that is none of `names`, nor `--no_NAME` of one."""
    for word in words:
        flag = word.removeprefix("--").split("=")[0].replace("-", "_")
        if word.startswith("--") and flag.removeprefix("no_") not in names:
            raise UserError(unknown(word, names, flag=True))


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
