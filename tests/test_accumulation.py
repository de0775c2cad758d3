"""The metric loss over all micro-batches of a step: equal to plain autograd through all of them, dropout included."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from emo_hf.accumulation import RandomState, cache_step
from emo_hf.losses import build_loss

CASES = [
    ("contrastive", {}),
    ("contrastive", {"mining": "sampled"}),
    ("triplet", {}),
    ("triplet", {"mining": "semi-hard"}),
    ("triplet", {"mining": "sampled"}),
    ("supcon", {}),
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
    loss = build_loss(aux, **options)

    def pooled(parts: list[torch.Tensor]):
        return loss(torch.cat(parts), labels, generator=torch.Generator().manual_seed(5))

    plain = Network(dropout)
    torch.manual_seed(2)
    expected = pooled([plain(**batch).embeddings for batch in batches]).loss
    expected.backward()

    cached = Network(dropout)
    torch.manual_seed(2)
    step = cache_step(cached, batches, pooled)
    values = []
    for batch in batches:
        step.restore_random_state()
        value = step.surrogate(cached(**batch).embeddings) / len(batches)  # as Trainer divides
        value.backward()
        values.append(value.detach())
    assert float(sum(values)) == pytest.approx(expected.item(), abs=1e-12)
    assert gradients(plain).abs().max() > 1e-3
    assert (gradients(cached) - gradients(plain)).abs().max() < 1e-12


def test_the_random_state_draws_the_same_twice() -> None:
    state = RandomState(torch.device("cpu"))
    first = torch.rand(5)
    state.restore()
    assert torch.equal(torch.rand(5), first)
