"""Rows that nothing can be learned from: found, counted, and left out or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from emo_hf.data.label_names import NO_LABEL
from emo_hf.data.taxonomy import MAJOR_EMOTIONS, SUB_EMOTIONS
from emo_hf.data.text import MISSING
from emo_hf.errors import UserError, few, nearest
from emo_hf.escaping import shell_word

NUL, EMPTY_TEXT, EMPTY_LABEL = "NUL character", "empty text", "empty label"
UNKNOWN, CONTRADICTORY = "unknown label", "contradictory cells"
KINDS = (NUL, EMPTY_TEXT, EMPTY_LABEL, UNKNOWN, CONTRADICTORY)
POLICIES = ("auto", "error", "drop")
MOST_DROPPED = 0.2  # of a split, under "auto": more is no slip of a few rows
_SHOWN, _RECORDED = 5, 20
_REMEDIES = {
    NUL: "remove the character",
    EMPTY_TEXT: "fill it in or remove the row",
    EMPTY_LABEL: "fill it in or remove the row",
    UNKNOWN: "correct the rows",
    CONTRADICTORY: "correct the rows",
}


class Helps(Protocol):
    """Says whether the data could be used if these arguments were what they are here."""

    def __call__(self, **changes: Any) -> bool: ...


@dataclass(frozen=True)
class BadRows:
    """What is to be done with the bad rows.

    Attributes:
        policy: "auto", "error" or "drop".
        labels: the labels that are known.
        all_labels: whether these are all of training, and not those that were asked for.
        helps: tries an argument before it is proposed.
    """

    policy: str
    labels: Sequence[str]
    all_labels: bool
    helps: Helps

    def leave_out(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
        """The rows without those whose `bad` names a kind; what the record says of them, and a note of each kind.

        Raises:
            UserError: as the policy has it, or where no training row is left; with kinds, counts and places.
        """
        is_bad = rows["bad"] != ""
        if not is_bad.any():
            return rows.drop(columns=["bad", "typed", "unread"]), {}, []
        sizes, counts = rows["split"].value_counts(), rows.loc[is_bad, "split"].value_counts()
        refused = [
            split
            for split, count in counts.items()
            if (count > 0 and self.policy == "error")
            or (count > MOST_DROPPED * sizes[split] and self.policy == "auto")
            or (count == sizes[split] and split == "train")
        ]
        if refused:
            raise self._refusal(rows[is_bad & rows["split"].isin(refused)], sizes)
        left_out = rows[is_bad]
        kinds = [kind for kind in KINDS if (left_out["bad"] == kind).any()]
        record = {kind: _recorded(left_out[left_out["bad"] == kind]) for kind in kinds}
        notes = [self._note(kind, left_out[left_out["bad"] == kind]) for kind in kinds]
        return rows[~is_bad].drop(columns=["bad", "typed", "unread"]).reset_index(drop=True), record, notes

    def _note(self, kind: str, rows: pd.DataFrame) -> str:
        count = f"{len(rows):,} row{'s were' if len(rows) > 1 else ' was'} left out"
        kept = ""
        if kind == EMPTY_LABEL and set(words := _words_for_none(rows)).difference(MISSING):
            kept = "".join(f"; {way}" for way in self._as_class(words))
        return f"{count}: {self._reason(kind, rows, shown=_RECORDED)}{kept}"

    def _reason(self, kind: str, rows: pd.DataFrame, shown: int = _SHOWN) -> str:
        if kind == UNKNOWN:
            return _unknown(rows, self.labels, self.all_labels, shown)
        where = places(rows, shown)
        if kind == NUL:
            return f"{where}: the text holds a NUL character"
        if kind == CONTRADICTORY:
            pairs = list(dict.fromkeys(rows["typed"]))
            return f"{where}: the cells of the label contradict each other ({few(pairs)})"
        if kind == EMPTY_TEXT:
            words = [word for word in MISSING if (rows["text"] == word).any()]
            return f"{where}: the text is {' or '.join(words or ['empty'])}{_hint(rows)}"
        return f"{where}: the label is {' or '.join(_words_for_none(rows) or ['empty'])}{_hint(rows)}"

    def _refusal(self, rows: pd.DataFrame, sizes: pd.Series) -> UserError:
        kinds = [kind for kind in KINDS if (rows["bad"] == kind).any()]
        reasons = "; ".join(self._reason(kind, rows[rows["bad"] == kind]) for kind in kinds)
        share = ""
        if self.policy == "auto":
            counts = rows["split"].value_counts()
            of_all = " and ".join(f"{count:,} of {sizes[split]:,} rows of {split}" for split, count in counts.items())
            share = f" ({of_all}, more than the fifth that is left out by itself)"
        ways = list(dict.fromkeys(_REMEDIES[kind] for kind in kinds)) + self._ways_out(kinds, rows)
        asked = f"; asked for: {few(self.labels)}" if UNKNOWN in kinds and not self.all_labels else ""
        return UserError(f"{reasons}{share}{asked}; {', or '.join(ways)}.")

    def _ways_out(self, kinds: Sequence[str], rows: pd.DataFrame) -> list[str]:
        """What helps, as it was tried."""
        ways = []
        if UNKNOWN in kinds:
            wrong = rows.loc[rows["bad"] == UNKNOWN, "typed"].drop_duplicates().tolist()
            renamed = [f"{label}={near}" for label in wrong if (near := nearest(label, self.labels, 0.5))]
            if len(renamed) == len(wrong) <= _SHOWN and self.helps(label_map=tuple(renamed)):
                ways.append(f"rename with --label_map {' '.join(map(shell_word, renamed))}")
            elif not self.all_labels:
                ways.append(f"say what they are called with --label_map {shell_word(wrong[0])}=NAME")
            if self.all_labels:
                ways.append("add rows of it to the training split")
            elif self.helps(labels=None):
                ways.append("take all labels with --labels all")
        if EMPTY_LABEL in kinds:
            ways += self._as_class(_words_for_none(rows[rows["bad"] == EMPTY_LABEL]))
        if self.policy != "drop" and self.helps(on_bad_rows="drop"):
            ways.append("leave such rows out with --on_bad_rows drop")
        return ways

    def _as_class(self, words: Sequence[str]) -> list[str]:
        """How to keep rows whose label is a word that stands for none, if that helps."""
        kept = [f"{word}={word}" for word in words]
        if not kept or not self.all_labels or not self.helps(label_map=tuple(kept)):
            return []
        return [f"if that is a class, keep it with --label_map {' '.join(map(shell_word, kept))}"]


def _words_for_none(rows: pd.DataFrame) -> list[str]:
    """What stands in the cells of labels that are none, other than nothing."""
    return [word for word in NO_LABEL if (rows["typed"] == word).any()]


def _recorded(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {
        str(split): {
            "count": len(part),
            "rows": [f"{file}, row {row}" for file, row in zip(part["file"], part["row"], strict=True)][:_RECORDED],
        }
        for split, part in rows.groupby("split", sort=False)
    }


def _unknown(rows: pd.DataFrame, labels: Sequence[str], all_labels: bool, shown: int) -> str:
    counts = rows["typed"].value_counts()
    known = list(labels) if all_labels else list(dict.fromkeys([*labels, *MAJOR_EMOTIONS, *SUB_EMOTIONS]))
    parts = []
    for label, count in list(counts.items())[:_SHOWN]:
        near = nearest(label, labels, 0.3) or nearest(label, known, 0.3)  # what is asked for comes first
        parts.append(
            f"{label!r} in {places(rows[rows['typed'] == label], shown)} ({count:,} row{'s' if count > 1 else ''}"
            f"{f', nearest is {near!r}' if near else ''})"
        )
    more = f" and {len(counts) - _SHOWN} labels more" if len(counts) > _SHOWN else ""
    return f"unknown label {'; '.join(parts)}{more}{', which no training row has' if all_labels else ''}"


def places(rows: pd.DataFrame, shown: int = _SHOWN) -> str:
    """`train.csv, rows 5, 9 and 3 more`."""
    first = rows["file"].iloc[0]
    numbers = [str(row) for row in rows.loc[rows["file"] == first, "row"].head(shown)]
    return f"{first}, row{'s' if len(numbers) > 1 else ''} {few(numbers, shown, len(rows))}"


def _hint(rows: pd.DataFrame) -> str:
    """Why cells are empty that a spreadsheet shows as filled."""
    if not rows["unread"].any():
        return ""
    return " (a formula that was saved without its result, or an error as #N/A, reads as empty)"
