"""Texts that a model has been trained on before: known by their hashes, and left out of the rows that score it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import datasets
import numpy as np
import pandas as pd

from emo_hf.data.loading import EmotionData
from emo_hf.data.text import text_keys
from emo_hf.errors import UserError, one_line

logger = logging.getLogger(__name__)

SCORED = ("validation", "test")
MOST = 0.5  # of a split that may go: what is left would be another test than the one that was asked for
_SHOWN, _LETTERS = 3, 60  # texts of a warning, and letters of each


class TooManySeen(UserError):
    """So many rows of a split have been trained on before that what is left tells nothing."""


def text_hashes(texts: Sequence[str]) -> np.ndarray:
    """64-bit hashes (N,) of texts; those that a tokenizer reads alike have the same."""
    keys = text_keys(pd.Series(list(texts), dtype=object))
    digests = b"".join(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def trained_on(data: EmotionData, before: np.ndarray | None = None) -> np.ndarray:
    """Sorted hashes of the training texts and of those `before`."""
    own = text_hashes(data.splits["train"]["text"][:])
    return np.unique(own if before is None else np.concatenate([own, before]))


def without_seen(data: EmotionData, seen: Mapping[str, np.ndarray | None]) -> EmotionData:
    """The data without the validation and test rows whose texts a run was trained on, by the name of the run.

    What is left out is a note of the report; so is a run of which nothing is known (None). The fingerprint is that of
    the rows that are left.

    Raises:
        TooManySeen: more than half of a split would go, or all of a class.
    """
    notes, kept, gone = [], {}, {}
    for split in SCORED:
        hashes = text_hashes(data.splits[split]["text"][:])
        of_run = {name: np.isin(hashes, found) for name, found in seen.items() if found is not None}
        out = np.any(list(of_run.values()), axis=0) if of_run else np.zeros(len(hashes), dtype=bool)
        kept[split] = np.flatnonzero(~out)
        if not out.any():
            continue
        names = " and of ".join(name for name, mask in of_run.items() if mask.any())
        _check_left(data, split, out, names)
        gone[split] = np.flatnonzero(out).tolist()
        notes.append(
            f"{out.sum()} of {len(out)} {split} rows are left out: their texts stand in the training of {names}"
        )
        shown = [one_line(data.splits[split]["text"][place])[:_LETTERS] for place in gone[split][:_SHOWN]]
        logger.warning("%s, as %s", notes[-1], "; ".join(shown))  # a note stands in the record, and goes to the Hub
    for name in (name for name, found in seen.items() if found is None):
        notes.append(
            f"whether {name} was trained on texts of the validation and test rows can't be told: it keeps no list of "
            "its training texts"
        )
        logger.warning("%s", notes[-1])
    report = data.report | {"notes": [*data.report["notes"], *notes]}
    if not gone:
        return replace(data, report=report)
    parts = {split: data.splits[split].select(kept[split]) for split in SCORED}
    counts = {split: _counted(part["label"][:], len(data.labels)) for split, part in parts.items()}
    report["seen_before"] = {split: len(places) for split, places in gone.items()}
    report["counts"] = data.report["counts"] | {
        split: dict(zip(data.labels, map(int, count), strict=True)) for split, count in counts.items()
    }
    report["rows"] = data.report["rows"] | {split: len(part) for split, part in parts.items()}
    report["duplicates_kept"] = data.report["duplicates_kept"] | {
        split: int(text_keys(pd.Series(part["text"][:], dtype=object)).duplicated().sum())
        for split, part in parts.items()
    }
    content = json.dumps([data.fingerprint, gone])
    return replace(
        data,
        splits=datasets.DatasetDict({**data.splits, **parts}),
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        report=report,
    )


def _check_left(data: EmotionData, split: str, out: np.ndarray, names: str) -> None:
    labels = data.splits[split]["label"][:]
    kept = [label for label, gone in zip(labels, out.tolist(), strict=True) if not gone]
    before, left = (_counted(found, len(data.labels)) for found in (labels, kept))
    emptied = [data.labels[place] for place in np.flatnonzero((before > 0) & (left == 0))]
    if emptied or out.sum() > MOST * len(out):
        rest = f"none of {', '.join(emptied)} is left" if emptied else "too few are left"
        raise TooManySeen(
            f"the texts of {out.sum()} of {len(out)} {split} rows stand in the training of {names}, so that {rest} to "
            f"score on; give {split} rows that it has not seen"
        )


def _counted(labels: Sequence[int] | Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """The rows (C,) of each label, of which a row may have several."""
    flat = [label for row in labels for label in (row if isinstance(row, list) else [row])]
    return np.bincount(np.array(flat, dtype=np.int64), minlength=classes)
