"""Whole runs: an exact resume, the checkpoint that is tested, early stopping, and a run that diverges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoTokenizer, TrainerCallback

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.models.modeling import EmotionModel
from emo_hf.storage.record import load_predictions, read_record
from emo_hf.training.run import run


class Stop(TrainerCallback):
    """Ctrl-C at a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def run_until(stop: int, *arguments: Any) -> None:
    """A run that ends, or that Ctrl-C stops at a step, if that is not 0."""
    if not stop:
        run(*arguments)
        return
    with pytest.raises(KeyboardInterrupt):
        run(*arguments, callbacks=[Stop(stop)])


@pytest.fixture
def start(encoders, csv_file, tmp_path):
    """One run, as the recipes start it: 9 steps an epoch; returns its record and folder."""

    def begin(name: str, callbacks: tuple[TrainerCallback, ...] = (), **arguments: Any) -> tuple[dict, Path]:
        settings = {
            "output_dir": str(tmp_path / name),
            "num_train_epochs": 3,
            "per_device_train_batch_size": 16,
            "bf16": False,
            "disable_tqdm": True,
            "learning_rate": 2e-3,
        }
        record = run(
            ModelArguments(encoder=encoders["roberta"], pooling="mean", embedding_size=16),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(**(settings | arguments)),
            callbacks=callbacks,
        )
        return record, tmp_path / name

    return begin


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("mining", ["all", "sampled"])
def test_a_resumed_run_ends_bit_equal_to_a_straight_one(start, mining, tmp_path):
    loss = {"aux": "triplet", "mining": mining}
    straight, straight_dir = start("straight", **loss)
    with pytest.raises(KeyboardInterrupt):
        start("stopped", callbacks=(Stop(14),), **loss)
    stopped = tmp_path / "stopped"
    assert read_record(stopped)["status"] == "interrupted"
    assert [path.name for path in stopped.glob("checkpoint-*")] == ["checkpoint-9"]
    resumed, resumed_dir = start("stopped", resume_from_checkpoint="last", **loss)
    assert weights(resumed_dir) == weights(straight_dir)
    assert resumed["history"] == straight["history"]
    assert resumed["test"] == straight["test"]
    again, again_dir = start("other_seed", seed=5, **loss)
    assert weights(again_dir) != weights(straight_dir)
    assert again["history"] != straight["history"]


def test_an_accumulating_run_resumes_too(start):
    settings = {"aux": "contrastive", "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    straight, straight_dir = start("straight", **settings)
    with pytest.raises(KeyboardInterrupt):
        start("stopped", callbacks=(Stop(20),), **settings)
    resumed, resumed_dir = start("stopped", resume_from_checkpoint="last", **settings)
    assert weights(resumed_dir) == weights(straight_dir)
    assert resumed["history"] == straight["history"]


def test_what_an_earlier_run_left_does_not_disturb_a_new_one(start, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start("run", callbacks=(Stop(20),), learning_rate=1e-4)
    assert (tmp_path / "run" / "checkpoint-18").is_dir()
    with pytest.raises(KeyboardInterrupt):
        start("run", callbacks=(Stop(10),))
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-9"]
    _, folder = start("run", resume_from_checkpoint="last")
    _, straight_dir = start("straight")
    assert weights(folder) == weights(straight_dir)


def test_nothing_to_resume(start):
    with pytest.raises(UserError, match="holds no checkpoint"):
        start("empty", resume_from_checkpoint="last")


def test_training_learns_and_triplets_part_the_classes(start):
    record, folder = start("triplet", aux="triplet", aux_weight=0.5, num_train_epochs=8, learning_rate=0.01)
    first, last = record["history"][0], record["history"][-1]
    assert last["ce_loss"] < 0.5 * first["ce_loss"]
    assert last["train_loss"] < 0.5 * first["train_loss"]
    assert last["validation_loss"] < first["validation_loss"]
    gap = [row["negative_distance"] - row["positive_distance"] for row in (first, last)]
    assert gap[1] > gap[0] + 0.3
    assert record["test"]["macro_f1"] > 0.8
    best = max(row["validation_macro_f1"] for row in record["history"])
    assert record["best"]["validation_macro_f1"] == best
    embeddings = load_predictions(record | {"directory": folder})["embeddings"]
    assert embeddings.shape == (60, 16)


def test_the_tested_model_is_the_saved_one_and_rows_keep_their_order(start, csv_file):
    record, folder = start("run", num_train_epochs=2)
    data = load_emotion_data(csv_file)
    arrays = load_predictions(record | {"directory": folder})
    assert arrays["labels"].tolist() == data.splits["test"]["label"][:]
    model = EmotionModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        output = model(**tokenizer(data.splits["test"]["text"][:], padding=True, return_tensors="pt"))
    np.testing.assert_allclose(arrays["logits"], output.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(arrays["embeddings"], output.embeddings.numpy(), atol=1e-2)
    assert record["test"]["accuracy"] == pytest.approx((arrays["logits"].argmax(1) == arrays["labels"]).mean())
    assert record["test"]["loss"] == pytest.approx(
        F.cross_entropy(output.logits, torch.tensor(arrays["labels"])).item(), rel=1e-4
    )


def test_early_stopping(start):
    record, _ = start("run", learning_rate=0.0, num_train_epochs=20, early_stopping_patience=2)
    assert [row["epoch"] for row in record["history"]] == [1, 2, 3]
    assert record["best"]["epoch"] == 1


def test_without_choice_of_a_checkpoint_the_last_is_tested(start):
    record, _ = start("run", load_best_model_at_end=False, save_strategy="no", learning_rate=0.05)
    assert record["best"]["epoch"] == record["history"][-1]["epoch"] == 3
    record, _ = start("loss", metric_for_best_model="loss", learning_rate=0.02)
    lowest = min(record["history"], key=lambda row: row["validation_loss"])
    assert record["best"]["epoch"] == lowest["epoch"]


def test_a_diverged_run_says_so(start, tmp_path):
    with pytest.raises(UserError, match="learning_rate"):
        start("run", learning_rate=1e30, max_grad_norm=0.0)
    record = read_record(tmp_path / "run")
    assert record["status"] == "failed"
    assert "\n" not in record["error"]
