"""Folders of files, given as they are, as a list or as a zip; what reading them says."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tables import rows, write

from emo_hf.data.loading import EmotionData, load_emotion_data
from emo_hf.errors import UserError

WAYS = ("folder", "list", "zip")


def fill(folder: Path, names: str) -> dict[str, int]:
    """Files of those names, with 12 rows of their own each; where each file's rows begin."""
    begins = {name: 100 * place for place, name in enumerate(names.split())}
    for name, start in begins.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        suffix = Path(name).suffix
        if suffix == ".txt":
            write(folder / name.replace(".txt", ".tsv"), rows(12, start)).rename(folder / name)
        else:
            write(folder / name, rows(12, start))
    return begins


def source(folder: Path, way: str) -> str | list[str]:
    """The folder as it is given: itself, its files, or a zip of it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if way == "folder":
        return str(folder)
    if way == "list":
        return [str(path) for path in files]
    archive = folder.parent / "packed.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in files:
            packed.write(path, path.relative_to(folder))
    return str(archive)


def read(folder: Path, way: str = "folder", **arguments) -> EmotionData:
    return load_emotion_data(source(folder, way), **arguments)


def refusal(folder: Path, way: str = "folder", **arguments) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, way, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace("packed.zip/", "")


def said(data: EmotionData) -> str:
    return "\n".join(data.report["notes"])
