"""The pieces of a source, which are files or the sheets of one: read, told apart, and put together where they fit."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

import pandas as pd

from emo_hf.data.sources.aihub import SUFFIXES, is_release
from emo_hf.data.sources.columns import rows_of
from emo_hf.data.sources.members import DataFile
from emo_hf.data.sources.readers import read_tables
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.data.split_names import split_of, split_of_path, stem_of, without_split, words_of
from emo_hf.errors import UserError, few

Tables = list[tuple[str | None, Table]]
Found = list[tuple["Piece", Table]]
_SHOWN = 5
_ROWS_OF_A_COPY = 10
LOOKED_AT = 200  # rows that tell whether a table has a text and a label
# Of two files of one split whose names differ by such a word, one is made from the other.
_VERSION = re.compile(
    "old|new|orig(inal)?|raw|clean(ed)?|aug(mented|mentation)?|backup|bak|copy|final|fixed|v|ver|version|small|mini|tiny|"
    "full|all|balanced|filtered|(pre)?processed|normalized|tokenized|translated|shuffled|modified|edited|sample|subset|"
    "원본|복사본|사본|수정|수정본|최종|최종본|증강|백업|전처리|정제|전체|구버전|신버전"
)


@dataclass(frozen=True)
class Piece:
    """A file, or a sheet of one, that may be a split of its own.

    Attributes:
        name: what it is called, a path with `/` for a file.
        split: which split its name says.
        read: its tables; the bytes that they come from, for a file, tell whether another file is the same.
        noun: "file" or "sheet".
    """

    name: str
    split: str | None
    suffix: str
    read: Callable[[], bytes | list[Table]]
    noun: Literal["file", "sheet"] = "file"

    @property
    def whole(self) -> str:
        """Its name, without the number of a shard: shards, as the Hub names them, are one table."""
        if self.noun == "sheet":
            return self.name
        folder, _, file = self.name.rpartition("/")
        return f"{folder}/{stem_of(file)}{PurePosixPath(file).suffix}".lstrip("/")


def piece_of_file(file: DataFile) -> Piece:
    """A file, with the split that its path says."""
    return Piece(file.name, split_of_path(file.name), file.suffix, file.read)


def piece_of_sheet(table: Table) -> Piece:
    """A sheet of a workbook, with the split that its name says."""
    sheet = table.sheet or ""
    return Piece(sheet, split_of(sheet), "", lambda: [table], "sheet")


@dataclass(frozen=True)
class Read:
    """The tables of some pieces, each with its piece, and what is to be said of the pieces."""

    tables: list[tuple[Piece, Table]]
    notes: list[str]


class _Known:
    """The tables that were read: a copy of a sheet, or one in another encoding, has the same rows."""

    def __init__(self) -> None:
        self._tables: dict[tuple[object, ...], list[Table]] = {}

    def of(self, suffix: str, table: Table) -> str | None:
        """The name of a table of this format that was here before, with the same rows; few may be so by accident."""
        frame = table.frame
        if len(frame) < _ROWS_OF_A_COPY:
            return None
        key = (suffix, *frame.columns, len(frame), *frame.iloc[0], *frame.iloc[-1])
        like = self._tables.setdefault(key, [])
        rows = frame.reset_index(drop=True)
        found = next((one.name for one in like if one.frame.reset_index(drop=True).equals(rows)), None)
        like.append(table)
        return found


def read_pieces(pieces: Sequence[Piece], layout: Layout, may_skip: Callable[[Piece], bool]) -> Read:
    """Read pieces, one that is there twice once; of an AI Hub release, in the first of its formats alone.

    Raises:
        UserError: a piece that can't be read, and that `may_skip` does not let go.
    """
    tables: list[tuple[Piece, Table]] = []
    notes, seen, known = [], dict[bytes, str](), _Known()
    suffixes = sorted(
        {piece.suffix for piece in pieces}, key=lambda name: (SUFFIXES.index(name) if name in SUFFIXES else -1, name)
    )
    for suffix in suffixes:
        for piece in (one for one in pieces if one.suffix == suffix):
            content = piece.read()
            if isinstance(content, bytes):
                first = seen.setdefault(hashlib.sha256(content).digest(), piece.name)
                if first != piece.name:
                    notes.append(f"{piece.name} holds the same as {first}, and is read once")
                    continue
                try:
                    content = read_tables(piece.name, content, layout)
                except UserError:
                    if not may_skip(piece):
                        raise
                    notes.append(f"{piece.name} is not read: it is no table")
                    continue
            for table in content:
                if piece.split is None and (twin := known.of(piece.suffix, table)):
                    notes.append(f"{table.name} holds the same rows as {twin}, and is read once")
                else:
                    tables.append((piece, table))
        if any(is_release(table) for _, table in tables):
            tables = [(piece, table) for piece, table in tables if is_release(table)]
            kept = {piece.name for piece, _ in tables} | set(seen.values())
            if others := [piece.name for piece in pieces if piece.suffix != suffix or piece.name not in kept]:
                notes.append(
                    f"not read, beside AI Hub's dialogues in {suffix.removeprefix('.')}: {few_pieces(others)}"
                )
            break
    order = {piece.name: place for place, piece in enumerate(pieces)}
    return Read(sorted(tables, key=lambda found: order[found[0].name]), notes)


def labels_joined(where: str, split: str, found: Found, layout: Layout) -> tuple[Found, list[str]]:
    """Of two files of a split, one with its texts and one with its labels, one table, by the ids that both have.

    Raises:
        UserError: no ids that tell which text and label belong together.
    """
    tables = [table for _, table in found]
    if len(tables) != 2 or any(columns_chosen(table, layout) for table in tables):
        return found, []
    first, second = (table.frame for table in tables)
    ids = [name for name in first if name in second]
    heads = [frame.head(LOOKED_AT).reset_index(drop=True) for frame in (first, second.drop(columns=ids))]
    chosen = columns_chosen(replace(tables[0], frame=pd.concat(heads, axis=1)), layout)
    if chosen is None:
        return found, []
    (piece, texts), (_, labels) = found if chosen["text"] in first else found[::-1]
    if not ids or not _are_same_ids(texts.frame[ids], labels.frame[ids]):
        same = f"{' and '.join(ids)} does not hold the same ids, each once, in both"
        why = same if ids else "no column of ids stands in both"
        raise UserError(
            f"{where}: {texts.name} holds the texts of the {split} split and {labels.name} its labels, and {why}; put "
            "texts and labels into one file."
        )
    frame = texts.frame.join(labels.frame.set_index(ids), on=ids)
    lists, escaped = texts.lists | labels.lists, texts.escaped | labels.escaped
    notes = [f"{texts.name}: its labels are those in {labels.name}, by {' and '.join(ids)}"]
    return [(piece, replace(texts, frame=frame, lists=lists, escaped=escaped))], notes


def _are_same_ids(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    keys, others = pd.MultiIndex.from_frame(one), pd.MultiIndex.from_frame(other)
    return len(keys) == len(others) and keys.is_unique and others.is_unique and bool(keys.isin(others).all())


def check_one_split(where: str, split: str, found: Found, *, listed: bool) -> None:
    """Refuse a split that is there twice: whether it is read once, twice or in part, nobody could tell.

    Several files of one split are one table if their names say that they are parts of it, as years do; if the user
    has `listed` them, also where one may have been made from another.

    Raises:
        UserError: one split by two names, in two formats, or in two versions.
    """
    kept = {piece.whole: piece.noun for piece, _ in found}
    if len(kept) < 2:
        return
    names = {whole: whole.rpartition(".")[0] if noun == "file" else whole for whole, noun in kept.items()}
    shared = posixpath.commonpath([f"/{name.rpartition('/')[0]}" for name in names.values()])
    rests = {whole: without_split(f"/{name}".removeprefix(shared)) for whole, name in names.items()}
    twice = len(set(rests.values())) < len(rests)
    versions = not listed and any(not rest or any(map(_VERSION.fullmatch, words_of(rest))) for rest in rests.values())
    if twice or versions:
        noun = next(iter(kept.values()))
        both = " and ".join(kept) if len(kept) == 2 else few_pieces(list(kept))
        fit = not twice and noun == "file" and len(groups_of(found)) == 1
        also = ", or name all files to read, these too, after --data" if fit else ""
        raise UserError(
            f"{where}: {both} are each the {split} split; keep one {noun}, with all rows that are to be read{also}."
        )


def check_columns(where: str, found: Found, way_out: str) -> None:
    """Require the same columns, in any order, of tables that are to be one.

    Raises:
        UserError: columns that only some of them have.
    """
    first, columns = found[0][1], set(found[0][1].frame.columns)
    for _, table in found[1:]:
        if (others := set(table.frame.columns)) != columns:
            only = [
                f"only {name} has {few(sorted(more), _SHOWN)}"
                for name, more in ((first.name, columns - others), (table.name, others - columns))
                if more
            ]
            raise UserError(
                f"{where}: {first.name} and {table.name} are not one table, as {' and '.join(only)}; {way_out}."
            )


def groups_of(found: Found) -> list[Found]:
    """The tables put together by their columns, those with the most rows first."""
    groups: dict[frozenset[str], Found] = {}
    for one in found:
        groups.setdefault(frozenset(one[1].frame.columns), []).append(one)
    return sorted(groups.values(), key=lambda group: -sum(len(table.frame) for _, table in group))


def columns_chosen(table: Table, layout: Layout) -> dict[str, str] | None:
    """The columns of a table's text and label, by their roles; None where it has not both."""
    head = replace(table, frame=table.frame.head(LOOKED_AT))
    try:
        taken = rows_of(head, text_column=layout.text_column, label_column=layout.label_column, turns="first")
    except UserError:
        return None
    return taken.columns


def few_pieces(names: Sequence[str]) -> str:
    """As `few`, of files and sheets, whose names are long."""
    return few(names, _SHOWN)
