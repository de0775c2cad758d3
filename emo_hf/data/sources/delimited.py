"""Text files of rows: which delimiter they have, whether quotes mean anything, and their rows one after the other."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from emo_hf.data.sources.header import LOOKED_AT, Numbered, Row, find_header, is_number
from emo_hf.data.sources.names import KNOWN, matched
from emo_hf.data.sources.quotes import WAY, Breaks, all_close, breaks_in
from emo_hf.data.sources.tables import Layout, clean_name
from emo_hf.errors import UserError

HEAD = 1 << 20  # bytes of UTF-8 that tell the dialect
_DELIMITERS = (",", "\t", ";", "|")
CHUNK = 512  # rows: few enough for the caches, and for Python's collector of garbage to leave them alone
_LARGEST_CELL = (1 << 31) - 1  # one cell may be all of the file
_UNFINISHED = 100  # lines of the record that the end of the head cuts
_SURE = 5  # rows that agree by no accident


@dataclass(frozen=True)
class Dialect:
    """How the rows of a text file are written.

    Attributes:
        delimiter: between the cells of a row; None where each line is one text.
        quoted: whether a cell in quotes may hold the delimiter, a line break, and quotes, which are doubled.
        headed: False where it is certain that no names of columns stand above the rows.
        doubtful: whether quotes that run rows together are more likely letters, as none was needed before.
    """

    delimiter: str | None
    quoted: bool = True
    headed: bool = True
    doubtful: bool = False


LINES = Dialect(None, quoted=False, headed=False)


Chunk = tuple[Sequence[int], Sequence[Row]]


def chunks(name: str, lines: Iterable[str], dialect: Dialect, breaks: Breaks | None = None) -> Iterator[Chunk]:
    """The rows of text, line breaks kept, with their numbers from 1, some thousands at a time.

    Rows without a cell are left out. Those of several lines are counted in `breaks`.

    Raises:
        UserError: quotes that don't fit, with the row; rows that quotes run together.
    """
    if dialect.delimiter is None:
        reader: Iterator[list[str]] = ([line.rstrip("\r\n")] for line in lines)
        yield from ((range(start + 1, start + 1 + len(rows)), rows) for start, rows in _counted(name, reader))
        return
    csv.field_size_limit(_LARGEST_CELL)
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    refused = dialect.doubtful or dialect.delimiter == "\t"
    line = 0
    for start, rows in _counted(name, reader):
        line, has_breaks = reader.line_num, reader.line_num - line > len(rows)
        numbers: Sequence[int] = range(start + 1, start + 1 + len(rows))
        if [] in rows:
            numbers = [number for number, row in zip(numbers, rows, strict=True) if row]
            rows = [row for row in rows if row]
        if has_breaks:
            found = breaks_in(numbers, rows, dialect.delimiter)
            if refused and found.doubtful and len(rows[0]) > 1:
                where = f"{name}, row {found.doubtful[0]}"
                raise UserError(f"{where}: a quote at the start of a text runs several rows together; {WAY}.")
            if breaks is not None:
                breaks.count += found.count
                breaks.doubtful += found.doubtful
        yield numbers, rows


def _counted(name: str, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    """Some rows at a time, with how many came before them."""
    done, wrong = 0, None
    while wrong is None:
        rows: list[list[str]] = []
        try:
            rows.extend(itertools.islice(reader, CHUNK))
        except csv.Error as error:
            wrong = error
        if rows:
            yield done, rows
        elif wrong is None:
            return
        done += len(rows)
    raise UserError(
        f"{name}, row {done + 1}: quotes don't fit ({wrong}); a cell that holds the delimiter, a line break or a "
        'quote needs quotes around it, and quotes inside are doubled ("").'
    ) from wrong


@dataclass(frozen=True)
class _Parse:
    """The head of a file, read in one dialect.

    Attributes:
        rows: until an error.
        start: the place of the header among them, or of the first row if there is none.
        names: usual names of columns in the header, or those asked for.
        agreed: how many rows from `start` on are as wide as the first of them.
        fits: whether all are, and nothing was wrong.
    """

    dialect: Dialect
    rows: list[Numbered]
    start: int
    names: int
    agreed: int
    fits: bool

    @property
    def width(self) -> int:
        return len(self.rows[self.start][1]) if self.rows else 0

    @property
    def body(self) -> list[Sequence[str]]:
        return [row for _, row in self.rows[self.start :]]


def head_of(lines: Iterator[str]) -> tuple[list[str], bool]:
    """The first lines of a file, as many as tell its dialect, and whether they are all."""
    head, size = [], 0
    for line in lines:
        head.append(line)
        size += len(line.encode("utf-8", "surrogatepass"))
        if size >= HEAD:
            return head, False
    return head, True


def find_dialect(name: str, head: str, layout: Layout, *, own: str | None, whole: bool) -> Dialect:
    """The dialect of a file, by the first of its characters.

    Args:
        name: of the file.
        head: its first lines, as `head_of` gives them.
        layout: what is known of it.
        own: the delimiter that its suffix says; None where it may as well be one text a line.
        whole: whether the head is all of it.
    """
    may_be_lines = own is None and layout.header is None and not (layout.text_column or layout.label_column)
    given = (own,) if own else ()
    parses: list[_Parse] = []
    for mark in dict.fromkeys((*given, *_DELIMITERS)):
        if mark in head and (parse := _better(name, head, mark, layout, whole=whole)).rows:
            parse = replace(parse, dialect=replace(parse.dialect, doubtful='"' not in head))
            if parse.fits and parse.width > 1 and parse.names and mark == own:
                return parse.dialect  # which is what it mostly is
            parses.append(parse)
    fitting = [parse for parse in parses if parse.fits and parse.width > 1]
    if may_be_lines:
        fitting = [parse for parse in fitting if _is_table(parse)]
    if fitting:
        return max(fitting, key=lambda parse: (bool(parse.names), _tells(parse.body), not _is_prose(parse))).dialect
    known = [parse for parse in parses if parse.names and parse.width > 1]
    if may_be_lines:
        known = [parse for parse in known if parse.names > 1 or _has_header(parse, head)]
    known = known or [parse for parse in parses if _is_mostly_table(parse)]
    if known:  # its rows are refused one by one
        return max(known, key=lambda parse: (parse.width, parse.agreed)).dialect
    return _of_one_column(name, head, layout, parses, own)


def _of_one_column(name: str, head: str, layout: Layout, parses: list[_Parse], own: str | None) -> Dialect:
    """The dialect of what is no table of several columns: of one, of lines, or of rows that don't fit."""
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        return LINES
    alone = bool(_named([lines[0].strip('"')], layout))
    single = _parse(name, head, Dialect(own or "\t"), layout, whole=True)
    if single.fits and single.width == 1 and (own or alone):
        return single.dialect
    if own is None:
        return Dialect(None, quoted=False, headed=alone)
    alone = all(len(row) == 1 for _, row in single.rows)  # it is the quotes that don't fit
    if own not in lines[0] and (alone or not any(line.startswith('"') for line in lines)):
        return Dialect(None, quoted=False)
    in_first = [parse.dialect for parse in parses if (parse.dialect.delimiter or own) in lines[0]]
    return in_first[0] if in_first else Dialect(own)


