"""A study on a cluster of processes as a user starts them, of which one is killed, stopped or lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_dask import ENVIRONMENT, RECIPE, check_same_run, wait_for

from emo_hf.storage.record import is_done


class Processes:
    """A scheduler and workers as a user starts them, each in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        self.scheduler = self.start("scheduler", "--port", "0", "--scheduler-file", str(folder / "scheduler.json"))
        wait_for((folder / "scheduler.json").exists)
        self.address = json.loads((folder / "scheduler.json").read_text())["address"]

    def start(self, kind: str, *words: str, name: str = "scheduler") -> subprocess.Popen:
        place = self.folder / name
        place.mkdir(parents=True)
        command = [sys.executable, "-m", "dask", kind, *words, "--no-dashboard"]
        with (place / "log").open("w") as log:
            self.processes.append(subprocess.Popen(command, cwd=place, env=ENVIRONMENT, stdout=log, stderr=log))
        return self.processes[-1]

    def worker(self, name: str, *words: str) -> tuple[subprocess.Popen, Path]:
        """A worker, and the folder below which it trains."""
        scratch = self.folder / name / "scratch"
        given = (self.address, "--nthreads", "1", "--local-directory", str(scratch), *words)
        return self.start("worker", *given, name=name), scratch


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    found = Processes(tmp_path / "cluster")
    yield found
    for process in found.processes:
        process.terminate()
    for process in found.processes:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def start(words: list[str], folder: Path) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, str(RECIPE), *words], cwd=folder, env=ENVIRONMENT, **pipes)


def finished(process: subprocess.Popen, status: int = 0) -> str:
    shown, _ = process.communicate(timeout=400)
    assert process.returncode == status, shown
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
def test_a_worker_killed_in_a_run_changes_nothing(processes, words, tmp_path):
    words = [*words, "--num_train_epochs", "8"]
    doomed, scratch = processes.worker("doomed", "--no-nanny")
    processes.worker("other")
    cluster_words = ["--backend", "dask", "--scheduler", processes.address]
    study = start([*words, *cluster_words, "--study_dir", "there"], tmp_path)
    wait_for(lambda: any(p.read_text() for p in scratch.rglob("checkpoint-*/trainer_state.json")), study)
    [lost] = {path.parent.parent.name for path in scratch.rglob("checkpoint-*/trainer_state.json")}
    doomed.send_signal(signal.SIGKILL)
    shown = finished(study)
    assert "[4/4]" in shown and "failed" not in shown
    assert f"was lost while it had {lost}, which is done again" in shown
    finished(start([*words, "--jobs", "1", "--study_dir", "here"], tmp_path))
    there, here = tmp_path / "there", tmp_path / "here"
    assert is_done(there / lost)
    for name in ("table.md", "table.csv", "study.json"):
        assert (there / name).read_bytes() == (here / name).read_bytes()
    for run in sorted(here.glob("mini-bert_*")):
        check_same_run(there / run.name, run)
    assert {path.name for path in there.iterdir()} == {path.name for path in here.iterdir()}


@pytest.mark.slow
def test_ctrl_c_frees_the_workers_and_the_study_goes_on(processes, words, tmp_path):
    words = [*words, "--backend", "dask", "--scheduler", processes.address, "--study_dir", "study"]
    _, scratch = processes.worker("one")
    short = [*words, "--num_train_epochs", "8", "--dataloader_num_workers", "1"]  # which a nanny's worker may not have
    process = start(short, tmp_path)
    second = "mini-bert_mean_triplet_seed1"
    wait_for(lambda: bool(list(scratch.rglob(f"{second}/checkpoint-*/trainer_state.json"))), process)
    process.send_signal(signal.SIGINT)
    assert "stopped; the same command goes on" in finished(process, status=130)
    wait_for(lambda: not list(scratch.rglob("emo_hf-*")), seconds=20)
    assert not (tmp_path / "study" / second).exists()
    assert "4 runs, 1 done, 3 due" in finished(start(short, tmp_path))


@pytest.mark.slow
def test_a_lost_scheduler_is_said_in_one_line(processes, words, tmp_path):
    _, scratch = processes.worker("one")
    words = [*words, "--backend", "dask", "--scheduler", processes.address, "--study_dir", "study"]
    process = start([*words, "--num_train_epochs", "2000"], tmp_path)
    wait_for(lambda: bool(list(scratch.rglob("progress.json"))), process)
    processes.scheduler.kill()
    shown = finished(process, status=2)
    assert f"error: --scheduler {processes.address}: it was lost" in shown.splitlines()[-1]
