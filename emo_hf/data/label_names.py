"""From labels as they are typed to the names of classes: renamed, joined, and one name whatever its spelling."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from emo_hf.data.taxonomy import find_emotion
from emo_hf.data.text import FORMATS, MISSING
from emo_hf.errors import UserError, few, first_line, nearest

_UNSEEN = re.compile(rf"[\s{FORMATS}]+")
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
# What says that there is no label, as pandas, databases and spreadsheets write it: a class where a user names it so.
# In lower case "none" may well be one, and so may "NA", as of negative affect.
NO_LABEL = (*MISSING, "NULL", "Null", "null", "N/A", "n/a", "#N/A")

Renaming = tuple[tuple[str, str], ...]  # (old, new), where a name holds "=" one for each way to read it


@lru_cache(maxsize=65_536)
def spelling(name: str) -> str:
    """What names have in common that differ by case, width, blanks, or as AI Hub writes them."""
    if emotion := find_emotion(name):
        return emotion.label
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", name)).casefold()


def read_label_map(given: Sequence[str] | Mapping[str, str] | None) -> list[Renaming]:
    """What `label_map` renames: `old=new` words, a YAML file of `old: new` or `new: [old, old]`, or a mapping.

    Raises:
        UserError: a word without "=", an empty name, a file that can't be read or holds something else.
    """
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [((tidy(old), tidy(new)),) for old, new in given.items()]
    found: list[Renaming] = []
    for word in itertools.chain.from_iterable(map(_words, given)):
        if Path(word).suffix.lower() in (".yaml", ".yml") and "=" not in Path(word).name:
            found += _read_file(Path(word))
            continue
        places = [place for place, character in enumerate(word) if character == "="]
        ways = [(tidy(word[:place]), tidy(word[place + 1 :])) for place in places]
        if not (ways := [(old, new) for old, new in ways if old and new]):
            raise UserError(
                f"--label_map {word!r} renames nothing; write old=new, as 0=부정 1=긍정, or name a YAML file of such."
            )
        found.append(tuple(ways))
    return found


def _words(word: str) -> list[str]:
    """What commas part, where each part renames something: `0=부정,1=긍정`; a name may hold a comma too."""
    parts = word.split(",")
    return parts if all("=" in part for part in parts) else [word]


class _Loader(yaml.BaseLoader):
    """PyYAML's loader of strings, as all that stands there is a name: others read `no` and `0` as something else."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):  # PyYAML itself would take the last
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return found


def words_of_yaml(text: str, what: str, way_out: str) -> Any:
    """What YAML holds, all of its words as they are written.

    Raises:
        UserError: text that is no YAML, or names a key twice; `what` it is of, and a `way_out`, stand in its line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "problem", None) or first_line(error)
        raise UserError(f"{what} is not YAML ({reason}); {way_out}.") from error


def _read_file(path: Path) -> list[Renaming]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"--label_map {path} can't be opened ({error.strerror}); check the path.") from error
    except UnicodeError as error:
        raise UserError(f"--label_map {path} is not YAML ({first_line(error)}); write lines as `old: new`.") from error
    content = words_of_yaml(text, f"--label_map {path}", "write lines as `old: new`")
    pairs: list[Renaming] = []
    for key, value in content.items() if isinstance(content, dict) else [("", "")]:
        olds = [(old, key) for old in value] if isinstance(value, list) else [(key, value)]
        for old, new in olds:
            if not (isinstance(old, str) and isinstance(new, str) and tidy(old) and tidy(new)):
                raise UserError(f"--label_map {path} is no list of names; write lines as `old: new`.")
            pairs.append(((tidy(old), tidy(new)),))
    return pairs


def tidy(name: str) -> str:
    """A name without blanks around it, its letters put together."""
    return unicodedata.normalize("NFC", str(name)).strip()


def named_in(renamings: Sequence[Renaming]) -> set[str]:
    """The old names of a `label_map`."""
    return {old for ways in renamings for old, _ in ways}


def final_names(
    counts: Mapping[str, int],
    wanted: Sequence[str] | None,
    renamings: Sequence[Renaming],
    known: Collection[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """What each label that was typed is called in the end, "" where it stands for none; and notes of what changed.

    Args:
        counts: rows of each label as typed.
        wanted: the labels that were asked for; None for all.
        renamings: what `read_label_map` gave.
        known: names that are labels whatever they are, as `None`.

    Raises:
        UserError: a renamed label that no row has, or one that is to have two names.
    """
    renamed = _renamed(list(counts), renamings)
    kept = {*(wanted or ()), *renamed, *known}
    names = {typed: "" if typed in NO_LABEL and typed not in kept else typed for typed in counts}
    rest = [typed for typed, name in names.items() if name and typed not in renamed]
    numbers = {typed: plain(typed) for typed in rest if NUMBER.fullmatch(typed)}
    names |= numbers | renamed
    notes = [f"labels were renamed by --label_map: {_changes(renamed, counts)}"] if renamed else []
    if changed := {typed: name for typed, name in numbers.items() if typed != name and typed not in (wanted or ())}:
        notes.append(f"of labels that are numbers, zeros behind the point don't count: {_changes(changed, counts)}")
    usual = _usual_spellings(names, counts, wanted)
    if varied := {typed: usual[name] for typed, name in names.items() if name and usual[name] != name}:
        coded = {typed: name for typed, name in varied.items() if _is_code(names[typed]) and not _is_code(name)}
        if coded and wanted is None:
            notes.append(f"labels that are a name and its code in AI Hub's corpus are one: {_changes(coded, counts)}")
        spelled = {typed: name for typed, name in varied.items() if typed not in coded}
        if spelled := {typed: name for typed, name in spelled.items() if not NUMBER.fullmatch(names[typed])}:
            notes.append(f"labels that differ by case, width or blanks alone are one: {_changes(spelled, counts)}")
    return {typed: usual.get(name, "") for typed, name in names.items()}, notes


def _is_code(name: str) -> bool:
    """Whether it is one of AI Hub's codes, which say less than the names that they stand for."""
    emotion = find_emotion(name)
    return emotion is not None and emotion.code == name.upper()


