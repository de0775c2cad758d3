"""From the name of a source to its tables: the bundled corpus, files, a folder, a zip, or the Hub."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from emo_hf.data.assembly import Place, assemble, assemble_sheets, read_as
from emo_hf.data.class_folders import class_folders
from emo_hf.data.pieces import Tables, few_pieces, piece_of_file
from emo_hf.data.sources.aihub import is_release
from emo_hf.data.sources.files import suffix_of
from emo_hf.data.sources.hub import is_saved, read_hub, read_saved
from emo_hf.data.sources.members import DataFile, files_of
from emo_hf.data.sources.readers import READERS, read_file
from emo_hf.data.sources.tables import Layout, check_used
from emo_hf.data.split_columns import with_split_columns
from emo_hf.data.split_names import split_of_path
from emo_hf.data.unlabelled import without_unlabelled
from emo_hf.errors import UserError, nearest
from emo_hf.storage.record import holds_results

SAMPLE = Path(__file__).parent / "sample" / "emotions.csv"
SourceFiles = tuple[tuple[str, int, int], ...]


def check_source(source: str) -> None:
    """Look whether there is such a source, without reading it.

    Raises:
        UserError: it is no file, folder or id of a data set; a near name that does exist is named.
    """
    path = Path(source).expanduser()
    if source == "sample" or path.exists():
        return
    hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source, re.ASCII)
    if not hub_id or suffix_of(source) in {*READERS, ".zip"}:
        raise UserError(
            f"{source} does not exist{_near(path)}; give a file ({' '.join(READERS)} .zip), a folder, a Hub id "
            "'owner/name', or 'sample'."
        )


def _near(path: Path) -> str:
    """`, did you mean …?`, of a name in the same folder."""
    with contextlib.suppress(OSError):
        near = {unicodedata.normalize("NFC", other.name).lower(): other.name for other in path.parent.iterdir()}
        wanted = unicodedata.normalize("NFC", path.name).lower()
        if found := nearest(wanted, near, 0.75):
            return f", did you mean {path.parent / near[found]}?"
    return ""


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
    """Find out what the sources are; return their kind, their tables with the splits that they are, and notes.

    The split is None where the table itself may tell, in a column. The notes are what was left out or read otherwise
    than it stands there, a line each, and of several files or sheets which was read as which split.

    Raises:
        UserError: no such source, one that can't be read, a split that is there twice, sources that don't go together,
            a header or a sheet that is asked for and that no table could have.
    """
    for source in sources:
        check_source(source)
        if revision is not None and _is_local(source):
            raise UserError(
                f"revision {revision!r} is for Hub data sets, but {source} is a file or folder; leave it out."
            )
    if len(sources) > 1:
        kind, tables, notes = _read_several(sources, layout)
    else:
        kind, tables, notes = _read_one(sources[0], layout, revision, cache_dir)
    in_rows, sheets = any(table.in_rows for _, table in tables), any(table.sheet is not None for _, table in tables)
    check_used(layout, few_pieces(sources), in_rows=in_rows, sheets=sheets)
    tables, said = with_split_columns(tables, layout)
    tables, aside = without_unlabelled(tables, layout)
    if kind == "aihub" or (kind in ("file", "files", "folder", "zip") and (len(tables) > 1 or notes or aside)):
        notes = [read_as(tables), *notes]
    return kind, tables, [*notes, *said, *aside, *dict.fromkeys(note for _, table in tables for note in table.notes)]


def _is_local(source: str) -> bool:
    return source == "sample" or Path(source).expanduser().exists()


def _read_one(
    source: str, layout: Layout, revision: str | None, cache_dir: str | Path | None
) -> tuple[str, Tables, list[str]]:
    path = Path(source).expanduser()
    if source == "sample":
        return "sample", [(None, table) for table in read_file(SAMPLE, layout)], []
    if not path.exists():
        return ("hub", *read_hub(source, revision, cache_dir))
    if path.is_dir() and is_saved(path):
        return ("saved", *read_saved(path))
    if path.is_dir() or suffix_of(path.name) == ".zip":
        return _read_files(*files_of(path), Place(str(path), layout), "folder" if path.is_dir() else "zip")
    return ("file", *assemble_sheets(read_file(path, layout), Place(path.name, layout)))


def _read_several(sources: Sequence[str], layout: Layout) -> tuple[str, Tables, list[str]]:
    """Files, folders and zips that the user put together; each is called by what tells it from the others."""
    for source in sources:
        if source == "sample" or not _is_local(source) or is_saved(Path(source).expanduser()):
            raise UserError(
                f"{source} can't be read together with other data; give it alone, or several files, folders or zips."
            )
    paths = list(dict.fromkeys(Path(source).expanduser().absolute() for source in sources))
    if len(paths) == 1:
        return _read_one(sources[0], layout, None, None)
    top = Path(os.path.commonpath([path.parent for path in paths]))
    names = [unicodedata.normalize("NFC", path.relative_to(top).as_posix()) for path in paths]
    found = [files_of(path, name) for path, name in zip(paths, names, strict=True)]
    files = [file for read, _ in found for file in read]
    left = [name for _, others in found for name in others]
    listed = not any(path.is_dir() or suffix_of(path.name) == ".zip" for path in paths)
    return _read_files(files, left, Place(few_pieces(names), layout, listed), "files")


def _raw(files: Sequence[DataFile]) -> list[DataFile]:
    """The texts that AI Hub's releases hold once more, without labels: 원천데이터 beside 라벨링데이터."""
    labelled = any("라벨" in file.name for file in files)
    return [file for file in files if labelled and "원천" in file.name and "라벨" not in file.name]


def _read_files(
    files: Sequence[DataFile], left: Sequence[str], place: Place, kind: str
) -> tuple[str, Tables, list[str]]:
    """The tables of the files of a folder, a zip, or a list; those that are `left`, or of a kind not read, are noted.

    Raises:
        UserError: none that is read; one that is not, though its name says a split that no other is.
    """
    read = [file for file in files if file.is_read]
    notes = []
    if not place.listed and (raw := _raw(read)):
        read = [file for file in read if file not in raw]
        notes.append(f"not read, as labels are in files beside them: {few_pieces([file.name for file in raw])}")
    others = [file for file in files if not file.is_read]
    splits = {split_of_path(file.name) for file in read} | {None}
    wrong = others if place.listed or not read else [file for file in others if split_of_path(file.name) not in splits]
    if wrong:
        names = few_pieces([file.name for file in wrong])
        raise UserError(f"{place.name}: {names} can't be read; save as one of {' '.join(READERS)}, or take it away.")
    if not read:
        raise UserError(f"{place.name} holds no file of data ({' '.join(READERS)}): found nothing readable.")
    if classes := class_folders(read, place.layout, listed=place.listed):
        tables, more = assemble(classes.pieces, place)
        notes += [*more, *classes.notes]
    else:
        tables, more = assemble([piece_of_file(file) for file in read], place)
        notes += more
    if unread := [*(file.name for file in others), *left]:
        notes.append(f"not read: {few_pieces(unread)}")
    if kind in ("folder", "zip") and all(is_release(table) for _, table in tables):
        kind = "aihub"
    return kind, tables, notes
