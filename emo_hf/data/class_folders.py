"""Texts in folders that are called by their labels, `train/긍정/1.txt`, as corpora of reviews are given out."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from emo_hf.data.pieces import Piece, few_pieces
from emo_hf.data.sources.decoding import decode
from emo_hf.data.sources.files import suffix_of
from emo_hf.data.sources.members import DataFile
from emo_hf.data.sources.readers import read_tables
from emo_hf.data.sources.tables import Layout, Table
from emo_hf.data.split_names import split_of, split_of_path
from emo_hf.errors import UserError

MANY = 10  # files in a folder, which hold a text each; in fewer, each line is one
_NO_LABEL = re.compile("unsup(ervised)?|unlabell?ed", re.IGNORECASE)  # beside pos and neg of the IMDB's reviews

Folders = dict[str, list[DataFile]]  # of the files of one split, by their labels


@dataclass(frozen=True)
class ClassFolders:
    """The pieces that class folders make, one for each split, and notes of how they are read."""

    pieces: list[Piece]
    notes: list[str]


def class_folders(files: Sequence[DataFile], layout: Layout, *, listed: bool) -> ClassFolders | None:
    """What files make whose folders are their labels; None of files that do not lie like that, or that are tables.

    There are two labels or more side by side, in one folder or in that of each split, and nothing deeper. Of files
    that the user has `listed`, none is left out.
    """
    by_place: dict[str, Folders] = {}
    for file in files:
        folder = PurePosixPath(file.name).parent
        if file.suffix != ".txt" or (_says_no_label(folder) and split_of(PurePosixPath(file.name).stem)):
            return None
        if not _says_no_label(folder):
            by_place.setdefault(str(folder.parent), {}).setdefault(folder.name, []).append(file)
    by_place = {place: folders for place, folders in by_place.items() if len(folders) > 1 or split_of_path(place)}
    splits = [split_of_path(place) for place in by_place]
    if len(set(splits)) < len(splits) or not any(len(folders) > 1 for folders in by_place.values()):
        return None
    found = [(place, label, mine) for place, folders in by_place.items() for label, mine in folders.items()]
    if any(_is_table(mine[0], layout) for _, _, mine in found):
        return None
    read = {file for _, _, mine in found for file in mine}
    left = [file.name for file in files if file not in read]
    if left and listed:
        return None
    whole = max(len(mine) for _, _, mine in found) >= MANY
    labels = dict.fromkeys(label for _, label, _ in found)
    text = "file" if whole else "line of a file"
    notes = [f"labels are the names of the folders, and each {text} is a text: {few_pieces(list(labels))}"]
    if left:
        notes.append(f"not read, as no label stands in the name of its folder: {few_pieces(left)}")
    pieces = [
        Piece(place, split, "", functools.partial(_tables, place, folders, whole=whole))
        for split, (place, folders) in zip(splits, by_place.items(), strict=True)
    ]
    return ClassFolders(pieces, notes)


def _says_no_label(folder: PurePosixPath) -> bool:
    name = folder.name  # "" of the source itself
    return not name or suffix_of(name) == ".zip" or bool(split_of(name) or _NO_LABEL.fullmatch(name))


def _is_table(file: DataFile, layout: Layout) -> bool:
    data = file.read()
    if b"\t" in data.lstrip().partition(b"\n")[0]:
        return True
    try:
        tables = read_tables(file.name, data, layout)
    except UserError:  # as of a text with a comma in each sentence
        return False
    return any(len(table.frame.columns) > 1 and len(table.frame) > 1 for table in tables)


def _tables(place: str, folders: Folders, *, whole: bool) -> list[Table]:
    """A table for each label; its rows are numbered as the files are in order of their names, or as the lines."""
    tables = []
    for label, files in folders.items():
        name = str(PurePosixPath(place, label))
        texts, numbers = [], list[int]()
        for number, file in enumerate(files, 1):
            text = decode(file.name, file.read())[0]
            lines = [(number, text)] if whole else list(enumerate(text.split("\n"), 1))
            filled = [(row, line) for row, line in lines if whole or line.strip()]
            numbers += [row for row, _ in filled]
            texts += [line for _, line in filled]
        frame = pd.DataFrame({"text": texts, "label": label}, numbers, dtype="str")
        tables.append(Table(name, frame))
    return tables
