"""Writes that are whole or absent, faults of the disk in one line, and file names that every system takes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from emo_hf.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
# What libraries that write on their own (safetensors, torch, SQLite) say of the same faults, in their own errors.
_SAID = {
    "os error 28": errno.ENOSPC, "No space left": errno.ENOSPC, "os error 122": errno.EDQUOT,
    "os error 27": errno.EFBIG, "File too large": errno.EFBIG, "os error 30": errno.EROFS,
    "Read-only file system": errno.EROFS, "os error 13": errno.EACCES, "PytorchStreamWriter failed": errno.EIO,
    "iostream error": errno.EIO,
}  # fmt: skip


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file so that a reader, or a kill in the middle, meets the old content or the new, never a part."""
    with writing_whole(path) as file:
        file.write(content)
    return path


@contextlib.contextmanager
def writing_whole(path: Path) -> Iterator[BinaryIO]:
    """As `write_whole`, of what is written piece by piece; an error within leaves what was there before."""
    temporary = temporary_of(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)  # else a power cut could take the new name back
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def temporary_of(path: Path) -> Path:
    """Where a file stands until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def read_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None if there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def remove_leftovers(folder: Path) -> None:
    """Remove what `write_whole` had begun in a folder when its process was killed; nobody may be writing there."""
    for path in folder.glob(".*.tmp"):
        if path.is_file():
            path.unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """Have every file below a folder, and the folders themselves, on the disk before anything says that they are."""
    for place, _, names in os.walk(folder):
        for name in names:
            _sync(Path(place, name))
        _sync(Path(place))


def move_whole(source: Path, target: Path) -> None:
    """Move the files of a folder into another, each whole: a reader meets an old file or the new one."""
    settle(source)
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    _sync(target)
    shutil.rmtree(source)


def write_folder_whole(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder of files, by their paths inside it, in place of any of that name: there whole or not at all.

    The files are gathered in `.arriving` beside the folder, one level deeper than where folders of its kind are
    looked for.
    """
    arriving = folder.parent / ".arriving" / folder.name
    shutil.rmtree(arriving, ignore_errors=True)  # what a killed process left
    for name, content in files.items():
        (arriving / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(arriving / name, content)
    settle(arriving)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(arriving, folder)
    with contextlib.suppress(OSError):  # another folder is arriving
        arriving.parent.rmdir()
    return folder


class DiskFault(UserError):
    """A disk that is full, broken or closed."""


@contextlib.contextmanager
def said_plainly(folder: Path | str) -> Iterator[None]:
    """Turn what a disk that is full, broken or closed makes of writing below a folder into a `DiskFault`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None:
            number = next((code for words, code in _SAID.items() if words in str(error)), None)
        named = getattr(error, "filename", None)
        elsewhere = named is not None and not Path(named).absolute().is_relative_to(Path(folder).absolute())
        if number not in (*_FULL, *_CLOSED, errno.EIO) or (number in _CLOSED and elsewhere):
            raise  # as of a data file that may not be read
        if number in _FULL:
            way_out = "free some space, or give a folder on another disk"
        elif number in _CLOSED:
            way_out = "give a folder that may be written to"
        else:
            way_out = "see that the disk has room and is sound"
        said = f"{folder} can't be written ({os.strerror(number)}); {way_out}; what is done is kept"
        raise DiskFault(said) from error


def _sync(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # a system that opens no folders
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(handle)


def file_stem(name: str) -> str:
    """A name as a part of a file name: slashes become "--", what is neither letter, digit nor "._-+=" becomes "-"."""
    stem = re.sub(r"[/\\]+", "--", name.strip("/\\ "))
    # 60 letters of Hangul are 180 of the 255 bytes that a file name may have; the end of a path tells most.
    return re.sub(r"[^\w.+=-]+", "-", stem)[-60:].strip(".-") or "encoder"
