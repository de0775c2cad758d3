"""The first sheet of an XLSX file as rows of strings, whatever its size is said to be."""

from __future__ import annotations

import io
import warnings
from typing import Any

from emo_hf.data.sources.archives import Unpacked, open_archive
from emo_hf.errors import UserError

LAST_ROW = 1_048_576  # of a sheet in Excel
MOST_CELLS = 50_000_000  # empty ones too: a cell at the right edge stands for 16,383 before it
_OLE = b"\xd0\xcf\x11\xe0"  # the container of .xls, and of a workbook with a password


def sheet_rows(name: str, data: bytes) -> tuple[list[Any], list[int], list[list[str]]]:
    """The header, and the rows below it with their numbers in the sheet; each is as wide as the header.

    A formula counts as its stored result, a cell merged into another as empty.

    Raises:
        UserError: no workbook, an empty first sheet, or one that is too large.
    """
    if data.startswith(_OLE):
        raise UserError(
            f"{name} has a password or is an old .xls; open it and save it as .xlsx without password, or as CSV UTF-8."
        )
    if not data.startswith(b"PK"):
        raise _unreadable(name)
    Unpacked().add(name, open_archive(name, io.BytesIO(data)).infolist())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like, which we don't read
            return _rows(name, data)
    except UserError:
        raise
    except Exception as error:  # openpyxl lets through whatever it stumbles over
        raise _unreadable(name) from error


def _unreadable(name: str) -> UserError:
    return UserError(f"{name} is not a readable XLSX file; save it again as .xlsx or as CSV UTF-8.")


def _rows(name: str, data: bytes) -> tuple[list[Any], list[int], list[list[str]]]:
    import openpyxl  # takes a while to import and only this format needs it

    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True).worksheets[0]
    sheet.reset_dimensions()  # some exporters state a wrong size, and rows would be lost
    header: list[Any] = []
    numbers, body, seen = [], [], 0
    for number, row in enumerate(sheet.iter_rows(values_only=True, max_row=LAST_ROW), start=1):
        seen += len(row)
        if seen > MOST_CELLS:
            raise UserError(
                f"{name}, row {number}: its first sheet has more than {MOST_CELLS:,} cells; "
                "delete what is not needed, or save it as CSV UTF-8."
            )
        if row.count(None) == len(row):
            continue
        if not header:
            width = max(place for place, cell in enumerate(row, start=1) if cell is not None)
            header = list(row[:width])
            continue
        numbers.append(number)
        cells = ["" if cell is None else str(cell) for cell in row[: len(header)]]
        body.append(cells + [""] * (len(header) - len(cells)))
    if not header:
        raise UserError(f"{name}: its first sheet is empty; a header and rows are needed.")
    return header, numbers, body
