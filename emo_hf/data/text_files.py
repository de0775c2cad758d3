"""Texts of any number of files, labelled or not: each once, as training would read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emo_hf.data.sources.streams import open_rows
from emo_hf.data.sources.tables import Layout
from emo_hf.data.text import MISSING, clean
from emo_hf.errors import UserError

_EMPTY = {"", *MISSING}


def texts_of_files(paths: Sequence[str], text_column: str | None = None) -> list[str]:
    """The texts of all files in their order, cleaned, without empty ones and without those that stood there before.

    Args:
        paths: files of every kind that predict.py reads.
        text_column: of the texts in each of them, where it has no usual name.

    Raises:
        UserError: a file that can't be read, or none with a text.
    """
    found: dict[str, None] = {}
    for path in paths:
        opened = open_rows(Path(path), Layout(None, None, text_column), only_text=True)
        for block in opened.blocks:
            found.update(dict.fromkeys(map(clean, block.columns[opened.text])))
    texts = [text for text in found if text not in _EMPTY]
    if not texts:
        raise UserError(f"--texts {' '.join(paths)}: no text stands there; give files with texts, one a row")
    return texts
