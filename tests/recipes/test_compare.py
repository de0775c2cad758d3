"""`compare.py` as it is typed: what a study writes, and what it says about a mistake."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from checked_records import check_record
from places import recipe
from rich.console import Console
from synthetic import write_run

from emo_hf.study.grid import GridArguments, Task

LABELS = ["불안", "슬픔", "기쁨"]


@pytest.fixture(scope="module")
def compare() -> Callable[[list[str]], int]:
    return recipe("compare").main


@pytest.fixture
def grid(common, encoders, tmp_path) -> list[str]:
    words = ["--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "--jobs", "1"]
    return [*common, "--encoders", *encoders.values(), *words, "--study_dir", str(tmp_path / "study")]


def test_compare_writes_records_table_and_pictures(compare, grid, tmp_path, capsys):
    study = tmp_path / "study"
    assert compare(grid) == 0
    runs = [f"mini-{layout}_mean_{aux}_seed1" for layout in ("bert", "roberta") for aux in ("none", "triplet")]
    for name in runs:
        check_record(study / name)
    for name in ("TF-IDF-logistic-regression", "majority-class"):
        check_record(study / name, baseline=True)
    files = {path.name for path in study.iterdir() if path.is_file()}
    pictures = {
        f"{kind}_mini-{layout}.png"
        for kind in ("history", "embeddings", "confusion")
        for layout in ("bert", "roberta")
    }
    assert {"table.md", "table.csv", "study.json", *pictures} <= files
    shown = capsys.readouterr().out
    assert "4 runs, 0 done, 4 due" in shown
    table = (study / "table.md").read_text(encoding="utf-8")
    assert table.strip() in shown
    assert all(name in table for name in ("mini-bert", "mini-roberta", "TF-IDF", "majority class"))

    written = {name: (study / name / "record.json").stat().st_mtime_ns for name in runs}
    assert compare(grid) == 0  # everything is done
    assert "4 runs, 4 done, 0 due" in capsys.readouterr().out
    assert written == {name: (study / name / "record.json").stat().st_mtime_ns for name in runs}
    assert (study / "table.md").read_text(encoding="utf-8") == table

    (study / "table.md").unlink()
    assert compare([*grid, "--report_only", "true"]) == 0
    assert (study / "table.md").read_text(encoding="utf-8") == table

    assert compare([*grid, "--learning_rate", "1e-3"]) == 2
    assert "holds a study with another learning_rate" in capsys.readouterr().err


def test_a_report_takes_what_counts_as_equal(compare, tmp_path, capsys):
    for aux, seed in itertools.product(("none", "triplet"), (1, 2)):
        write_run(tmp_path, aux=aux, seed=seed)
    words = ["--report_only", "true", "--study_dir", str(tmp_path)]
    assert compare([*words, "--equal_within", "2.5"]) == 0
    assert "±2.5 points" in capsys.readouterr().out


@pytest.mark.parametrize(("jobs", "early"), [(1, []), (2, [("one", 4), ("two", 8)])])
def test_maps_of_an_encoder_are_made_when_its_last_run_ends(tmp_path, monkeypatch, jobs, early):
    due = [
        Task(name, "mean", aux, seed)
        for name in ("one", "two", "six")
        for aux in ("none", "triplet")
        for seed in (1, 2)
    ]
    for task in due:
        write_run(tmp_path, encoder=task.encoder, pooling="mean", aux=task.aux, seed=task.seed)
    ended, made = [], []

    def run_all(study, due, jobs):
        for task in due:
            ended.append(task)
            yield task, None

    class Beside:
        def submit(self, work, folder, encoder):
            assert work.__name__ == "map_encoder" and folder == tmp_path
            made.append((encoder, len(ended)))

    study = SimpleNamespace(grid=GridArguments(jobs=jobs), folder=tmp_path)
    monkeypatch.setattr("emo_hf.study.local.execute_here", run_all)
    assert recipe("compare").execute(study, due, Beside(), None, Console(quiet=True)) == []
    assert made == early


def test_a_failing_run_does_not_stop_the_others(compare, grid, encoders, speck, tmp_path, capsys):
    broken = tmp_path / "broken-bert"
    shutil.copytree(encoders["bert"], broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    words = [str(broken) if word == encoders["bert"] else word for word in grid]
    words += ["--data", speck[1], "--num_train_epochs", "1"]
    assert compare(words) == 1
    study = tmp_path / "study"
    for aux in ("none", "triplet"):
        assert (
            json.loads((study / f"mini-roberta_mean_{aux}_seed1" / "record.json").read_text())["status"] == "completed"
        )
        assert not (study / f"broken-bert_mean_{aux}_seed1" / "model.safetensors").exists()
    shown = capsys.readouterr().err
    failed = [line for line in shown.splitlines() if line.startswith("failed: broken-bert")]
    assert len(failed) == 2
    table = (study / "table.md").read_text(encoding="utf-8")
    assert "mini-roberta" in table and "broken-bert" not in table
    shutil.copy(Path(encoders["bert"]) / "model.safetensors", broken)
    assert compare(words) == 0  # only what failed is due
    assert "4 runs, 2 done, 2 due" in capsys.readouterr().out
    assert "broken-bert" in (study / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--poolings", "mean", "middle"], "--pooling is 'middle'"),
        (["--aux", "none", "quadruplet"], "quadruplet"),
        (["--data", "missing.csv"], "missing.csv does not exist"),
        (["--encoders", "no/such/encoder"], "encoder 'no/such/encoder' can't be loaded"),
        (["--seed_list", "1"], "did you mean"),
        (["--max_length", "100"], "--max_length is 100, but"),
        (["--seeds", "1", "1"], "twice"),
        (["--seeds", "one"], "--seeds: invalid int value"),
        (["--report_only", "true"], "study"),
        (["--equal_within", "0"], "--equal_within is 0.0; allowed: above 0 to 100"),
        (["--equal_within", "-1"], "--equal_within is -1.0; allowed: above 0 to 100"),
        (["--equal_within", "nan"], "--equal_within is nan; allowed: above 0 to 100"),
    ],
)
def test_mistakes_of_a_comparison_are_said_before_anything_runs(
    compare, grid, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert compare([*grid, *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error:") and message in lines[0]
    assert not list(tmp_path.glob("study/*/record.json"))
