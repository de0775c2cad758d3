"""The rows of one sheet of a workbook as they stand in its XML, read as they are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

from emo_hf.data.sources.workbook_parts import Parts, string_of, unescaped
from emo_hf.errors import UserError, few

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384  # of a sheet in Excel
MOST_CELLS = 50_000_000  # empty ones too: a cell at the right edge stands for 16,383 before it
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref\s*=\s*["']([A-Z]+)(\d+):([A-Z]+)(\d+)["']""")
_PIECE, _OVERLAP = 1 << 20, 256  # bytes
_SHOWN = 5


@dataclass(frozen=True)
class Range:
    """Cells that are merged, rows from 1, columns from 0, both ends among them; the first one holds the value."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass
class Unread:
    """Cells that hold something and read as empty: how many, the first of them, and the rows of each column."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    rows: dict[int, list[int]] = field(default_factory=dict)

    def add(self, place: int, number: int, shows: str = "") -> None:
        self.count += 1
        self.rows.setdefault(place, []).append(number)
        if len(self.first) < _SHOWN:
            self.first.append(f"{letters_of(place)}{number}{shows}")

    def __str__(self) -> str:
        return f"cell{'s' if self.count > 1 else ''} {few(self.first, count=self.count)}"


class SheetXml:
    """A sheet whose rows are read once.

    Attributes:
        formulas: formulas without a stored result, so far.
        errors: cells that show #N/A or another error, so far.
        merged: the ranges of merged cells by their top row.
    """

    def __init__(self, name: str, parts: Parts, part: str):
        self._name, self._parts, self._part = name, parts, part
        self.formulas, self.errors = Unread(), Unread()
        self.merged: dict[int, list[Range]] = {}
        self._places: dict[str, int] = {}
        for one in self._merged_ranges():
            self.merged.setdefault(one.top, []).append(one)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, with their numbers; each ends with its last cell that is filled.

        A formula counts as its stored result, and a merged cell for all rows and columns that it covers, where a row
        has more than that.

        Raises:
            UserError: more than `MOST_CELLS`.
        """
        seen = 0
        filled: dict[int, tuple[Range, str]] = {}  # by the left column, as ranges don't overlap
        for number, cells in self._own_rows():
            seen += len(cells)
            if self.merged:
                seen += self._fill(number, cells, filled)
            check_cells(self._name, number, seen)
            if any(map(str.strip, cells)):
                yield number, cells

    def _own_rows(self) -> Iterator[tuple[int, list[str]]]:
        number = 0
        with self._parts.open(self._part) as source:
            for _, node in ElementTree.iterparse(source):
                if not node.tag.endswith("}row"):
                    continue
                number = int(node.get("r", number + 1))
                if number > LAST_ROW:
                    return
                cells: list[str] = []
                place = -1
                for cell in node:
                    reference = cell.get("r")
                    place = place + 1 if reference is None else self._place(reference.rstrip("0123456789"))
                    if value := self._value(cell, number, place):
                        if place > len(cells):
                            cells += [""] * (place - len(cells))
                        cells[place : place + 1] = [value]
                node.clear()
                yield number, cells

    def _value(self, cell: ElementTree.Element, number: int, place: int) -> str:
        kind, value, is_formula, has_value = cell.get("t", "n"), "", False, False
        for child in cell:
            tag = child.tag
            if tag.endswith("}v"):
                value, has_value = child.text or "", True
            elif tag.endswith("}f"):
                is_formula = True
            elif tag.endswith("}is"):
                return string_of(child)
        if is_formula and not self._is_calculated(kind, value, has_value):
            self.formulas.add(place, number)
            return ""
        if kind == "s":
            return self._parts.strings[int(value)] if value else ""
        if kind == "n":
            style = cell.get("s")
            return self._parts.date(value, style) if value and style and self._parts.is_date(style) else shown(value)
        if kind == "e":
            self.errors.add(place, number, f" ({value})")
            return ""
        if kind == "b":
            return str(value in ("1", "true")) if value else ""
        return unescaped(value)

    def _is_calculated(self, kind: str, value: str, has_value: bool) -> bool:
        """Whether a formula has its result; libraries that can't calculate write none, or 0, and ask for it."""
        if value == "0" and kind == "n":
            return not self._parts.uncalculated
        return value != "" or (kind == "str" and has_value)

    def _place(self, letters: str) -> int:
        """The column of these letters, from 0."""
        if (place := self._places.get(letters)) is None:
            place = self._places[letters] = place_of(letters)
        return place

    def _fill(self, number: int, cells: list[str], filled: dict[int, tuple[Range, str]]) -> int:
        """Give a row the values of the merged ranges that it is in; return how many cells it grew by."""
        for one in self.merged.get(number, ()):
            value = cells[one.left] if one.left < len(cells) else ""
            if value:
                filled[one.left] = one, value
        if not any(cells):  # what only belongs to a row above is no row
            return 0
        before = len(cells)
        for left, (one, value) in list(filled.items()):
            if number > one.bottom:
                del filled[left]
                continue
            cells += [""] * (one.right + 1 - len(cells))
            cells[one.left : one.right + 1] = [value] * (one.right + 1 - one.left)
        return len(cells) - before

    def _merged_ranges(self) -> Iterator[Range]:
        """The ranges that the sheet names behind its rows."""
        with self._parts.open(self._part) as source:
            rest = b""
            while piece := source.read(_PIECE):
                text = rest + piece
                end = 0
                if b"mergeCell" in text:
                    for match in _MERGED.finditer(text):
                        end = match.end()
                        left, top, right, bottom = (part.decode() for part in match.groups())
                        yield Range(int(top), place_of(left), int(bottom), place_of(right))
                rest = text[max(end, len(text) - _OVERLAP) :]


def check_cells(name: str, number: int, cells: int) -> None:
    """Raise a `UserError` for a sheet that has too many cells up to a row."""
    if cells > MOST_CELLS:
        raise UserError(
            f"{name}, row {number}: more than {MOST_CELLS:,} cells up to here; delete what is not needed, or save it "
            "as CSV UTF-8."
        )


def shown(value: str) -> str:
    """A number as a sheet shows it: 1.0 is 1, and the 16th digit, which no sheet shows, is none."""
    if value.isdecimal() or not value:
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.15g}"


def letters_of(place: int) -> str:
    """The letters of a column, from 0."""
    letters, place = "", place + 1
    while place:
        place, last = divmod(place - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def place_of(letters: str) -> int:
    """The column of some letters, from 0; raises `ValueError` beyond those of a sheet."""
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("A") + 1
    if not 1 <= place <= LAST_COLUMN:
        raise ValueError(f"no column is called {letters!r}")
    return place - 1
