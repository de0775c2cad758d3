"""A small model, the recipe of its demo, and its app in a process, for the tests of the demo and of Spaces."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from places import ROOT

from emo_hf import DataArguments, MetricTrainingArguments, ModelArguments, run

SENTENCE = "오늘 학교에서 친구랑 같이 밥을 먹다가 나도 모르게 웃었어"


def train(
    encoders: dict[str, str],
    data: str,
    folder: Path,
    *,
    pooling: str = "mean",
    all_labels: bool = False,
    **training: Any,
) -> Path:
    """The folder of a small model."""
    plain = {"aux": "triplet", "num_train_epochs": 1, "bf16": False, "seed": 7}
    run(
        ModelArguments(encoder=encoders["bert"], pooling=pooling, embedding_size=16),
        DataArguments(data=data, max_length=32, **({"labels": ["all"]} if all_labels else {})),
        MetricTrainingArguments(output_dir=str(folder), **(plain | training)),
    )
    return folder


def load_recipe() -> ModuleType:
    """recipes/demo.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("recipe_demo", ROOT / "recipes" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def served(command: list[str], folder: Path, **environment: str) -> Iterator[tuple[str, list[str]]]:
    """The address of an app that was started in a folder, and the lines that it wrote before it was up."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GRADIO_", "PYTHON"))}
    log = folder / "app.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", *command],
            cwd=folder, env=clean | {"OMP_NUM_THREADS": "1"} | environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        end = time.monotonic() + 180
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.2)
        yield found.group(), log.read_text().splitlines()
    finally:
        process.terminate()
        process.wait(timeout=30)
