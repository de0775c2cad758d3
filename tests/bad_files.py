"""Files that somebody exported by hand, cut off, mixed up or made up: what the readers meet some day."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from aihub_files import as_json, as_zip, dialogues

LABELS = ("불안", "슬픔", "기쁨")


def records(count: int = 60) -> list[dict[str, Any]]:
    return [{"sentence": f"{number}번째 날은 참 길었다.", "label": LABELS[number % 3]} for number in range(count)]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, sep=delimiter).encode(encoding)


def changed(place: int, **cells: Any) -> list[dict[str, Any]]:
    rows = records()
    rows[place] |= cells
    return rows


def mixed_encodings() -> bytes:
    lines = as_csv(records()).split(b"\n")
    lines[40] = "섞인 줄,기쁨".encode("cp949")
    return b"\n".join(lines)


def workbook(rows: list[dict[str, Any]], **cells: Any) -> bytes:
    """A sheet of the rows, with further cells by their place; `merge` is a range that is merged."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    if merged := cells.pop("merge", None):
        book.active.merge_cells(merged)
    for place, value in cells.items():
        book.active[place] = value
    book.save(file)
    return file.getvalue()


def with_sheet(sheet: str) -> bytes:
    """A workbook whose sheet holds these rows of XML."""
    source, file = zipfile.ZipFile(io.BytesIO(workbook(records()))), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sheet1.xml"):
                head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
                content = head + sheet.encode() + b"</sheetData></worksheet>"
            archive.writestr(name, content)
    return file.getvalue()


def wide_sheet(rows: int = 4000) -> bytes:
    """60 kB that stand for 65 million cells."""
    return with_sheet("".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, rows + 1)))


def dialogues_with(place: int, change: Any) -> bytes:
    found = dialogues(60)
    change(found[place])
    return json.dumps(found, ensure_ascii=False).encode()


def protected_zip() -> bytes:
    """The flag that says "encrypted", in the local header and in the directory."""
    data = bytearray(as_zip({"Training.json": as_json(60)}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def bomb(name: str = "Training.json") -> bytes:
    """64 MiB of zeros in 64 kB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(64 << 20))
    return file.getvalue()


def endless_zip() -> bytes:
    """Members that say they unpack to 4 GiB."""
    data = bytearray(as_zip({"Training.json": as_json(60)}))
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    return bytes(data)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