def _better(name: str, head: str, delimiter: str, layout: Layout, *, whole: bool) -> _Parse:
    """The head with quotes that mean something, or with quotes that are letters as any other."""
    quoted = _parse(name, head, Dialect(delimiter), layout, whole=whole)
    if '"' not in head:
        return quoted
    plain = _parse(name, head, Dialect(delimiter, quoted=False), layout, whole=whole)
    if quoted.fits and plain.fits and plain.width > 1:
        return plain if _are_several(quoted, plain, closed=all_close(head, delimiter, whole=whole)) else quoted
    if quoted.fits != plain.fits:
        return plain if plain.fits and plain.width > 1 else quoted
    return plain if plain.width > 1 and plain.agreed > 2 * quoted.agreed else quoted


def _parse(name: str, head: str, dialect: Dialect, layout: Layout, *, whole: bool) -> _Parse:
    rows: list[Numbered] = []
    fits = True
    try:
        for numbers, read in chunks(name, io.StringIO(head, newline=""), dialect):
            rows += zip(numbers, read, strict=True)
    except UserError:
        left = head.count("\n") - sum(1 + sum(cell.count("\n") for cell in cells) for _, cells in rows)
        fits = not whole and left <= _UNFINISHED
    rows = [row for row in rows if any(map(str.strip, row[1]))]
    if not rows:
        return _Parse(dialect, rows, 0, 0, 0, False)
    try:
        start, headed = find_header(name, rows[:LOOKED_AT], layout)
    except UserError:  # no such row, in this dialect
        return _Parse(dialect, rows, 0, 0, 0, False)
    width = len(rows[start][1])
    agreed = 0
    for _, row in rows[start:]:
        if len(row) != width and (len(row) < width or any(map(str.strip, row[width:]))):
            break
        agreed += 1
    names = len(_named(rows[start][1], layout)) if headed else 0
    return _Parse(dialect, rows, start, names, agreed, fits and start + agreed == len(rows))


