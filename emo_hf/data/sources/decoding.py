"""Bytes to text: UTF-8 with or without a mark, UTF-16 and UTF-32 with it, and the cp949 of a Korean Windows."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from emo_hf.errors import UserError

UTF8, CP949 = "utf-8-sig", "cp949"
# The longer ones first: that of UTF-32 begins as that of UTF-16 does.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip


def marked(begin: bytes) -> str | None:
    """The encoding that the first bytes say by a mark, UTF-8 apart."""
    return next((encoding for mark, encoding in _MARKS.items() if begin.startswith(mark)), None)


def decode(name: str, data: bytes) -> tuple[str, str]:
    """The text of a file's bytes, and their encoding.

    Raises:
        UserError: bytes of none of the encodings, with file, row and byte.
    """
    if not marked(data) and b"\0" not in data:
        with contextlib.suppress(UnicodeDecodeError):  # it may be of another
            return data.decode(UTF8), UTF8
    encoding = encoding_of(name, lambda: [data])
    return data.decode(encoding), encoding


def encoding_of(name: str, pieces: Callable[[], Iterable[bytes]], *, whole: bool = True) -> str:
    """The encoding of a file that is read in pieces, once for each encoding that is tried; or of its beginning.

    Raises:
        UserError: bytes of none of the encodings, with file, row and byte.
    """
    if said := marked(next(iter(pieces()), b"")):
        wrong = _first_wrong(pieces(), said, whole=whole)
        if wrong is None:
            return said
        raise UserError(
            f"{name}, row {wrong.row}: not {said.upper()}, as its mark says; save the file again as UTF-8."
        )
    _refuse_nul(name, pieces())
    failures = []
    for encoding in (UTF8, CP949):
        wrong = _first_wrong(pieces(), encoding, whole=whole)
        if wrong is None:
            return encoding
        failures.append((wrong.place, encoding, wrong))
        # Bytes of cp949 don't read as Hangul in utf-8: this is a utf-8 file with a broken byte, and cp949 might
        # turn it into nonsense without an error.
        if encoding == UTF8 and wrong.hangul > 1:
            break
    _, encoding, wrong = max(failures, key=lambda failure: failure[:2])
    raise UserError(
        f"{name}, row {wrong.row}: byte 0x{wrong.byte:02x} is not {encoding.removesuffix('-sig')}; "
        "readable encodings are utf-8, cp949, and utf-16 with its mark; save the file again as UTF-8 or mend the row."
    )


@dataclass(frozen=True)
class _Wrong:
    """The first byte that an encoding does not know: its place, its row, and how many Hangul stand before it."""

    place: int
    row: int
    byte: int
    hangul: int


def _first_wrong(pieces: Iterable[bytes], encoding: str, *, whole: bool) -> _Wrong | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    done, rows, hangul, waiting = 0, 1, 0, 0
    for piece in itertools.chain(pieces, [b""] if whole else []):
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding.removesuffix("-sig"), "ignore")
            place = done - waiting + error.start
            return _Wrong(place, rows + before.count("\n"), error.object[error.start], hangul + _hangul(before))
        hangul += _hangul(text) if hangul < 2 else 0
        rows += text.count("\n")
        done += len(piece)
        waiting = len(decoder.getstate()[0])
    if whole and waiting:  # the beginning of a mark, of which Python's decoder says nothing
        return _Wrong(done - waiting, rows, decoder.getstate()[0][0], hangul)
    return None


def _hangul(text: str) -> int:
    return len(re.findall("[가-힣]", text))


def _refuse_nul(name: str, pieces: Iterable[bytes]) -> None:
    row = 1
    for piece in pieces:
        if (place := piece.find(b"\0")) >= 0:
            row += piece.count(b"\n", 0, place)
            raise UserError(
                f"{name}, row {row}: a NUL byte, so this is no text, or UTF-16 without its mark; save the file again "
                "as UTF-8, without NUL characters."
            )
        row += piece.count(b"\n")
