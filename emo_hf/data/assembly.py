"""Which files, or sheets, are which split; what is left out, and how it all was read, becomes notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emo_hf.data.pieces import (
    Found,
    Piece,
    Tables,
    check_columns,
    check_one_split,
    columns_chosen,
    few_pieces,
    groups_of,
    labels_joined,
    piece_of_sheet,
    read_pieces,
)
from emo_hf.data.sources.aihub import VALIDATION_IS_TEST, is_release
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.data.split_names import ALLOWED, SPLITS, split_of
from emo_hf.errors import UserError

_SAID: dict[str | None, str] = {"train": "training", "validation": "validation", "test": "test"}
MOST_FILES = 1000  # whose names say no split: a folder of all sorts of things, and not of data


@dataclass(frozen=True)
class Place:
    """Where the pieces are: what errors call it, how it is laid out, and whether the user named every piece."""

    name: str
    layout: Layout
    listed: bool = False


def assemble(pieces: Sequence[Piece], place: Place) -> tuple[Tables, list[str]]:
    """The tables of the pieces with their splits, and notes; the split is None where a column of the table may tell.

    Pieces whose names say a split are that split. If none says that it is training, those that say nothing are, and
    make one table.

    Raises:
        UserError: a piece that says a split and can't be read, a split twice, no training, tables that are not one.
    """
    named = {split: mine for split in SPLITS if (mine := [piece for piece in pieces if piece.split == split])}
    others = [piece for piece in pieces if piece.split is None]
    notes: list[str] = []
    parts: dict[str | None, Found] = {}
    for split, mine in named.items():
        parts[split] = _read_split(split, mine, place, notes)
    released = bool(parts) and all(is_release(table) for found in parts.values() for _, table in found)
    if released and "validation" in parts and "test" not in parts:
        parts["test"] = parts.pop("validation")
        notes.append(VALIDATION_IS_TEST)
    if "train" not in parts:
        parts = {("train" if parts else None): _read_unnamed(others, parts, place, notes)} | parts
    elif others and place.listed:
        raise UserError(
            f"{place.name}: no split stands in the name of {few_pieces([piece.name for piece in others])}, and one "
            f"stands in those of the others; leave it out, or have its name say one: {ALLOWED}."
        )
    elif others:
        way = f"; --{others[0].noun} NAME reads one alone" if others[0].noun == "sheet" else ""
        notes.append(f"not read, as no split stands in the name: {few_pieces([piece.name for piece in others])}{way}")
    tables = [(split, table) for split in (*SPLITS, None) for _, table in parts.get(split, [])]
    return tables, notes


def assemble_sheets(tables: Sequence[Table], place: Place) -> tuple[Tables, list[str]]:
    """As `assemble`, of what one file holds; the file's own notes stay with its tables."""
    if len(tables) < 2:
        return [(None, table) for table in tables], []
    return assemble([piece_of_sheet(table) for table in tables], place)


def _read_split(split: str, pieces: list[Piece], place: Place, notes: list[str]) -> Found:
    """The tables of the pieces that say a split: all of them."""
    read = read_pieces(pieces, place.layout, may_skip=lambda _: False)
    notes += read.notes
    if all(is_release(table) for _, table in read.tables):
        return read.tables  # of which any number of files is one part
    found, more = labels_joined(place.name, split, _without_sheets(read.tables, place, notes), place.layout)
    notes += more
    check_one_split(place.name, split, found, listed=place.listed)
    check_columns(place.name, found, "give them the same columns, or keep one file")
    return found


