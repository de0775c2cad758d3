"""Writes that are whole or absent, and file names that every system takes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file so that a reader, or a kill in the middle, meets the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return path


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
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(arriving, folder)
    with contextlib.suppress(OSError):  # another folder is arriving
        arriving.parent.rmdir()
    return folder


def file_stem(name: str) -> str:
    """A name as a part of a file name: slashes become "--", what is neither letter, digit nor "._-+=" becomes "-"."""
    stem = re.sub(r"[/\\]+", "--", name.strip("/\\ "))
    # 60 letters of Hangul are 180 of the 255 bytes that a file name may have; the end of a path tells most.
    return re.sub(r"[^\w.+=-]+", "-", stem)[-60:].strip(".-") or "encoder"
