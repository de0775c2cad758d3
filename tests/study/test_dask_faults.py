"""A study on a cluster of processes as a user starts them, of which one is killed, stopped or lost."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import RECIPES, ROOT
from test_dask import check_same_run, wait_for
from warm import Process, Warm

from emo_hf.storage.record import is_done

RECIPE = RECIPES / "compare.py"
CHECKOUT = {"PYTHONPATH": str(ROOT)}  # for the processes that workers start, whatever folder they stand in


class Processes:
    """A scheduler and workers as a user starts them, each in a folder of its own."""

    def __init__(self, warm: Warm, folder: Path):
        self.warm, self.folder, self.processes = warm, folder, []
        written = folder / "scheduler.json"
        self.scheduler = self.start("scheduler", "--port", "0", "--scheduler-file", str(written))
        self.scheduler.wait_for(lambda: written.exists() and written.read_text().endswith("}"))
        self.address = json.loads(written.read_text())["address"]

    def start(self, kind: str, *words: str, name: str = "scheduler") -> Process:
        place = self.folder / name
        place.mkdir(parents=True)
        command = ["-m", "dask", kind, *words, "--no-dashboard"]
        self.processes.append(self.warm.start(command, cwd=place, environment=CHECKOUT))
        return self.processes[-1]

    def worker(self, name: str, *words: str) -> tuple[Process, Path]:
        """A worker, and the folder below which it trains."""
        scratch = self.folder / name / "scratch"
        given = (self.address, "--nthreads", "1", "--local-directory", str(scratch), *words)
        return self.start("worker", *given, name=name), scratch


@pytest.fixture
def processes(warm, tmp_path) -> Iterator[Processes]:
    found = Processes(warm, tmp_path / "cluster")
    yield found
    for process in found.processes:
        process.send_signal(signal.SIGTERM)
    for process in found.processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)  # and is killed after that


@pytest.fixture
def start(warm, tmp_path) -> Callable[[list[str]], Process]:
    return lambda words: warm.start([str(RECIPE), *words], cwd=tmp_path)


def finished(process: Process, status: int = 0) -> str:
    assert process.wait(400) == status, process.err()
    shown = process.out() + process.err()
    assert "Traceback" not in shown
    return shown


@pytest.fixture
def words(encoders, csv_file, tmp_path) -> list[str]:
    """Data and encoder by paths that hold in the client's folder only."""
    shutil.copy(csv_file, tmp_path / "mini.csv")
    shutil.copytree(encoders["bert"], tmp_path / "mini-bert")
    return [
        *("--encoders", "./mini-bert", "--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "2"),
        *("--data", "mini.csv", "--max_length", "32", "--embedding_size", "16", "--bf16", "false"),
        *("--learning_rate", "0.002", "--per_device_train_batch_size", "16"),
    ]


@pytest.mark.slow
def test_a_worker_killed_in_a_run_changes_nothing(processes, start, words, tmp_path):
    words = [*words, "--num_train_epochs", "8"]
    doomed, scratch = processes.worker("doomed", "--no-nanny")
    processes.worker("other")
    cluster_words = ["--backend", "dask", "--scheduler", processes.address]
    study = start([*words, *cluster_words, "--study_dir", "there"])
    study.wait_for(lambda: any(p.read_text() for p in scratch.rglob("checkpoint-*/trainer_state.json")))
    [lost] = {path.parent.parent.name for path in scratch.rglob("checkpoint-*/trainer_state.json")}
    doomed.send_signal(signal.SIGKILL)
    shown = finished(study)
    assert "[4/4]" in shown and "failed" not in shown
    assert f"was lost while it had {lost}, which is done again" in shown
    finished(start([*words, "--jobs", "1", "--study_dir", "here"]))
    there, here = tmp_path / "there", tmp_path / "here"
    assert is_done(there / lost)
    for name in ("table.md", "table.csv", "study.json"):
        assert (there / name).read_bytes() == (here / name).read_bytes()
    for run in sorted(here.glob("mini-bert_*")):
        check_same_run(there / run.name, run)
    assert {path.name for path in there.iterdir()} == {path.name for path in here.iterdir()}


@pytest.mark.slow
def test_ctrl_c_frees_the_workers_and_the_study_goes_on(processes, start, words, tmp_path):
    words = [*words, "--backend", "dask", "--scheduler", processes.address, "--study_dir", "study"]
    _, scratch = processes.worker("one")
    short = [*words, "--num_train_epochs", "8", "--dataloader_num_workers", "1"]  # which a nanny's worker may not have
    process = start(short)
    second = "mini-bert_mean_triplet_seed1"
    process.wait_for(lambda: list(scratch.rglob(f"{second}/checkpoint-*/trainer_state.json")))
    process.send_signal(signal.SIGINT)
    assert "stopped; the same command goes on" in finished(process, status=130)
    wait_for(lambda: not list(scratch.rglob("emo_hf-*")), seconds=20)
    assert not (tmp_path / "study" / second).exists()
    assert "4 runs, 1 done, 3 due" in finished(start(short))


@pytest.mark.slow
def test_a_lost_scheduler_is_said_in_one_line(processes, start, words, tmp_path):
    _, scratch = processes.worker("one")
    words = [*words, "--backend", "dask", "--scheduler", processes.address, "--study_dir", "study"]
    process = start([*words, "--num_train_epochs", "2000"])
    process.wait_for(lambda: list(scratch.rglob("progress.json")))
    processes.scheduler.kill()
    shown = finished(process, status=2)
    assert f"error: --scheduler {processes.address}: it was lost" in shown.splitlines()[-1]