def _renamed(typed: Sequence[str], renamings: Sequence[Renaming]) -> dict[str, str]:
    """Of the labels that are typed, the new names of those that `label_map` renames, in whatever spelling."""
    by_spelling: dict[str, list[str]] = {}
    for name in typed:
        by_spelling.setdefault(_loose(name), []).append(name)
    exact, loose = dict[str, str](), dict[str, str]()
    for ways in renamings:
        old, new = next((way for way in ways if way[0] in typed), None) or next(
            (way for way in ways if _loose(way[0]) in by_spelling), ("", "")
        )
        if not old:
            raise _no_such_label(ways, typed)
        if exact.get(old, new) != new:
            raise UserError(f"--label_map gives {old!r} two names, {exact[old]!r} and {new!r}; give it one.")
        exact[old] = new
        loose |= {name: new for name in by_spelling[_loose(old)] if name not in loose}
    # What is named letter by letter goes before what is spelled alike.
    return {name: exact.get(name, loose[name]) for name in typed if name in exact or name in loose}


def _loose(name: str) -> str:
    return spelling(plain(name) if NUMBER.fullmatch(name) else name)


def _no_such_label(ways: Renaming, typed: Sequence[str]) -> UserError:
    old, _ = ways[0]
    near = nearest(old, typed)
    hint = f"nearest is {near!r}" if near else f"the rows have {few(map(repr, sorted(typed)))}"
    return UserError(f"--label_map renames {old!r}, but no row has that label; {hint}.")


def plain(number: str) -> str:
    """0 for 0.0: what one format stores as a fraction is a whole number in another."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _usual_spellings(
    names: Mapping[str, str], counts: Mapping[str, int], wanted: Sequence[str] | None
) -> dict[str, str]:
    """For each name the one that stands for it: one that was asked for, or the commonest spelling that is no code."""
    rows: Counter[str] = Counter()
    for typed, name in names.items():
        if name:
            rows[name] += counts[typed]
    asked: dict[str, list[str]] = {}
    for label in wanted or ():
        asked.setdefault(_loose(label), []).append(label)
    best: dict[str, str] = {}
    for name in sorted(rows, key=lambda name: (_is_code(name), -rows[name], find_emotion(name) is None, name)):
        best.setdefault(spelling(name), name)
    usual = {}
    for name in rows:
        like = [best[spelling(name)]] if wanted is None else asked.get(_loose(name), [])
        usual[name] = like[0] if len(like) == 1 and name not in (wanted or ()) else name
    return usual


def _changes(changed: Mapping[str, str], counts: Mapping[str, int]) -> str:
    return few(
        f"{typed} ({counts[typed]:,} row{'s' if counts[typed] != 1 else ''}) is {name}"
        for typed, name in changed.items()
    )
