"""What the trainer adds to the library's: the metric loss, its log and its order of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from recorded_trainer import logged
from torch._dynamo.utils import counters
from torch.nn import functional as F
from transformers import TrainerCallback

from emo_hf.losses import ContrastiveLoss, TripletLoss
from emo_hf.models.modeling import EmotionModel
from emo_hf.training.trainer import MetricTrainer


def test_batches_by_tokens_are_large_where_rows_are_short(make_trainer, tokens):
    trainer = make_trainer(tokens_per_batch=120, num_train_epochs=2, aux="triplet")
    trainer.train()
    shapes = [tuple(step["inputs"]["input_ids"].shape) for step in trainer.steps]
    assert all(rows * length <= 120 for rows, length in shapes)
    assert len({rows for rows, _ in shapes}) > 1
    assert trainer.state.global_step == len(shapes) == 2 * len(trainer.get_train_dataloader())
    assert sum(rows for rows, _ in shapes) == 2 * len(tokens["train"])


@pytest.mark.parametrize(
    ("arguments", "loss_class"),
    [
        ({"aux": "contrastive", "margin": 0.5}, ContrastiveLoss(margin=0.5)),
        ({"aux": "triplet", "margin": 2.0, "distance": "cosine"}, TripletLoss(margin=2.0, distance="cosine")),
        ({"aux": "triplet", "mining": "hard"}, TripletLoss(mining="hard")),
    ],
)
def test_the_loss_and_its_log_equal_a_recomputation(make_trainer, arguments, loss_class):
    trainer = make_trainer(aux_weight=0.3, num_train_epochs=2, per_device_train_batch_size=16, **arguments)
    calls = []
    trainer.model.register_forward_hook(lambda *_: calls.append(1))
    trainer.train()
    per_epoch = 9  # 144 rows
    assert len(calls) == len(trainer.steps) == 2 * per_epoch  # one encoder pass a step
    parts: list[dict[str, float]] = []
    for step in trainer.steps:
        labels, embeddings = step["inputs"]["labels"], step["embeddings"]
        metric = loss_class(embeddings, labels)
        ce = F.cross_entropy(step["logits"], labels)
        assert step["loss"] == pytest.approx((ce + 0.3 * metric.loss).item(), rel=1e-5)
        centred = embeddings - embeddings.mean(0)
        parts.append(
            {
                "loss": step["loss"],
                "ce_loss": ce.item(),
                "aux_loss": metric.loss.item(),
                "active_share": metric.active.item(),
                "positive_distance": metric.positive_distance.item(),
                "negative_distance": metric.negative_distance.item(),
                "accuracy": (step["logits"].argmax(1) == labels).float().mean().item(),
                "embedding_norm": embeddings.square().sum(1).sqrt().mean().item(),
                "embedding_spread": centred.square().sum(1).mean().sqrt().item(),
            }
        )
    for epoch, entry in enumerate(logged(trainer)):
        of_epoch = parts[epoch * per_epoch : (epoch + 1) * per_epoch]
        for name in of_epoch[0]:
            expected = np.mean([part[name] for part in of_epoch])
            assert entry[name] == pytest.approx(expected, abs=1e-4), (epoch, name)


def test_the_weight_of_the_auxiliary_loss_warms_up(make_trainer):
    trainer = make_trainer(
        64, aux="triplet", aux_weight=0.4, aux_warmup=0.5, per_device_train_batch_size=16, max_steps=8
    )
    trainer.train()
    weights = []
    for step in trainer.steps:
        entropy = F.cross_entropy(step["logits"], step["inputs"]["labels"])
        metric = TripletLoss()(step["embeddings"], step["inputs"]["labels"]).loss
        weights.append(float((step["loss"] - entropy) / metric))
    assert weights == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4], abs=1e-4)


def test_a_memory_adds_the_batches_before(make_trainer):
    settings = {"aux": "contrastive", "aux_weight": 1.0, "per_device_train_batch_size": 16, "max_steps": 3}
    trainer = make_trainer(48, aux_memory=20, distance="euclidean", **settings)
    rows = torch.arange(48)
    trainer.train_dataset = trainer.train_dataset.remove_columns("rows").add_column("rows", rows.tolist())
    trainer.train()
    past, labels = torch.zeros(0, 16), torch.zeros(0, dtype=torch.long)
    for step in trainer.steps:
        own, own_labels = step["embeddings"], step["inputs"]["labels"]
        distances = torch.cdist(own, torch.cat([own, past]))
        same = own_labels[:, None] == torch.cat([own_labels, labels])
        terms = torch.where(same, distances**2, (1 - distances).clamp(min=0) ** 2)
        pairs = torch.ones_like(terms, dtype=torch.bool)
        pairs[:, :16].fill_diagonal_(False)
        expected = F.cross_entropy(step["logits"], own_labels) + terms[pairs].mean()
        assert step["loss"] == pytest.approx(float(expected), abs=1e-4)
        past, labels = torch.cat([own, past])[:20], torch.cat([own_labels, labels])[:20]


def test_without_auxiliary_loss_only_cross_entropy_is_logged(make_trainer):
    trainer = make_trainer(num_train_epochs=1)
    trainer.train()
    (entry,) = logged(trainer)
    assert entry["ce_loss"] == pytest.approx(entry["loss"], abs=1e-4)
    assert not {"aux_loss", "active_share", "positive_distance", "negative_distance"} & set(entry)


def test_a_batch_without_pairs_trains_on_cross_entropy(make_trainer, tokens):
    trainer = make_trainer(aux="triplet", aux_weight=1.0, per_device_train_batch_size=4, num_train_epochs=1)
    trainer.train_dataset = tokens["train"].filter(lambda row: row["labels"] == 1).select(range(9))
    trainer.train()
    assert [len(step["inputs"]["labels"]) for step in trainer.steps] == [4, 4, 1]
    (entry,) = logged(trainer)
    assert entry["aux_loss"] == 0
    assert entry["loss"] == pytest.approx(entry["ce_loss"], abs=1e-4)
    assert "positive_distance" not in entry or np.isfinite(entry["positive_distance"])
    assert "negative_distance" not in entry  # there never was one
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_evaluation_is_cross_entropy_alone_and_gathers_logits_alone(make_trainer, tokens):
    trainer = make_trainer(aux="triplet", aux_weight=100.0, label_smoothing_factor=0.2, per_device_eval_batch_size=5)
    seen = []
    metrics = trainer.compute_metrics
    trainer.compute_metrics = lambda prediction: seen.append(prediction.predictions) or metrics(prediction)
    found = trainer.evaluate()
    assert isinstance(seen[0], np.ndarray) and seen[0].shape == (36, 3)  # no tuple with the embeddings
    losses = []
    with torch.no_grad():
        for row in tokens["validation"]:
            logits = trainer.model(input_ids=torch.tensor([row["input_ids"]])).logits
            losses.append(F.cross_entropy(logits, torch.tensor([row["labels"]])).item())
    assert found["eval_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    expected = (seen[0].argmax(1) == np.array(tokens["validation"]["labels"][:])).mean()
    assert found["eval_accuracy"] == pytest.approx(expected)


def test_label_smoothing_is_honoured(make_trainer):
    one_step = {"max_steps": 1, "logging_strategy": "steps", "logging_steps": 1}
    trainer = make_trainer(16, label_smoothing_factor=0.2, per_device_train_batch_size=16, **one_step)
    trainer.train()
    (step,) = trainer.steps
    smoothed = F.cross_entropy(step["logits"], step["inputs"]["labels"], label_smoothing=0.2).item()
    plain = F.cross_entropy(step["logits"], step["inputs"]["labels"]).item()
    assert step["loss"] == pytest.approx(smoothed, rel=1e-5)
    assert abs(smoothed - plain) > 1e-5
    assert logged(trainer)[0]["ce_loss"] == pytest.approx(smoothed, rel=1e-5)
    assert logged(trainer)[0]["plain_ce_loss"] == pytest.approx(plain, rel=1e-5)


def rows_of(step: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    inputs = step["inputs"]
    return tuple(
        tuple(ids[mask.bool()].tolist())
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    )


def test_every_arm_sees_the_same_batches_and_every_epoch_others(make_trainer):
    orders = {}
    for aux in ("none", "triplet"):
        trainer = make_trainer(aux=aux, num_train_epochs=2, per_device_train_batch_size=16)
        trainer.train()
        orders[aux] = [rows_of(step) for step in trainer.steps]
        assert set(trainer.steps[0]["inputs"]) == {"input_ids", "token_type_ids", "attention_mask", "labels"} or set(
            trainer.steps[0]["inputs"]
        ) == {"input_ids", "attention_mask", "labels"}
    assert orders["none"] == orders["triplet"]
    first, second = orders["none"][:9], orders["none"][9:]
    assert sorted(row for batch in first for row in batch) == sorted(row for batch in second for row in batch)
    assert first != second
    other = make_trainer(num_train_epochs=2, per_device_train_batch_size=16, seed=7)
    other.train()
    assert [rows_of(step) for step in other.steps] != orders["none"]


def seeds_of(trainer: MetricTrainer) -> list[int]:
    """The seed of the draws of every batch."""
    seeds: list[int] = []
    trainer.auxiliary.loss.register_forward_pre_hook(
        lambda _, __, given: seeds.append(given["generator"].initial_seed()), with_kwargs=True
    )
    return seeds


class OtherDraws(TrainerCallback):
    """What else draws in the process."""

    def on_step_begin(self, args, state, control, **kwargs):
        torch.rand(state.global_step + 1)


def test_sampled_mining_is_reproducible_and_follows_the_seed(make_trainer):
    losses, drawn = {}, {}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        trainer = make_trainer(aux="triplet", mining="sampled", num_train_epochs=1, seed=seed, data_seed=0)
        if name == "again":
            trainer.add_callback(OtherDraws())
        drawn[name] = seeds_of(trainer)
        trainer.train()
        losses[name] = [step["loss"] for step in trainer.steps]
        assert len(set(drawn[name])) == len(drawn[name]) == trainer.state.global_step  # each step draws anew
    assert losses["first"] == losses["again"]
    assert losses["first"] != losses["other"]


@pytest.mark.parametrize("backend", ["aot_eager", "nonsense"])
def test_compiled_training_equals_eager_or_falls_back_in_one_line(make_trainer, caplog, backend):
    settings = {"aux": "triplet", "aux_weight": 1.0, "max_steps": 3}
    eager = make_trainer(**settings)
    eager.train()
    torch.compiler.reset()
    counters.clear()
    compiled = make_trainer(**settings, torch_compile=True, torch_compile_backend=backend)
    compiled.train()
    assert (counters["stats"]["calls_captured"] > 100) == (backend == "aot_eager")
    assert caplog.text.count("without torch.compile") == (backend == "nonsense")
    for step, expected in zip(compiled.steps, eager.steps, strict=True):
        assert step["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        for name, gradient in expected["gradients"].items():
            own = step["gradients"][name.removeprefix("_orig_mod.")]
            torch.testing.assert_close(own, gradient, atol=1e-5, rtol=1e-3)


def test_micro_batches_of_a_step_draw_on_their_own(make_trainer):
    trainer = make_trainer(
        16, aux="triplet", mining="sampled", max_steps=2, per_device_train_batch_size=4, gradient_accumulation_steps=2
    )
    drawn = seeds_of(trainer)
    trainer.train()
    assert len(set(drawn)) == len(drawn) == 4


class TwoLosses(torch.nn.Module):
    """What DataParallel over two GPUs gives: joint logits and embeddings, and the loss of each half."""

    def __init__(self, model: EmotionModel):
        super().__init__()
        self.module = model

    def forward(self, labels: torch.Tensor, **inputs: Any) -> Any:
        outputs = self.module(**inputs)
        halves = zip(outputs.logits.chunk(2), labels.chunk(2), strict=True)
        outputs.loss = torch.stack([torch.nn.functional.cross_entropy(logits, truth) for logits, truth in halves])
        return outputs


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_of_several_gpus_are_averaged(make_trainer, smoothing) -> None:
    trainer = make_trainer(aux="triplet", per_device_train_batch_size=8, label_smoothing_factor=smoothing)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    losses = [trainer.compute_loss(model, dict(batch)) for model in (trainer.model, TwoLosses(trainer.model))]
    assert losses[0].shape == losses[1].shape == ()
    torch.testing.assert_close(losses[0], losses[1])
    assert np.isfinite(list(trainer._means.take().values())).all()
