"""Runs of a study on this machine, in this process or in warm ones; what such a process owes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import torch
from filelock import FileLock, Timeout
from transformers import TrainerCallback

from emo_hf.errors import UserError, first_line
from emo_hf.redaction import redacted
from emo_hf.storage.files import said_plainly, write_whole
from emo_hf.storage.lock import ORPHAN_SECONDS, held, is_lock
from emo_hf.study.grid import Cell, Study, Task
from emo_hf.study.halving import tune_cell
from emo_hf.training.progress import ProgressFile, quiet_libraries
from emo_hf.training.run import run

PROGRESS_FILE = "progress.json"
TRACEBACK_FILE = "traceback.txt"  # of a run that failed for no mistake of the user
SECONDS = 0.5  # between two looks at the parent
_WATCH = "end with the parent"  # the name of a thread


def execute_here(study: Study, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, str | None]]:
    """Run the tasks, `jobs` at a time; give each as it ends, with the line of its error if it failed.

    With one job everything runs in this process, which is afterwards as it was; with several, in as many warm
    processes, which share out the GPUs that are visible. Each run has its share of the cores, the last one left too:
    the number of threads moves the last digits of a result.
    """
    threads = max(1, joblib.cpu_count() // jobs)
    if jobs == 1:
        with _quick_collections():
            for task in tasks:
                yield run_task(study, task, threads)
                free_memory()
        return
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        calls = (joblib.delayed(_run_beside)(study, task, threads, jobs, os.getpid()) for task in tasks)
        with _unheard_ctrl_c():
            ended = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch=jobs)(calls)
        yield from ended


def run_task(
    study: Study, task: Task, threads: int, callbacks: Sequence[TrainerCallback] = (), **own: Any
) -> tuple[Task, str | None]:
    """Run a task of a study, or tune a cell, in this process; the line of the error comes back, so that others go on.

    The traceback of an error that is no mistake of the user stands in `TRACEBACK_FILE` of the run's folder. `own` are
    further arguments of the training.
    """
    run_dir = study.folder / task.run_id
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with said_plainly(run_dir), held(run_dir, "stop it, or wait for it", wait=ORPHAN_SECONDS):
            if isinstance(task, Cell):
                tune_cell(study, task, run_dir / PROGRESS_FILE, callbacks, **own)
                return task, None
            _clear(run_dir)
            run(
                *study.arguments(task, output_dir=str(run_dir), disable_tqdm=True, **own),
                callbacks=[ProgressFile(run_dir / PROGRESS_FILE), *callbacks],
                settings=task.settings,
                tuned=task.tuned,
            )
    except UserError as error:
        return task, f"UserError: {error}"
    except Exception as error:
        return task, f"{type(error).__name__}: {first_line(error)}{_keep_traceback(error, run_dir)}"
    finally:
        torch.set_num_threads(before)
    return task, None


def run_in_worker(
    study: Study, task: Task, threads: int, callbacks: Sequence[TrainerCallback] = (), **own: Any
) -> tuple[Task, str | None]:
    """`run_task` in a process that does nothing else: its libraries are quiet, its collections quick."""
    quiet_libraries()
    # Of the same data by who started the study, who says at its end what the tokenizers made of them.
    said = [logging.getLogger(name) for name in ("emo_hf.data", "emo_hf.training.lost_words")]
    before = [one.level for one in said]
    for one in said:
        one.setLevel(logging.ERROR)
    try:
        return run_task(study, task, threads, callbacks, **own)
    finally:
        for one, level in zip(said, before, strict=True):
            one.setLevel(level)
        free_memory()
        if not gc.get_freeze_count():
            gc.freeze()  # what outlives the first run was imported: later collections need not walk through it again


@contextlib.contextmanager
def _unheard_ctrl_c() -> Iterator[None]:
    """Processes that are started in the block don't hear Ctrl-C, which a terminal sends them too.

    Their parent ends them; each would else show where it was, in its imports perhaps.
    """
    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run_beside(study: Study, task: Task, threads: int, workers: int, parent: int) -> tuple[Task, str | None]:
    """`run_in_worker` in one of the `workers` of `parent` on this machine, which ends with it."""
    # A warm process starts others in a way of its own, which those that load data do not know.
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)
    end_with(parent)
    if (devices := torch.cuda.device_count()) > 1:
        claim_device(study.folder, workers, devices)
    return run_in_worker(study, task, threads)


def _keep_traceback(error: Exception, run_dir: Path) -> str:
    """Write a traceback into the run's folder; the words that tell where it is."""
    text = redacted("".join(traceback.format_exception(error)))
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        write_whole(run_dir / TRACEBACK_FILE, text.encode(errors="backslashreplace"))
    except OSError:  # the disk may be what has failed, or the folder is another's
        return ""
    return f" (traceback in {run_dir / TRACEBACK_FILE})"


def _clear(run_dir: Path) -> None:
    """Remove what a stopped run left in a folder that is held."""
    for path in run_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not is_lock(path):
            path.unlink()


_claimed: list[FileLock] = []  # held for as long as this process lives


def claim_device(folder: Path, workers: int, devices: int) -> None:
    """Let this process, one of `workers` that share a study, see one of `devices` GPUs only; the first call decides.

    It has to come before CUDA starts in the process. A process that ends, however it ends, gives its place back.
    """
    if _claimed:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(devices)))).split(",")
    for place in range(workers):
        lock = FileLock(folder / f".worker-{place}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _claimed.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[place % devices]
        return


def end_with(parent: int) -> None:
    """Have this process, a worker of `parent`, end soon after it: nobody would take what a worker does alone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        os._exit(1)

    known = any(thread.name == _WATCH for thread in threading.enumerate())
    if os.name == "posix" and os.getppid() == parent and not known:
        threading.Thread(target=watch, name=_WATCH, daemon=True).start()


def free_memory() -> None:
    """Free what a run left in cycles, and have the C library, where it is glibc, return the holes to the system.

    The tensors of each run fall between those of others in the heap, so that a process of many runs would grow by
    some megabytes a run.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def _quick_collections() -> Iterator[None]:
    """Spare the collections of several runs, of which Trainer makes many, a walk through what was there before."""
    if gc.get_freeze_count():  # somebody has seen to it
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
