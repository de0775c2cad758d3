"""Quotes in text files of rows: whether all that open are closed, and the rows of several lines that they make."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from emo_hf.data.sources.header import Row
from emo_hf.errors import few

WAY = "double it, and put quotes around the cell"


@dataclass
class Breaks:
    """Rows of several lines: how many there are, and the numbers of those of which each line could be a row."""

    count: int = 0
    doubtful: list[int] = field(default_factory=list)

    def said(self, name: str) -> list[str]:
        """What is to be said of them, in a file of none that can't be several rows."""
        if not self.count or len(self.doubtful) < self.count:
            return []
        rows = f"row{'s' if self.count > 1 else ''} {few(map(str, self.doubtful), 5)}"
        return [
            f"{name}: several lines between quotes are read as one text: {rows}; if such a quote is a letter, {WAY}"
        ]


def breaks_in(numbers: Sequence[int], rows: Sequence[Row], delimiter: str) -> Breaks:
    """The rows of several lines; each as wide as a row, they may be several, which a stray quote runs together."""
    found = Breaks()
    for number, row in zip(numbers, rows, strict=True):
        if any("\n" in cell for cell in row):
            found.count += 1
            if all(line.count(delimiter) == len(rows[0]) - 1 for line in delimiter.join(row).splitlines()):
                found.doubtful.append(number)
    return found


def all_close(head: str, delimiter: str, *, whole: bool) -> bool:
    """Whether each quote that opens a cell has one that closes it, right before a delimiter or the end of a line."""
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error:
        rest = head.count("\n") - reader.line_num  # nothing, where it is the end of the head that cuts a cell
        return not whole and rest <= 0
    return True
