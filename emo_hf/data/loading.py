"""The one entry point: any source to checked, labelled rows in three splits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd

from emo_hf.data.preparing import Choices, Prepared, prepare
from emo_hf.data.reading import Tables, read_sources
from emo_hf.data.sources.columns import rows_of
from emo_hf.data.sources.names import FURTHER_COLUMNS
from emo_hf.data.sources.tables import Layout, header_row
from emo_hf.data.splits import SPLITS
from emo_hf.data.taxonomy import DEFAULT_LABELS, resolve_labels
from emo_hf.data.text import text_keys
from emo_hf.errors import UserError, one_line
from emo_hf.escaping import shell_word

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmotionData:
    """Labelled utterances in three splits.

    Attributes:
        splits: "train", "validation", "test" with the columns text (NFC, stripped), label (index into `labels`, or a
            list of such, where rows have several labels each), and those of dialogue, sub_emotion, situation,
            age_group, gender that the source has (strings).
        labels: the label names in the order of the class indices.
        fingerprint: sha256 over the texts, labels and splits, whatever file they came from.
        report: what was read, chosen, left out and carved; JSON-able.
    """

    splits: datasets.DatasetDict
    labels: tuple[str, ...]
    fingerprint: str
    report: dict[str, Any]

    @property
    def multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return self.report.get("task") == "multi"

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of rows of each label in each split."""
        return {split: dict(counts) for split, counts in self.report["counts"].items()}

    def summary(self) -> dict[str, Any]:
        """Return what the record of a run says of its data."""
        return {
            "source": self.report["source"],
            "fingerprint": self.fingerprint,
            "labels": list(self.labels),
            "counts": self.counts(),
            "report": self.report,
        }


def load_emotion_data(
    source: str | Sequence[str] = "sample",
    *,
    labels: str | Sequence[str] = DEFAULT_LABELS,
    label_names: str | Path | None = None,
    label_map: Sequence[str] | Mapping[str, str] | None = None,
    drop_labels_below: int | None = None,
    on_bad_rows: str = "auto",
    task: str = "auto",
    several_labels: str = "error",
    text_column: str | None = None,
    label_column: str | None = None,
    header: str | None = None,
    sheet: str | None = None,
    turns: str = "first",
    validation_size: float = 0.1,
    test_size: float = 0.1,
    train_fraction: float = 1.0,
    shots: int | None = None,
    shots_seed: int = 0,
    seed: int = 42,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
) -> EmotionData:
    """Load, check and split a source; what it is, is found out from what is there.

    Args:
        source: "sample" (the bundled corpus), a file (one table, with an optional column `split`, or sheets), several
            files, a folder or zip (files whose names say train, validation, test, or that are one table; a release of
            AI Hub), the folder of a saved `DatasetDict`, or the id of a data set on the Hub, "owner/name".
        labels: which labels, and in which order: "six" or "sixty" of AI Hub, a list out of either, a list of the
            labels of your own data, or "all" for every label found in training, sorted, or as `label_names` has them.
        label_names: the file of the names that label ids stand for: one a line, the first that of id 0, or YAML or
            JSON of a list or a mapping.
        label_map: new names of labels, as they are typed: a mapping, or "old=new" words and YAML files; what gets
            one name is one label.
        drop_labels_below: labels of fewer training rows are left out, before anything is carved.
        on_bad_rows: what becomes of rows with an empty text or label, an unknown label, cells that contradict each
            other, or a NUL character: "drop", "error", or "auto", which drops up to a fifth of a split.
        task: "single" trains one label a row, "multi" several; "auto" several where a row has more than one.
        several_labels: what "single" does with rows of several labels: "error", "first" or "drop".
        text_column: the column of texts, where it goes by no usual name: its name, or its number from 1.
        label_column: the column of labels, where it goes by no usual name: its name, or its number from 1.
        header: the row of the column names, from 1, or "none"; None: it is found out.
        sheet: the sheet of a workbook; None: it is found out.
        turns: of the dialogues that stand one in a row, the "first" human turn or "all" of them.
        validation_size: the share of training that becomes validation, where that split is missing.
        test_size: the share of training that becomes test, where that split is missing.
        train_fraction: the share of each label's training rows that is kept; a smaller one is part of a larger one.
        shots, shots_seed: how many training rows of each label are kept, drawn by that seed; see `keep_shots`.
        seed: seed of the carving.
        revision: branch, tag or commit of a Hub data set.
        cache_dir: where a Hub data set is stored, instead of its usual place.

    Raises:
        UserError: one line for whatever is wrong with the source or an argument.
    """
    if turns not in ("first", "all"):
        raise UserError(f"turns is {turns!r}; allowed are 'first' and 'all'.")
    choices = Choices(
        labels=resolve_labels(labels),
        label_names=None if label_names is None else str(label_names),
        label_map=label_map,
        drop_labels_below=drop_labels_below,
        on_bad_rows=on_bad_rows,
        task=task,
        several_labels=several_labels,
        validation_size=validation_size,
        test_size=test_size,
        train_fraction=train_fraction,
        shots=shots,
        shots_seed=shots_seed,
        seed=seed,
    )
    sources = [str(source)] if isinstance(source, str | Path) else [str(name) for name in source]
    layout = Layout(header_row(header), sheet, text_column, label_column)
    kind, tables, notes = read_sources(sources, layout, revision, cache_dir)
    rows, chosen, more = _rows_of_all(tables, text_column=text_column, label_column=label_column, turns=turns)
    try:
        made = prepare(rows, choices)
    except UserError as error:
        if seem_swapped := _swapped(rows, tables, chosen, choices, turns):
            raise seem_swapped from error
        raise
    del rows  # as large as what came of them
    notes = [one_line(note) for note in (*notes, *more, *made.notes)]
    for note in notes:
        logger.warning("%s", note)
    origin = {"source": " ".join(sources), "kind": kind, "files": _files(tables), "columns": chosen, "turns": turns}
    return _emotion_data(made, origin, {"train_fraction": train_fraction, "notes": notes})