def _read_unnamed(pieces: list[Piece], parts: dict[str | None, Found], place: Place, notes: list[str]) -> Found:
    """One table of pieces that say no split, where no other piece says that it is training."""
    if not pieces:
        tables = [table for found in parts.values() for _, table in found]
        if tables and all(is_release(table) for table in tables):
            raise UserError(
                f"{place.name}: AI Hub's validation or test part is there, its training part is not; put it beside it."
            )
        held_out = few_pieces([piece.name for found in parts.values() for piece, _ in found])
        raise UserError(
            f"{place.name}: no training rows, only {held_out}; a name has to say which they are: {ALLOWED}."
        )
    if len(pieces) > MOST_FILES:
        raise UserError(
            f"{place.name} holds {len(pieces):,} files whose names say no split; give those to read, or a folder that "
            "holds no others."
        )
    alone = len(pieces) == 1 or place.listed
    read = read_pieces(pieces, place.layout, may_skip=lambda piece: not alone and piece.suffix in (".txt", ".json"))
    notes += read.notes
    if read.tables and all(is_release(table) for _, table in read.tables):
        return read.tables
    found = _one_table(_without_sheets(read.tables, place, notes), place, notes)
    stems: dict[str, str] = {}
    for name in (piece.whole for piece, _ in found):
        if (first := stems.setdefault(name.rpartition(".")[0] or name, name)) != name:
            raise UserError(f"{place.name}: {first} and {name} seem to be one table in two formats; keep one.")
    return found


def _without_sheets(found: Found, place: Place, notes: list[str]) -> Found:
    """One table of each file: of a workbook with several sheets beside other files, those that go together."""
    kept: Found = []
    for piece in dict.fromkeys(piece for piece, _ in found):
        mine = [one for one in found if one[0] is piece]
        if len(mine) > 1 and piece.noun == "file":
            sheets = [(split_of(table.sheet or ""), table) for _, table in mine]
            own = [(piece, table) for split, table in sheets if split is not None and split == piece.split]
            if any(split for split, _ in sheets) and not own:
                titles = few_pieces([table.sheet or "" for _, table in mine])
                raise UserError(
                    f"{piece.name} holds splits in its sheets ({titles}); give it alone, or name the sheet to "
                    "read with --sheet."
                )
            mine = own or _one_table(mine, Place(piece.name, place.layout), notes)
        kept += mine
    return kept


def _one_table(found: Found, place: Place, notes: list[str]) -> Found:
    """Those of the tables that are one, by their columns: all, or the only ones with a text and a label."""
    if not found:
        raise UserError(f"{place.name} holds no table that can be read; give a file with a header and rows.")
    groups = groups_of(found)
    if len(groups) < 2:
        return found
    if place.listed:
        check_columns(place.name, found, "give files of one table, or say train and test in their names")
    usable = [group for group in groups if columns_chosen(group[0][1], place.layout)]
    if len(usable) > 1:
        pair = [group[0] for group in usable[:2]]
        way = (
            "name one with --sheet" if _are_sheets(found) else "give one of them, or say train and test in their names"
        )
        check_columns(place.name, pair, way)
    kept = usable[0] if usable else groups[0]  # of which reading says what it lacks
    left = [table.name for _, table in found if not any(table is one for _, one in kept)]
    way = "; --sheet NAME reads one" if _are_sheets(found) else ""
    notes.append(f"not read, as its columns are others: {few_pieces(left)}{way}")
    return kept


def _are_sheets(found: Found) -> bool:
    """Whether these are sheets of one workbook, and not files that are workbooks."""
    return found[0][0].noun == "sheet" or len({piece.name for piece, _ in found}) == 1


def read_as(tables: Tables) -> str:
    """What was read as which split: `training: a.csv (1,200 rows); test: b.csv (300 rows)`."""
    said = []
    for split in (*SPLITS, None):
        if mine := [table for own, table in tables if own == split]:
            rows = sum(len(table.frame) for table in mine)
            names = few_pieces(list(dict.fromkeys(table.name for table in mine)))
            whole = "read as one table" if len(mine) > 1 else "read"
            said.append(f"{_SAID.get(split, whole)}: {names} ({rows:,} row{'s' if rows != 1 else ''})")
    splits = {split for split, _ in tables}
    if "train" in splits and (carved := [split for split in SPLITS if split not in splits]):
        said.append(f"carved out of training: {' and '.join(carved)}")
    return "; ".join(said)
