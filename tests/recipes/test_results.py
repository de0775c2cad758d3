"""The pages of `recipes/results`: how a corpus is cut, what a page holds, and that what is quoted stands there."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import results
from places import RECIPES, ROOT

from emo_hf.data.loading import load_emotion_data

KOTE = (
    '1\t오늘 "정말" 좋다\t7,42\n2\t비가 와서 슬프고 걱정된다\t5,41\n3\t내일이 걱정된다\t0,41\n4\t그냥 그렇다\t24\n'
    '5\t"""슬프다"""\t5\n'
)


def test_kote_s_rows_with_one_of_three_labels_are_kept(tmp_path: Path) -> None:
    published = tmp_path / "val.tsv"
    published.write_text(KOTE, encoding="utf-8")
    corpus = results.kote(published, tmp_path / "runs")
    rows = list(csv.reader((tmp_path / "runs" / "kote3.csv").open(encoding="utf-8", newline="")))
    assert rows == [
        ["sentence", "label"],
        ['오늘 "정말" 좋다', "기쁨"],
        ["내일이 걱정된다", "불안"],
        ['"슬프다"', "슬픔"],
    ]
    assert corpus.words[:2] == ("--data", str(tmp_path / "runs" / "kote3.csv")) and "3 Korean online" in corpus.source


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"sentence,label\n", "row 1: 1 columns; KOTE has an id, a text and labels"),
        (b"\xff\xfe\x00", "can't be read"),
        (None, "can't be read"),
    ],
)
def test_another_file_is_no_kote(tmp_path: Path, capsys, content, said) -> None:
    path = tmp_path / "val.tsv"
    if content is not None:
        path.write_bytes(content)
    assert results.main(["--kote", str(path), "--runs", str(tmp_path / "runs"), "--pages", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: --kote") and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_page_has_what_its_studies_found(speck, tmp_path: Path, monkeypatch, capsys) -> None:
    encoder, data = speck
    small = ("--encoders", encoder, "--seeds", "1", "2", "--num_train_epochs", "1", "--max_length", "32")
    words = {
        "models": (*small, "--tune", "2"),
        "weights": (*small, "--aux", "triplet", "--over", "aux_weight=0.1,1"),
    }
    monkeypatch.setattr(results, "STUDIES", words)
    monkeypatch.setattr(results, "SAMPLE", results.Corpus("speck", "A speck", "Little.", "", ("--data", data)))
    parts = {
        heading: (study, name, picture and picture.replace("tiny-bert", "speck"))
        for heading, (study, name, picture) in results.PARTS.items()
    }
    monkeypatch.setattr(results, "PARTS", parts)
    place = ["--runs", str(tmp_path / "runs"), "--pages", str(tmp_path)]
    assert results.main(place) == 0
    page = (tmp_path / "speck.md").read_text(encoding="utf-8")
    for study, name, _ in parts.values():
        assert (tmp_path / "runs" / "speck" / study / name).read_text(encoding="utf-8").strip() in page
    assert re.findall("^## (.*)$", page, re.MULTILINE) == list(results.PARTS)
    assert (
        all((tmp_path / name).is_file() for name in re.findall(r"!\[.*\]\((.*)\)", page))
        and "_tuning_speck.png" in page
    )
    assert not any(
        text in page for text in load_emotion_data(data).splits["test"]["text"]
    )  # a corpus stays where it is
    capsys.readouterr()
    assert results.main(place) == 0
    assert capsys.readouterr().out.count("0 due") == 2
    assert (tmp_path / "speck.md").read_text(encoding="utf-8") == page


def test_the_readme_quotes_the_table_of_verdicts() -> None:
    table = (RECIPES / "results" / "verdicts.md").read_text(encoding="utf-8")
    [told] = re.findall(r"\*\*The twelve as published.*?make results", (ROOT / "README.md").read_text(), re.DOTALL)
    quoted = re.findall(r"[+-]\d\.\d \[[^]]*\](?!\()", told)
    assert len(quoted) == 2 and all(one in table for one in quoted)


@pytest.mark.parametrize("corpus", ["sample", "kote3"])
def test_what_is_committed_is_what_the_recipe_writes(corpus: str) -> None:
    page = (RECIPES / "results" / f"{corpus}.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", page, re.MULTILINE) == list(results.PARTS)
    assert all((RECIPES / "results" / name).is_file() for name in re.findall(r"!\[.*\]\((.*)\)", page))


def test_verdicts_stand_in_the_pages() -> None:
    verdicts, sample, kote3 = (
        (RECIPES / "results" / f"{name}.md").read_text(encoding="utf-8") for name in ("verdicts", "sample", "kote3")
    )
    for line in verdicts.splitlines()[2:]:
        _, *cells = line.strip("| ").split(" | ")
        for cell, page in zip(cells, (sample, kote3), strict=True):
            value, interval = cell.split(" **")[0].split(" ", 1)
            assert any(value in found and interval in found for found in page.splitlines()), cell
