"""Where predictions go: a file that is there whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from emo_hf.errors import UserError
from emo_hf.inference.prediction_writers import Delimited, Lines, Objects, Workbook, Writer
from emo_hf.storage.files import temporary_of, writing_whole

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".xlsx": "xlsx", ".jsonl": "jsonl"}
_LONGEST_NAME = 255  # bytes, of most file systems


def format_of(output: Path | None, given: str | None) -> str:
    """The format by the suffix of a file, or the one that is given, or "text".

    Raises:
        UserError: an unknown suffix, or a format that is not the file's.
    """
    if output is None:
        return given or "text"
    found = SUFFIXES.get(output.suffix.lower())
    if found is None:
        what = "is a folder" if output.is_dir() else f"has {output.suffix or 'no'} suffix"
        raise UserError(f"--output {output} {what}; give a file whose name ends in {' '.join(SUFFIXES)}")
    if given not in (None, found):
        raise UserError(f"--output {output} is {found}, and --format says {given}; leave --format out")
    return found


def check_output(path: Path, source: Path | int | None) -> None:
    """Find before a model is loaded what would keep a file from being written.

    Args:
        path: of the file.
        source: what is read: a file, or the number of an open one.

    Raises:
        UserError: no folder for it, no regular file, or the very file that is read.
    """
    given = f"--output {path}"
    try:
        folder = path.resolve().parent
        if path.is_dir():
            raise UserError(f"{given} is a folder; give a file in it, as {path / 'predictions.csv'}")
        if not folder.is_dir():
            raise UserError(f"{given}: there is no folder {folder}; make it, or give another")
        if not os.access(folder, os.W_OK):
            raise UserError(f"{given}: nothing may be written into {folder}; give another folder")
        if path.exists() and not path.is_file():
            raise UserError(f"{given} is no regular file; give another name")
        if path.exists() and source is not None and os.path.samestat(path.stat(), os.stat(source)):
            raise UserError(f"{given} is the file that is read; give another name, so that both are kept")
    except OSError as error:
        raise UserError(f"{given} can't be written ({error.strerror}); give another name") from error
    if len(os.fsencode(temporary_of(path.resolve()).name)) > _LONGEST_NAME:
        raise UserError(f"{given}: the name is too long; give a shorter one")


@contextlib.contextmanager
def prediction_file(
    path: Path, others: Sequence[str], labels: Sequence[str], *, more: Sequence[str] = ()
) -> Iterator[Writer]:
    """A writer into a file of the kind that its suffix says, which is there when all is written, or not at all.

    Args:
        path: that `check_output` finds nothing against.
        others: names of the input's other columns.
        labels: of the model.
        more: columns of its predictions beside label and probabilities, of "label_set" and "why".

    Raises:
        UserError: what `Writer.write` raises, or a disk that does not take the file.
    """
    kind, path = SUFFIXES[path.suffix.lower()], path.resolve()  # a link goes on to lead to the file
    try:
        with writing_whole(path) as file:
            if kind == "xlsx":
                with Workbook(path.name, others, labels, more=more) as workbook:
                    yield workbook
                    workbook.save(file)
            else:
                text = io.TextIOWrapper(file, encoding="utf-8", newline="")
                yield writer_to(text, kind, others, labels, mark=True, more=more)
                text.detach()  # all of it is in `file` then
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(f"--output {path} can't be written ({why}); give a place with room for it") from error


def writer_to(
    out: TextIO, kind: str, others: Sequence[str], labels: Sequence[str], *, mark: bool, more: Sequence[str] = ()
) -> Writer:
    """A writer of "text", "csv", "tsv" or "jsonl".

    Args:
        out: open for UTF-8, with line ends as they are given.
        kind: the format.
        others: names of the input's other columns.
        labels: of the model.
        mark: whether CSV and TSV begin with the mark of UTF-8, which spreadsheets need and a terminal doesn't.
        more: columns beside label and probabilities, of "label_set" and "why".
    """
    if kind == "text":
        return Lines(out, labels, more=more)
    if kind == "jsonl":
        return Objects(out, others, labels, more=more)
    return Delimited(out, "," if kind == "csv" else "\t", others, labels, mark=mark, more=more)


def standard_output(
    out: TextIO, kind: str, others: Sequence[str], labels: Sequence[str], *, more: Sequence[str] = ()
) -> Writer:
    """A writer to standard output: to a file or a pipe in UTF-8, whatever encoding the system has."""
    terminal = out.isatty()
    if isinstance(out, io.TextIOWrapper):
        if terminal or kind == "text":
            out.reconfigure(errors="backslashreplace")  # what its encoding has no letter for
        else:
            out.reconfigure(encoding="utf-8", newline="")
    return writer_to(out, kind, others, labels, mark=not terminal, more=more)
