"""Where the names of the columns stand: in the first row, below a title, or nowhere; and the rows under them."""

from __future__ import annotations

import itertools
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from emo_hf.data.sources.names import KNOWN, LABEL_COLUMNS, TEXT_COLUMNS, matched
from emo_hf.data.sources.tables import Layout, clean_name, header_of
from emo_hf.errors import UserError, few

Row = Sequence[Any]
Numbered = tuple[int, Row]
LOOKED_AT = 1000  # rows that tell what the first ones are
_DEEPEST = 20  # below so many rows nobody looks for a header
_NUMBERS = re.compile(r"[\d.,:/+\sT-]*\d[\d.,:/+\sTZ-]*")
_OF_TIMES = re.compile(r"오전|오후|[AP]M|GMT|KST|UTC", re.IGNORECASE)  # beside the digits
_AGAIN = 3  # times that a label stands in a column, at least
_ENDS = ".!?~…ㅋㅎㅠㅜ"  # of a sentence


@dataclass
class Rows:
    """The named columns of a file and the rows below them, which are read as they are asked for.

    Attributes:
        names: of the columns; "1", "2", … where the file has none.
        rows: pairs of row number and cells, as many as there are names.
        headed: whether the names are the file's own.
        notes: what was passed over, a line each.
    """

    names: list[str]
    rows: Iterator[Numbered]
    headed: bool = True
    notes: tuple[str, ...] = ()


def named_rows(name: str, numbered: Iterable[Numbered], layout: Layout) -> Rows | None:
    """Find the header among rows with their numbers, blank ones left out; None where there are no rows at all.

    Raises:
        UserError: a column that stands twice in the header, `layout.header` beyond the rows, what looks like a header
            far below them.
    """
    numbered = iter(numbered)
    first = list(itertools.islice(numbered, LOOKED_AT))
    if not first:
        return None
    start, headed = find_header(name, first, layout)
    if error := names_below(name, first, start, layout):
        raise error
    if headed:
        widths = [_width(row) for _, row in first[start:]]
        # A column may go without a name; cells beyond the header's own are none of its table.
        width = max(widths[0], min(len(first[start][1]), max(widths)))
        names = header_of(name, _with_titles(first[start][1][:width], [row for _, row in first[:start]]))
    else:
        width = _usual_width([row for _, row in first[start:]])
        names = [str(place) for place in range(1, width + 1)]
    notes = []
    passed = [
        number for number, row in first[:start] if not (headed and {*filter(None, map(clean_name, row))} <= {*names})
    ]
    if passed:
        which = "the column names" if headed else "the first row of data"
        notes.append(
            f"{name}: row{'s' if len(passed) > 1 else ''} {few(map(str, passed), 5)} above {which} "
            f"(row {first[start][0]}) not read"
        )
    rows = itertools.chain(first[start + headed :], numbered)
    return Rows(names, fitted(name, rows, width, headed), headed, tuple(notes))


def _with_titles(header: Row, above: Sequence[Row]) -> list[Any]:
    """The cells of a header, an empty one filled by what stands above it, as `dialog #` stands above a blank."""
    cells = list(header)
    for place, cell in enumerate(cells):
        if not clean_name(cell):
            cells[place] = next(
                (row[place] for row in reversed(above) if len(row) > place and clean_name(row[place])), ""
            )
    return cells


def find_header(name: str, rows: Sequence[Numbered], layout: Layout) -> tuple[int, bool]:
    """The place in `rows` of the header, and True; or of the first row of data, and False where there is no header.

    A header is known by the names asked for, by usual names, and by what stands below it: labels and numbers that the
    first row holds as the others do are data.

    Raises:
        UserError: `layout.header` names a row that is blank or not there.
    """
    if layout.header:
        place = next((place for place, (number, _) in enumerate(rows) if number == layout.header), None)
        if place is None:
            raise UserError(
                f"--header {layout.header}: {name} has nothing in row {layout.header}; give another, or none"
            )
        return place, True
    cells = [[clean_name(cell) for cell in row] for _, row in rows]
    if layout.header == 0:
        return _first_whole(cells), False
    start = _below_titles(cells)
    asked = {clean_name(column) for column in (layout.text_column, layout.label_column) if column}
    for place, row in enumerate(cells[:_DEEPEST]):
        if asked and asked <= set(row) and not (place and all(column.isdecimal() for column in asked)):
            return place, True
    for place, row in enumerate(cells[:_DEEPEST]):
        if _names_both(row):  # a row below that does so too says it in another language
            return place + any(map(_names_both, cells[place + 1 : place + 2])), True
    # A title may be a usual name itself, so the row that is as full as those below it comes first.
    for place in (start, *range(start)):
        known = matched(cells[place], (*TEXT_COLUMNS, *LABEL_COLUMNS)) or len(matched(cells[place], KNOWN)) > 1
        alone = _filled(cells[place]) == 1 and bool(cells[place][0])  # as a title stands above a wider table
        if known and not (alone and place < start):
            return place, True
    if _counts(cells[start]):  # as pandas writes columns without names
        return (start + 1, False) if len(cells) > start + 1 else (start, True)
    # More cells than those below have no names: it is a delimiter that should have been in quotes.
    if _width(cells[start]) > _usual_width(cells) or _is_data(cells[start], cells[start + 1 :]):
        return _first_whole(cells), False
    return start, True


