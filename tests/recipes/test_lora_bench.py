"""The benchmark of memory counts what it says it counts."""

from __future__ import annotations

import lora
import pytest
import torch

KIB = 1024
SMALL = {"rows": 4, "tokens": 16, "layers": 1, "hidden": 64}


def test_the_peak_is_that_of_a_case_counted_by_hand():
    weight = torch.ones(256, KIB)  # a MiB

    def work():
        doubled = weight * 2  # one more
        squared = doubled * doubled  # and one
        del doubled
        return squared + 1  # the first is given back before

    assert lora.peak_bytes(work, [weight]) == pytest.approx(3 * KIB**2, abs=KIB)


def test_the_peak_of_a_training_step_has_weights_gradients_and_states():
    """A layer whose activations are next to nothing: weight, gradient and AdamW's two states, four times its size."""
    layer = torch.nn.Linear(KIB, KIB, bias=False)  # 4 MiB
    optimizer = torch.optim.AdamW(layer.parameters(), foreach=False)

    def step():
        layer(torch.ones(1, KIB)).sum().backward()
        optimizer.step()

    steps = lora.peak_bytes(step, layer.parameters())
    assert 4 * 4 * KIB**2 <= steps < 6.1 * 4 * KIB**2  # and what AdamW needs for an update


@pytest.mark.parametrize(("words", "bf16"), [(None, False), ("r=4 weights=bf16", True)])
def test_products_that_are_left_out_change_no_memory(words, bf16):
    known = lora.measure(words, bf16, products=True, **SMALL)
    assert lora.measure(words, bf16, **SMALL) == pytest.approx(known, rel=0.02)


def test_adapters_take_less_than_all_of_the_encoder(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        lora, "measure", lambda words, bf16, **sizes: {None: 400, "r=16": 200}.get(words, 100) * KIB**2
    )
    assert lora.main(["--layers", "1", "--output", str(tmp_path / "a" / "lora.md")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[2] == "| all of the encoder, fp32 | 400 | 1.00 |"
    assert said[-1] == "| LoRA r=16, frozen weights in bf16 | 100 | 0.25 |"
    assert (tmp_path / "a" / "lora.md").read_text() == "\n".join([*said, ""])