def _swapped(
    rows: pd.DataFrame, tables: Tables, chosen: dict[str, str], choices: Choices, turns: str
) -> UserError | None:
    """What to say of rows of more labels than texts, which can be used once the two columns are swapped."""
    if rows["label"].nunique() <= rows["text"].nunique():
        return None
    text, label = chosen["label"], chosen["text"]
    with contextlib.suppress(UserError):
        prepare(_rows_of_all(tables, text_column=text, label_column=label, turns=turns)[0], choices)
        return UserError(
            f"{rows['file'].iloc[0]}: column {chosen['text']!r} is read as the text and column {chosen['label']!r} as "
            f"the label, which seem swapped: {rows['text'].nunique():,} different texts have "
            f"{rows['label'].nunique():,} labels; give --text_column {shell_word(text)} --label_column "
            f"{shell_word(label)}."
        )
    return None


def _files(tables: Tables) -> list[dict[str, Any]]:
    return [
        {"name": table.name, "encoding": table.encoding, "rows": len(table.frame), "split": split}
        for split, table in tables
    ]


def _emotion_data(made: Prepared, origin: dict[str, Any], rest: dict[str, Any]) -> EmotionData:
    """The splits as data sets; the report begins with the origin of the rows."""
    splits = {split: made.rows[made.rows["split"] == split] for split in SPLITS}
    report = {
        **origin,
        "task": "multi" if made.multi_label else "single",
        "counts": {split: made.counts(split) for split in splits},
        "rows": {split: len(part) for split, part in splits.items()},
        **made.report,
        "duplicates_kept": {split: int(text_keys(part["text"]).duplicated().sum()) for split, part in splits.items()},
        **rest,
    }
    return EmotionData(
        splits=datasets.DatasetDict({split: _dataset(part, made, split) for split, part in splits.items()}),
        labels=made.labels,
        fingerprint=_fingerprint(splits, made.labels),
        report=report,
    )


def _rows_of_all(
    tables: Tables, *, text_column: str | None, label_column: str | None, turns: str
) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """The rows of all tables, the columns that they were taken from, and what is to be said of them."""
    parts, notes = [], list[str]()
    chosen: dict[str, str] = {}
    for split, table in tables:
        taken = rows_of(table, text_column=text_column, label_column=label_column, turns=turns, like=chosen)
        chosen = taken.columns
        notes += taken.notes
        parts.append(taken.rows if split is None else taken.rows.assign(split=split))
    rows = pd.concat(parts, ignore_index=True)
    words = [name for name in rows if name not in ("file", "row", "unread", "optional", "form", "column")]
    rows[words] = rows[words].fillna("")  # a column that only some of the files have
    return rows, chosen, list(dict.fromkeys(notes))


def _dataset(rows: pd.DataFrame, made: Prepared, split: str) -> datasets.Dataset:
    places = {name: i for i, name in enumerate(made.labels)}
    labels = rows["label"].map((lambda names: sorted(places[name] for name in names)) if made.multi_label else places)
    index = datasets.Value("int64")
    frame = pd.DataFrame({"text": rows["text"], "label": labels})
    features = {"text": datasets.Value("string"), "label": datasets.List(index) if made.multi_label else index}
    for name in FURTHER_COLUMNS:
        if name in rows:
            frame[name] = rows[name]
            features[name] = datasets.Value("string")
    return datasets.Dataset.from_pandas(
        frame, features=datasets.Features(features), split=datasets.NamedSplit(split), preserve_index=False
    )


def _fingerprint(splits: dict[str, pd.DataFrame], labels: Sequence[str]) -> str:
    content = [list(labels)] + [
        [split, part["text"].tolist(), part["label"].tolist()] for split, part in splits.items()
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