def names_below(name: str, rows: Sequence[Numbered], start: int, layout: Layout) -> UserError | None:
    """The error where a row deeper than headers are looked for names the columns, and the one at `start` does not."""
    asked = {clean_name(column) for column in (layout.text_column, layout.label_column) if column}
    asked = {column for column in asked if not column.isdecimal()}
    cells = [[clean_name(cell) for cell in row] for _, row in rows]
    if layout.header is not None or asked & {*cells[start]} or matched(cells[start], KNOWN):
        return None
    for place, row in enumerate(cells[:-1]):
        if place > max(start, _DEEPEST - 1) and (_names_both(row) or (asked and asked <= {*row})):
            number, names = rows[place][0], few(list(filter(None, row)))
            return UserError(
                f"{name}, row {number}: names of columns ({names}) below {place} other rows; take those away or give "
                f"--header {number}, or --header none if all rows are data."
            )
    return None


def _names_both(row: Sequence[str]) -> bool:
    """Whether a row has usual names for texts and for labels."""
    return bool(matched(row, TEXT_COLUMNS) and matched(row, LABEL_COLUMNS))


def _usual_width(rows: Sequence[Row]) -> int:
    """The width of most rows, but for titles of one cell above wider ones, and for columns that all leave empty."""
    widths = [len(row) for row in rows]
    table = list(itertools.dropwhile(lambda width: width == 1, widths))
    counts = Counter(table if 3 * len(table) >= len(widths) else widths)  # a text or two may hold a delimiter
    return min(max(counts, key=lambda width: (counts[width], width)), max(map(_width, rows)))


def _width(row: Row) -> int:
    """How many cells a row has, without the empty ones at its end."""
    return max((place for place, cell in enumerate(row, 1) if clean_name(cell)), default=0)


def _filled(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _below_titles(cells: Sequence[Sequence[str]]) -> int:
    """The place of the first row that is as full as those below it: a title fills a cell or two of a wide table."""
    below = sorted(map(_filled, cells))
    usual = below[len(below) // 2]
    return next((place for place, row in enumerate(cells) if 2 * _filled(row) > usual), 0)


def _first_whole(cells: Sequence[Sequence[str]]) -> int:
    """The place of the first row of data: a title above it has fewer cells, and not only fewer that are filled."""
    usual = _usual_width(cells)
    return next(place for place, row in enumerate(cells) if len(row) >= usual)


def _counts(row: Sequence[str]) -> bool:
    """Whether a row is 0, 1, 2 and so on."""
    filled = [cell for cell in row if cell]
    return len(filled) > 1 and filled == [str(place) for place in range(len(filled))]


def _is_data(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row with no usual name is one like those below it."""
    columns = [[line[place] for line in below if place < len(line) and line[place]] for place in range(len(row))]
    pairs = [(cell, column) for cell, column in zip(row, columns, strict=True) if cell and column]
    if any(_are_numbers(column) and not is_number(cell) for cell, column in pairs):
        return False
    if any(_is_above_labels(cell, column) for cell, column in pairs):  # be the names of the others whole questions
        return False
    return any(_is_like(cell, column, alone=len(row) == 1) for cell, column in pairs)


def _is_above_labels(cell: str, column: Sequence[str]) -> bool:
    """Whether all below a cell are values that come again, and it is none of them, however they are typed."""
    counts = Counter(column)
    if not (1 < len(counts) <= len(column) / _AGAIN and min(counts.values()) >= _AGAIN):
        return False
    return _spelled(cell) not in set(map(_spelled, counts))


def _spelled(cell: str) -> str:
    return "".join(unicodedata.normalize("NFKC", cell).casefold().split())


def is_number(cell: str) -> bool:
    """Whether a cell is a number, a date or a time."""
    if _NUMBERS.fullmatch(cell):
        return True
    return cell[:1].isdecimal() and _NUMBERS.fullmatch(_OF_TIMES.sub("", cell)) is not None


def _are_numbers(column: Sequence[str]) -> bool:
    return sum(map(is_number, column)) >= 0.9 * len(column)


def _is_like(cell: str, column: Sequence[str], *, alone: bool) -> bool:
    """Whether a cell is a number, a label or a sentence as those below it are, and so no name of theirs."""
    if is_number(cell):
        return _are_numbers(column)
    if cell in column and len(set(column)) <= max(2, len(column) // 2):
        return True
    sentences = sum(" " in other for other in column) >= 0.5 * len(column)
    if alone and not sentences:  # of a single column it is certain of a name above sentences alone
        return True
    usual = statistics.median(map(len, column))
    return sentences and (cell[-1] in _ENDS or (cell.count(" ") >= 2 and 2 * len(cell) > usual))


def fitted(name: str, rows: Iterable[Numbered], width: int, headed: bool) -> Iterator[Numbered]:
    """The rows, each of the width of the header; empty cells beyond it are no cells.

    Raises:
        UserError: a row with more cells, or fewer.
    """
    for number, row in rows:
        if len(row) > width and not any(map(clean_name, row[width:])):
            row = row[:width]
        if len(row) != width:
            than = f"the header has {width}" if headed else f"others have {width}"
            way_out = "put quotes around cells that hold the delimiter" if len(row) > width else "fill it up"
            raise UserError(f"{name}, row {number}: {len(row)} cells, but {than}; {way_out}.")
        yield number, row
