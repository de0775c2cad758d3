"""The names that the ids of a label column stand for, as a file has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emo_hf.data.bad_rows import places
from emo_hf.data.label_names import NO_LABEL, NUMBER, plain, spelling, tidy, words_of_yaml
from emo_hf.data.several import LabelSets
from emo_hf.data.sources.decoding import decode
from emo_hf.errors import UserError, few

_WRITE = "write one name a line, the first that of id 0, or YAML or JSON of a list, or of `id: name`"


def read_id_names(path: str) -> dict[str, str]:
    """The name of each id, in the order of the file.

    A text file has one name a line, the first that of id 0. A YAML or JSON file has such a list, or a mapping of ids
    to names or of names to ids.

    Raises:
        UserError: a file that can't be read or holds something else; two names that are one.
    """
    what = f"--label_names {path}"
    try:
        text, _ = decode(what, Path(path).expanduser().read_bytes())
    except OSError as error:
        raise UserError(f"{what} can't be opened ({error.strerror}); check the path.") from error
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        try:
            content = json.loads(text, parse_int=str, parse_float=str)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{what} is not JSON ({error}); {_WRITE}.") from error
    elif suffix in (".yaml", ".yml"):
        content = words_of_yaml(text, what, _WRITE)
    else:
        content = text.rstrip().splitlines()
    names = _by_id(content, what)
    if len(names) < 2:
        raise UserError(f"{what} names {len(names)} id{'s' * (len(names) != 1)}; at least two are needed: {_WRITE}.")
    seen: dict[str, str] = {}
    for number, name in names.items():
        if not name:
            raise UserError(f"{what}: the name of id {number} is empty; {_WRITE}.")
        if (first := seen.setdefault(spelling(name), number)) != number:
            raise UserError(
                f"{what}: ids {first} and {number} have one name ({few(dict.fromkeys([names[first], name]))}); give "
                "each its own, and join them with --label_map."
            )
    return names


def _by_id(content: Any, what: str) -> dict[str, str]:
    if isinstance(content, list):
        content = dict(enumerate(content))
    pairs = [(tidy(key), value) for key, value in content.items()] if isinstance(content, dict) else []
    if not pairs or not all(isinstance(value, str) for _, value in pairs):
        raise UserError(f"{what} holds no names of ids; {_WRITE}.")
    pairs = [(key, tidy(value)) for key, value in pairs]
    if not all(_is_id(key) for key, _ in pairs):
        pairs = [(value, key) for key, value in pairs]
    if not all(_is_id(key) for key, _ in pairs):
        raise UserError(f"{what} has a name without an id, {few(f'{old}: {new}' for new, old in pairs)}; {_WRITE}.")
    found = {str(int(key)): name for key, name in pairs}
    if len(found) < len(pairs):
        raise UserError(f"{what} gives an id two names; {_WRITE}.")
    return found


def _is_id(word: str) -> bool:
    return word.isascii() and word.isdecimal()


def with_id_names(rows: pd.DataFrame, sets: LabelSets, names: Mapping[str, str], path: str) -> LabelSets:
    """The labels of the rows with names in place of their ids; a label that is one of the names already stays.

    Raises:
        UserError: an id that has no name, or a label that is neither.
    """
    spellings = {spelling(name) for name in names.values()}
    counts = sets.counts()
    found = {typed: names.get(plain(typed) if NUMBER.fullmatch(typed) else typed, "") for typed in counts}
    found |= {typed: typed for typed, name in found.items() if not name and spelling(typed) in spellings}
    unknown = [typed for typed, name in found.items() if not name and typed not in NO_LABEL]
    if unknown:
        first = max(unknown, key=lambda typed: (bool(NUMBER.fullmatch(typed)), counts[typed]))
        where = rows[np.array([first in names_of_row for names_of_row in sets.sets])[sets.codes]]
        others = f", and {few(map(repr, (typed for typed in unknown if typed != first)), 3)}" if unknown[1:] else ""
        numbers = list(names)
        raise UserError(
            f"label {first!r} stands in {counts[first]:,} row{'s' * (counts[first] != 1)} ({places(where)}){others}, "
            f"but --label_names {path} has {len(names):,} names, of the ids {numbers[0]} to {numbers[-1]}; add its "
            "name there, or mend the rows."
        )
    return sets.renamed({typed: name or typed for typed, name in found.items()})
