"""Data sets of `datasets`, from the Hub or saved in a folder, as tables with the splits that they have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import datasets

from emo_hf.data.sources.arrow import table_from_arrow
from emo_hf.data.sources.hub_files import plain_tables
from emo_hf.data.sources.tables import Table
from emo_hf.data.split_names import ALLOWED, SPLITS, split_of
from emo_hf.errors import UserError

Splits = list[tuple[str | None, Table]]


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` has written a folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read_saved(folder: Path) -> tuple[Splits, list[str]]:
    """The tables of a data set that was saved there, with their splits, and notes; as `read_hub`.

    Raises:
        UserError: one that can't be read, or has no training split.
    """
    try:
        saved = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds a saved data set that can't be read ({_line(error)}); save again.") from error
    return _tables_of(saved if isinstance(saved, dict) else {"train": saved}, str(folder))


def read_hub(name: str, revision: str | None, cache_dir: str | Path | None) -> tuple[Splits, list[str]]:
    """The tables of a data set of the Hub, with their splits, and notes of what was not read.

    The split is None where a column `split` of the only table tells it.

    Raises:
        UserError: one that can't be loaded, has no training split, or one split under two names.
    """
    cache = str(cache_dir) if cache_dir else None
    found: Mapping[str, datasets.Dataset | list[Table]]
    try:
        found = plain_tables(name, revision, cache_dir) or datasets.load_dataset(
            name, revision=revision, cache_dir=cache
        )
    except Exception as error:  # the client, the file formats and the network each raise their own
        raise UserError(
            f"{name} is neither a file or folder here nor a Hub data set that could be loaded ({_line(error)}); check "
            "the name, the revision, your log-in and the network, or download the files and give their folder."
        ) from error
    return _tables_of(found, name)


def _tables_of(found: Mapping[str, datasets.Dataset | list[Table]], where: str) -> tuple[Splits, list[str]]:
    known = {split: name for split in SPLITS if (name := _name_of(split, list(found), where))}
    if not known and len(found) == 1:  # one table under a name of its own
        known = {"train": next(iter(found))}
    if "train" not in known:
        raise UserError(
            f"{where}: no training split; splits found: {', '.join(found)}; a name has to say which it is: {ALLOWED}."
        )
    notes = []
    if renamed := [f"{split}: {name}" for split, name in known.items() if len(found) > 1 and split != name.lower()]:
        notes.append(f"{where}: splits by other names, {'; '.join(renamed)}")
    if unread := [name for name in found if name not in known.values()]:
        notes.append(f"{where}: splits that are not read: {', '.join(unread)}")
    only = len(known) == 1
    tables: Splits = []
    for split, name in known.items():
        parts = found[name]
        if isinstance(parts, datasets.Dataset):
            table = parts.with_format("arrow")[:] if len(parts) else parts.data.table
            table = table.replace_schema_metadata(parts.features.arrow_schema.metadata)
            parts = [table_from_arrow(f"{where} ({name})", table)]
        # A column `split` of a data set with one split tells the same as in a file.
        tables += [(None if only and "split" in part.frame else split, part) for part in parts]
    return tables, notes


def _name_of(split: str, names: list[str], where: str) -> str | None:
    """What a data set calls a split: by the word alone, or by a name with the word in it."""
    said = [name for name in names if split_of(name) == split]
    plain = [name for name in said if name.isalpha()]
    if len(different := plain or said) > 1:
        raise UserError(
            f"{where}: {' and '.join(different)} are each the {split} split; keep one split, with all rows that are "
            "to be read."
        )
    return different[0] if different else None


def _line(error: Exception) -> str:
    """The first line of a foreign message, which tends to run on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