def _are_several(quoted: _Parse, plain: _Parse, *, closed: bool) -> bool:
    """Whether quotes run rows together that are several: each line of them is as wide as a row, and like the others.

    Of a text in quotes with line breaks, the lines could be as wide by accident, and would look like no other row.
    Beside tabs, quotes are mostly letters, unless all of them are `closed`.
    """
    if len(quoted.rows) >= len(plain.rows):
        return False
    if plain.dialect.delimiter == "\t" and not closed:
        return True
    whole = Counter(tuple(row) for row in quoted.body)
    suspects = [row for row in plain.body if not whole[tuple(row)]]
    others = [row for row in plain.body if whole[tuple(row)]]
    return any(_is_like(place, suspects, others) for place in range(plain.width))


def _is_like(place: int, suspects: list[Sequence[str]], others: list[Sequence[str]]) -> bool:
    usual = {row[place] for row in others[1:]}
    cells = [row[place] for row in suspects]
    if usual.issuperset(cells) or (all(map(is_number, cells)) and any(map(is_number, usual))):
        return True
    # Names of people, and whatever else is a word in all rows, unlike what stands behind a comma in a sentence.
    lengths = [len(cell) for cell in usual]
    return bool(usual) and all(
        re.fullmatch(r"[^\s\"]+", cell) and min(lengths) <= len(cell) <= max(lengths) for cell in (*usual, *cells)
    )


def _tells(body: list[Sequence[str]]) -> bool:
    """Whether a column holds numbers, or values that come again, as those of a table do."""
    for place in range(len(body[0])):
        cells = [row[place].strip() for row in body[1:] if place < len(row)]
        counts = Counter(cell for cell in cells if cell)
        if counts and (all(map(is_number, counts)) or (len(counts) > 1 and len(counts) <= sum(counts.values()) / 2)):
            return True
    return False


def _is_table(parse: _Parse) -> bool:
    """Whether what could be one text a line is a table: lines of prose have a comma each by accident."""
    if parse.names > 1 or (parse.names and parse.dialect.delimiter == "\t"):
        return True
    if _is_prose(parse) or len(parse.rows) < 2:
        return False
    if parse.dialect.delimiter == "\t":
        return True
    return _tells(parse.body) and (bool(parse.names) or len(parse.rows) >= _SURE)


def _is_mostly_table(parse: _Parse) -> bool:
    """Whether all but a few rows are as wide as each other, and like those of a table: then the few are wrong."""
    (width, count), *_ = Counter(len(row) for row in parse.body).most_common(1)
    table = replace(parse, rows=[(0, row) for row in parse.body if len(row) == width], start=0)
    return width > 1 and count >= _SURE and count > 0.9 * len(parse.body) and _is_table(table)


def _is_prose(parse: _Parse) -> bool:
    """Whether a blank follows the delimiter, as it does in sentences."""
    cells = [cell for row in parse.body for cell in row[1:] if cell]
    return sum(cell[0] == " " for cell in cells) > len(cells) / 2


def _has_header(parse: _Parse, head: str) -> bool:
    """Whether the first line has single words in all cells, and those below have as many delimiters at least."""
    if parse.dialect.delimiter == "\t":
        return True
    header, *lines = [line for line in head.splitlines() if line.strip()]
    mark = parse.dialect.delimiter or ""
    least = header.count(mark)
    enough = sum(line.count(mark) >= least for line in lines)
    return not re.search(r"\s", header.replace(mark, "").strip()) and enough > 0.8 * len(lines)


def _named(row: Sequence[str], layout: Layout) -> set[str]:
    """The cells that are names of columns, usual ones or those asked for."""
    cells = [clean_name(cell) for cell in row]
    asked = {name for name in (layout.text_column, layout.label_column) if name in cells}
    return asked.union(matched(cells, KNOWN))
