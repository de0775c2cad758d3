"""A process of many runs gives back what each of them left; one that is a caller's is left as it was."""

from __future__ import annotations

import gc
import logging
import os
import weakref
from pathlib import Path

import datasets
import pytest
import torch
import transformers

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.errors import UserError
from emo_hf.study import local
from emo_hf.study.grid import GridArguments, Study
from emo_hf.study.local import TRACEBACK_FILE, execute_here, run_in_worker


class Run:
    """What only a collection frees."""

    def __init__(self) -> None:
        self.trainer = self


@pytest.fixture
def study(speck, tmp_path) -> Study:
    encoder, data = speck
    return Study(
        GridArguments(encoders=[encoder], poolings=["mean"], aux=["none"], seeds=[1], study_dir=str(tmp_path / "s")),
        ModelArguments(embedding_size=8),
        DataArguments(data=data, max_length=16),
        given(MetricTrainingArguments(num_train_epochs=1, per_device_train_batch_size=6, bf16=False)),
    )


@pytest.fixture
def unfrozen():
    """As in a process where nobody has frozen anything; for the other tests it is frozen again."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


def test_every_run_of_a_worker_is_freed_but_what_was_imported_is_walked_through_once(study, unfrozen, monkeypatch):
    left = []

    def run(*arguments, **options):
        left.append(weakref.ref(Run()))

    monkeypatch.setattr(local, "run", run)
    monkeypatch.setattr(local, "quiet_libraries", lambda: None)
    [task] = study.tasks()
    assert run_in_worker(study, task, 1) == (task, None)
    imported = gc.get_freeze_count()
    assert imported > 10 * len(gc.get_objects())
    results = Run()
    assert run_in_worker(study, task, 1) == (task, None)
    assert len(left) == 2 and not any(reference() for reference in left)
    assert gc.get_freeze_count() <= imported
    last = weakref.ref(results)
    del results
    run_in_worker(study, task, 1)
    assert last() is None


def state() -> dict[str, object]:
    """What of a process all its code shares."""
    return {
        "frozen": gc.get_freeze_count(),
        "threads": torch.get_num_threads(),
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "bars": (datasets.are_progress_bars_disabled(), transformers.utils.logging.is_progress_bar_enabled()),
        "verbosity": transformers.utils.logging.get_verbosity(),
        "levels": (logging.getLogger().level, logging.getLogger("accelerate").level),
        "handlers": list(logging.getLogger().handlers),
    }


def test_one_job_leaves_its_process_as_it_was(study, unfrozen, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda **_: 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    datasets.enable_progress_bars()
    transformers.utils.logging.enable_progress_bar()
    try:
        before = state()
        dropped = Run()
        assert [error for _, error in execute_here(study, study.tasks(), jobs=1)] == [None]
        assert state() == before
        reference = weakref.ref(dropped)
        del dropped
        gc.collect()
        assert reference() is None, "what the caller drops afterwards is collected"
    finally:
        torch.set_num_threads(threads)


def test_a_run_that_fails_says_one_line_and_keeps_its_traceback(study, monkeypatch, caplog, capfd):
    def run(*arguments, **options):
        raise RuntimeError("out of luck\nand more") from ValueError("a-very-secret-word")

    monkeypatch.setattr(local, "run", run)
    monkeypatch.setenv("SOME_TOKEN", "a-very-secret-word")
    [(task, error)] = execute_here(study, study.tasks(), jobs=1)
    path = study.folder / task.run_id / TRACEBACK_FILE
    assert error == f"RuntimeError: out of luck (traceback in {path})"
    assert "ValueError: ***" in path.read_text() and "in run_task" in path.read_text()
    assert not caplog.records and not "".join(capfd.readouterr())


def test_a_mistake_needs_no_traceback(study, monkeypatch):
    def run(*arguments, **options):
        raise UserError("--margin is -1")

    monkeypatch.setattr(local, "run", run)
    [(task, error)] = execute_here(study, study.tasks(), jobs=1)
    assert error == "UserError: --margin is -1"
    assert not Path(study.folder / task.run_id).exists()  # it was held for nothing
