"""Studies as they are typed, in processes of their own: stops and side-by-side runs change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from places import RECIPES
from warm import Process

from emo_hf.storage.record import is_done, read_record, read_records

RECIPE = RECIPES / "compare.py"


@pytest.fixture
def start(warm) -> Callable[[list[str]], Process]:
    return lambda words: warm.start([str(RECIPE), *words])


@pytest.fixture
def finished(start) -> Callable[[list[str]], str]:
    def run(words: list[str]) -> str:
        process = start(words)
        assert process.wait() == 0, process.err()
        return process.out()

    return run


def tables(folder: Path) -> list[bytes]:
    """A study's tables, byte for byte."""
    return [(folder / name).read_bytes() for name in ("table.md", "table.csv")]


def scores(folder: Path) -> dict[str, dict]:
    return {record["run_id"]: record["test"] for record in read_records(folder)}


@pytest.fixture
def words(encoders, csv_file) -> list[str]:
    return [
        *("--encoders", encoders["bert"], "--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "2"),
        *("--data", csv_file, "--max_length", "32", "--embedding_size", "16", "--bf16", "false"),
        *("--learning_rate", "0.002", "--per_device_train_batch_size", "16"),
    ]


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again_gives_the_same_table(start, finished, words, tmp_path):
    words = [*words, "--num_train_epochs", "8", "--jobs", "1"]
    finished([*words, "--study_dir", str(tmp_path / "straight")])
    killed = tmp_path / "killed"
    process = start([*words, "--study_dir", str(killed)])
    second = killed / "mini-bert_mean_triplet_seed1"
    # One run is done, and the next after its first epoch.
    process.wait_for(lambda: list(second.glob("checkpoint-*/trainer_state.json")))
    process.kill()
    assert not (killed / "table.md").exists() and not is_done(second)
    done = killed / "mini-bert_mean_none_seed1" / "record.json"
    written = done.stat().st_mtime_ns
    assert "4 runs, 1 done, 3 due" in finished([*words, "--study_dir", str(killed)])
    assert done.stat().st_mtime_ns == written
    assert tables(killed) == tables(tmp_path / "straight")
    assert scores(killed) == scores(tmp_path / "straight")


@pytest.mark.slow
def test_runs_side_by_side_score_as_one_by_one(finished, words, tmp_path):
    words = [*words, "--num_train_epochs", "2"]
    for jobs in (1, 2):
        finished([*words, "--jobs", str(jobs), "--study_dir", str(tmp_path / str(jobs))])
    one, two = scores(tmp_path / "1"), scores(tmp_path / "2")
    assert set(one) == set(two)
    for name, found in one.items():
        for score, value in found.items():
            if score in ("ece", "embeddings"):  # the threads of a run move their last digits
                value = value if isinstance(value, dict) else {score: value}
                other = two[name][score] if isinstance(two[name][score], dict) else {score: two[name][score]}
                assert value == pytest.approx(other, abs=1e-4), (name, score)
            else:
                assert value == two[name][score], (name, score)
    assert tables(tmp_path / "1")[0] == tables(tmp_path / "2")[0]


@pytest.mark.slow
def test_ctrl_c_of_a_terminal_shows_nothing_of_the_workers(words, tmp_path):
    """It reaches them too, while they import."""
    words = [*words, "--num_train_epochs", "200", "--jobs", "2", "--study_dir", str(tmp_path)]
    process = subprocess.Popen(  # in a session of its own, as a terminal has one
        [sys.executable, str(RECIPE), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120

    def reached() -> bool:
        workers = psutil.Process(process.pid).children(recursive=True)
        return any("popen_loky" in " ".join(worker.cmdline()) for worker in workers)

    while not reached():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert shown.rstrip().endswith("the same command goes on with the runs that are left")
    assert not [word for word in ("Traceback", "KeyboardInterrupt", "Exception ignored") if word in shown], shown


@pytest.mark.slow
def test_ctrl_c_ends_with_a_word_and_the_study_goes_on(start, finished, words, tmp_path):
    words = [*words, "--num_train_epochs", "8", "--jobs", "1", "--study_dir", str(tmp_path)]
    process = start(words)
    first = tmp_path / "mini-bert_mean_none_seed1"
    process.wait_for(lambda: list(first.glob("checkpoint-*/trainer_state.json")))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    shown = process.out() + process.err()
    assert "stopped; the same command goes on" in shown and "Traceback" not in shown
    assert read_record(first)["status"] == "interrupted"
    assert "4 runs, 0 done, 4 due" in finished(words)
