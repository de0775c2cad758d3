"""Dropout on a CPU: the share that is dropped, what is kept, and that nothing of it is saved."""

import copy

import pytest
import torch
from torch import nn

from emo_hf.training.cpu.dropout import FastDropout, use_fast_dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9999, 1.0])
def test_drops_the_share_and_scales_the_rest(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ones = torch.ones(1001, 999, dtype=dtype)
    dropped = FastDropout(p)(ones)
    assert dropped.dtype == dtype
    share = (dropped == 0).double().mean().item()
    assert share == pytest.approx(p, abs=4 * (p * (1 - p) / ones.numel()) ** 0.5 + 2**-16)
    if p < 1:
        kept = dropped[dropped != 0].double()
        assert torch.allclose(kept, kept.new_tensor(1 / (1 - p)), rtol=0.2 if p > 0.99 else 0.004)


def test_neighbours_and_lanes_of_a_draw_are_independent() -> None:
    """The four decisions of one draw, and rows that follow each other, agree no more often than chance has it."""
    torch.manual_seed(1)
    kept = (FastDropout(0.3)(torch.ones(200_000, 4)) != 0).double()
    together = torch.corrcoef(kept.T) - torch.eye(4)
    assert together.abs().max() < 4 / 200_000**0.5
    assert torch.corrcoef(torch.stack([kept[:-1].flatten(), kept[1:].flatten()]))[0, 1].abs() < 4 / 800_000**0.5


def test_seed_decides_and_evaluation_changes_nothing() -> None:
    layer, values = FastDropout(0.4), torch.randn(64, 33)
    torch.manual_seed(7)
    first = layer(values)
    torch.manual_seed(7)
    assert torch.equal(layer(values), first)
    assert not torch.equal(layer(values), first)
    assert torch.equal(layer.eval()(values), values)
    assert torch.equal(FastDropout(0.0)(values), values)


def test_gradient_passes_where_values_pass() -> None:
    values = torch.randn(50, 7, dtype=torch.float64, requires_grad=True)
    dropped = FastDropout(0.25)(values)
    dropped.backward(torch.ones_like(dropped))
    assert torch.allclose(values.grad, (dropped / values).detach())


def test_a_model_keeps_its_names_and_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Dropout(0.2), nn.Dropout(0.3, inplace=True)))
    weights = copy.deepcopy(model.state_dict())
    model.eval()
    use_fast_dropout(model)
    fast, other = model[1]
    assert isinstance(fast, FastDropout) and fast.p == 0.2 and not fast.training
    assert type(other) is nn.Dropout
    assert model.state_dict().keys() == weights.keys()
