"""A study of runs as encoders: all arms are scored on one set of rows, which none of them was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import LABELS, sentences, write_splits
from places import recipe

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.storage.record import read_record
from emo_hf.training.loaded import load_data
from emo_hf.training.run import run


@pytest.fixture(scope="module")
def study_data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of each label 12 training, 8 validation and 12 test sentences."""
    return write_splits(tmp_path_factory.mktemp("data") / "study.csv", {"train": 12, "validation": 8, "test": 12})


@pytest.fixture(scope="module")
def runs(speck, tmp_path_factory) -> dict[str, Path]:
    """Two runs under one folder name, each trained on other sentences: some of them stand in the study's test rows."""
    found = {}
    for name, places in {"a": (20, 22), "b": (21, 24)}.items():  # the first test sentence is that at 20
        folder = tmp_path_factory.mktemp(name)
        rows = [
            {"sentence": text, "label": label, "split": split}
            for label in LABELS
            for text, split in [
                *((text, "train") for text in [*sentences(label)[slice(*places)], *sentences(label)[100:106]]),
                *((text, "validation") for text in sentences(label)[110:112]),
                *((text, "test") for text in sentences(label)[112:114]),
            ]
        ]
        pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False)
        found[name] = folder / "best"
        run(
            ModelArguments(encoder=speck[0], pooling="mean", embedding_size=8),
            DataArguments(data=str(folder / "rows.csv"), max_length=16),
            MetricTrainingArguments(output_dir=str(found[name]), num_train_epochs=1, bf16=False, disable_tqdm=True),
        )
    return found


def words(study_data: str, folder: Path, *more: str) -> list[str]:
    shared = "--poolings mean --aux none --seeds 1 --num_train_epochs 1 --embedding_size 8 --max_length 16 --jobs 1"
    return ["--data", study_data, "--study_dir", str(folder), *shared.split(), "--bf16", "false", *more]


def test_all_arms_share_the_rows_that_none_was_trained_on(runs, speck, study_data, tmp_path, capsys):
    study = tmp_path / "study"
    arms = [speck[0], str(runs["a"]), str(runs["b"])]
    assert recipe("compare").main(words(study_data, study, "--encoders", *arms)) == 0
    records = {path.parent.name: json.loads(path.read_text()) for path in study.glob("*/record.json")}
    names = [f"{runs[name].parent.name}-best" for name in "ab"]
    assert set(records) == {
        "speck_mean_none_seed1", *(f"{name}_mean_none_seed1" for name in names),
        "TF-IDF-logistic-regression", "majority-class",
    }  # fmt: skip
    # Sentences 20, 21, 22 and 23 of each label, whichever arm's run has seen them.
    left = [text for label in LABELS for text in sentences(label)[24:32]]
    assert sorted(json.loads((study / "test.json").read_text())["text"]) == sorted(left)
    for name, record in records.items():
        assert sum(row["support"] for row in record["test"]["per_class"].values()) == 24, name
        assert len(np.load(study / name / "predictions.npz")["labels"]) == 24
    assert len({record["data"]["fingerprint"] for record in records.values()}) == 1
    shown = capsys.readouterr()
    assert "different rows" not in shown.out + shown.err
    table = (study / "table.md").read_text(encoding="utf-8")
    assert "24 texts" in table and all(str(runs[name]).strip("/") in table for name in "ab")
    # Any run of it is made again alone, on the same rows.
    again = tmp_path / "again"
    found = study / "speck_mean_none_seed1"
    assert recipe("train").main(["--from_record", str(found), "--output_dir", str(again)]) == 0
    assert read_record(again)["test"] == read_record(found)["test"]


def test_an_arm_that_changes_the_rows_makes_another_study(runs, speck, study_data, tmp_path, capsys):
    study = tmp_path / "study"
    assert recipe("compare").main(words(study_data, study, "--encoders", speck[0])) == 0
    capsys.readouterr()
    assert recipe("compare").main(words(study_data, study, "--encoders", speck[0], str(runs["a"]))) == 2
    assert (
        "holds a study with another set of rows to score on, as an encoder was trained on some of their texts (None, "
        "now {'test': 6}); give another --study_dir" in capsys.readouterr().err
    )


def test_a_run_is_trained_further_under_several_losses_and_tuned(runs, study_data, tmp_path, capsys):
    study, source = tmp_path / "study", str(runs["a"])
    given = words(study_data, study, "--init_from", source, "--tune", "2", "--tune_space", "learning_rate=1e-4..1e-3")
    at = given.index("--poolings")
    own = [*given[:at], *given[at + 2 :], "--aux", "none", "triplet"]
    assert recipe("compare").main(own) == 0
    for aux in ("none", "triplet"):
        record = read_record(study / f"best_mean_{aux}_seed1")
        assert record["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding", "classifier"]
        assert record["data"]["report"]["seen_before"] == {"test": 6}
    assert load_data(DataArguments(**record["arguments"]["data"])).counts()["test"] == dict.fromkeys(LABELS, 10)
    assert recipe("compare").main(own) == 0  # all is done
    capsys.readouterr()
    for more, said in (
        (["--encoders", "tiny-bert"], "brings its own encoder, but --encoders is tiny-bert; leave one of them out"),
        (["--poolings", "mean", "cls"], "--poolings is mean cls, but the model of --init_from"),
        (["--over", "init_from=x,y"], "--over init_from: the grid varies it; use --encoders"),
    ):
        assert recipe("compare").main([*own, *more]) == 2
        assert said in capsys.readouterr().err


def test_a_search_never_scores_on_what_a_parent_has_seen(runs, study_data, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("emo_hf.search.search.load_data", lambda data: seen.append(data.unseen_by) or load_data(data))
    given = ["--data", study_data, "--search_dir", str(tmp_path / "search"), "--trials", "1", "--bf16", "false"]
    given += ["--num_train_epochs", "1", "--max_length", "16", "--space", "learning_rate=1e-4..1e-3"]
    assert recipe("search").main([*given, "--init_from", str(runs["a"])]) == 0
    assert seen == [[str(runs["a"])]]
    best = (tmp_path / "search" / "best.yaml").read_text()
    assert f"init_from: {runs['a']}" in best
    study = tmp_path / "study"
    more = [
        "--config",
        str(tmp_path / "search" / "best.yaml"),
        "--seeds",
        "1",
        "--study_dir",
        str(study),
        "--jobs",
        "1",
    ]
    assert recipe("compare").main(more) == 0
    assert read_record(study / "best_mean_none_seed1")["model"]["parent"]["run_id"] == "best"


def test_a_study_of_which_every_run_fails_ends_in_its_own_words(speck, study_data, tmp_path, capsys, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of paper\nand more")

    monkeypatch.setattr("emo_hf.study.local.run", fail)
    study = tmp_path / "study"
    given = words(study_data, study, "--encoders", speck[0], "--seeds", "1", "2")
    assert recipe("compare").main(given) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        *(
            f"failed: speck_mean_none_seed{seed}: RuntimeError: out of paper (traceback in "
            f"{study}/speck_mean_none_seed{seed}/traceback.txt)"
            for seed in (1, 2)
        ),
        f"no run of {study} has ended well, so there is nothing to report",
    ]
    assert not (study / "report.html").exists() and (study / "speck_mean_none_seed1" / "traceback.txt").exists()
    monkeypatch.undo()
    assert recipe("compare").main(given) == 0 and (study / "report.html").exists()
