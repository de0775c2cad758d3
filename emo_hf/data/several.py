"""Labels of rows that may have several: as lists, joined by a mark, as ids, or as columns of 0 and 1."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emo_hf.data.label_names import NO_LABEL, spelling

# How a cell holds labels: one name (or several that are joined), a JSON list, or the names of columns with a 1.
PLAIN, LIST, COLUMNS = "plain", "list", "columns"
FORMS = {LIST: "lists", COLUMNS: "columns of 0 and 1"}
# Marks that names hardly hold, and those that they do: 악플/욕설 is one name unless both parts are names elsewhere.
_MARKS, _DOUBTFUL_MARKS = ("|", ";"), (",", "/", "+", "&", "·", "ㆍ", "\n", "#")
_HOW = {"\n": "joined by a line break", "#": "joined as hashtags"}
_ONES, _ZEROS = ("1", "1.0", "1.", "True", "true"), ("0", "0.0", "0.", "False", "false")
_BRACKETS = re.compile(r"\s*[\[({](.*)[\])}]\s*", re.DOTALL)
_EMPTY = re.compile(r"\[\s*\]|\{\s*\}")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


@dataclass(frozen=True)
class LabelSets:
    """The labels of each row, as typed and in their order.

    Attributes:
        codes: which of the sets a row has (N,).
        sets: every different set once; empty where a row has no label.
        how: in what way several labels stand in a row, in words; none where they don't.
    """

    codes: np.ndarray
    sets: tuple[tuple[str, ...], ...]
    how: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """The rows of each label."""
        found: Counter[str] = Counter()
        for code, rows in enumerate(np.bincount(self.codes, minlength=len(self.sets)).tolist()):
            found.update(dict.fromkeys(self.sets[code], rows))
        return {name: rows for name, rows in found.items() if rows}

    def renamed(self, names: dict[str, str]) -> LabelSets:
        """The same rows under new names; one that is empty is no label, and equal ones are one."""
        sets = (tuple(dict.fromkeys(names[name] for name in found if names[name])) for found in self.sets)
        return LabelSets(self.codes, tuple(sets), self.how)


def label_sets(cells: pd.Series, forms: pd.Series, is_name: Callable[[str], bool]) -> LabelSets:
    """Take labels apart where a row has several.

    Args:
        cells: of the label column (N,), clean; a JSON list where the form is one.
        forms: `PLAIN`, `LIST` or `COLUMNS` of each row (N,).
        is_name: says of a cell that it is one name, whatever marks stand in it.
    """
    pairs = pd.DataFrame({"cell": cells, "form": forms})
    grouped = pairs.groupby(["cell", "form"], sort=False)
    different = pairs.drop_duplicates().reset_index(drop=True)
    codes = grouped.ngroup().to_numpy()
    sets: list[tuple[str, ...]] = [()] * len(different)
    how = []
    for form, part in different.groupby("form", sort=False):
        if form == PLAIN:
            found, marks = _split(part["cell"].tolist(), is_name)
            how += marks
        else:
            found = [_elements(cell) for cell in part["cell"]]
            found = _places_of_ones(found) if form == LIST else found
            how += [FORMS[str(form)]] if any(len(names) > 1 for names in found) else []
        for place, names in zip(part.index, found, strict=True):
            sets[place] = names
    return LabelSets(codes, tuple(sets), tuple(dict.fromkeys(how)))


def zeros_and_ones(sets: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """A matrix (N, C), uint8, of sets of labels as lists of their indices: 1 where a row has a label."""
    found = np.zeros((len(sets), classes), dtype=np.uint8)
    rows = np.repeat(np.arange(len(sets)), [len(row) for row in sets])
    found[rows, [index for row in sets for index in row]] = 1
    return found


def _elements(cell: str) -> tuple[str, ...]:
    try:
        found = json.loads(cell) if cell else []
    except ValueError:
        return (cell,)
    found = found if isinstance(found, list) else [found]
    return tuple(str(name).strip() for name in found if name is not None and str(name).strip())


def _split(cells: Sequence[str], is_name: Callable[[str], bool]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Each cell's names, and in which ways some hold several."""
    names = {cell: [cell] for cell in cells if cell}
    empty = [cell for cell in names if _EMPTY.fullmatch(cell) and not is_name(cell)]
    names |= {cell: [] for cell in empty}
    filled = [cell for cell in names if cell not in NO_LABEL and cell not in empty and not is_name(cell)]
    lists = _chosen(filled) or _bracketed(filled)
    if taken := _places_of_ones(lists or _ids(filled)):
        how = [FORMS[LIST] if lists else "ids in one cell"] if any(len(found) > 1 for found in taken) else []
        names |= dict(zip(filled, map(list, taken), strict=True))
        return [tuple(names.get(cell, ())) for cell in cells], how
    how = []
    for mark in (*_MARKS, *_DOUBTFUL_MARKS):
        parts = {cell: found for cell in filled if names[cell] == [cell] and (found := _parts(cell, mark))}
        if mark == "#":  # which belongs to a name that is written so where it stands alone
            parts = {
                cell: [tag if (tag := f"#{part}") in names or is_name(tag) else part for part in found]
                for cell, found in parts.items()
            }
        alone = {spelling(cell) for cell in names if cell not in parts}
        alone |= {spelling(found[0]) for found in parts.values() if len(found) == 1}  # as in a; beside a;b
        reused = Counter(spelling(part) for found in parts.values() for part in set(found))
        known = alone | ({part for part, times in reused.items() if times > 1} if mark in _MARKS else set())
        sure = {cell: [is_name(part) or spelling(part) in known for part in found] for cell, found in parts.items()}
        if any(len(found) > 1 and all(found) for found in sure.values()):
            how.append(_HOW.get(mark, f"joined by {mark!r}"))
            names |= {cell: found for cell, found in parts.items() if mark in _MARKS or any(sure[cell])}
    return [tuple(names.get(cell, ())) for cell in cells], how


