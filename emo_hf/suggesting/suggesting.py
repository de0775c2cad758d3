"""From a run and a pool to the rows to label next, and the files that hold them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.data.pool import Pool
from emo_hf.errors import UserError
from emo_hf.escaping import csv_cell, csv_name
from emo_hf.inference.predictions import in_a_cell
from emo_hf.inference.predictor import CHUNK, Predictor
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import SCHEMA, environment, now
from emo_hf.suggesting.page import labelling_page, page_key, saved_name
from emo_hf.suggesting.strategies import pick, uncertainty

PAGE_FILE, TABLE_FILE, RECORD_FILE = "labelling.html", "suggestions.csv", "suggestions.json"
_MARK = "\ufeff"  # without which Excel takes Hangul for the letters of another encoding
_DIGITS = 4


@dataclass(frozen=True)
class Suggestions:
    """The rows that are picked of a pool, in their order.

    Attributes:
        texts: (K,), and their places, (file, row) each.
        scores: probabilities (K, C).
        predictions: what the model takes each for.
        unsure: how unsure it is (K,): the entropy, in nats.
    """

    texts: list[str]
    places: list[tuple[str, int]]
    scores: np.ndarray
    predictions: list[list[str]]
    unsure: np.ndarray


def suggest(
    predictor: Predictor,
    pool: Pool,
    strategy: str,
    count: int,
    *,
    seed: int,
    progress: Callable[[int, int], object] = lambda done, count: None,
) -> Suggestions:
    """Ask the model about all texts of a pool, and pick.

    Args:
        predictor: the model.
        pool: the texts.
        strategy: one of `STRATEGIES`.
        count: of the rows wanted; of a smaller pool all are picked.
        seed: of what is drawn.
        progress: is called with how many texts are done, and how many there are.
    """
    parts = []
    for start in range(0, len(pool.texts), CHUNK):
        parts.append(predictor.scores_and_embeddings(pool.texts[start : start + CHUNK]))
        progress(min(start + CHUNK, len(pool.texts)), len(pool.texts))
    scores, embeddings = (np.concatenate(part) for part in zip(*parts, strict=True))
    several = predictor.thresholds is not None
    rows = pick(strategy, scores, embeddings, count, seed=seed, several=several)
    return Suggestions(
        [pool.texts[row] for row in rows],
        [pool.places[row] for row in rows],
        scores[rows],
        [predictor.named(row) for row in scores[rows].tolist()],
        uncertainty(scores[rows], "entropy", several=several),
    )


def write_suggestions(
    folder: Path,
    found: Suggestions,
    labels: Sequence[str],
    details: dict[str, Any],
    *,
    several: bool,
    columns: tuple[str, str],
    lang: str,
) -> tuple[list[Path], str]:
    """Write the table, the record and the page; their paths come back, and the name of the CSV that the page saves.

    Args:
        folder: is made where there is none.
        found: what was picked.
        labels: of the model.
        details: what the record says of the run, the pool and the strategy.
        several: whether a row may have several labels.
        columns: names of text and label in the CSV that the page saves.
        lang: "en" or "ko".

    Raises:
        UserError: there is a page of other rows already, whose labels may be in a browser alone.
    """
    key = page_key(found.texts, labels, several=several)
    path = folder / PAGE_FILE
    if path.exists() and f'"key":"{key}"' not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"{path} holds other rows, whose labels may not be saved yet; give another --output, or delete it once "
            "they are"
        )
    page = labelling_page(found.texts, found.predictions, labels, key, several=several, columns=columns, lang=lang)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "schema": SCHEMA, "kind": "suggestions", "finished": now(), **details, "picked": len(found.texts),
        **environment(),
    }  # fmt: skip
    written = [
        write_whole(folder / TABLE_FILE, _table(found, labels).encode("utf-8")),
        write_whole(folder / RECORD_FILE, (json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode()),
        write_whole(path, page.encode("utf-8")),
    ]
    return written, saved_name(key)


def _table(found: Suggestions, labels: Sequence[str]) -> str:
    """The picked rows as CSV, in which no cell is a formula: where they stand, and what the model says of them."""
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["file", "row", "sentence", "prediction", "entropy", *map(csv_name, labels)])
    rows = zip(found.places, found.texts, found.predictions, found.unsure.tolist(), found.scores.tolist(), strict=True)
    for (file, number), text, names, unsure, scores in rows:
        said = [round(value, _DIGITS) for value in (unsure, *scores)]
        table.writerow([csv_name(file), number, csv_cell(text), csv_name(in_a_cell(tuple(names))), *said])
    return _MARK + buffer.getvalue()
