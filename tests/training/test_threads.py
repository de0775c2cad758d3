"""A run is the same under `python` and under a launcher, which leaves a process one thread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from places import RECIPES

from emo_hf.storage.record import read_record
from emo_hf.training.threads import take_cores


@pytest.fixture
def threads(monkeypatch):
    """The threads that a process of a machine of 8 cores takes under an environment."""
    before = torch.get_num_threads()
    monkeypatch.setattr("joblib.cpu_count", lambda only_physical_cores: 8)

    def taken(**environment: str) -> int:
        for name in ("ACCELERATE_DYNAMO_BACKEND", "LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        torch.set_num_threads(2)
        take_cores()
        return torch.get_num_threads()

    yield taken
    torch.set_num_threads(before)


def test_a_launched_process_takes_its_share(threads):
    assert threads(ACCELERATE_DYNAMO_BACKEND="NO", OMP_NUM_THREADS="1") == 8
    assert threads(LOCAL_WORLD_SIZE="3", OMP_NUM_THREADS="1") == 2
    assert threads(LOCAL_WORLD_SIZE="4", ACCELERATE_DYNAMO_BACKEND="NO", OMP_NUM_THREADS="1") == 2
    assert threads(LOCAL_WORLD_SIZE="16", OMP_NUM_THREADS="1") == 1


def test_what_somebody_chose_stays(threads):
    assert threads(OMP_NUM_THREADS="1") == 2  # without a launcher
    assert threads(LOCAL_WORLD_SIZE="2", OMP_NUM_THREADS="3") == 2
    assert threads(ACCELERATE_DYNAMO_BACKEND="NO") == 2


@pytest.mark.slow
def test_accelerate_and_python_give_the_same_model(speck, tmp_path):
    encoder, data = speck
    words = [
        *(str(RECIPES / "train.py"), "--encoder", encoder, "--data", data, "--max_length", "16", "--bf16", "false"),
        *("--num_train_epochs", "1", "--per_device_train_batch_size", "6", "--learning_rate", "0.002"),
    ]
    launcher = ["-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")}
    for name, start in (("python", []), ("accelerate", launcher)):
        subprocess.run(
            [sys.executable, *start, *words, "--output_dir", str(tmp_path / name)],
            env=environment,
            check=True,
            capture_output=True,
        )
    plain, launched = (read_record(tmp_path / name) for name in ("python", "accelerate"))
    assert plain["hardware"]["threads"] == launched["hardware"]["threads"]
    assert plain["test"] == launched["test"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("python", "accelerate")]
    assert weights[0] == weights[1]
