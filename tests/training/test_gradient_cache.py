"""The metric loss over all micro-batches of a step: equal to plain autograd through all of them, dropout included."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recorded_trainer import logged
from torch import nn
from torch.nn import functional as F

from emo_hf.losses import TripletLoss, build_loss
from emo_hf.training.gradient_cache import RandomState, cache_step

CASES = [
    ("contrastive", {}),
    ("contrastive", {"mining": "sampled"}),
    ("triplet", {}),
    ("triplet", {"mining": "semi-hard"}),
    ("triplet", {"mining": "sampled"}),
    ("supcon", {}),
    ("pml:ProxyAnchorLoss", {"num_classes": 3, "embedding_size": 8}),
]


class Network(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Embedding(50, 16), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 8)
        ).double()

    def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(embeddings=self.layers(input_ids))


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize(("aux", "options"), CASES)
def test_gradients_equal_plain_autograd(aux: str, options: dict, dropout: float) -> None:
    torch.manual_seed(1)
    batches = [{"input_ids": torch.randint(50, (6, 4))} for _ in range(4)]
    labels = torch.randint(3, (24,))
    loss = build_loss(aux, **options).double()
    own = list(loss.parameters())
    assert bool(own) == aux.startswith("pml:")

    def pooled(parts: list[torch.Tensor]):
        return loss(torch.cat(parts), labels, generator=torch.Generator().manual_seed(5))

    plain = Network(dropout)
    torch.manual_seed(2)
    expected = pooled([plain(**batch).embeddings for batch in batches]).loss
    expected.backward()
    of_loss = [parameter.grad.clone() for parameter in own]
    loss.zero_grad()

    cached = Network(dropout)
    torch.manual_seed(2)
    step = cache_step(cached, batches, pooled, own)
    values = []
    for batch in batches:
        step.restore_random_state()
        value = step.surrogate(cached(**batch).embeddings) / len(batches)  # as Trainer divides
        value.backward()
        values.append(value.detach())
    assert float(sum(values)) == pytest.approx(expected.item(), abs=1e-12)
    assert gradients(plain).abs().max() > 1e-3
    assert (gradients(cached) - gradients(plain)).abs().max() < 1e-12
    for parameter, gradient in zip(own, of_loss, strict=True):
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-12, rtol=1e-12)


def test_the_random_state_draws_the_same_twice() -> None:
    state = RandomState(torch.device("cpu"))
    first = torch.rand(5)
    state.restore()
    assert torch.equal(torch.rand(5), first)


@pytest.mark.parametrize("aux", ["none", "triplet"])
def test_accumulated_gradients_are_the_mean_of_the_micro_batches(make_trainer, aux):
    """With cross-entropy alone 4 × 4 rows are 16 rows, gradient for gradient."""
    one_step = {"max_steps": 1, "aux": aux, "logging_strategy": "steps", "logging_steps": 1}
    one_step |= {"aux_weight": 1.0} if aux != "none" else {}
    small = make_trainer(16, per_device_train_batch_size=4, gradient_accumulation_steps=4, **one_step)
    small.train()
    assert [len(step["inputs"]["labels"]) for step in small.steps] == [4, 4, 4, 4]
    parameters = dict(small.model.named_parameters())
    if aux == "none":
        large = make_trainer(16, per_device_train_batch_size=16, **one_step)
        large.train()
        expected, loss = large.steps[0]["gradients"], large.steps[0]["loss"]
    else:
        fresh = make_trainer(16, **one_step).model
        losses = []
        for step in small.steps:
            outputs = fresh(**step["inputs"])
            metric = TripletLoss()(outputs.embeddings, step["inputs"]["labels"])
            losses.append(outputs.loss + metric.loss)
        mean = torch.stack(losses).mean()
        mean.backward()
        expected, loss = {name: p.grad for name, p in fresh.named_parameters()}, mean.item()
    for name in parameters:
        torch.testing.assert_close(small.steps[-1]["gradients"][name], expected[name], atol=1e-6, rtol=1e-4, msg=name)
    assert logged(small)[0]["loss"] == pytest.approx(loss, abs=1e-4)  # neither summed nor scaled
    assert logged(small)[0]["ce_loss"] == pytest.approx(
        np.mean([F.cross_entropy(step["logits"], step["inputs"]["labels"]).item() for step in small.steps]), abs=1e-5
    )


def test_an_accumulated_pool_is_that_of_one_large_batch(make_trainer, caplog):
    """4 × 4 rows are 16 rows for the triplets too, gradient for gradient, and the log says one loss."""
    settings = {"aux": "triplet", "aux_weight": 1.0, "max_steps": 1, "aux_pool": "accumulated"}
    settings |= {"logging_strategy": "steps", "logging_steps": 1}
    small = make_trainer(16, per_device_train_batch_size=4, gradient_accumulation_steps=4, **settings)
    assert "--aux_pool" not in caplog.text
    small.train()
    large = make_trainer(16, per_device_train_batch_size=16, **settings)
    large.train()
    for name, gradient in large.steps[0]["gradients"].items():
        torch.testing.assert_close(small.steps[-1]["gradients"][name], gradient, atol=1e-6, rtol=1e-4, msg=name)
    assert logged(small)[0]["aux_loss"] == pytest.approx(logged(large)[0]["aux_loss"], abs=1e-5)
    assert logged(small)[0]["loss"] == pytest.approx(logged(large)[0]["loss"], abs=1e-4)


def test_proxies_move_under_accumulation_as_with_one_large_batch(make_trainer):
    settings = {"aux": "pml:ProxyAnchorLoss", "aux_weight": 0.7, "max_steps": 2, "learning_rate": 1e-2}
    settings |= {"aux_pool": "accumulated"}
    small = make_trainer(16, per_device_train_batch_size=4, gradient_accumulation_steps=4, **settings)
    start = [p.detach().clone() for p in small.auxiliary.parameters]
    small.train()
    large = make_trainer(16, per_device_train_batch_size=16, **settings)
    large.train()
    for before, moved, expected in zip(start, small.auxiliary.parameters, large.auxiliary.parameters, strict=True):
        assert (moved - before).abs().max() > 5e-3
        torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-4)


def test_a_pool_that_is_no_larger_is_said_once(make_trainer, caplog):
    make_trainer(16, per_device_train_batch_size=4, gradient_accumulation_steps=4, aux="triplet")
    assert caplog.text.count("--aux_pool accumulated") == 1
    caplog.clear()
    make_trainer(16, aux="triplet", aux_pool="accumulated")
    assert caplog.text.count("--aux_pool accumulated changes nothing") == 1
