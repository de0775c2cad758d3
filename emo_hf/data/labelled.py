"""Rows that a person has labelled: read again, and put beside the rows of the run that picked them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo_hf.data.loading import EmotionData
from emo_hf.data.seen_texts import SCORED, text_hashes
from emo_hf.data.sources.names import LABEL_COLUMNS, TEXT_COLUMNS, matched
from emo_hf.data.sources.streams import open_rows
from emo_hf.data.sources.tables import Layout
from emo_hf.data.splits import SPLITS
from emo_hf.data.text import MISSING, clean
from emo_hf.errors import UserError, few

COLUMNS = ("sentence", "label", "split")
_EMPTY = {"", *MISSING}
_MARK = "|"


@dataclass(frozen=True)
class Labelled:
    """Texts (N,) with their labels, each text once, as it was labelled last."""

    texts: list[str]
    labels: list[tuple[str, ...]]


def read_labelled(
    paths: Sequence[str], names: Sequence[str], *, several: bool, columns: tuple[str, str] = COLUMNS[:2]
) -> Labelled:
    """The rows of files that the page for labelling has saved; rows whose label is empty are nobody's answer.

    Args:
        paths: the files; any table with a column of texts and one of labels is read as well.
        names: of the labels of the model.
        several: whether a row may have several: a JSON list, or names with | between them.
        columns: what those of text and label are called, where they have no usual names.

    Raises:
        UserError: a file that can't be read, a label that the model does not have, or not a single row.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path in paths:
        own = None if columns[0].lower() in TEXT_COLUMNS else columns[0]
        opened = open_rows(Path(path), Layout(None, None, own))
        text = opened.text
        label = next(iter(matched(opened.others, (columns[1].lower(), *LABEL_COLUMNS))), None)
        if label is None:
            raise UserError(
                f"{opened.name}: no column of labels beside {text!r}; give the file that the page for labelling saved"
            )
        for block in opened.blocks:
            cells = zip(block.numbers, map(clean, block.columns[text]), block.columns[label], strict=True)
            for number, sentence, cell in cells:
                if sentence in _EMPTY or not cell.strip():
                    continue
                labels = _labels(cell.strip(), several)
                if wrong := [name for name in labels if name not in names]:
                    raise UserError(
                        f"{opened.name}, row {number}: the model has no label {wrong[0]!r}; it has {few(names)}"
                    )
                found.pop(sentence, None)
                found[sentence] = tuple(dict.fromkeys(labels))
    if not found:
        raise UserError(f"--labelled {' '.join(paths)}: no row there has a label; label some and save the page's CSV")
    return Labelled(list(found), list(found.values()))


def _labels(cell: str, several: bool) -> list[str]:
    if not several:
        return [clean(cell)]
    if cell.startswith("["):
        try:
            return [clean(str(name)) for name in json.loads(cell)]
        except (ValueError, TypeError):
            return [cell]
    return [clean(name) for name in cell.split(_MARK) if name.strip()]


def joined(data: EmotionData, labelled: Labelled, columns: tuple[str, str]) -> tuple[bytes, dict[str, int]]:
    """A CSV of the rows of a run's data in their splits and of the labelled rows, to train on; and what was counted.

    The validation and test rows stay those of the run, so that scores before and after are of the same rows. Labelled
    rows whose texts the run's data have are left out: `known` of the counts, beside `added`.
    """
    names, several = data.labels, data.multi_label
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow([*columns, COLUMNS[2]])
    for split in SPLITS:
        part = data.splits[split]
        for text, label in zip(part["text"][:], part["label"][:], strict=True):
            table.writerow([text, _cell([names[i] for i in (label if several else [label])], several), split])
    known = np.concatenate([text_hashes(data.splits[split]["text"][:]) for split in ("train", *SCORED)])
    new = ~np.isin(text_hashes(labelled.texts), known)
    for text, labels, is_new in zip(labelled.texts, labelled.labels, new.tolist(), strict=True):
        if is_new:
            table.writerow([text, _cell(labels, several), "train"])
    return buffer.getvalue().encode("utf-8"), {"added": int(new.sum()), "known": int((~new).sum())}


def _cell(labels: Sequence[str], several: bool) -> str:
    return json.dumps(list(labels), ensure_ascii=False) if several else labels[0]
