"""One draw of a tuning: a training up to some epoch, that goes on from there if it is asked to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.models.pretrained import default_learning_rate
from emo_hf.training.checkpoints import STATE_FILE, fault
from emo_hf.training.loaded import load_data
from emo_hf.training.run import make_trainer


def scores_until(
    reach: float,
    model: ModelArguments,
    data: DataArguments,
    training: MetricTrainingArguments,
    callbacks: Sequence[TrainerCallback],
    keep: bool,
) -> list[float]:
    """Validation macro-F1 of each epoch up to `reach`, from the last checkpoint of the folder on.

    The training is the run that its arguments make, with the schedule of all its epochs, but without its test rows. It
    leaves a checkpoint if it is to `keep` one.

    Raises:
        UserError: the training has diverged.
    """
    folder, patience = Path(training.output_dir), training.early_stopping_patience
    reach = min(reach, training.num_train_epochs)
    checkpoint = next((path for path in folder.glob("checkpoint-*") if fault(path) is None), None)
    done: list[float] = []
    if checkpoint is not None:
        state = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
        done = _of_log(state["log_history"])
        if round(state["epoch"], 6) >= reach or ended(done, patience):
            return done
    if training.learning_rate is None:
        training.learning_rate = default_learning_rate(model)
    found = load_data(data)
    seen = replace(found, splits=datasets.DatasetDict({k: found.splits[k] for k in ("train", "validation")}))
    own: list[TrainerCallback] = [_StopAt(reach, keep)]
    if patience:
        own.append(early := EarlyStoppingCallback(patience))
        early.early_stopping_patience_counter = _without_better(done)
    trainer, _ = make_trainer(model, data, training, seen, [*callbacks, *own])
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return _of_log(trainer.state.log_history)


def _of_log(history: Sequence[dict[str, float]]) -> list[float]:
    found = [entry for entry in history if "eval_macro_f1" in entry]
    if found and not math.isfinite(loss := found[-1]["eval_loss"]):  # the next step would have ended the training
        raise UserError(f"the validation loss is {loss} at epoch {found[-1]['epoch']:g}: training diverged")
    return [entry["eval_macro_f1"] for entry in found]


def _without_better(scores: Sequence[float]) -> int:
    """How many of the last scores are no better than the best before them."""
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def ended(scores: Sequence[float], patience: int | None) -> bool:
    """Whether a training with such scores of its epochs has been stopped early, for want of a better one."""
    return patience is not None and _without_better(scores) >= patience


class _StopAt(TrainerCallback):
    """Ends a training after an epoch, with a checkpoint if it is to go on from there."""

    def __init__(self, reach: float, keep: bool):
        self._reach, self._keep = reach, keep

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if round(state.epoch or 0.0, 6) >= self._reach:
            control.should_training_stop = True
            control.should_save = self._keep
