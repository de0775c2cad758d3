"""Rows with their predictions, and what their columns are called beside those of the input."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from emo_hf.data.text import MISSING, clean
from emo_hf.inference.explaining import Explanation, explain
from emo_hf.inference.predictor import Predictor

_EMPTY = {"", *MISSING}


class Prediction(NamedTuple):
    """A row of the input, and what the model says of it.

    Attributes:
        number: of the row, as the user sees it.
        others: the cells of the input's other columns.
        text: the sentence as it stands there.
        label: the likeliest, or a tuple of those that it has, where it may have several; None without a text.
        scores: the probability of each label, in the model's order; None without a text.
        label_set: the labels that it may have, of a model that promises such sets; else None, and without a text.
        why: what carried the likeliest label, where it is asked for; else None, and without a text.
    """

    number: int
    others: tuple[str, ...]
    text: str
    label: str | tuple[str, ...] | None
    scores: list[float] | None
    label_set: tuple[str, ...] | None = None
    why: Explanation | None = None


def predictions(
    predictor: Predictor,
    numbers: Sequence[int],
    others: Sequence[Sequence[str]],
    texts: Sequence[str],
    *,
    explained: bool = False,
) -> Iterator[Prediction]:
    """As many predictions as there are rows, in order; a text that training leaves out as empty gets an empty one.

    Args:
        predictor: the model.
        numbers: (N,) of the rows.
        others: the input's other columns, (N,) each.
        texts: (N,) sentences that fit in memory.
        explained: whether each says which words carried it.
    """
    filled = [clean(text) not in _EMPTY for text in texts]
    given = list(itertools.compress(texts, filled))
    scored = predictor.scores(given) if given else None
    found = iter(scored.tolist() if scored is not None else ())
    sets = iter((predictor.label_sets(scored) or ()) if scored is not None else ())
    reasons = explain(predictor, given) if explained else itertools.repeat(None)
    rows = zip(*others, strict=True) if others else itertools.repeat((), len(texts))
    for number, row, text, full in zip(numbers, rows, texts, filled, strict=True):
        scores = next(found) if full else None
        names = () if scores is None else tuple(predictor.named(scores))
        label = None if scores is None else names[0] if predictor.thresholds is None else names
        within = tuple(next(sets, ())) if full else ()
        yield Prediction(number, row, text, label, scores, within or None, next(reasons) if full else None)


def in_a_cell(label: str | tuple[str, ...] | None) -> str:
    """The label as a cell holds it; several are joined by |, as they are read again."""
    return "|".join(label) if isinstance(label, tuple) else label or ""


def column_names(others: Sequence[str], own: Sequence[str]) -> list[str]:
    """What the input's other columns and our own are called, side by side: no name stands twice.

    A column with a name of ours becomes `input_NAME`, and a class with the name of a column of ours `class_NAME`.
    """
    ours: list[str] = []
    for name in own:
        ours.append(_free(f"class_{name}", {*ours, *own}) if name in ours else name)
    kept: list[str] = []
    used, taken = set(ours), {*ours, *others}
    for name in others:
        kept.append(_free(f"input_{name}", taken) if name in used else name)
        used.add(kept[-1])
        taken.add(kept[-1])
    return [*kept, *ours]


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(found for found in itertools.chain([name], numbered) if found not in taken)
