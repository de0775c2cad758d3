"""`transfer.py` as it is typed: runs, what they start from, the same command again, and mistakes in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
from conftest import LABELS, sentences
from places import recipe

from emo_hf.storage.record import is_done, read_record


@pytest.fixture(scope="module")
def transfer() -> Callable[[list[str]], int]:
    return recipe("transfer").main


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A corpus beside `speck`'s: other sentences, and one that `speck` is trained on among the test rows."""
    splits = ["train"] * 4 + ["validation"] * 2 + ["test"] * 3
    rows = [
        {"sentence": sentence, "label": label, "split": split}
        for label in LABELS
        for sentence, split in zip(sentences(label)[20:], splits, strict=False)
    ]
    rows.append({"sentence": sentences("불안")[0], "label": "불안", "split": "test"})
    path = tmp_path_factory.mktemp("other") / "other.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def words_of(speck: tuple[str, str], other: str, folder: Path) -> list[str]:
    encoder, data = speck
    return [
        *("--sources", data, other, "--targets", data, other, "--encoder", encoder, "--pooling", "mean"),
        *("--max_length", "16", "--embedding_size", "8", "--num_train_epochs", "1", "--bf16", "false"),
        *("--seeds", "1", "--rows", "0", "6", "--row_epochs", "2", "--jobs", "1", "--study_dir", str(folder)),
    ]


