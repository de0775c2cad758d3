"""The one entry point: any source to checked, labelled rows in three splits."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd

from emo_hf.data.checks import check_classes, check_filled, check_several, name_labels
from emo_hf.data.sources.aihub import is_release, read_release
from emo_hf.data.sources.columns import OTHER_COLUMNS, rows_of
from emo_hf.data.sources.readers import READERS, Table, frame_from_arrow, read_file, suffix_of
from emo_hf.data.splits import (
    SPLIT_NAMES,
    SPLITS,
    given_splits,
    keep_fraction,
    make_splits,
    shared_dialogues,
    text_keys,
)
from emo_hf.data.taxonomy import DEFAULT_LABELS, resolve_labels
from emo_hf.errors import UserError

logger = logging.getLogger(__name__)

SAMPLE = Path(__file__).parent / "sample" / "emotions.csv"
# The split that a table was given as (None: the table itself may tell, in a column), and the table.
_Tables = list[tuple[str | None, Table]]


@dataclass(frozen=True)
class EmotionData:
    """Labelled utterances in three splits.

    Attributes:
        splits: "train", "validation", "test" with the columns text (NFC, stripped), label (index into `labels`), and
            those of dialogue, sub_emotion, situation, age_group, gender that the source has (strings).
        labels: the label names in the order of the class indices.
        fingerprint: sha256 over the texts, labels and splits, whatever file they came from.
        report: what was read, chosen, left out and carved; JSON-able.
    """

    splits: datasets.DatasetDict
    labels: tuple[str, ...]
    fingerprint: str
    report: dict[str, Any]

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
    source: str = "sample",
    *,
    labels: str | Sequence[str] = DEFAULT_LABELS,
    text_column: str | None = None,
    label_column: str | None = None,
    turns: str = "first",
    validation_size: float = 0.1,
    test_size: float = 0.1,
    train_fraction: float = 1.0,
    seed: int = 42,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
) -> EmotionData:
    """Load, check and split a source; what it is, is found out from what is there.

    Args:
        source: "sample" (the bundled corpus), a file (one table, with an optional column `split`), a folder (files
            named train, validation, test; a `DatasetDict` saved there; a release of AI Hub), a zip of AI Hub, or the
            id of a data set on the Hub, "owner/name".
        labels: which labels, and in which order: "six" or "sixty" of AI Hub, a list out of either, a list of the
            labels of your own data, or "all" for every label found in training, sorted.
        text_column: the column of texts, where it goes by no usual name.
        label_column: the column of labels, where it goes by no usual name.
        turns: of the dialogues that stand one in a row, the "first" human turn or "all" of them.
        validation_size: the share of training that becomes validation, where that split is missing.
        test_size: the share of training that becomes test, where that split is missing.
        train_fraction: the share of the training rows of each label that is kept, once all else is done; a smaller
            share is part of a larger one.
        seed: seed of the carving.
        revision: branch, tag or commit of a Hub data set.
        cache_dir: where a Hub data set is stored, instead of its usual place.

    Raises:
        UserError: one line for whatever is wrong with the source or an argument.
    """
    if turns not in ("first", "all"):
        raise UserError(f"turns is {turns!r}; allowed are 'first' and 'all'.")
    wanted = resolve_labels(labels)
    kind, tables = _read(str(source), revision, cache_dir)
    parts, chosen, files = [], {}, []
    for split, table in tables:
        rows, chosen = rows_of(table, text_column=text_column, label_column=label_column, turns=turns)
        if split is not None:
            rows["split"] = split
        parts.append(rows)
        files.append({"name": table.name, "encoding": table.encoding, "rows": len(table.frame), "split": split})
    rows = pd.concat(parts, ignore_index=True)
    words = [name for name in rows if name not in ("file", "row", "optional")]
    rows[words] = rows[words].fillna("")  # a column that only some of the files have
    rows = given_splits(rows)
    given = set(rows["split"])
    rows, empty = check_filled(rows)
    if wanted is None:
        wanted = tuple(sorted(rows.loc[rows["split"] == "train", "label"].unique()))
    rows, left_out = name_labels(rows, wanted)
    check_several(rows, wanted)
    rows, origins, dropped = make_splits(rows, given, validation_size=validation_size, test_size=test_size, seed=seed)
    rows = keep_fraction(rows, train_fraction, seed)
    check_classes(rows, wanted, dropped)

    splits = {split: rows[rows["split"] == split] for split in SPLITS}
    report = {
        "source": str(source),
        "kind": kind,
        "files": files,
        "columns": chosen,
        "turns": turns,
        "counts": {
            split: {label: int((part["label"] == label).sum()) for label in wanted} for split, part in splits.items()
        },
        "left_out": left_out,
        "empty_dropped": empty,
        "duplicates_removed": dropped,
        "duplicates_kept": {split: int(text_keys(part["text"]).duplicated().sum()) for split, part in splits.items()},
        "dialogues_shared": shared_dialogues(rows),
        "splits": origins,
        "train_fraction": train_fraction,
    }
    if left_out:
        logger.info("rows left out, as their labels were not asked for: %s", left_out)
    return EmotionData(
        splits=datasets.DatasetDict({split: _dataset(part, wanted, split) for split, part in splits.items()}),
        labels=wanted,
        fingerprint=_fingerprint(splits, wanted),
        report=report,
    )


def _dataset(rows: pd.DataFrame, labels: Sequence[str], split: str) -> datasets.Dataset:
    frame = pd.DataFrame(
        {"text": rows["text"], "label": rows["label"].map({name: i for i, name in enumerate(labels)})}
    )
    features = {"text": datasets.Value("string"), "label": datasets.Value("int64")}
    for name in OTHER_COLUMNS:
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


def check_source(source: str) -> None:
    """Look whether there is such a source, without reading it.

    Raises:
        UserError: it is no file, folder or id of a data set.
    """
    if source == "sample" or Path(source).expanduser().exists():
        return
    hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source, re.ASCII)
    if not hub_id or suffix_of(source) in {*READERS, ".zip"}:
        raise UserError(
            f"{source} does not exist; give a file ({' '.join(READERS)} .zip), a folder, a Hub id 'owner/name', "
            "or 'sample'."
        )


def _read(source: str, revision: str | None, cache_dir: str | Path | None) -> tuple[str, _Tables]:
    """Find out what the source is; return its kind and its tables."""
    check_source(source)
    path = SAMPLE if source == "sample" else Path(source).expanduser()
    is_local = source == "sample" or path.exists()
    if is_local and revision is not None:
        raise UserError(f"revision {revision!r} is for Hub data sets, but {source} is a file or folder; leave it out.")
    if source == "sample":
        return "sample", [(None, read_file(path))]
    if path.is_dir():
        return _read_folder(path)
    if is_local and suffix_of(path.name) == ".zip":
        return "aihub", list(read_release(path))
    if is_local:
        return "file", [(None, read_file(path))]
    return "hub", _read_hub(source, revision, cache_dir)


def _read_folder(path: Path) -> tuple[str, _Tables]:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        try:
            saved = datasets.load_from_disk(str(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} holds a saved data set that can't be read ({_line(error)}); save again."
            ) from error
        return "saved", _tables_of(saved if isinstance(saved, dict) else {"train": saved}, str(path))
    tables: _Tables = []
    for file in sorted(path.iterdir()):
        name = unicodedata.normalize("NFC", file.name)
        # Shards, as the Hub names them, are one table: train-00000-of-00002.parquet.
        stem = re.sub(r"-\d{5}-of-\d{5}$", "", name.removesuffix(file.suffix).lower())
        if file.is_file() and suffix_of(name) in READERS and stem in SPLIT_NAMES:
            tables.append((SPLIT_NAMES[stem], read_file(file)))
    splits = {split for split, _ in tables}
    if "train" not in splits or (all(is_release(table) for _, table in tables) and "test" not in splits):
        return "aihub", list(read_release(path))  # whose validation part is the test set
    return "folder", tables


def _read_hub(name: str, revision: str | None, cache_dir: str | Path | None) -> _Tables:
    try:
        found = datasets.load_dataset(name, revision=revision, cache_dir=str(cache_dir) if cache_dir else None)
    except Exception as error:  # the client, the file formats and the network each raise their own
        raise UserError(
            f"{name} is neither a file or folder here nor a Hub data set that could be loaded ({_line(error)}); check "
            "the name, the revision, your log-in and the network, or download the files and give their folder."
        ) from error
    return _tables_of(found, name)


def _tables_of(found: dict[str, datasets.Dataset], where: str) -> _Tables:
    known = {SPLIT_NAMES[name.lower()]: name for name in found if name.lower() in SPLIT_NAMES}
    if not known and len(found) == 1:  # one table under a name of its own
        known = {"train": next(iter(found))}
    if "train" not in known:
        raise UserError(f"{where}: no training split; splits found: {', '.join(found)}; one must be named train.")
    unread = [name for name in found if name not in known.values()]
    if unread:
        logger.warning("%s: splits that are not read: %s", where, ", ".join(unread))
    only = len(known) == 1
    tables: _Tables = []
    for split, name in known.items():
        table = found[name].with_format("arrow")[:] if len(found[name]) else found[name].data.table
        table = table.replace_schema_metadata(found[name].features.arrow_schema.metadata)
        # A column `split` of a data set with one split tells the same as in a file.
        own = only and "split" in table.column_names
        tables.append((None if own else split, Table(f"{where} ({name})", frame_from_arrow(where, table))))
    return tables


def _line(error: Exception) -> str:
    """The first line of a foreign message, which tends to run on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
