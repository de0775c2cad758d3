"""What standard input holds, which no name says: told by how it begins."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from emo_hf.data.sources.decoding import UTF8, decode, encoding_of, marked
from emo_hf.data.sources.json_shapes import is_row, parsed
from emo_hf.errors import UserError

NAME = "standard input"
_LOOKED_AT = 1 << 20  # bytes
_BINARY = {b"PK\x03\x04": ".xlsx", b"PAR1": ".parquet"}


def begin(source: BinaryIO) -> tuple[str, bytes, str]:
    """What it is called, the bytes that were looked at, and the suffix of what it holds; none for lines and tables."""
    head = source.read(_LOOKED_AT)
    if suffix := next((suffix for mark, suffix in _BINARY.items() if head.startswith(mark)), None):
        return NAME, head, suffix
    lines = [line for line in head.decode(marked(head) or UTF8, "ignore").split("\n") if line.strip()]
    if not lines or lines[0].lstrip()[0] not in "[{":
        return NAME, head, ""
    if len(lines) > 1 and all(isinstance(_json(line), dict) for line in lines[:2]):
        return NAME, head, ".jsonl"
    if len(lines) > 1 and all(is_row(_json(line)) for line in lines[:2]):
        return NAME, head, ".json"  # whose first row may be the header of all
    head += source.read()  # JSON of another shape, or texts that begin so
    content = _json(decode(NAME, head)[0].strip("\ufeff"))
    if isinstance(content, dict) and len(lines) == 1 and isinstance(next(iter(content.values()), None), str):
        return NAME, head, ".jsonl"  # a single record
    return NAME, head, ".json" if isinstance(content, list | dict) else ""


def _json(text: str) -> Any:
    try:
        return parsed(text)
    except (ValueError, RecursionError):
        return None


class _Rejoined(io.RawIOBase):
    """The bytes that were looked at, and those after them."""

    def __init__(self, head: bytes, rest: BinaryIO):
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def lines_of_input(name: str, head: bytes, rest: BinaryIO) -> Iterator[str]:
    """The lines, with their line breaks; the first bytes tell the encoding.

    Raises:
        UserError: bytes of another encoding, with the row before them.
    """
    buffered = io.BufferedReader(_Rejoined(head, rest), _LOOKED_AT)
    encoding = encoding_of(name, lambda: [buffered.peek()], whole=False)
    count = 0
    with io.TextIOWrapper(buffered, encoding=encoding, newline="") as lines:
        try:
            for line in lines:
                yield line
                count += 1
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}, after row {count}: bytes that are not {error.encoding}, as those before them are; save it "
                "again as UTF-8."
            ) from None
