"""A grid of runs: what is due, what is refused, and the baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warm import Process

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.storage.record import is_done, load_predictions, read_record, read_records, write_record
from emo_hf.study import local
from emo_hf.study.baselines import run_baselines
from emo_hf.study.grid import Cell, GridArguments, Study, Task
from emo_hf.study.local import execute_here


@pytest.fixture
def make(encoders, csv_file, tmp_path):
    def build(folder: str = "study", training: dict[str, Any] | None = None, **grid: Any) -> Study:
        settings = {"num_train_epochs": 1, "per_device_train_batch_size": 16, "bf16": False, "learning_rate": 2e-3}
        choices = {"encoders": [encoders["bert"]], "poolings": ["mean"], "aux": ["none", "triplet"], "seeds": [1]}
        return Study(
            GridArguments(**(choices | grid), study_dir=str(tmp_path / folder)),
            ModelArguments(embedding_size=16),
            DataArguments(data=csv_file, max_length=32),
            given(MetricTrainingArguments(**(settings | (training or {})))),
        )

    return build


def finish(study: Study, task: Task, status: str = "completed") -> Path:
    """A record as a run leaves it."""
    return write_record(study.folder / task.run_id, {"run_id": task.run_id, "status": status})


def test_the_grid_is_walked_seed_by_seed(make):
    study = make(encoders=["owner/one", "two"], poolings=["cls", "mean"], aux=["none", "triplet"], seeds=[3, 1])
    tasks = study.tasks()
    assert len(set(tasks)) == 16
    assert [task.seed for task in tasks] == [3] * 8 + [1] * 8
    assert tasks[0] == Task("owner/one", "mean", "none", 3)
    assert tasks[0].run_id == "one_mean_none_seed3"
    assert [task.pooling for task in tasks[:4]] == ["mean", "mean", "cls", "cls"]  # the fastest last
    assert len({task.run_id for task in tasks}) == 16


def test_two_runs_of_one_name_are_refused(make):
    for grid in ({"seeds": [1, 1]}, {"encoders": ["owner/one", "owner/one"]}, {"aux": ["none", "none"]}):
        with pytest.raises(UserError, match="twice"):
            make(**grid).tasks()


def test_encoders_whose_last_names_are_alike_have_folders_of_their_own(make):
    study = make(encoders=["runs/a/best", "runs/b/best", "owner/other"], poolings=["mean"], aux=["none"], seeds=[1])
    names = ["a-best_mean_none_seed1", "b-best_mean_none_seed1", "other_mean_none_seed1"]
    assert [task.run_id for task in study.tasks()] == names
    assert Cell.of(study.tasks()[0]).run_id == "tuning/a-best_mean_none"


def test_a_run_that_is_done_is_not_taken_for_that_of_another_folder_of_its_name(make, tmp_path):
    one, other = tmp_path / "one" / "best", tmp_path / "other" / "best"
    for folder in (one, other):
        folder.mkdir(parents=True)
    study = make(encoders=[str(one)], poolings=["mean"], aux=["none"], seeds=[1])
    [task] = study.tasks()
    finish(study, task)
    record = json.loads((study.folder / task.run_id / "record.json").read_text())
    (study.folder / task.run_id / "record.json").write_text(json.dumps(record | {"model": {"encoder": str(one)}}))
    assert study.due() == []
    with pytest.raises(UserError, match=f"is a run of the encoder {one}, not of {other}; give another --study_dir"):
        make(encoders=[str(other)], poolings=["mean"], aux=["none"], seeds=[1]).due()
    one.rmdir()  # it may have been moved
    assert make(encoders=[str(other)], poolings=["mean"], aux=["none"], seeds=[1]).due() == []


def test_only_completed_runs_are_done(make):
    study = make(seeds=[1, 2])
    first, second, third, fourth = study.tasks()
    assert study.due() == [first, second, third, fourth]
    finish(study, first)
    finish(study, second, "failed")
    finish(study, third, "interrupted")
    (study.folder / fourth.run_id).mkdir()
    (study.folder / fourth.run_id / "record.json").write_text('{"status": "comp')
    assert study.due() == [second, third, fourth]
    assert is_done(study.folder / first.run_id)
    assert not is_done(study.folder / "never")


def test_runs_that_fail_come_back_with_their_line(make, monkeypatch):
    study = make(seeds=[1, 2])
    ran = []

    def run(model, data, training, callbacks, settings, tuned):
        ran.append((model.encoder, model.pooling, training.aux, training.seed, Path(training.output_dir).name))
        if training.aux == "triplet":
            raise RuntimeError("out of memory\nand more")

    monkeypatch.setattr(local, "run", run)
    ended = list(execute_here(study, study.tasks(), jobs=1))
    assert [task for task, _ in ended] == study.tasks()
    assert [error and error.partition(" (traceback in ")[0] for _, error in ended] == [
        None,
        "RuntimeError: out of memory",
    ] * 2
    assert ran == [(t.encoder, t.pooling, t.aux, t.seed, t.run_id) for t in study.tasks()]


def test_ctrl_c_stops_the_study(make, monkeypatch):
    def run(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run", run)
    with pytest.raises(KeyboardInterrupt):
        list(execute_here(make(), make().tasks(), jobs=1))


def test_a_folder_belongs_to_one_data_set_and_one_setting(make):
    make().claim_folder("abc")
    make().claim_folder("abc")
    make(seeds=[1, 2, 3], poolings=["cls", "max"], jobs=2).claim_folder("abc")  # a larger grid of the same study
    with pytest.raises(UserError, match="another data fingerprint"):
        make().claim_folder("abd")
    with pytest.raises(UserError, match=r"another num_train_epochs \(1, now 2\)"):
        make(training={"num_train_epochs": 2}).claim_folder("abc")
    with pytest.raises(UserError, match=r"another embedding_size \(16, now 8\)"):
        replace(make(), model=ModelArguments(embedding_size=8)).claim_folder("abc")
    with pytest.raises(UserError, match=r"another max_length \(32, now 64\)"):
        replace(make(), data=replace(make().data, max_length=64)).claim_folder("abc")
    make("other", training={"num_train_epochs": 2}).claim_folder("abc")
    make().claim_folder("abc")  # a refusal changed nothing


def test_a_broken_study_file_is_named(make):
    study = make()
    study.claim_folder("abc")
    (study.folder / "study.json").write_text("{")
    with pytest.raises(UserError, match=r"study\.json can't be read"):
        study.claim_folder("abc")


def test_mistakes_are_found_before_the_first_run(make, encoders):
    make(aux=["none", "contrastive", "triplet", "supcon"], poolings=["cls", "attention"]).check()
    for grid, message in (
        ({"poolings": ["cls", "middle"]}, "--pooling is 'middle'"),
        ({"aux": ["none", "quadruplet"]}, "quadruplet"),
        ({"encoders": [encoders["bert"], "missing/encoder/folder"]}, "missing/encoder/folder"),
        ({"training": {"mining": "semi-hard"}, "aux": ["contrastive"]}, "semi-hard"),
    ):
        with pytest.raises(UserError, match=message):
            make(**grid).check()
    with pytest.raises(UserError, match=r"--max_length is 65, but .*mini-roberta takes at most 64 tokens"):
        study = make(encoders=[encoders["roberta"]])
        replace(study, data=replace(study.data, max_length=65)).check()


CLAIM = """
import os, sys, time
from pathlib import Path
from emo_hf.study.local import claim_device
claim_device(Path(sys.argv[1]), 3, 2)
claim_device(Path(sys.argv[1]), 3, 2)
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
time.sleep(600)
"""


def test_workers_share_out_the_gpus(warm, tmp_path):
    """Three processes on two GPUs, of the four there are; the place of one that was killed is taken again."""

    def start() -> Process:
        return warm.start(["-c", CLAIM, str(tmp_path)], environment={"CUDA_VISIBLE_DEVICES": "1,3"})

    def claimed(worker: Process) -> str:
        worker.wait_for(lambda: worker.out().endswith("\n"))
        return worker.out().strip()

    workers = [start() for _ in range(3)]
    try:
        seen = {worker: claimed(worker) for worker in workers}
        assert sorted(seen.values()) == ["1", "1", "3"]
        killed = next(worker for worker in workers if seen[worker] == "3")
        killed.kill()
        workers.append(start())
        assert claimed(workers[-1]) == "3"
    finally:
        for worker in workers:
            worker.kill()


def test_what_a_stopped_run_left_is_replaced(make):
    study = make(aux=["none"])
    (task,) = study.tasks()
    folder = study.folder / task.run_id
    finish(study, task, "running")
    (folder / "checkpoint-7").mkdir()
    (folder / "old.txt").touch()
    assert list(execute_here(study, [task], jobs=1)) == [(task, None)]
    assert is_done(folder)
    assert not (folder / "old.txt").exists() and not (folder / "checkpoint-7").exists()
    assert not (folder / "progress.json").exists()


def test_a_run_is_the_same_alone_and_after_others(make):
    """Nothing of one run reaches the next in a warm process."""
    alone, after = make("alone"), make("after")
    _, task = alone.tasks()
    list(execute_here(alone, [task], jobs=1))
    list(execute_here(after, after.tasks(), jobs=1))
    records = [read_record(study.folder / task.run_id) for study in (alone, after)]
    assert records[0]["history"] == records[1]["history"]
    assert records[0]["test"] == records[1]["test"]


def test_baselines_are_scored_without_a_class_that_the_test_set_lacks(csv_file, tmp_path):
    data = load_emotion_data(csv_file)
    kept = data.splits["test"].filter(lambda row: row["label"] != 2)
    splits = data.splits | {"test": kept}
    run_baselines(replace(data, splits=splits), tmp_path)
    majority, tfidf = sorted(read_records(tmp_path), key=lambda record: record["test"]["accuracy"])
    for record in (majority, tfidf):
        scores = [scores["f1"] for scores in record["test"]["per_class"].values()]
        assert scores[2] is None and record["test"]["macro_f1"] == pytest.approx((scores[0] + scores[1]) / 2)


def test_baselines(csv_file, tmp_path):
    data = load_emotion_data(csv_file)
    run_baselines(data, tmp_path)
    majority, tfidf = sorted(read_records(tmp_path), key=lambda record: record["test"]["accuracy"])
    assert (tfidf["model"]["name"], tfidf["run_id"]) == ("TF-IDF + logistic regression", "TF-IDF-logistic-regression")
    assert (majority["model"]["name"], majority["run_id"]) == ("majority class", "majority-class")
    for record in (tfidf, majority):
        assert record["kind"] == "baseline"
        assert record["model"]["encoder"] is record["model"]["pooling"] is record["model"]["aux"] is None
        assert record["history"] == [] and record["seed"] is None
        arrays = load_predictions(record)
        labels = data.splits["test"]["label"][:]
        assert arrays["labels"].tolist() == labels
        powers = np.exp(arrays["logits"])
        np.testing.assert_allclose(powers.sum(1), 1, atol=1e-5)  # logits are log-probabilities
        assert record["test"]["loss"] == pytest.approx(-np.log(powers[np.arange(60), labels]).mean(), rel=1e-4)
        assert record["test"]["accuracy"] == pytest.approx((powers.argmax(1) == labels).mean())
    assert tfidf["test"]["macro_f1"] > 0.95  # the cue words tell
    assert majority["test"]["macro_f1"] == pytest.approx(0.5 / 3)  # one class of three, F1 of 2/4
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    run_baselines(data, tmp_path)  # done already
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
