"""The texts that may be labelled: of any number of files, each once, and none that a run knows already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.data.loading import EmotionData
from emo_hf.data.seen_texts import SCORED, text_hashes
from emo_hf.data.sources.streams import open_rows
from emo_hf.data.sources.tables import Layout
from emo_hf.data.text import MISSING, clean
from emo_hf.errors import UserError
from emo_hf.storage.record import TEXTS_FILE, read_texts

_EMPTY = {"", *MISSING}
# Why rows are left out, in the words of the last lines.
WHY = {
    "empty": "without a text",
    "twice": "whose text stood there before",
    "train": "whose text the model was trained on",
    "scored": "whose text is a validation or test row of the run",
    "labelled": "whose text is labelled in --labelled",
}


@dataclass
class Pool:
    """Texts (N,) to choose from, and where each stands.

    Attributes:
        texts: cleaned, as they are trained on.
        places: (file, row) of each, the row as the user sees it.
        left_out: how many rows are left out, by the keys of `WHY`.
        notes: of the files.
    """

    texts: list[str] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def said(self) -> list[str]:
        """A line for each reason why rows are left out."""
        return [f"{count:,} row{'s' * (count != 1)} left out {WHY[why]}" for why, count in self.left_out.items()]


def known_texts(run: Path, data: EmotionData | None) -> dict[str, np.ndarray]:
    """Hashes of the texts that a run knows: `train`, of its parents too, and `scored`, its validation and test rows.

    Args:
        run: its folder, which may hold nothing of them.
        data: what it was trained on, if that can still be read.
    """
    kept = read_texts(run / TEXTS_FILE)
    train = [] if kept is None else [kept[0]]
    if data is None:
        return {"train": np.concatenate(train)} if train else {}
    train.append(text_hashes(data.splits["train"]["text"][:]))
    scored = np.concatenate([text_hashes(data.splits[split]["text"][:]) for split in SCORED])
    # Training texts of a parent may be among those, too: they are told as what they are in this run.
    return {"scored": scored, "train": np.concatenate(train)}


def read_pool(paths: Sequence[str], text_column: str | None, known: dict[str, np.ndarray]) -> Pool:
    """The texts of all files in their order, without those that nobody need label.

    Args:
        paths: files of every kind that predict.py reads.
        text_column: of the texts in each of them, where it has no usual name.
        known: hashes of texts, by the reason why they are left out.

    Raises:
        UserError: no file, one that can't be read, or none with a text that is left.
    """
    if not paths:
        raise UserError("--pool is missing; give files of texts without labels, as --pool comments.csv")
    pool, seen = Pool(), set[int]()
    sets = {why: set(hashes.tolist()) for why, hashes in known.items()}
    counts: dict[str, int] = dict.fromkeys(WHY, 0)
    for path in dict.fromkeys(paths):
        opened = open_rows(Path(path), Layout(None, None, text_column), only_text=True)
        for block in opened.blocks:
            texts = list(map(clean, block.columns[opened.text]))
            for number, text, key in zip(block.numbers, texts, text_hashes(texts).tolist(), strict=True):
                why = _left_out(text, key, seen, sets)
                seen.add(key)
                if why is None:
                    pool.texts.append(text)
                    pool.places.append((opened.name, number))
                else:
                    counts[why] += 1
        pool.notes += opened.notes
    pool.left_out = {why: count for why, count in counts.items() if count}
    if not pool.texts:
        why = ", ".join(f"{count:,} {WHY[why]}" for why, count in pool.left_out.items()) or "no rows"
        raise UserError(f"--pool {' '.join(paths)}: no text is left to label ({why}); give files with other texts")
    return pool


def _left_out(text: str, key: int, seen: set[int], known: dict[str, set[int]]) -> str | None:
    if text in _EMPTY:
        return "empty"
    found = next((why for why, hashes in known.items() if key in hashes), None)
    return found or ("twice" if key in seen else None)


def columns_of(record: dict[str, Any] | None) -> tuple[str, str]:
    """The names of the columns of text and label in the file that a run was trained on, or the usual ones."""
    report = ((record or {}).get("data") or {}).get("report") or {}
    found = report.get("columns") if isinstance(report, dict) else None
    names = [found.get(role) for role in ("text", "label")] if isinstance(found, dict) else []
    if len(names) == 2 and all(isinstance(name, str) and name and not name.isdecimal() for name in names):
        return str(names[0]), str(names[1])
    return "sentence", "label"
