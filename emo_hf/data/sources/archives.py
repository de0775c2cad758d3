"""Zips as they come from anywhere: sizes are read before anything is unpacked, and nothing is unpacked to disk."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emo_hf.errors import UserError

MOST_BYTES = 1 << 30  # AI Hub's corpus is a tenth of that
MOST_RATIO, SMALL_BYTES = 300, 16 << 20  # text shrinks to a tenth; what shrinks to a thousandth is a zip bomb
# What a broken zip is told by, wherever it is broken. zipfile never reads more of a member than the size it states.
FAILURES = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, RuntimeError,
    OverflowError, MemoryError,
)  # fmt: skip


def open_archive(name: str, file: Path | io.BytesIO) -> zipfile.ZipFile:
    """Open a zip; raises `UserError` if it is none or not whole."""
    try:
        return zipfile.ZipFile(file)
    except FAILURES as error:
        raise UserError(f"{name} is not a whole zip file; download it again.") from error


@dataclass
class Unpacked:
    """How much a zip, with the zips in it, unpacks to; refused before it is done."""

    size: int = 0

    def add(self, name: str, members: Iterable[zipfile.ZipInfo]) -> None:
        """Count members that are to be read.

        Raises:
            UserError: more than `MOST_BYTES` in all, or a member that grows more than any text.
        """
        for info in members:
            self.size += info.file_size
            if info.file_size > SMALL_BYTES and info.file_size > MOST_RATIO * max(info.compress_size, 1):
                raise UserError(
                    f"{name}: {info.filename} unpacks to {info.file_size >> 20:,} MiB from {info.compress_size:,} "
                    "bytes, as a zip bomb does; extract it by hand if you trust it."
                )
            if self.size > MOST_BYTES:
                raise UserError(
                    f"{name} unpacks to more than {MOST_BYTES >> 20:,} MiB; extract what is needed by hand."
                )


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """The bytes of a member, which errors call `name`; raises `UserError` where they can't be had."""
    if info.flag_bits & 0x1:
        raise UserError(f"{name} is protected by a password; extract the zip by hand and give its folder.")
    try:
        return archive.read(info)
    except FAILURES as error:
        raise UserError(f"{name} can't be read from its zip ({error}); download it again.") from error
