"""The files of a folder or a zip, with the zips in it: listed first, read only when they are asked for."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emo_hf.data.sources.archives import Unpacked, open_archive, read_member
from emo_hf.data.sources.files import read_bytes, suffix_of
from emo_hf.data.sources.readers import READERS
from emo_hf.data.split_names import split_of_path
from emo_hf.errors import UserError
from emo_hf.storage.record import holds_results

_DEEPEST_ZIP = 4
# They stand beside data everywhere and never are data.
_NEVER_DATA = re.compile(r"(readme|licen[sc]e|requirements|dataset_infos?)([-_.].*)?\.(txt|json)")
# Data that somebody who trains may mean, and that are not read.
_NOT_READ = re.compile(
    r"\.(xls|xlsm|xlsb|ods|gz|bz2|xz|zst|7z|rar|tar|tgz|alz|egg|pkl|pickle|feather|arrow|npy|npz|h5|xml|db|sqlite|hwpx?|"
    r"docx?|sav|dta|ndjson|tab|dat)"
)
_PIECE = re.compile(r"\.zip\.part\d+$")


@dataclass(frozen=True)
class DataFile:
    """A file that may hold data; `name` is its path below the source, with `/`, in NFC."""

    name: str
    read: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        return suffix_of(self.name)

    @property
    def is_read(self) -> bool:
        """Whether there is a reader for its kind; others are listed so that they can be named."""
        return self.suffix in READERS


def files_of(path: Path, name: str = "") -> tuple[list[DataFile], list[str]]:
    """The files of a folder or a zip that may hold data, or a file itself, and the names of those that are let be.

    Folders and zips in a folder are looked into, unless the files directly in it are all that is needed, which is
    training and another split.

    Args:
        path: the folder, zip or file.
        name: what it is called before the names of its files; of a folder alone, nothing.

    Raises:
        UserError: a broken or encrypted zip, a piece of one, zips too deep in zips.
    """
    if not path.is_dir():
        return list(_opened(unicodedata.normalize("NFC", name or path.name), path)), []
    found = list(_walk(path, f"{name}/" if name else "", set()))
    direct = [(inner, file) for inner, file in found if file.parent == path and suffix_of(inner) != ".zip"]
    splits = {split_of_path(file.name) for _, file in direct} - {None}
    if "train" in splits and len(splits) > 1:
        kept = {inner for inner, _ in direct}
        files = [one for inner, file in direct for one in _opened(inner, file)]
        return files, [inner for inner, _ in found if inner not in kept]
    return [one for inner, file in found for one in _opened(inner, file)], []


def _walk(folder: Path, prefix: str, seen: set[Path]) -> Iterator[tuple[str, Path]]:
    if folder.resolve() in seen:  # links may lead back up, and would be followed for ever
        return
    seen.add(folder.resolve())
    for path in sorted(folder.iterdir()):
        name = prefix + unicodedata.normalize("NFC", path.name)  # names from macOS are NFD
        if path.is_dir():
            if not _is_hidden(name) and not holds_results(path):
                yield from _walk(path, name + "/", seen)
        elif path.is_file() and (_may_be_data(name) or _PIECE.search(name)):  # a pipe would be waited for
            yield name, path


def _opened(name: str, path: Path) -> Iterator[DataFile]:
    """A file, or those of a zip."""
    if _PIECE.search(name):
        raise UserError(f"{name}: a piece of a zip; join the pieces first (cat NAME.zip.part* > NAME.zip).")
    if suffix_of(name) == ".zip":
        yield from _walk_zip(name, path, 1, Unpacked())
    else:
        yield DataFile(name, functools.partial(read_bytes, path))


def _walk_zip(name: str, file: Path | io.BytesIO, depth: int, unpacked: Unpacked) -> Iterator[DataFile]:
    """List a zip's members, zips in it included; all is read in memory, nothing is ever extracted."""
    if depth > _DEEPEST_ZIP:
        raise UserError(f"{name}: zips in zips, more than {_DEEPEST_ZIP} deep; extract it by hand.")
    archive = open_archive(name, file)
    members = [(_member_name(info), info) for info in archive.infolist()]
    members = [(inner, info) for inner, info in members if _may_be_data(inner) and not info.is_dir()]
    unpacked.add(name, (info for inner, info in members if suffix_of(inner) in (".zip", *READERS)))
    for inner, info in sorted(members, key=lambda member: member[1].filename):
        full = f"{name}/{inner}"
        if suffix_of(inner) == ".zip":
            yield from _walk_zip(full, io.BytesIO(read_member(archive, info, full)), depth + 1, unpacked)
        else:
            yield DataFile(full, functools.partial(read_member, archive, info, full))


def _member_name(info: zipfile.ZipInfo) -> str:
    """Undo what zipfile does to names that were stored without the UTF-8 flag: macOS's UTF-8, or a Windows's cp949."""
    name = info.filename
    if not info.flag_bits & 0x800:
        for encoding in ("utf-8", "cp949"):
            with contextlib.suppress(UnicodeError):
                name = name.encode("cp437").decode(encoding)
                break
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _may_be_data(name: str) -> bool:
    last = PurePosixPath(name).name.lower()
    known = suffix_of(last) in (".zip", *READERS) or _NOT_READ.fullmatch(suffix_of(last))
    return bool(known) and not _is_hidden(name) and not _NEVER_DATA.fullmatch(last)


def _is_hidden(name: str) -> bool:
    """Skip what macOS and Excel leave behind."""
    return "__MACOSX" in name or PurePosixPath(name).name.startswith((".", "~$"))
