"""Files of text on the Hub are read as files here are: datasets changes texts that look like something else.

Its JSON reader writes all texts of a column with a number among them as JSON, under the column's type if another
file gave one; its CSV reader makes the text "null" a missing one, and 1.5 of "1.50" where a part has only numbers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import datasets
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.json.json import Json
from huggingface_hub import hf_hub_download

from emo_hf.data.sources.files import suffix_of
from emo_hf.data.sources.readers import READERS, read_tables
from emo_hf.data.sources.tables import Table
from emo_hf.errors import UserError
from emo_hf.storage.files import read_object, write_whole

# Where the files are and what they are called; and a delimiter, which is found out here.
_HARMLESS = {"name", "version", "data_dir", "data_files", "description", "features", "sep", "delimiter"}


def plain_tables(name: str, revision: str | None, cache_dir: str | Path | None) -> dict[str, list[Table]] | None:
    """The tables of each split of a data set that is CSV or JSON on the Hub; None where datasets has to read it.

    Without the Hub it is what was read when it was there last.

    Raises:
        Exception: whatever datasets and the client raise where the data set can't be had.
    """
    asked = hashlib.sha256(json.dumps([name, revision]).encode()).hexdigest()
    stored = Path(cache_dir or datasets.config.HF_DATASETS_CACHE) / "emo_hf" / "hub" / f"{asked}.json"
    try:
        cache = str(cache_dir) if cache_dir else None
        listing = _listing(datasets.load_dataset_builder(name, revision=revision, cache_dir=cache))
    except ConnectionError:
        listing = read_object(stored)
        if listing is None:
            raise
    if listing is None:
        return None
    found: dict[str, list[Table]] = {}
    for split, repository, commit, path in listing["files"]:
        file = hf_hub_download(repository, path, repo_type="dataset", revision=commit, cache_dir=cache_dir)
        try:
            tables = read_tables(f"{repository}: {path}", Path(file).read_bytes())
        except UserError:
            return None  # a shape that datasets may know
        found.setdefault(split, []).extend(_named(table, listing["names"]) for table in tables)
    stored.parent.mkdir(parents=True, exist_ok=True)
    write_whole(stored, json.dumps(listing, ensure_ascii=False).encode())
    return found


def _listing(builder: datasets.DatasetBuilder) -> dict[str, Any] | None:
    """The files (split, repository, revision, path), and the names of each ClassLabel; None for other kinds."""
    if not isinstance(builder, Csv | Json) or _has_options(builder.config):
        return None
    files = builder.config.data_files or {}
    places = [(str(split), _place(file)) for split, several in files.items() for file in several]
    if not places or any(place is None or suffix_of(place[2]) not in READERS for _, place in places):
        return None
    names = {
        name: inner.names
        for name, feature in (builder.info.features or {}).items()
        if isinstance(inner := getattr(feature, "feature", feature), datasets.ClassLabel)
    }
    return {"files": [[split, *place] for split, place in places if place], "names": names}


def _has_options(config: Any) -> bool:
    usual = type(config)()
    names = {field.name for field in dataclasses.fields(config)} - _HARMLESS
    return any(getattr(config, name) != getattr(usual, name) for name in names)


def _place(file: str) -> tuple[str, str, str] | None:
    """Repository, revision and path of a file on the Hub; None for one elsewhere."""
    found = re.fullmatch(r"hf://datasets/([^/@]+/[^/@]+)@([^/]+)/(.+)", file)
    return (found[1], found[2], found[3]) if found else None


def _named(table: Table, names: dict[str, list[str]]) -> Table:
    """The names in place of the numbers of a ClassLabel, or of lists of such, as the data set's card has them."""
    frame = table.frame
    for column, titles in names.items():
        if column in table.lists:
            frame = frame.assign(**{column: [_named_list(cell, titles) for cell in frame[column]]})
        elif column in frame and frame[column].str.fullmatch(r"-1|\d*").all():
            frame = frame.assign(
                **{column: frame[column].replace({"-1": ""} | {str(n): title for n, title in enumerate(titles)})}
            )
    return dataclasses.replace(table, frame=frame)


def _named_list(cell: str, titles: list[str]) -> str:
    numbers = json.loads(cell) if cell else []
    known = all(isinstance(number, int) and 0 <= number < len(titles) for number in numbers)
    return json.dumps([titles[number] for number in numbers], ensure_ascii=False) if cell and known else cell
