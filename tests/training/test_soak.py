"""Many runs in one process: memory, handles and threads stay where they are."""

from __future__ import annotations

import gc
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.storage.record import is_done
from emo_hf.study.grid import GridArguments, Study
from emo_hf.study.local import execute_here

RUNS = 150
LEAK = 0.2  # MB a run that would be one: what Python holds at the end moves by less over all of them
WARM = 20  # runs after which everything that is made once is there


def held() -> tuple[float, int, int]:
    """Resident MB, open files, and threads, those of the libraries too."""
    process = psutil.Process()
    files = process.num_fds() if sys.platform != "win32" else process.num_handles()
    return process.memory_info().rss / 2**20, files, max(process.num_threads(), threading.active_count())


@pytest.mark.slow
def test_a_process_of_many_runs_stays_as_it_is(speck, tmp_path: Path, capsys):
    encoder, data = speck
    training = {
        "num_train_epochs": 1,
        "per_device_train_batch_size": 12,
        "bf16": False,
        "learning_rate": 1e-3,
        "save_strategy": "no",  # checkpoints are half of the time of a run that is so short
        "load_best_model_at_end": False,
    }
    study = Study(
        GridArguments(
            encoders=[encoder],
            poolings=["mean"],
            aux=["triplet"],
            seeds=list(range(RUNS)),
            study_dir=str(tmp_path / "study"),
        ),
        ModelArguments(embedding_size=8),
        DataArguments(data=data, max_length=16),
        given(MetricTrainingArguments(**training)),
    )
    gc.collect()
    gc.freeze()  # else every run would look through all that the other tests have imported
    started, seen = time.monotonic(), []
    try:
        for task, error in execute_here(study, study.tasks(), jobs=1):
            assert error is None and is_done(study.folder / task.run_id)
            seen.append(held())
    finally:
        gc.unfreeze()
    memory, files, threads = zip(*seen[WARM:], strict=True)
    with capsys.disabled():
        print(
            f"\n{len(seen)} runs in {time.monotonic() - started:.0f} s: {memory[0]:.0f} MB at first, {memory[-1]:.0f} "
            f"at the end, {max(memory):.0f} at most; {files[0]} to {files[-1]} files, {threads[0]} to {threads[-1]} "
            "threads"
        )
    assert len(seen) == RUNS and not study.due()
    assert max(memory) - memory[0] < LEAK * (RUNS - WARM)
    assert max(files) - files[0] <= 2 and max(threads) - threads[0] <= 1
