"""Rows with several labels each, trained by hand: every kind of rows, refusals, and every metric loss."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from conftest import LABELS
from label_set_rows import set_rows
from recorded_trainer import record_steps
from torch.nn import BCEWithLogitsLoss
from transformers import AutoTokenizer, DataCollatorWithPadding

from emo_hf import EmotionModel, MetricTrainer, MetricTrainingArguments, Predictor, UserError


def hot(rows: list[tuple[str, tuple[int, ...]]], kind: type = float) -> list[list[Any]]:
    return [[kind(place in labels) for place in range(3)] for _, labels in rows]


class Hand:
    """What a test makes a trainer of, without a recipe or a run."""

    def __init__(self, encoder: str, folder: Path):
        self.encoder, self.folder = encoder, folder
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.texts = set_rows(48)

    def rows(self, labels: Any = None, column: str = "labels") -> datasets.Dataset:
        labels = hot(self.texts) if labels is None else labels
        data = datasets.Dataset.from_dict({"text": [text for text, _ in self.texts], column: labels})
        return data.map(lambda batch: self.tokenizer(batch["text"], truncation=True), batched=True)

    def model(self, multi_label: bool = True) -> EmotionModel:
        torch.manual_seed(0)
        settings = {"labels": LABELS, "pooling": "mean", "embedding_size": 16, "embedding_dropout": 0.0}
        return EmotionModel.from_encoder(self.encoder, multi_label=multi_label, **settings)

    def trainer(self, rows: Any, eval_dataset: Any = None, **own: Any) -> MetricTrainer:
        given = {name: own.pop(name) for name in ("model", "data_collator") if name in own}
        settings = {"output_dir": str(self.folder / "run"), "max_steps": 4, "bf16": False, "disable_tqdm": True}
        settings |= {"learning_rate": 1e-3, "eval_strategy": "no", "save_strategy": "no", "report_to": []}
        arguments = MetricTrainingArguments(**(settings | own))
        return MetricTrainer(**({"model": self.model()} | given), args=arguments, train_dataset=rows,
                             eval_dataset=eval_dataset, processing_class=self.tokenizer)  # fmt: skip


@pytest.fixture
def hand(encoders, tmp_path) -> Hand:
    return Hand(encoders["bert"], tmp_path)


def trained(trainer: MetricTrainer) -> dict[str, torch.Tensor]:
    trainer.train()
    return {name: tensor.detach().clone() for name, tensor in trainer.model.state_dict().items()}


class TorchRows(torch.utils.data.Dataset):
    def __init__(self, rows: datasets.Dataset):
        self.kept = list(rows)

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        row = self.kept[place]
        return {name: torch.tensor(row[name]) for name in ("input_ids", "attention_mask", "labels")}


WAYS: dict[str, Callable[[Hand], dict[str, Any]]] = {
    "floats": lambda hand: {"rows": hand.rows()},
    "integers": lambda hand: {"rows": hand.rows(hot(hand.texts, int))},
    "truth values": lambda hand: {"rows": hand.rows(hot(hand.texts, bool))},
    "label": lambda hand: {"rows": hand.rows(column="label")},
    "torch format": lambda hand: {"rows": hand.rows().with_format("torch")},
    "their collator": lambda hand: {
        "rows": hand.rows().remove_columns("text"), "data_collator": DataCollatorWithPadding(hand.tokenizer)
    },
    "list of dictionaries": lambda hand: {"rows": [dict(row) for row in hand.rows().remove_columns("text")]},
    "torch data set": lambda hand: {"rows": TorchRows(hand.rows())},
}  # fmt: skip


@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_every_kind_of_rows_trains_to_the_same_weights(hand, way):
    found = []
    for kind in ("floats", way):
        given = WAYS[kind](hand)
        found.append(trained(hand.trainer(given.pop("rows"), aux="supcon", **given)))
    assert all(torch.equal(found[1][name], tensor) for name, tensor in found[0].items())
    assert not torch.equal(found[0]["embedding.weight"], hand.model().state_dict()["embedding.weight"])


WRONG = {
    "class indices": ([0, 1, 2] * 16, "column labels holds no lists, but the model gives several labels a row"),
    "too few": ([[0, 1]] * 48, "column labels holds a list of 2 in row 0, but the model has 3 labels"),
    "unequal": ([[0, 1, 0]] * 47 + [[1]], "column labels holds a list of 1 in row 47, but the model has 3 labels"),
    "counts": ([[0, 2, 1]] * 48, "column labels holds 2; allowed are zeros and ones, one for each of the 3 labels"),
    "probabilities": ([[0.0, 0.4, 1.0]] * 48, "column labels holds 0.4; allowed are zeros and ones"),
    "not a number": ([[0.0, math.nan, 1.0]] * 48, "column labels holds nan; allowed are zeros and ones"),
    "names": ([["불안", "슬픔", ""]] * 48, "column labels holds 불안; allowed are zeros and ones"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("as_list", [False, True])
def test_labels_that_are_no_sets_are_refused_in_a_line(hand, case, as_list):
    labels, said = WRONG[case]
    rows = hand.rows(labels)
    if as_list and case == "class indices":
        said = "column labels holds a list of 1 in row 0, but the model has 3 labels"
    given = [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in rows] if as_list else rows
    with pytest.raises(UserError) as caught:
        hand.trainer(given).train()
    assert f"train_dataset: {said}" in str(caught.value)
    if not as_list:
        with pytest.raises(UserError, match="eval_dataset: column labels holds"):
            hand.trainer(hand.rows(), rows, eval_strategy="epoch", save_strategy="epoch").train()


def test_a_model_of_one_label_a_row_refuses_sets_and_says_what_takes_them(hand):
    with pytest.raises(UserError, match=r"one whole number a row.*made with multi_label=True"):
        hand.trainer(hand.rows(), model=hand.model(multi_label=False)).train()


def test_the_loss_is_that_of_every_label_summed(hand):
    """C × BCEWithLogitsLoss, a step of training as of evaluation."""
    trainer = hand.trainer(hand.rows(), hand.rows(), logging_strategy="steps", logging_steps=1)
    steps = record_steps(trainer)
    trainer.train()
    assert len(steps) == 4
    for step, entry in zip(steps, trainer.state.log_history, strict=False):
        plain = BCEWithLogitsLoss()(step["logits"], step["inputs"]["labels"].float()).item()
        assert step["loss"] == pytest.approx(3 * plain, rel=1e-5) == pytest.approx(entry["ce_loss"], rel=1e-5)
    found = trainer.predict(hand.rows())
    labels = torch.tensor(hot(hand.texts))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(
        3 * BCEWithLogitsLoss()(torch.tensor(found.predictions), labels).item(), rel=1e-5
    )


def test_a_model_trained_by_hand_is_used_at_a_half(hand, tmp_path):
    trainer = hand.trainer(hand.rows(), max_steps=30)
    trainer.train()
    logits = torch.tensor(trainer.predict(hand.rows()).predictions)
    trainer.save_model(str(tmp_path / "own"))
    predictor = Predictor(tmp_path / "own")
    assert predictor.thresholds == [0.5] * 3
    probabilities = predictor.probabilities([text for text, _ in hand.texts])
    assert torch.allclose(probabilities, logits.sigmoid(), atol=1e-5)
    for row, scores in zip(logits, probabilities.tolist(), strict=True):
        assert set(predictor.named(scores)) == {LABELS[place] for place in torch.nonzero(row > 0).ravel()}


PRODUCT = list(itertools.product(("contrastive", "triplet", "supcon"), ("batch", "accumulated"), (0, 20)))


@pytest.mark.parametrize(("aux", "pool", "memory"), PRODUCT)
def test_every_metric_loss_trains_on_sets(hand, aux, pool, memory):
    """Beside the classifier's loss, to other weights than without it and to a lower value of its own."""
    shared = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 8, "max_steps": 24,
              "logging_strategy": "steps", "logging_steps": 6, "learning_rate": 3e-3}  # fmt: skip
    plain = trained(hand.trainer(hand.rows(), **shared))
    trainer = hand.trainer(hand.rows(), aux=aux, aux_weight=1.0, aux_pool=pool, aux_memory=memory, **shared)
    found = trained(trainer)
    assert (found["embedding.weight"] - plain["embedding.weight"]).abs().max() > 1e-3
    values = [entry["aux_loss"] for entry in trainer.state.log_history if "aux_loss" in entry]
    assert len(values) == 4 and all(map(math.isfinite, values)) and values[-1] < values[0]
