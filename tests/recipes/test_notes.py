"""What was left out of the data stands in the last lines of a recipe, and is not said over and over."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import LABELS, sentences
from display.notes import MOST, say_notes
from places import recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A test set by a longer name, and what is no split."""
    rows = [{"sentence": text, "label": label} for label in LABELS for text in sentences(label)[:16]]
    (tmp_path / "data").mkdir()
    for name, part in (("ratings_train.csv", rows[0::2]), ("ratings_test.csv", rows[1::2]), ("contest.csv", rows)):
        pd.DataFrame(part).to_csv(tmp_path / "data" / name, index=False)
    return tmp_path / "data"


@pytest.fixture
def words(speck, folder) -> list[str]:
    common = "--max_length 32 --embedding_size 8 --num_train_epochs 1 --bf16 false --disable_tqdm true"
    return ["--data", str(folder), *common.split()]


NOTES = [
    "training: ratings_train.csv (24 rows); test: ratings_test.csv (24 rows); carved out of training: validation",
    "not read, as no split stands in the name: contest.csv",
]
SAID = [f"data: {note}" for note in NOTES]


def test_train_ends_with_the_notes(words, speck, tmp_path, capfd, caplog):
    assert recipe("train").main([*words, "--encoder", speck[0], "--output_dir", str(tmp_path / "run")]) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == SAID
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings[:2] == NOTES and not set(warnings[2:]) & set(NOTES)  # before the first step, and once


def test_search_ends_with_the_notes(words, speck, tmp_path, capfd):
    search = ["--encoder", speck[0], "--search_dir", str(tmp_path / "search"), "--trials", "1"]
    assert recipe("search").main([*words, *search, "--space", "learning_rate=1e-4..1e-3"]) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == SAID


@pytest.mark.parametrize(("jobs", "runs"), [
    ("1", "--aux none triplet"), ("2", "--aux none triplet"), ("1", "--aux none --over train_fraction=0.5,0.8")
])  # fmt: skip
def test_compare_ends_with_the_notes_and_its_workers_are_silent(words, speck, tmp_path, capfd, caplog, jobs, runs):
    """Also where the runs differ in their data, which are read for each."""
    study = ["--encoders", speck[0], "--poolings", "mean", *runs.split(), "--seeds", "1", "--jobs", jobs]
    assert recipe("compare").main([*words, *study, "--study_dir", str(tmp_path / "study")]) == 0
    said = capfd.readouterr()
    assert said.out.splitlines()[-2:] == SAID
    assert [record.getMessage() for record in caplog.records if record.name.startswith("emo_hf.data")] == NOTES
    assert "contest.csv" not in said.err  # what workers log, in processes of their own


def test_many_notes_are_shortened_and_steer_no_terminal(capsys):
    say_notes([f"\x1b[2J{number}\nnote" for number in range(MOST + 3)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == MOST + 1 and lines[0] == "data: \\x1b[2J0 note"
    assert lines[-1] == "data: 3 notes more, in record.json under data, report, notes"
