"""From the name of a source to its tables: the bundled corpus, a file, a folder, a zip of AI Hub, or the Hub."""

from __future__ import annotations

import contextlib
import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets

from emo_hf.data.sources.aihub import is_release, read_release
from emo_hf.data.sources.arrow import table_from_arrow
from emo_hf.data.sources.readers import READERS, read_file, suffix_of
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.data.splits import SPLIT_NAMES
from emo_hf.errors import UserError
from emo_hf.storage.record import holds_results

logger = logging.getLogger(__name__)

SAMPLE = Path(__file__).parent / "sample" / "emotions.csv"
Tables = list[tuple[str | None, Table]]
SourceFiles = tuple[tuple[str, int, int], ...]


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


def source_files(source: str) -> SourceFiles:
    """What the files of a source here are: name, size in bytes and time of change in ns; none for other sources.

    Another answer means other data, which are not read to find out.
    """
    path = Path(source).expanduser()
    if source == "sample" or not path.exists():
        return ()
    found: list[tuple[str, int, int]] = []
    folders, seen = [path] if path.is_dir() else [], set[Path]()
    with contextlib.suppress(OSError):  # reading will say it
        if not folders:
            found.append(_file_state(path))
        while folders:
            folder = folders.pop()
            if (real := folder.resolve()) in seen:  # links may lead back up
                continue
            seen.add(real)
            for inner in sorted(folder.iterdir()):
                if inner.is_dir() and not holds_results(inner):  # those change while a study goes on
                    folders.append(inner)
                elif inner.is_file():
                    found.append(_file_state(inner))
    return tuple(found)


def _file_state(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def read_sources(
    sources: Sequence[str], layout: Layout, revision: str | None, cache_dir: str | Path | None
) -> tuple[str, Tables, list[str]]:
    """As `read_source`, of one or several sources; the notes are what was left out, a line each."""
    kind, tables = read_source(sources[0], layout, revision, cache_dir)
    return kind, tables, [note for _, table in tables for note in table.notes]


def read_source(source: str, layout: Layout, revision: str | None, cache_dir: str | Path | None) -> tuple[str, Tables]:
    """Find out what the source is; return its kind, and its tables with the splits that they were given as.

    The split is None where the table itself may tell, in a column.

    Raises:
        UserError: no such source, one that can't be read, or a split that it holds twice.
    """
    check_source(source)
    path = SAMPLE if source == "sample" else Path(source).expanduser()
    is_local = source == "sample" or path.exists()
    if is_local and revision is not None:
        raise UserError(f"revision {revision!r} is for Hub data sets, but {source} is a file or folder; leave it out.")
    if source == "sample":
        return "sample", [(None, table) for table in read_file(path)]
    if path.is_dir():
        return _read_folder(path, layout)
    if is_local and suffix_of(path.name) == ".zip":
        return "aihub", list(read_release(path, layout))
    if is_local:
        return "file", [(None, table) for table in read_file(path, layout)]
    return "hub", _read_hub(source, revision, cache_dir)


def _read_folder(path: Path, layout: Layout) -> tuple[str, Tables]:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        try:
            saved = datasets.load_from_disk(str(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} holds a saved data set that can't be read ({_line(error)}); save again."
            ) from error
        return "saved", _tables_of(saved if isinstance(saved, dict) else {"train": saved}, str(path))
    tables: Tables = []
    names: dict[str, list[str]] = {}
    for file in sorted(path.iterdir()):
        name = unicodedata.normalize("NFC", file.name)
        # Shards, as the Hub names them, are one table: train-00000-of-00002.parquet.
        whole = re.sub(r"-\d{5}-of-\d{5}(?=\.[^.]*$)", "", name)
        split = SPLIT_NAMES.get(whole.removesuffix(file.suffix).lower())
        if split is not None and file.is_file() and suffix_of(name) in READERS:
            tables += [(split, table) for table in read_file(file, layout)]
            names.setdefault(split, []).append(whole)
    if "train" not in names or (all(is_release(table) for _, table in tables) and "test" not in names):
        return "aihub", list(read_release(path, layout))  # whose validation part is the test set
    for split, several in names.items():
        _check_one(str(path), split, several, "file")
    return "folder", tables


def _check_one(where: str, split: str, names: Sequence[str], kind: str) -> None:
    """Refuse a split that is there under two names: whether it is read once, twice or in part, nobody could tell."""
    if len(different := list(dict.fromkeys(names))) > 1:
        raise UserError(
            f"{where}: {' and '.join(different)} are each the {split} split; keep one {kind}, with all rows that are "
            "to be read."
        )


def _read_hub(name: str, revision: str | None, cache_dir: str | Path | None) -> Tables:
    try:
        found = datasets.load_dataset(name, revision=revision, cache_dir=str(cache_dir) if cache_dir else None)
    except Exception as error:  # the client, the file formats and the network each raise their own
        raise UserError(
            f"{name} is neither a file or folder here nor a Hub data set that could be loaded ({_line(error)}); check "
            "the name, the revision, your log-in and the network, or download the files and give their folder."
        ) from error
    return _tables_of(found, name)


def _tables_of(found: Mapping[str, datasets.Dataset], where: str) -> Tables:
    several: dict[str, list[str]] = {}
    for name in found:
        if name.lower() in SPLIT_NAMES:
            several.setdefault(SPLIT_NAMES[name.lower()], []).append(name)
    for split, names in several.items():
        _check_one(where, split, names, "split")
    known = {split: names[0] for split, names in several.items()}
    if not known and len(found) == 1:  # one table under a name of its own
        known = {"train": next(iter(found))}
    if "train" not in known:
        raise UserError(f"{where}: no training split; splits found: {', '.join(found)}; one must be named train.")
    unread = [name for name in found if name not in known.values()]
    if unread:
        logger.warning("%s: splits that are not read: %s", where, ", ".join(unread))
    only = len(known) == 1
    tables: Tables = []
    for split, name in known.items():
        table = found[name].with_format("arrow")[:] if len(found[name]) else found[name].data.table
        table = table.replace_schema_metadata(found[name].features.arrow_schema.metadata)
        # A column `split` of a data set with one split tells the same as in a file.
        own = only and "split" in table.column_names
        tables.append((None if own else split, table_from_arrow(f"{where} ({name})", table)))
    return tables


def _line(error: Exception) -> str:
    """The first line of a foreign message, which tends to run on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