def _parts(cell: str, mark: str) -> list[str]:
    """What stands between the marks of a cell; nothing where it has none, or, of hashtags, begins without."""
    if mark not in cell or (mark == "#" and not cell.startswith(mark)):
        return []
    return [part.strip() for part in cell.split(mark) if part.strip()]


def _chosen(cells: Sequence[str]) -> list[tuple[str, ...]]:
    """The names of each cell, where some are `{"choices": ["a", "b"]}` or lists of names in quotes; else nothing.

    Label Studio's CSV has the former beside plain names; where all cells are lists, they are read with all others.
    """
    found = [_choices(cell) for cell in cells]
    others = any(cell.startswith("{") for cell in cells) or not all(map(_BRACKETS.fullmatch, cells))
    some = any(found) and others
    return [names or (cell,) for names, cell in zip(found, cells, strict=True)] if some else []


def _choices(cell: str) -> tuple[str, ...]:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if cell.startswith("{"):
            return tuple(str(name).strip() for name in json.loads(cell)["choices"])
    quoted = r"""(?:'[^']*'|"[^"]*")"""
    return _listed(cell[1:-1]) if re.fullmatch(rf"\[\s*{quoted}(?:\s*,\s*{quoted})*\s*\]", cell) else ()


def _ids(cells: Sequence[str]) -> list[tuple[str, ...]]:
    """The numbers of each cell, where all cells hold whole numbers and some hold several; else nothing."""
    found = [tuple(re.split(r"\s*[,;|]\s*|\s+", cell)) for cell in cells]
    several = any(len(numbers) > 1 for numbers in found)
    whole = all(number.isascii() and number.isdecimal() for numbers in found for number in numbers)
    return found if several and whole else []


def _bracketed(cells: Sequence[str]) -> list[tuple[str, ...]]:
    """The names of each cell, where all are lists, sets or arrays as they print themselves; else nothing.

    `['a', 'b']`, `["a" "b"]`, `{'a'}`, `[0 7]`; not `(a)`, which may be a name.
    """
    inner = [match[1].strip() for cell in cells if (match := _BRACKETS.fullmatch(cell))]
    telling = any(re.search("[,'\"]", inside) or re.fullmatch(r"[\d.\s]+", inside) for inside in inner)
    if len(inner) < len(cells) or not telling:
        return []
    return [_listed(inside) for inside in inner]


def _listed(inside: str) -> tuple[str, ...]:
    if found := _QUOTED.findall(inside):
        return tuple(name for pair in found if (name := (pair[0] or pair[1]).strip()))
    parts = inside.split(",")
    if len(parts) == 1 and re.fullmatch(r"[\d.\s-]+", inside):
        parts = inside.split()
    return tuple(part.strip() for part in parts if part.strip())


def _places_of_ones(found: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The places, from 0, of the ones in lists of one length that hold 0 and 1 alone; else the lists as they are."""
    lengths = {len(numbers) for numbers in found if numbers}
    if len(lengths) != 1 or not {*_ONES, *_ZEROS}.issuperset(number for numbers in found for number in numbers):
        return found
    whole = {number for numbers in found for number in numbers} <= {"0", "1"}
    if whole and all(len(set(numbers)) == len(numbers) for numbers in found):  # ids, of which no row has one twice
        return found
    return [tuple(str(place) for place, number in enumerate(numbers) if number in _ONES) for numbers in found]
