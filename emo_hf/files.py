"""Writes that are whole or absent, and file names that every system takes."""

from __future__ import annotations

import contextlib
import os
import re
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


def file_stem(name: str) -> str:
    """A name as a part of a file name: slashes become "--", what is neither letter, digit nor "._-+=" becomes "-"."""
    stem = re.sub(r"[/\\]+", "--", name.strip("/\\ "))
    # 60 letters of Hangul are 180 of the 255 bytes that a file name may have; the end of a path tells most.
    return re.sub(r"[^\w.+=-]+", "-", stem)[-60:].strip(".-") or "encoder"
