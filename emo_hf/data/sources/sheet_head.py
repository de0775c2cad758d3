"""What the first rows of a sheet tell: where its header is, which merged cells may spread over several rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from emo_hf.data.sources.header import LOOKED_AT, find_header, names_below
from emo_hf.data.sources.names import KNOWN, matched
from emo_hf.data.sources.sheet_xml import Range, SheetXml
from emo_hf.data.sources.tables import FOUND_OUT, Layout, clean_name
from emo_hf.data.sources.workbook_parts import Parts, Sheet
from emo_hf.errors import UserError

_LOOKED_AT_CELLS = 1_000_000
_DEEPEST = 10  # rows of a header of several
Cells = list[tuple[int, list[str]]]


@dataclass(eq=False)
class Head:
    """The first rows of a sheet that has any, and what they tell.

    Attributes:
        name: what errors call the sheet.
        rows: its first rows, and those after them.
        start: the place in `rows` of the column names, or of the first row of data where there are none.
        names: of the columns; none where the sheet has none.
        error: why it is no table.
    """

    name: str
    sheet: Sheet
    xml: SheetXml
    rows: Cells
    rest: Iterator[tuple[int, list[str]]]
    start: int = 0
    names: Sequence[str] = ()
    error: UserError | None = None

    @property
    def is_tabular(self) -> bool:
        """Whether it has two columns and two rows at least."""
        below = len(self.rows) - self.start - bool(self.names)
        return self.error is None and below > 1 and max(map(len, self._below())) > 1

    def _below(self) -> list[list[str]]:
        return [cells for _, cells in self.rows[self.start :]]


def head_of(name: str, parts: Parts, sheet: Sheet, layout: Layout) -> Head | None:
    """The first rows of a sheet; None where it has none."""
    called = name_of(name, sheet) if len(parts.sheets) > 1 else name
    xml = SheetXml(called, parts, sheet.part)
    rest = xml.rows()
    rows = _first(rest)
    if not rows:
        return None
    head = Head(called, sheet, xml, rows, rest)
    wide = [one for ranges in xml.merged.values() for one in ranges if one.left < one.right]
    narrow = [(number, _unspread(number, cells, wide)) for number, cells in rows] if wide else rows
    try:
        head.start, headed = find_header(called, _padded(narrow), layout)
        head.error = names_below(called, narrow, head.start, layout)
    except UserError as error:
        head.error = error
    if head.error:
        return head
    if headed:
        if not layout.header:
            head.start = _lowest(narrow, head.start, xml)
        narrow[head.start] = _grouped(narrow, head.start, wide)
        head.names = [clean_name(cell) for cell in narrow[head.start][1]]
        above = [(number, _untitled(number, cells, wide)) for number, cells in narrow[: head.start]]
        head.rows = [*above, narrow[head.start], *rows[head.start + 1 :]]
    return head


def _first(rows: Iterator[tuple[int, list[str]]]) -> Cells:
    """The rows that tell what a sheet is: fewer of a wide one."""
    found: Cells = []
    cells = 0
    while len(found) < LOOKED_AT and cells < _LOOKED_AT_CELLS and (row := next(rows, None)):
        found.append(row)
        cells += len(row[1])
    return found


def _padded(rows: Cells) -> Cells:
    """Rows of one width, as empty cells at the end of a row are not there; titles above them stay narrow."""
    width = max(len(cells) for _, cells in rows)
    filled = [sum(map(bool, cells)) for _, cells in rows]
    first = next((place for place, count in enumerate(filled) if count > 1), 0) if median(filled) > 1 else 0
    titles = [(number, [cell for cell in cells if cell]) for number, cells in rows[:first]]
    return [*titles, *((number, cells + [""] * (width - len(cells))) for number, cells in rows[first:])]


def _unspread(number: int, cells: list[str], wide: Sequence[Range]) -> list[str]:
    """A row whose merged cells stand in their first columns alone, as a name is that of one column."""
    cells = list(cells)
    for one in wide:
        if one.top <= number <= one.bottom:
            cells[one.left + 1 : one.right + 1] = [""] * len(cells[one.left + 1 : one.right + 1])
    return cells


def _untitled(number: int, cells: list[str], wide: Sequence[Range]) -> list[str]:
    """A row above the header without the titles of several columns, which name none of them."""
    titles = {one.left for one in wide if one.top <= number <= one.bottom}
    return ["" if place in titles else cell for place, cell in enumerate(cells)]


def _grouped(rows: Cells, start: int, wide: Sequence[Range]) -> tuple[int, list[str]]:
    """The row of the names, with the title above several of them where both make a usual name: 감정 over 대분류."""
    number, cells = rows[start][0], list(rows[start][1])
    for _, above in rows[max(0, start - 1) : start]:
        for one in (one for one in wide if one.top <= number - 1 <= one.bottom and one.left < len(above)):
            for place in range(one.left, min(one.right + 1, len(cells))):
                joined = f"{clean_name(above[one.left])}_{clean_name(cells[place])}"
                if matched([joined], KNOWN):
                    cells[place] = joined
    return number, cells


def _lowest(rows: Cells, start: int, xml: SheetXml) -> int:
    """The place of the lowest row of a header, which merged cells may spread over several rows."""
    for place in range(start, min(start + _DEEPEST, len(rows) - 1)):
        number, below = rows[place][0], rows[place + 1][0]
        ranges = [one for top in range(max(1, number - _DEEPEST), number + 1) for one in xml.merged.get(top, ())]
        ranges = [one for one in ranges if one.bottom >= number]
        filled = {column for column, cell in enumerate(rows[place + 1][1]) if cell}
        spread = any(one.bottom >= below for one in ranges)
        named = any(_are_names(rows[place + 1 :], one) for one in ranges if filled >= set(_columns(one)))
        if not spread and not named:
            return place
    return start


def _columns(one: Range) -> range:
    return range(one.left, one.right + 1)


def _are_names(rows: Cells, one: Range) -> bool:
    """Whether the cells below the title of several columns are names of these, and no data."""
    if one.left == one.right or find_header("", _padded(rows), FOUND_OUT) != (0, True):
        return False
    names = [rows[0][1][column] for column in _columns(one)]
    below = {cells[column] for _, cells in rows[1:] for column in _columns(one) if column < len(cells)}
    return len(set(names)) == len(names) and not below & set(names)


def name_of(name: str, sheet: Sheet) -> str:
    """What errors call a sheet."""
    return f"{name}, sheet {clean_name(sheet.title)!r}"
