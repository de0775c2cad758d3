"""A study that is tuned, as it is typed: what its runs were trained with, and that stops and jobs change nothing."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from display import study as of_study
from distributed import LocalCluster
from places import RECIPES, recipe
from rich.console import Console

from emo_hf.storage.record import read_record, read_records
from emo_hf.study import dask as cluster
from emo_hf.study.grid import TUNING_SEED, Cell
from emo_hf.study.local import PROGRESS_FILE

SPACE = ["learning_rate=1e-3..1e-1", "margin=0.2..2"]
CELLS = {"speck_mean_none", "speck_mean_triplet"}


@pytest.fixture(scope="module")
def words(speck) -> list[str]:
    """Two cells of a speck, three draws over 1 and 2 epochs."""
    return [
        *("--encoders", speck[0], "--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "2"),
        *("--data", speck[1], "--max_length", "16", "--embedding_size", "8", "--bf16", "false"),
        *("--num_train_epochs", "2", "--per_device_train_batch_size", "6", "--tune", "3", "--tune_space", *SPACE),
    ]


@pytest.fixture(scope="module")
def tuned(words, tmp_path_factory) -> Path:
    """The study, run in this process."""
    folder = tmp_path_factory.mktemp("tuned") / "study"
    assert recipe("compare").main([*words, "--jobs", "1", "--study_dir", str(folder)]) == 0
    return folder


def cells(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of the tuning by cell, without their times."""
    found = {}
    for path in (folder / "tuning").glob("*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        for name in ("started", "finished", "hardware"):
            record.pop(name)
        for draw in record["draws"]:
            assert draw.pop("wall_seconds") > 0 and draw.pop("cpu_seconds") > 0
        found[path.parent.name] = record
    return found


def scores(folder: Path) -> dict[str, dict[str, Any]]:
    return {record["run_id"]: record["test"] for record in read_records(folder)}


def test_the_seeds_train_with_what_was_chosen(tuned):
    found = cells(tuned)
    assert set(found) == CELLS
    assert {(len(c["draws"]), str(c["rungs"])) for c in found.values()} == {
        (3, str([{"epochs": 1.0, "draws": 3}, {"epochs": 2.0, "draws": 2}]))
    }
    for name, cell in found.items():
        best = max(cell["draws"], key=lambda draw: max(draw["validation_macro_f1"]))
        assert cell["tuned"] == best["settings"] and cell["chosen"] == best["draw"]
        assert [draw["reached"] for draw in cell["draws"]].count(2) == 2 and cell["seed"] == TUNING_SEED
        for seed in (1, 2):
            record = read_record(tuned / f"{name}_seed{seed}")
            assert record["tuned"] == cell["tuned"] and "settings" not in record["model"]
            arguments = record["arguments"]["model"] | record["arguments"]["training"]
            assert {key: arguments[key] for key in record["tuned"]} == record["tuned"]
            assert record["seed"] == seed
        assert not list((tuned / "tuning" / name).glob("draw-*"))
    rates = [[draw["settings"]["learning_rate"] for draw in cell["draws"]] for cell in found.values()]
    assert rates[0] == rates[1] and len(set(rates[0])) == 3
    assert "margin" not in found["speck_mean_none"]["tuned"] and "margin" in found["speck_mean_triplet"]["tuned"]
    assert {"tuning.md", "tuning_speck.png"} <= {path.name for path in tuned.iterdir()}


def test_a_run_of_it_is_run_again_from_its_record(tuned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tuned / "speck_mean_triplet_seed2"
    assert recipe("train").main(["--from_record", str(run)]) == 0
    again = tmp_path / "runs" / "again" / run.name
    assert read_record(again)["test"] == read_record(run)["test"]
    assert (again / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_what_is_done_is_done(tuned, words, capsys):
    record = tuned / "tuning" / "speck_mean_none" / "record.json"
    before = record.stat().st_mtime_ns
    assert recipe("compare").main([*words, "--jobs", "1", "--study_dir", str(tuned)]) == 0
    assert "4 runs, 4 done, 0 due" in capsys.readouterr().out
    assert record.stat().st_mtime_ns == before
    assert recipe("compare").main([*words, "--jobs", "1", "--study_dir", str(tuned), "--tune", "4"]) == 2
    assert "holds a study with another tune (3, now 4)" in capsys.readouterr().err


def test_yaml_and_a_sweep(words, tmp_path, capsys):
    """`tune:` in a file; every value of the sweep is a cell of its own; what is given is left as it is, and said."""
    config = tmp_path / "tuned.yaml"
    config.write_text("tune: 2\naux: [triplet]\nover: ['aux_weight=0,0.5']\nlearning_rate: 0.01\nmargin: 0.5\n")
    start = words[: words.index("--tune")]
    at = start.index("--aux")
    folder = tmp_path / "study"
    own = [*start[:at], *start[at + 3 :], "--seeds", "1", "--num_train_epochs", "1", "--study_dir", str(folder)]
    assert recipe("compare").main(["--config", str(config), *own, "--jobs", "1"]) == 2
    assert "--over aux_weight: it is in the space of --tune too; give a --tune_space" in capsys.readouterr().err
    config.write_text(config.read_text() + "tune_space: [embedding_dropout=0..0.3]\n")
    assert recipe("compare").main(["--config", str(config), *own, "--jobs", "1"]) == 0
    found = cells(folder)
    assert set(found) == {"speck_mean_none", "speck_mean_triplet_aux_weight=0.5"}  # without a weight there is no loss
    assert found["speck_mean_triplet_aux_weight=0.5"]["model"]["settings"] == {"aux_weight": 0.5}
    for record in read_records(folder):
        if record["kind"] == "model":
            assert set(record["tuned"]) == {"embedding_dropout"}
    assert "| aux_weight=0.5 |" in (folder / "tuning.md").read_text(encoding="utf-8")
    shown = capsys.readouterr().out
    assert "2 models to tune, 0 done, 2 draws each" in shown and "not tuned" not in shown
    config.write_text("tune: 2\naux: [triplet]\nlearning_rate: 0.01\nmargin: 0.5\n")
    assert recipe("compare").main(["--config", str(config), *own, "--jobs", "1", "--study_dir", f"{folder}2"]) == 0
    said = "not tuned, for a value is given: learning_rate, margin, per_device_train_batch_size"
    assert said in capsys.readouterr().out


def test_a_cell_that_fails_fails_its_runs_and_no_others(words, tmp_path, capsys):
    """Its line is said for each of them, and the status is 1."""
    at = words.index("--tune")
    space = [
        "--tune",
        "2",
        "--tune_space",
        "learning_rate=1e30,1e31",
        "--max_grad_norm",
        "0",
        "--learning_rate",
        "1e30",
    ]
    folder = tmp_path / "study"
    own = [*words[:at], *space, "--num_train_epochs", "1", "--jobs", "1", "--study_dir", str(folder)]
    assert recipe("compare").main(own) == 1
    assert read_record(folder / "tuning" / "speck_mean_none")["status"] == "failed"
    shown = capsys.readouterr()
    assert "failed: UserError: no draw of its tuning went well; the first one: " in shown.out
    assert "training diverged" in shown.out and not list(folder.glob("*_seed*"))
    *failed, last = shown.err.splitlines()
    assert len(failed) == 4 and all(line.startswith("failed: speck_mean_") for line in failed)
    assert last == f"no run of {folder} has ended well, so there is nothing to report"


def test_the_display_shows_the_tuning(tuned, monkeypatch):
    monkeypatch.setattr(of_study, "LOOK_EVERY", 0.01)
    due = [Cell("speck", "mean", aux, TUNING_SEED) for aux in ("none", "triplet")]
    assert {cell.run_id for cell in due} == {f"tuning/{name}" for name in CELLS}
    progress = tuned / due[1].run_id / PROGRESS_FILE
    progress.write_text(json.dumps({"step": 1.5, "steps": 5, "epoch": 0.5, "epochs": 2, "draw": 2}))
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=150, highlight=False)
    try:
        with of_study.StudyDisplay(tuned, due, console) as display:
            display.run_ended(due[0], None)
            bar = display._bar.tasks[0]
            for _ in range(500):
                if bar.completed != 0 and "draw" in bar.description:
                    break
                display._stop.wait(0.02)
            assert bar.completed == pytest.approx(1.3)
            assert bar.description == "tuning/speck_mean_triplet draw 2 epoch 1/2"
    finally:
        progress.unlink()
    assert re.search(
        r"\[1/2\] tuning/speck_mean_none: draw \d of 3, validation macro-F1 \d+\.\d \(untuned \d+\.\d\), \d+ s; about",
        screen.getvalue(),
    )
    assert "/2 models" in screen.getvalue()


def test_a_cluster_tunes_alike(tuned, words, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.05)
    folder = tmp_path / "study"
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as workers:
        backend = ["--backend", "dask", "--scheduler", workers.scheduler_address]
        assert recipe("compare").main([*words, *backend, "--study_dir", str(folder)]) == 0
    assert cells(folder) == cells(tuned)
    assert scores(folder) == scores(tuned)


@pytest.fixture
def start(warm, words) -> Callable[..., Any]:
    return lambda *own: warm.start([str(RECIPES / "compare.py"), *words, *own])


@pytest.mark.slow
def test_side_by_side_it_is_the_same(tuned, start, tmp_path):
    process = start("--jobs", "2", "--study_dir", str(tmp_path / "two"))
    assert process.wait() == 0, process.err()
    assert cells(tmp_path / "two") == cells(tuned)
    assert scores(tmp_path / "two") == scores(tuned)


@pytest.mark.slow
@pytest.mark.parametrize("draws", [1, 3])
def test_killed_in_the_middle_it_chooses_the_same(tuned, start, tmp_path, draws):
    """Once in the first rung, once in the second."""
    folder = tmp_path / "killed"
    record = folder / "tuning" / "speck_mean_triplet" / "record.json"
    process = start("--jobs", "1", "--study_dir", str(folder))

    def trained() -> int:
        return sum(bool(draw["validation_macro_f1"]) for draw in json.loads(record.read_text())["draws"])

    process.wait_for(lambda: record.exists() and trained() >= draws)
    process.kill()
    left = json.loads(record.read_text())
    assert left["status"] == "running" and not (folder / "table.md").exists()
    process = start("--jobs", "1", "--study_dir", str(folder))
    assert process.wait() == 0, process.err()
    assert "2 models to tune, 1 done, 3 draws each" in process.out()
    assert cells(folder) == cells(tuned)
    assert scores(folder) == scores(tuned)
    assert not list(folder.rglob("draw-*"))
