"""How a prediction is written: as a line for people, an object of JSON, a row of CSV or TSV, or one of a workbook."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections.abc import Sequence
from typing import BinaryIO, Protocol, Self, TextIO

from emo_hf.errors import UserError, visible
from emo_hf.escaping import csv_cell, csv_name
from emo_hf.inference.predictions import Prediction, column_names, in_a_cell

MARK = "\ufeff"  # without which Excel takes Hangul for the letters of another encoding
MOST_ROWS, MOST_COLUMNS, LONGEST_CELL = 1_048_576, 16_384, 32_767  # of a sheet in Excel
# What XML can't hold or turns into something else, and what would be read as the escape of such a character.
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]|_(?=x[0-9A-Fa-f]{4}_)")


class Writer(Protocol):
    """What takes predictions, one after the other."""

    def write(self, row: Prediction) -> None:
        """Write a row; raises `UserError` for one that this kind of file can't hold."""


class Lines:
    """Label, probabilities and sentence, to be read by people: a row is a line, and steers no terminal."""

    def __init__(self, out: TextIO, labels: Sequence[str], *, more: Sequence[str] = ()):
        self.out, self.labels, self.more = out, labels, more

    def write(self, row: Prediction) -> None:
        """Write a line."""
        within = f"{{{', '.join(row.label_set or ())}}}\t" if "label_set" in self.more else ""
        why = f"\t{visible(row.why.told() if row.why else '')}" if "why" in self.more else ""
        shown = "  ".join(f"{name} {value:.2f}" for name, value in zip(self.labels, row.scores or (), strict=False))
        self.out.write(f"{in_a_cell(row.label)}\t{within}{shown}\t{visible(row.text)}{why}\n")


class Objects:
    """JSON lines: the input's other columns, sentence, label and scores, the last two null without a text.

    Of a model that gives several labels a sentence, label is a list; so is the label set of one that promises sets.
    `why` is a list of the words in their order, each with its weight.
    """

    def __init__(self, out: TextIO, others: Sequence[str], labels: Sequence[str], *, more: Sequence[str] = ()):
        self.out, self.labels, self.more = out, labels, more
        self.names = column_names(others, ["sentence", "label", *more, "scores"])

    def write(self, row: Prediction) -> None:
        """Write a line."""
        scores = row.scores and {name: round(value, 4) for name, value in zip(self.labels, row.scores, strict=True)}
        why = row.why and [(word, round(value, 4)) for word, value in zip(row.why.words, row.why.weights, strict=True)]
        beside = {"label_set": row.label_set, "why": why}
        cells = (*row.others, row.text, row.label, *(beside[name] for name in self.more), scores)
        self.out.write(json.dumps(dict(zip(self.names, cells, strict=True)), ensure_ascii=False) + "\n")


class Delimited:
    """CSV or TSV: the input's other columns, sentence, label, and a probability a class; no cell is a formula."""

    def __init__(
        self,
        out: TextIO,
        delimiter: str,
        others: Sequence[str],
        labels: Sequence[str],
        *,
        mark: bool,
        more: Sequence[str] = (),
    ):
        self._more = more
        self._table = csv.writer(_Ended(out), delimiter=delimiter, lineterminator="\r\n")
        self._nothing = [""] * len(labels)
        if mark:
            out.write(MARK)
        # Names that differ by the apostrophe before a formula would else be one name twice.
        own = ["sentence", "label", *more, *map(csv_name, labels)]
        self._table.writerow(column_names([*map(csv_name, others)], own))

    def write(self, row: Prediction) -> None:
        """Write a row."""
        values = self._nothing if row.scores is None else [f"{value:.4f}" for value in row.scores]
        names = map(csv_name, _named(row, self._more))
        self._table.writerow([*map(csv_cell, (*row.others, row.text)), *names, *values])


def _named(row: Prediction, more: Sequence[str]) -> list[str]:
    """The label of a row as a cell holds it, and what more there is: the set of those that it may have, and why."""
    beside = {"label_set": in_a_cell(row.label_set), "why": row.why.told() if row.why else ""}
    return [in_a_cell(row.label), *(beside[name] for name in more)]


class _Ended:
    """Ends rows with a line feed; told to do so, `csv` would leave a carriage return in a cell without quotes."""

    def __init__(self, out: TextIO):
        self._out = out

    def write(self, row: str) -> None:
        self._out.write(row[:-2] + "\n")


class Workbook:
    """A sheet with the columns of `Delimited`, whose texts are texts, whatever they look like.

    Rows go to a temporary file of openpyxl's own until `save`; as a context, it is gone after an error too.

    Args:
        name: what errors call it.
        others: names of the input's other columns.
        labels: of the model.
        more: further columns, after that of the label.

    Raises:
        UserError: more columns than a sheet has.
    """

    def __init__(self, name: str, others: Sequence[str], labels: Sequence[str], *, more: Sequence[str] = ()):
        import openpyxl  # takes a while to import and only this format needs it

        self._name, self._rows, self._more = name, 0, more
        columns = column_names(others, ["sentence", "label", *more, *labels])
        if len(columns) > MOST_COLUMNS:
            raise self._too_large(f"{len(columns):,} columns, but a sheet holds {MOST_COLUMNS:,}")
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("predictions")
        self._append([self._text(column, 1) for column in columns])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._sheet.closed:
            with contextlib.suppress(Exception):  # else its generators complain of their end at some later time
                self._sheet.close()
                self._sheet._writer.cleanup()

    def write(self, row: Prediction) -> None:
        """Write a row; raises `UserError` for one too many, or a text that is too long for a cell."""
        if self._rows == MOST_ROWS:
            raise self._too_large(f"a sheet holds {MOST_ROWS - 1:,} rows below its header")
        texts = [self._text(text, row.number) for text in (*row.others, row.text, *_named(row, self._more))]
        self._append([*texts, *([] if row.scores is None else (round(value, 4) for value in row.scores))])

    def save(self, file: BinaryIO) -> None:
        """Write the workbook to a file, once."""
        self._book.save(file)

    def _append(self, cells: Sequence[object]) -> None:
        self._sheet.append(list(cells))
        self._rows += 1

    def _text(self, text: str | None, number: int) -> object:
        """A cell of text, which is no formula, no number and no error, be it "=1+1", "007" or "#N/A"."""
        from openpyxl.cell import WriteOnlyCell

        if not text:
            return None
        escaped = _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
        # Excel counts in UTF-16; openpyxl would cut without a word.
        if 2 * len(escaped) > LONGEST_CELL and len(escaped.encode("utf-16-le")) // 2 > LONGEST_CELL:
            raise self._too_large(
                f"row {number} has a text of {len(text):,} characters, a cell holds {LONGEST_CELL:,}"
            )
        cell = WriteOnlyCell(self._sheet, escaped)
        cell.data_type = "s"
        return cell

    def _too_large(self, why: str) -> UserError:
        return UserError(f"{self._name}: {why}; give --output a name that ends in .csv, which has no such limit")
