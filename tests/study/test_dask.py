"""A study on a Dask cluster: what comes home is what a run here leaves, whatever becomes of the workers."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import Client, KilledWorker, LocalCluster, get_worker
from label_set_rows import write_sets
from places import recipe

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.arguments.precision import bf16_is_native
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.storage.files import write_folder_whole
from emo_hf.storage.record import is_done, read_record
from emo_hf.study import dask as cluster
from emo_hf.study.dask import Outcome, connect, execute_on, run_away
from emo_hf.study.grid import GridArguments, Study, Task
from emo_hf.study.local import execute_here
from emo_hf.training.loaded import load_data

NOWHERE = "tcp://127.0.0.1:1"


@pytest.fixture
def make(encoders, csv_file, tmp_path, monkeypatch) -> Callable[..., Study]:
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.05)

    def build(folder: str = "study", data: str = csv_file, training: dict[str, Any] | None = None, **grid) -> Study:
        settings = {"num_train_epochs": 1, "per_device_train_batch_size": 16, "bf16": False, "learning_rate": 2e-3}
        choices = {"encoders": [encoders["bert"]], "poolings": ["mean"], "aux": ["none", "triplet"], "seeds": [1]}
        return Study(
            GridArguments(**(choices | grid), study_dir=str(tmp_path / folder), backend="dask", scheduler=NOWHERE),
            ModelArguments(embedding_size=16),
            DataArguments(data=data, max_length=32),
            given(MetricTrainingArguments(**(settings | (training or {})))),
        )

    return build


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Of two workers in this process, with two threads each, so that a test can watch them and stand in for a run."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=None
        ) as workers,
        connect(workers.scheduler_address) as client,
    ):
        client.wait_for_workers(2)
        yield client


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def check_same_run(one: Path, other: Path, more: Sequence[str] = ()) -> None:
    """Two run folders of the same content: files, numbers, and the record but for its times and its place."""
    assert files(one) == files(other) >= {"model.safetensors", "predictions.npz", "record.json", "tokenizer.json"}
    with np.load(one / "predictions.npz") as left, np.load(other / "predictions.npz") as right:
        assert set(left.files) == set(right.files) == {"logits", "embeddings", "labels", *more}
        for name in left.files:
            np.testing.assert_allclose(left[name], right[name], rtol=0, atol=1e-5)
    records = [read_record(folder) for folder in (one, other)]
    for folder, record in zip((one, other), records, strict=True):
        assert Path(record["arguments"]["training"].pop("output_dir")).parts[-2:] == folder.parts[-2:]
        assert [record.pop(name) for name in ("started", "finished", "wall_seconds")]
    assert records[0] == records[1]


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stand_in(study: Study, task: Task, fingerprint: str = "") -> Outcome:
    """A run that takes no time."""
    record = {
        "run_id": task.run_id, "status": "completed", "model": {"encoder": ""}, "data": {"source": "", "report": {}},
        "arguments": {"model": {}, "data": {}, "training": {}},
    }  # fmt: skip
    return Outcome({"record.json": json.dumps(record).encode(), "predictions.npz": b"numbers"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--backend", "slurm"], "--backend is 'slurm'; allowed: local, dask"),
        (["--backend", "dask"], "give it as --scheduler tcp://host:8786"),
        (["--scheduler", NOWHERE], f"--scheduler is '{NOWHERE}', but --backend is local; add --backend dask"),
        (
            ["--backend", "dask", "--scheduler", NOWHERE, "--jobs", "2"],
            "--jobs is 2, but --backend dask has one run a worker",
        ),
        (["--backend", "dask", "--scheduler", NOWHERE], f"--scheduler {NOWHERE}: no Dask scheduler answers"),
        (["--backend", "dask", "--scheduler", "host"], "--scheduler host: no Dask scheduler answers (missing port"),
        (["--backend", "dask", "--scheduler", "foo://h:1"], "(unknown address scheme 'foo'"),
    ],
)
def test_mistakes_are_said_in_one_line(words, said, encoders, csv_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    folder = tmp_path / "study"
    common = ["--encoders", encoders["bert"], "--data", csv_file, "--max_length", "32", "--study_dir", str(folder)]
    assert recipe("compare").main([*common, *words]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and said in line
    assert not folder.exists()


def test_a_server_of_another_kind_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UserError, match="no Dask scheduler answers"):
        connect(f"tcp://127.0.0.1:{server.getsockname()[1]}")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"needs dask\.distributed; pip install 'emo-hf\[dask\]'"):
        connect(NOWHERE)


def test_a_cluster_without_workers_is_not_waited_for_long(make, monkeypatch):
    monkeypatch.setattr(cluster, "WORKER_SECONDS", 1.0)
    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as empty,
        connect(empty.scheduler_address) as client,
        pytest.raises(UserError, match=r"no worker for 1 s; start some with `dask worker tcp://"),
    ):
        list(execute_on(client, make(), make().tasks()))


def test_a_run_comes_home_as_a_run_here_leaves_it(client, make, speck, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(speck[1], "mini.csv")
    there, here = (make(folder, data="mini.csv", encoders=[speck[0]]) for folder in ("there", "here"))
    for task in there.tasks():
        (there.folder / task.run_id).mkdir(parents=True)
        (there.folder / task.run_id / "left by a stopped run").touch()
    assert sorted(execute_on(client, there, there.due()), key=str) == [(task, None) for task in there.tasks()]
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)  # as many threads as a worker has
    assert list(execute_here(here, here.tasks(), jobs=1)) == [(task, None) for task in here.tasks()]
    for task in here.tasks():
        check_same_run(there.folder / task.run_id, here.folder / task.run_id)
    assert there.due() == []
    assert {path.name for path in there.folder.iterdir()} == {task.run_id for task in there.tasks()}


def test_a_run_on_rows_with_several_labels_comes_home_as_well(client, make, speck, tmp_path, monkeypatch):
    data = write_sets(tmp_path / "sets.csv")
    there, here = (make(folder, data=data, encoders=[speck[0]], aux=["supcon"]) for folder in ("there", "here"))
    [task] = there.tasks()
    assert list(execute_on(client, there, there.due())) == [(task, None)]
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    assert list(execute_here(here, here.tasks(), jobs=1)) == [(task, None)]
    check_same_run(there.folder / task.run_id, here.folder / task.run_id, ["thresholds"])
    assert read_record(there.folder / task.run_id)["data"]["report"]["task"] == "multi"


def test_a_run_that_fails_comes_back_as_its_line(client, make):
    study = make(training={"learning_rate": 1e30, "max_grad_norm": 0.0}, aux=["none"])
    [(task, error)] = execute_on(client, study, study.tasks())
    assert error.startswith("UserError: ce_loss is") and "lower --learning_rate" in error and "\n" not in error
    record = read_record(study.folder / task.run_id)
    assert record["status"] == "failed" and record["error"] in error and not is_done(study.folder / task.run_id)
    assert record["arguments"]["training"]["output_dir"] == str(study.folder / task.run_id)
    assert files(study.folder / task.run_id) == {"record.json"} and study.due() == [task]


def test_other_data_on_a_worker_is_said(client, make, csv_file, tmp_path):
    study = make(aux=["none"])
    [task] = study.tasks()

    def tried(study: Study, fingerprint: str) -> Outcome:
        return client.submit(run_away, study, task, fingerprint, pure=False).result()

    assert "holds other data there (fingerprint" in tried(study, "of another file").unfit
    missing = replace(study, data=replace(study.data, data="not/here.csv"))
    assert "not/here.csv does not exist" in tried(missing, "any").unfit
    # A worker outlives a study: what it read for an earlier one is read again.
    changing = tmp_path / "changing.csv"
    shutil.copy(csv_file, changing)
    study = make(data=str(changing), aux=["none"])
    before = load_data(study.data).fingerprint
    changing.write_text(changing.read_text(encoding="utf-8").replace("train", "test", 1), encoding="utf-8")
    after = load_emotion_data(str(changing)).fingerprint
    assert before != after
    assert tried(study, after).files


def test_each_worker_has_one_run_at_a_time(client, make, monkeypatch):
    busy, most = Counter(), Counter()

    def run(study: Study, task: Task, fingerprint: str) -> Outcome:
        address = get_worker().address
        busy[address] += 1
        most[address] = max(most[address], busy[address])
        time.sleep(0.3)
        busy[address] -= 1
        return stand_in(study, task)

    monkeypatch.setattr(cluster, "run_away", run)
    study = make(seeds=[1, 2, 3])
    ended = list(execute_on(client, study, study.tasks()))
    assert Counter(task for task, error in ended if error is None) == Counter(study.tasks())
    assert most == dict.fromkeys(client.scheduler_info()["workers"], 1) and len(most) == 2


def test_a_process_has_one_run_at_a_time(client, make, monkeypatch):
    """Two workers of one process, or two studies on one worker, would else train on one random state."""
    busy, most = [], []

    def run(study: Study, task: Task, *arguments: Any, **options: Any) -> tuple[Task, str]:
        busy.append(task)
        most.append(len(busy))
        time.sleep(0.3)
        busy.remove(task)
        return task, "no run"

    monkeypatch.setattr(cluster, "run_in_worker", run)
    study = make(seeds=[1, 2])
    assert [error for _, error in execute_on(client, study, study.tasks())] == ["no run"] * 4
    assert most == [1] * 4


def test_a_worker_that_does_not_fit_is_left_out(client, make, monkeypatch, caplog):
    asked, study = Counter(), make(seeds=[1, 2])
    left_out = min(client.scheduler_info()["workers"])

    def run(study: Study, task: Task, fingerprint: str) -> Outcome:
        asked[get_worker().address] += 1
        return Outcome(unfit="no room") if get_worker().address == left_out else stand_in(study, task)

    monkeypatch.setattr(cluster, "run_away", run)
    assert {error for _, error in execute_on(client, study, study.tasks())} == {None}
    assert asked[left_out] == 1 and asked.total() == 5
    assert f"the worker at {left_out} gets no runs: no room" in caplog.text

    def other_version(study: Study, task: Task, fingerprint: str) -> Outcome:
        raise ImportError("0.0.9 there, 0.1.0 here")

    monkeypatch.setattr(cluster, "run_away", other_version)
    with pytest.raises(UserError, match=r"no worker can do a run; its emo_hf does not fit this one \(0.0.9 there"):
        list(execute_on(client, study, study.tasks()))


def test_a_worker_of_another_version_is_told_apart(client, make, monkeypatch):
    """Workers of this process have this version; what is sent to them says it is of another."""
    monkeypatch.setattr(cluster, "__version__", "9.9.9")
    with pytest.raises(UserError, match=r"\(0\.1\.0 there, 9\.9\.9 here\); install the same version"):
        list(execute_on(client, make(), make().tasks()))


def test_lost_workers_are_forgiven_a_few_times(client, make, monkeypatch, caplog):
    tries = Counter()

    def run(study: Study, task: Task, fingerprint: str) -> Outcome:
        tries[task.aux] += 1
        if task.aux == "triplet" or tries[task.aux] <= cluster.ALLOWED_LOSSES:
            raise KilledWorker(task.run_id, SimpleNamespace(address="tcp://lost:1"), 0)
        return stand_in(study, task)

    monkeypatch.setattr(cluster, "run_away", run)
    errors = {task.aux: error for task, error in execute_on(client, make(), make().tasks())}
    workers = set(client.scheduler_info()["workers"])
    told = [line for line in caplog.messages if " was lost while it had mini-bert_mean_" in line]
    assert len(told) == 3 + 4 and {line.split()[3] for line in told} <= workers
    again = [line.endswith(", which is done again") for line in told if "triplet" in line]
    assert again == [True, True, True, False]
    assert errors["none"] is None
    assert errors["triplet"].startswith("4 workers were lost while they had this run")
    assert tries == {"none": 4, "triplet": 4}


def test_a_run_that_is_called_off_ends(client, make):
    study = make(training={"num_train_epochs": 2000}, aux=["none"])
    [task] = study.tasks()
    future = client.submit(run_away, study, task, load_data(study.data).fingerprint, pure=False)
    folders = [Path(folder) for folder in client.run(lambda dask_worker: dask_worker.local_directory).values()]
    wait_for(lambda: any(list(folder.rglob("progress.json")) for folder in folders))
    future.cancel()
    wait_for(lambda: not any(list(folder.glob("emo_hf-*")) for folder in folders))


def test_a_folder_that_can_not_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    folder = write_folder_whole(tmp_path / "run", {"a": b"old", "in/b": b"old"})
    assert files(tmp_path) == {"run", "run/a", "run/in", "run/in/b"}
    write = cluster.write_folder_whole.__globals__["write_whole"]

    def full(path: Path, content: bytes) -> Path:
        if path.name == "c":
            raise OSError("disk full")
        return write(path, content)

    monkeypatch.setattr("emo_hf.storage.files.write_whole", full)
    with pytest.raises(OSError, match="disk full"):
        write_folder_whole(folder, {"record.json": b"new", "c": b"new"})
    assert (folder / "a").read_bytes() == b"old" and not (folder / "record.json").exists()
    assert not list(tmp_path.glob("*/record.json"))  # where the records of a study are looked for
    monkeypatch.undo()
    write_folder_whole(folder, {"c": b"new"})
    assert files(tmp_path) == {"run", "run/c"}


def test_the_device_is_left_to_the_machine_that_runs(monkeypatch):
    """A client without a GPU sends runs to workers that have one, unless the CPU was asked for."""
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    open_, asked = MetricTrainingArguments(), MetricTrainingArguments(use_cpu=True, bf16=False)
    assert open_.use_cpu is True and open_.bf16 == bf16_is_native(cpu=True)
    assert (given(open_)["use_cpu"], given(open_)["bf16"]) == (False, None)
    assert (given(asked)["use_cpu"], given(asked)["bf16"]) == (True, False)
