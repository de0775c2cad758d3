"""Folders that are called by their labels: their texts, what they are not, and names in zips that they come in."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from folders import WAYS, read, refusal, said
from tables import LABELS, rows, texts

from emo_hf.data.loading import load_emotion_data


def fill(folder: Path, count: int = 60, *, lines: bool = False) -> dict[str, set[str]]:
    """The texts of each label: each in a file, with a line break and commas, or each a line."""
    found = {}
    for label in LABELS:
        mine = [row["sentence"] for row in rows(count, sum(map(ord, folder.name))) if row["label"] == label]
        mine = mine if lines else [f"{text}\n그리고, 또, 밤이 왔다." for text in mine]
        (folder / label).mkdir(parents=True)
        if lines:
            (folder / label / "all.txt").write_text("\r\n\r\n".join(mine), encoding="utf-8")
        for number, text in enumerate([] if lines else mine):
            (folder / label / f"{number}.txt").write_text(text, encoding="cp949" if number % 2 else "utf-8-sig")
        found[label] = set(mine)
    return found


def by_label(data, *splits: str) -> dict[str, set[str]]:
    pairs = [(data.labels[row["label"]], row["text"]) for split in splits for row in data.splits[split]]
    return {label: {text for name, text in pairs if name == label} for label in LABELS}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lines", [False, True])
def test_folders_are_labels_in_those_of_splits(tmp_path, lines, way):
    train, test = (fill(tmp_path / "data" / split, lines=lines) for split in ("train", "평가"))
    data = read(tmp_path / "data", way, labels="all")
    assert by_label(data, "train", "validation") == train and by_label(data, "test") == test
    assert f"each {'line of a file' if lines else 'file'} is a text" in said(data)
    assert "carved out of training: validation" in said(data)


@pytest.mark.parametrize("way", WAYS)
def test_folders_are_labels_without_splits(tmp_path, way):
    found = fill(tmp_path / "data")
    data = read(tmp_path / "data", way)
    assert by_label(data, "train", "validation", "test") == found
    assert "labels are the names of the folders" in said(data)


def test_what_stands_beside_is_not_read(tmp_path):
    """As in the IMDB's reviews."""
    train, test = (fill(tmp_path / split) for split in ("train", "test"))
    (tmp_path / "train" / "unsup").mkdir()
    (tmp_path / "train" / "unsup" / "1.txt").write_text("누구도 모른다")
    (tmp_path / "train" / "urls.txt").write_text("http://a")
    data = read(tmp_path, labels="all")
    assert by_label(data, "train", "validation") == train and by_label(data, "test") == test
    assert "no label stands in the name of its folder: train/unsup/1.txt, train/urls.txt" in said(data)


def test_a_test_set_of_one_label_is_read(tmp_path):
    for split in ("train", "test"):
        fill(tmp_path / split)
    for label in LABELS[1:]:
        shutil.rmtree(tmp_path / "test" / label)
    data = read(tmp_path)
    assert data.counts()["test"] == {LABELS[0]: 20, LABELS[1]: 0, LABELS[2]: 0}


def test_an_empty_file_is_an_empty_text(tmp_path):
    fill(tmp_path)
    (tmp_path / LABELS[0] / "3.txt").write_text("\n")
    data = read(tmp_path)
    assert sum(map(len, data.splits.values())) == 59
    assert f"1 row was left out: {LABELS[0]}, row 14: the text is empty" in said(data)  # after 0, 1, 10 to 19, 2


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_tables_in_folders_are_no_texts(tmp_path, delimiter):
    for year in ("2019", "2020"):
        (tmp_path / year).mkdir()
        lines = [f"{row['sentence'].replace(',', '')}{delimiter}{row['label']}" for row in rows(12, int(year))]
        (tmp_path / year / "a.txt").write_text("\n".join([f"글{delimiter}느낌", *lines]), encoding="utf-8")
    assert "a.txt: no text column" in refusal(tmp_path)
    data = load_emotion_data(str(tmp_path), text_column="글", label_column="느낌")
    assert data.labels == LABELS and sum(map(len, data.splits.values())) == 24


def test_deeper_folders_are_no_labels(tmp_path):
    for label in LABELS:
        fill(tmp_path / label / "more")
    assert "has no header and one column" in refusal(tmp_path)


def test_names_in_a_zip_of_macos(tmp_path):
    """In UTF-8, without the flag that says so."""
    found = fill(tmp_path / "data")
    archive = tmp_path / "data.zip"
    names = {}
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "data").rglob("*.txt"):
            name = path.relative_to(tmp_path).as_posix().encode()
            placeholder = f"#{len(names)}#".ljust(len(name), "x")
            names[placeholder.encode()] = name
            packed.writestr(placeholder, path.read_bytes())
    content = archive.read_bytes()
    for placeholder, name in names.items():
        content = content.replace(placeholder, name)
    archive.write_bytes(content)
    data = load_emotion_data(str(archive))
    assert by_label(data, "train", "validation", "test") == found
    assert not texts(data, "train")[0].startswith("\ufeff")