@pytest.fixture(scope="module")
def finished(transfer, speck, other, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "transfer"
    assert transfer(words_of(speck, other, folder)) == 0
    return folder


RUNS = {
    "speck_seed1", "other_seed1", "6_speck_seed1", "6_other_seed1", "speck_then_6_other_seed1",
    "other_then_6_speck_seed1",
}  # fmt: skip


def test_every_run_is_there_and_starts_from_its_source(finished):
    assert {path.parent.name for path in finished.glob("*/record.json")} == RUNS
    for name in ("speck", "other"):
        assert is_done(finished / f"{name}_baselines" / "TF-IDF-logistic-regression")
    record = read_record(finished / "speck_then_6_other_seed1")
    assert record["model"]["parent"]["from"] == str(finished / "speck_seed1")
    assert record["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding", "classifier"]
    assert record["model"]["settings"] == {"source": "speck", "target": "other", "rows": 6}
    assert record["data"]["report"]["rows"] == {"train": 6, "validation": 6, "test": 10}
    alone = read_record(finished / "6_other_seed1")
    assert "parent" not in alone["model"] and alone["arguments"]["training"]["num_train_epochs"] == 2
    # One training row of speck's is a test row of the other corpus.
    assert read_record(finished / "speck_seed1")["data"]["report"]["rows"] == {
        "train": 11, "validation": 6, "test": 22,
    }  # fmt: skip


def test_the_table_says_what_the_stored_predictions_say(finished):
    rows = pd.read_csv(finished / "transfer.csv", keep_default_na=False)
    told = json.loads((finished / "transfer.json").read_text(encoding="utf-8"))
    plain = rows[(rows["less_than"] == "") & (rows["model"] == "model") & (rows["rows"] == 0)]
    assert len(plain) == 4
    for line in plain.to_dict("records"):
        start, stop = told["places"][line["target"]]
        with np.load(finished / f"{line['source']}_seed1" / "predictions.npz") as arrays:
            predicted, actual = arrays["logits"].argmax(1)[start:stop], arrays["labels"][start:stop]
        scores = []
        for label in range(3):
            hits = sum(int(p == label == a) for p, a in zip(predicted, actual, strict=True))
            scores.append(2 * hits / max(1, int((predicted == label).sum() + (actual == label).sum())))
        assert line["macro_f1"] == pytest.approx(sum(scores) / 3, abs=1e-6)
    assert "speck has 1 of other" in (finished / "transfer.md").read_text(encoding="utf-8")


def test_the_same_command_does_what_is_left_and_no_run_twice(transfer, finished, speck, other, tmp_path, capsys):
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    written = {name: (folder / name / "record.json").stat().st_mtime_ns for name in RUNS}
    assert transfer(words_of(speck, other, folder)) == 0
    assert "6 runs, 6 done, 0 due" in capsys.readouterr().out
    shutil.rmtree(folder / "6_other_seed1")  # as of a study that was killed
    (folder / "transfer.md").unlink()
    assert transfer(words_of(speck, other, folder)) == 0
    said = capsys.readouterr().out
    assert "6 runs, 5 done, 1 due" in said and "[1/1] 6_other_seed1: macro-F1" in said
    again = {name: (folder / name / "record.json").stat().st_mtime_ns for name in RUNS}
    assert {name for name in RUNS if again[name] != written[name]} == {"6_other_seed1"}
    assert (folder / "transfer.md").read_bytes() == (finished / "transfer.md").read_bytes()
    (folder / "transfer.md").unlink()
    assert transfer([*words_of(speck, other, folder), "--report_only", "true"]) == 0
    assert (folder / "transfer.md").read_bytes() == (finished / "transfer.md").read_bytes()


def test_ctrl_c_is_told_as_in_a_comparison(transfer, speck, other, tmp_path, capsys, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emo_hf.study.local.run", stop)
    assert transfer(words_of(speck, other, tmp_path / "study")) == 130
    assert "stopped; the same command goes on with the runs that are left" in capsys.readouterr().err


def test_what_starts_from_a_run_that_failed_is_not_started(transfer, speck, other, tmp_path, capsys, monkeypatch):
    begun = []

    def fail(*arguments: object, **given: object) -> None:
        begun.append(dict(given["settings"]))
        raise RuntimeError("out of memory")

    monkeypatch.setattr("emo_hf.study.local.run", fail)
    assert transfer(words_of(speck, other, tmp_path / "study")) == 2
    said = capsys.readouterr().err
    assert len(begun) == 4 and not any("source" in one and "rows" in one for one in begun)
    assert "failed: speck_then_6_other_seed1: not started, as the run that it starts from failed" in said
    assert "holds no completed run of a model" in said


MISTAKES = {
    "no sources": (["--targets", "sample"], "--sources names no corpus; give one or more"),
    "no targets": (["--sources", "sample"], "--targets names no corpus; give one or more"),
    "one corpus": (["--sources", "sample", "--targets", "sample"], "sample is the only corpus; name two or more"),
    "twice": (["--sources", "sample", "sample", "--targets", "sample"], "--sources names sample twice"),
    "data": (["--sources", "sample", "--targets", "OTHER", "--data", "x"], "--data is of no use to a study of transf"),
    "a start": (
        ["--sources", "sample", "--targets", "OTHER", "--init_from", "x"],
        "--init_from is of no use to a study of transfer; give its encoder, as --encoder RUN",
    ),
    "too many rows": (
        ["--sources", "sample", "--targets", "OTHER", "--rows", "13"],
        "--rows is 13, but other has 12 training rows; give at most so many",
    ),
    "no test rows": (["--sources", "sample", "--targets", "OTHER", "--labels", "기쁨", "분노"], "분노"),
    "a word": (["--sources", "sample", "--target", "OTHER"], "unknown argument '--target'; did you mean --targets?"),
    "pooling": (["--sources", "sample", "--targets", "OTHER", "--pooling", "middle"], "--pooling is 'middle'; allow"),
    "not there": (["--sources", "sample", "--targets", "nowhere.csv"], "corpus nowhere.csv: nowhere.csv does not exi"),
    "language": (
        ["--study_dir", "STUDY", "--report_only", "true", "--lang", "fr"],
        "lang is 'fr'; allowed are en, ko",
    ),
    "no study": (["--study_dir", "STUDY", "--report_only", "true"], "is no study of transfer"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_said_in_one_line(transfer, other, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    words, message = MISTAKES[name]
    places = {"OTHER": other, "STUDY": str(tmp_path / "nothing")}
    given = [places.get(word, word) for word in words]
    if "--study_dir" not in given:
        given += ["--study_dir", str(tmp_path / "study")]
    assert transfer(given) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0], lines
    assert not (tmp_path / "study").exists()


def test_help_names_what_it_takes(transfer, capsys):
    with pytest.raises(SystemExit):
        transfer(["--help"])
    said = capsys.readouterr().out
    assert all(f"--{name}" in said for name in ("sources", "targets", "rows", "row_epochs", "seeds", "pooling"))
