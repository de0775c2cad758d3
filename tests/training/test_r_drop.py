"""R-Drop: the disagreement of two passes against a plain loop, and in a trainer's loss."""

from __future__ import annotations

import math

import pytest
import torch
from label_set_rows import set_rows
from recorded_trainer import logged, record_steps
from torch.nn import functional as F

from emo_hf import EmotionModel, MetricTrainer, MetricTrainingArguments, UserError
from emo_hf.losses import TripletLoss
from emo_hf.losses.r_drop import disagreement


def divergence(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_disagreement_is_that_of_a_plain_loop(multi_label: bool) -> None:
    logits = (2 * torch.randn(10, 3, dtype=torch.float64)).requires_grad_()
    of_rows = []
    plain = logits.detach()
    for first, second in zip(plain[:5], plain[5:], strict=True):
        if multi_label:
            both = zip(first.sigmoid().tolist(), second.sigmoid().tolist(), strict=True)
            pairs = [([p, 1 - p], [q, 1 - q]) for p, q in both]
        else:
            pairs = [(first.softmax(-1).tolist(), second.softmax(-1).tolist())]
        of_rows.append(sum((divergence(p, q) + divergence(q, p)) / 2 for p, q in pairs))
    found = disagreement(logits, multi_label)
    assert found.item() == pytest.approx(sum(of_rows) / 5, rel=1e-12)
    assert torch.autograd.gradcheck(lambda values: disagreement(values, multi_label), logits)
    same = torch.randn(4, 3).repeat(2, 1)
    assert float(disagreement(same, multi_label)) == 0


def test_a_step_adds_it_to_the_loss_of_both_passes_and_to_the_metric_loss_of_one(make_trainer) -> None:
    settings = {"per_device_train_batch_size": 16, "num_train_epochs": 1, "aux": "triplet", "aux_weight": 0.3}
    trainer = make_trainer(dropout=True, r_drop=2.0, **settings)
    trainer.train()
    parts = []
    for step in trainer.steps:
        labels = step["inputs"]["labels"]
        assert len(step["logits"]) == 2 * len(labels)
        apart = disagreement(step["logits"])
        entropy = F.cross_entropy(step["logits"], labels.repeat(2))
        metric = TripletLoss()(step["embeddings"][: len(labels)], labels).loss
        assert step["loss"] == pytest.approx(float(entropy + 2 * apart + 0.3 * metric), rel=1e-4)
        parts.append(float(apart))
    assert min(parts) > 0
    assert logged(trainer)[0]["r_drop_loss"] == pytest.approx(sum(parts) / len(parts), rel=1e-3)


def test_without_dropout_it_changes_nothing(make_trainer) -> None:
    trained = []
    for weight in (0.0, 5.0):
        trainer = make_trainer(48, r_drop=weight, per_device_train_batch_size=16, max_steps=6, aux="contrastive")
        trainer.train()
        trained.append(torch.cat([values.detach().flatten() for values in trainer.model.parameters()]))
    assert float((trained[0] - trained[1]).abs().max()) < 1e-4
    assert trainer.state.total_flos > 0


def test_a_great_weight_leaves_passes_no_room_to_disagree(make_trainer) -> None:
    apart = []
    for weight in (0.0, 100.0):
        settings = {"per_device_train_batch_size": 16, "learning_rate": 4e-3, "num_train_epochs": 8}
        trainer = make_trainer(dropout=True, r_drop=weight, **settings)
        trainer.train()
        model = trainer.model.train()
        inputs = trainer.steps[0]["inputs"]
        with torch.no_grad():
            passes = [model(**inputs).logits for _ in range(40)]
        apart.append(sum(float(disagreement(torch.cat(pair))) for pair in zip(passes[::2], passes[1::2], strict=True)))
    assert apart[1] < 0.7 * apart[0]


@pytest.mark.parametrize("aux", ["none", "supcon"])
def test_sets_of_labels_are_trained_with_it(encoders, make_trainer, tmp_path, aux: str) -> None:
    tokenizer = make_trainer().processing_class
    rows = [
        {"input_ids": tokenizer(text)["input_ids"], "labels": [float(place in labels) for place in range(3)]}
        for text, labels in set_rows(48)
    ]
    model = EmotionModel.from_encoder(encoders["bert"], labels=["a", "b", "c"], embedding_size=16, multi_label=True)
    arguments = MetricTrainingArguments(
        output_dir=str(tmp_path / "sets"), r_drop=1.5, max_steps=3, eval_strategy="no", save_strategy="no",
        bf16=False, disable_tqdm=True, aux=aux, class_weights="sqrt",
    )  # fmt: skip
    trainer = MetricTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    steps = record_steps(trainer)
    trainer.train()
    (entry,) = logged(trainer)
    apart = [float(disagreement(step["logits"], multi_label=True)) for step in steps]
    assert entry["r_drop_loss"] == pytest.approx(sum(apart) / 3, rel=1e-3) and min(apart) > 0
    whole = entry["ce_loss"] + 1.5 * entry["r_drop_loss"] + 0.1 * entry.get("aux_loss", 0.0)
    assert sum(step["loss"] for step in steps) / 3 == pytest.approx(whole, rel=1e-3)


def test_it_is_refused_beside_a_pool_of_kept_passes(tmp_path) -> None:
    with pytest.raises(UserError, match=r"--r_drop takes a batch twice, .* leave one out"):
        MetricTrainingArguments(output_dir=str(tmp_path), r_drop=0.5, aux="supcon", aux_pool="accumulated")
