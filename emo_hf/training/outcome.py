"""What a training came to: predictions and scores of the test rows, its history, and the model in its folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import Trainer

from emo_hf.errors import UserError
from emo_hf.evaluation.calibration import reliability, reliability_of_sets
from emo_hf.evaluation.temperature import loss_at
from emo_hf.evaluation.thresholds import decide, sigmoid
from emo_hf.storage.files import move_whole, write_whole
from emo_hf.storage.record import ADAPTER_FOLDER, RECORD_FILE, merge_history

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predicted:
    """Rows in the order of their data: logits (N, C), embeddings (N, D), labels (N,) or sets (N, C), and their loss.

    `thresholds` (C,) say which labels a row has, where it may have several.
    """

    logits: np.ndarray
    embeddings: np.ndarray
    labels: np.ndarray
    loss: float
    thresholds: np.ndarray | None = None

    @property
    def classes(self) -> np.ndarray:
        """The class of each row (N,), by its logits, or which labels it has (N, C)."""
        if self.thresholds is None:
            return self.logits.argmax(-1)
        return decide(sigmoid(self.logits), self.thresholds)

    def names(self, labels: Sequence[str]) -> list[str]:
        """The class of each row by its name, or the names of its labels with commas between them."""
        return named(self.classes, labels)

    def arrays(self) -> dict[str, np.ndarray]:
        """As they are stored beside the record."""
        return {
            "logits": self.logits.astype(np.float32),
            "embeddings": self.embeddings.astype(np.float16),
            "labels": self.labels.astype(np.int64 if self.thresholds is None else np.uint8),
            **({} if self.thresholds is None else {"thresholds": self.thresholds}),
        }


def named(classes: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Classes (N,) by their names, or sets of labels (N, C) as names with commas between them."""
    if classes.ndim == 1:
        return [labels[i] for i in classes]
    return [", ".join(labels[i] for i in np.flatnonzero(row).tolist()) for row in classes]


def by_length(split: datasets.Dataset) -> tuple[datasets.Dataset, np.ndarray]:
    """The rows sorted by length, so that evaluation batches hold little padding, and their original places."""
    order = np.argsort(np.asarray(split["length"]), kind="stable")
    return split.select(order), order


def predict_in_order(
    trainer: Trainer, rows: datasets.Dataset, thresholds: np.ndarray | None = None, *, split: str = "test"
) -> Predicted:
    """The model's answers to tokenized rows of a split, by whose name trackers log their scores.

    Raises:
        UserError: logits that are not finite.
    """
    ordered, order = by_length(rows)
    found = trainer.predict(ordered, ignore_keys=["hidden_states", "attentions"], metric_key_prefix=split)
    logits, embeddings, labels = (_restore(part, order) for part in (*found.predictions, found.label_ids))
    if not np.isfinite(logits).all():
        raise UserError(
            f"the model's logits are not finite, so training diverged; lower --learning_rate, which is "
            f"{trainer.args.learning_rate}, or keep --max_grad_norm above 0"
        )
    # Trainer's own loss counts rows twice that fill the last batch of several processes.
    return Predicted(logits, embeddings, labels, loss_at(logits, labels), thresholds)


def _restore(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    restored = np.empty_like(values)
    restored[order] = values
    return restored


def score_test_rows(predicted: Predicted, names: Sequence[str]) -> dict[str, Any]:
    """What a record says of the test rows; `names` are those of the classes."""
    # Not before there is something to score: they take long to import.
    from emo_hf.evaluation.label_set_metrics import LabelSetScores
    from emo_hf.evaluation.metrics import ClassificationScores, EmbeddingScores

    labels = predicted.labels
    if predicted.thresholds is not None:
        probabilities = sigmoid(predicted.logits)
        return {
            "loss": predicted.loss,
            **LabelSetScores().compute(
                predictions=probabilities, references=labels, labels=names, thresholds=predicted.thresholds
            ),
            "ece": reliability_of_sets(probabilities, labels).error,
        }
    return {
        "loss": predicted.loss,
        **ClassificationScores().compute(predictions=predicted.classes, references=labels, labels=names),
        "ece": reliability(predicted.logits, labels).error,
        # Of what is stored, in half precision, so that anyone can compute them again.
        "embeddings": EmbeddingScores().compute(
            predictions=predicted.embeddings.astype(np.float16), references=labels
        ),
    }


def warn_of_one_class(run_id: str, predicted: Predicted, names: Sequence[str]) -> None:
    """Say that a model has learned nothing but a class, which its scores alone do not tell."""
    if predicted.thresholds is not None:
        if not predicted.classes.any():
            logger.warning("%s: the model gives no test text any label; train for more epochs", run_id)
        return
    classes = np.unique(predicted.classes)
    if len(classes) == 1:
        logger.warning(
            "%s: the model gives all %d test texts the class %s, which %.1f %% of them are; train for more epochs, or "
            "with another --learning_rate",
            run_id,
            len(predicted.labels),
            names[classes[0]],
            100 * (predicted.labels == classes[0]).mean(),
        )


def progress(trainer: Trainer) -> dict[str, Any]:
    """The history of a training, and the epoch of the model that it ended with."""
    state = trainer.state
    history = merge_history(state.log_history)
    step = state.best_global_step if trainer.args.load_best_model_at_end else state.global_step
    epoch = next((entry["epoch"] for entry in state.log_history if entry["step"] == step), None)
    best = next((row for row in history if row["epoch"] == epoch), {})
    return {"history": history, "best": {key: best[key] for key in ("epoch", "validation_macro_f1") if key in best}}


def save_whole(trainer: Trainer, run_dir: Path, beside: Mapping[str, bytes]) -> None:
    """Write model, tokenizer and files `beside` into the run's folder, each whole, in place of an earlier run's."""
    arriving = run_dir / ".arriving"
    trainer.save_model(str(arriving))
    if trainer.is_world_process_zero():
        for name, content in beside.items():
            (arriving / name).parent.mkdir(exist_ok=True)
            write_whole(arriving / name, content)
        (arriving / "training_args.bin").unlink(missing_ok=True)  # a pickle; the record holds the arguments
        (run_dir / RECORD_FILE).unlink(missing_ok=True)  # of an earlier run, which had another model
        shutil.rmtree(run_dir / ADAPTER_FOLDER, ignore_errors=True)
        move_whole(arriving, run_dir)
