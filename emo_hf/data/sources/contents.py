"""What the columns of a table seem to hold, where their names don't tell."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import pandas as pd

from emo_hf.data.several import LIST, PLAIN, label_sets
from emo_hf.data.sources.header import is_number
from emo_hf.data.text import MISSING

_LOOKED_AT = 5000  # rows
_TIMES = 100  # cells that tell times from sentences
_MOST_IN_LISTS = 3  # labels of a row, on average
_LETTERS = r"[A-Za-z\u1100-\u11ff\u3131-\u318e\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]"
_ID = r"[A-Za-z0-9_.:/-]*\d[A-Za-z0-9_.:/-]*"
# With the marks of those who tick a sheet: O and X, as Koreans do, V, Y and N.
_ONES = ("1", "1.0", "True", "TRUE", "true", "O", "o", "○", "ㅇ", "V", "v", "✓", "√", "Y", "y")
_ZEROS = ("0", "0.0", "False", "FALSE", "false", "X", "x", "N", "n", "")


def text_like(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns of sentences: words with blanks between them, mostly another in each row; the longest first."""
    lengths = {}
    for name in columns:
        cells = _filled(frame[name])
        if len(cells) == 0 or cells.nunique() < len(cells) / 2 or cells.str.contains(_LETTERS).mean() < 0.5:
            continue
        is_time = cells.head(_TIMES).map(is_number).mean() > 0.5  # as 2024. 5. 1 오후 3:21:00
        if cells.str.contains(" ", regex=False).mean() >= 0.3 and not is_time:
            lengths[name] = cells.str.len().mean()
    return sorted(lengths, key=lambda name: -lengths[name])


def word_like(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns that hold letters, be they sentences or not; ids hold some too."""
    found = {name: _filled(frame[name]) for name in columns}
    found = {name: cells for name, cells in found.items() if len(cells) and cells.str.contains(_LETTERS).mean() >= 0.5}
    return [name for name, cells in found.items() if not (cells.is_unique and cells.str.fullmatch(_ID).all())]


def label_like(frame: pd.DataFrame, columns: Sequence[str], lists: Collection[str] = ()) -> list[str]:
    """The columns of few values that come again and again, be there one a row or several; first those of lists.

    Args:
        lists: which columns hold JSON lists. Of more than a few values a row, these are tokens, or numbers of a model.
    """
    found, coded = [], []
    for name in sorted(columns, key=lambda name: name not in lists):
        cells = _filled(frame[name])
        if len(cells) < len(frame.head(_LOOKED_AT)) / 2 or cells.str.len().mean() > 200:
            continue
        form = LIST if name in lists else PLAIN
        sets = label_sets(cells, pd.Series(form, cells.index, dtype="str"), lambda _: False)
        counts = sets.counts()
        if form == LIST and sum(counts.values()) > _MOST_IN_LISTS * len(cells):
            continue
        if 2 <= len(counts) <= sum(counts.values()) / 3 and max(map(len, counts)) <= 40:
            found.append(name)
            if cells.str.fullmatch(r"[01](?:[,;| ]+[01])+").all():  # 0,0,1,0: another column tells it in fewer words
                coded.append(name)
    found = [name for name in found if name not in coded] or coded
    return word_like(frame, found) or found  # names tell more than numbers do


def one_hot(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns of 0 and 1, False and True, or marks; none unless there are two with a 1 among them."""
    found = [name for name in columns if frame[name].isin([*_ONES, *_ZEROS]).all() and (frame[name] != "").any()]
    return found if len(found) > 1 and frame[found].isin(_ONES).any(axis=None) else []


def one_each(frame: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Whether each row has one 1 in the columns."""
    return bool((frame[list(columns)].isin(_ONES).sum(axis=1) == 1).all())


def names_of_ones(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """The names of the columns with a 1, of each row, as a JSON list; without the object that all are of."""
    flags = frame[list(columns)].isin(_ONES)
    different = flags.drop_duplicates()
    names = [name.rpartition(".")[2] for name in columns]
    if len({name.rpartition(".")[0] for name in columns}) > 1 or not all(names):
        names = list(columns)
    cells = [
        json.dumps([name for name, one in zip(names, row, strict=True) if one], ensure_ascii=False)
        for row in different.to_numpy()
    ]
    codes = flags.groupby(list(columns), sort=False).ngroup()
    return pd.Series(cells, dtype="str").take(codes).set_axis(frame.index)


def _filled(cells: pd.Series) -> pd.Series:
    cells = cells.head(_LOOKED_AT).str.strip()
    return cells[~cells.isin(["", *MISSING])]
