"""The threads of a process that a launcher has started."""

from __future__ import annotations

import os

import joblib
import torch


def take_cores() -> None:
    """Have torch use this process's share of the cores where a launcher left it one thread.

    `accelerate launch` and torchrun set OMP_NUM_THREADS to 1 where nobody has set it. The number of threads moves the
    last digits of a loss, and in the end a score: a run is to be the same under `python` and under a launcher. A
    number above 1, which somebody chose, stays.
    """
    launched = "ACCELERATE_DYNAMO_BACKEND" in os.environ or "LOCAL_WORLD_SIZE" in os.environ
    if launched and os.environ.get("OMP_NUM_THREADS") == "1":
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, joblib.cpu_count(only_physical_cores=True) // processes))
