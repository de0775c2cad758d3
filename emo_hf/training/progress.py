"""What a run shows while it goes: a small file that any other process can read, and quiet libraries."""

from __future__ import annotations

import json
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import datasets
import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emo_hf.storage.files import write_whole


class ProgressFile(TrainerCallback):
    """Keeps {"step", "steps", "epoch", "epochs"} of a run in a JSON file, written at most once in `every` seconds."""

    def __init__(self, path: Path, every: float = 1.0):
        self.path, self.every = path, every
        self._written = 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if time.monotonic() - self._written < self.every or not state.is_world_process_zero:
            return
        self._written = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(self.content(args, state)).encode())

    def content(self, args: TrainingArguments, state: TrainerState) -> dict[str, float]:
        """What is written at a step."""
        return {
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 3),
            "epochs": args.num_train_epochs,
        }

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self.path.unlink(missing_ok=True)


def read_progress(path: Path) -> dict[str, float] | None:
    """What `ProgressFile` wrote last, or None if there is nothing to read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def quiet_libraries() -> None:
    """Keep the libraries' bars and notices out of a display of our own; warnings of emo_hf stay."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
