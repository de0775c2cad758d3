"""Adapters in an encoder: their forward pass by a plain loop, what they freeze, merging, and what is saved of them."""

from __future__ import annotations

import builtins
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import BertConfig, RobertaConfig

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.arguments.lora import LoraSettings, parse_lora
from emo_hf.errors import UserError
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.lora import add_lora, check_lora, is_adapted, merge_lora
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pretrained import default_learning_rate

SIZES = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
}  # fmt: skip
IDS = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])
MASK = (IDS > 0).long()


def adapted(*words: str, pooling: str = "attention", ngrams: int = 0) -> EmotionModel:
    """A model whose adapters do something, in evaluation mode."""
    torch.manual_seed(3)
    config = EmotionConfig(
        encoder=BertConfig(**SIZES), labels=["a", "b", "c"], pooling=pooling, embedding_size=8, ngrams=ngrams
    )
    model = add_lora(EmotionModel(config), parse_lora(words) or LoraSettings())
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.mark.parametrize(("words", "rank", "alpha"), [(["r=3"], 3, 6), (["r=4", "alpha=2"], 4, 2)])
def test_a_layer_gives_what_a_plain_loop_gives(words, rank, alpha):
    layer = adapted(*words).double().encoder.encoder.layer[1].intermediate.dense
    x = torch.randn(2, 16, dtype=torch.float64)
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    weight, bias = layer.base_layer.weight, layer.base_layer.bias
    assert down.shape == (rank, 16) and up.shape == (24, rank)
    found = layer(x)
    for row in range(2):
        for out in range(24):
            value = bias[out].item() + sum(weight[out, i].item() * x[row, i].item() for i in range(16))
            for k in range(rank):
                inner = sum(down[k, i].item() * x[row, i].item() for i in range(16))
                value += alpha / rank * up[out, k].item() * inner
            assert found[row, out].item() == pytest.approx(value, abs=1e-12)


def test_a_model_starts_as_it_was_and_only_adapters_and_head_are_trained():
    torch.manual_seed(3)
    model = EmotionModel(EmotionConfig(encoder=BertConfig(**SIZES), labels=["a", "b"], embedding_size=8)).eval()
    before = model(IDS, MASK).logits
    add_lora(model, LoraSettings(r=2))
    assert torch.equal(model(IDS, MASK).logits, before)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    head = {"embedding.weight", "embedding.bias", "classifier.weight", "classifier.bias"}
    assert head < trained and all(".lora_" in name for name in trained - head)
    assert len(trained - head) == 2 * 6 * 2  # A and B of six linear layers in each of two layers


@pytest.mark.parametrize("target", ["query,value", "query+value"])
def test_a_target_names_layers(target):
    model = adapted("r=2", f"target={target}")
    found = {name.split(".")[-1] for name, part in model.named_modules() if hasattr(part, "lora_A")}
    assert found == {"query", "value"}


@pytest.mark.parametrize("pooling", ["cls", "attention"])
def test_merged_weights_give_the_same_logits_and_need_no_peft(pooling, tmp_path):
    model = adapted("r=4", "alpha=16", pooling=pooling)
    before = model(IDS, MASK).logits.detach()
    merge_lora(model)
    assert not is_adapted(model) and all(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(model(IDS, MASK).logits, before, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    loaded = EmotionModel.from_whole(str(tmp_path)).eval()
    assert torch.equal(loaded(IDS, MASK).logits, model(IDS, MASK).logits)


def test_frozen_weights_in_bf16_are_merged_in_fp32():
    exact = adapted("r=4", "weights=bf16")
    kinds = {name: parameter.dtype for name, parameter in exact.named_parameters()}
    assert all(dtype == (torch.float32 if p.requires_grad else torch.bfloat16) for (_, dtype), p in zip(
        kinds.items(), exact.parameters(), strict=True
    ))  # fmt: skip
    half = exact(IDS, MASK)
    assert half.logits.dtype == half.embeddings.dtype == torch.float32
    layer = exact.encoder.encoder.layer[0].attention.self.query
    weight = layer.base_layer.weight.detach().double()
    wanted = weight + 2 * layer.lora_B["default"].weight.double() @ layer.lora_A["default"].weight.double()
    for parameter in exact.encoder.parameters():  # the same function, with no rounding on its way
        parameter.data = parameter.data.float()
    before = exact(IDS, MASK).logits.detach()
    merge_lora(exact)
    merged = exact.encoder.encoder.layer[0].attention.self.query.weight
    assert merged.dtype == torch.float32 and exact.encoder.dtype == torch.float32
    torch.testing.assert_close(merged.double(), wanted, atol=1e-6, rtol=0)
    assert (merged.bfloat16().double() - wanted).abs().max() > 1e-4  # what bf16 would have lost
    torch.testing.assert_close(exact(IDS, MASK).logits, before, atol=1e-5, rtol=0)
    torch.testing.assert_close(half.logits, before, atol=0.05, rtol=0)


def test_what_is_saved_of_a_model_in_training_is_what_is_trained(tmp_path):
    model = adapted("r=2")
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(stored) == {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("config", [BertConfig(**SIZES), RobertaConfig(**SIZES)], ids=lambda config: config.model_type)
def test_a_name_that_no_layer_has_is_one_line(config):
    with pytest.raises(
        UserError, match=r"target=quer: mini has no linear layer quer; allowed: all-linear, or some of"
    ):
        check_lora(config, LoraSettings(target=("quer",)), "mini")
    check_lora(config, LoraSettings(target=("query", "dense")), "mini")


def test_without_peft_there_is_one_line(monkeypatch):
    whole = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "peft":
            raise ImportError(name)
        return whole(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "peft", raising=False)
    with pytest.raises(UserError, match=r"^--lora needs peft; pip install 'emo-hf\[lora\]'$"):
        check_lora(BertConfig(**SIZES), LoraSettings(), "mini")


def test_words_make_settings():
    assert parse_lora(None) is None and parse_lora(["none"]) is None
    assert parse_lora(["r=16"]) == parse_lora("r=16 alpha=32") == LoraSettings(16, 32, 0.0, ("all-linear",), "fp32")
    assert parse_lora(["alpha=0.5", "dropout=0.1", "weights=bf16"]) == LoraSettings(16, 0.5, 0.1, weights="bf16")
    assert ModelArguments(lora=["r=8 target=query"]).lora == ["r=8", "target=query"]


def test_adapters_have_a_rate_of_their_own():
    for encoder, whole, adapters in (("tiny-bert", 5e-4, 2e-3), ("klue/bert-base", 3e-5, 3e-4)):
        assert default_learning_rate(ModelArguments(encoder=encoder)) == whole
        assert default_learning_rate(ModelArguments(encoder=encoder, lora=["r=4"])) == adapters
    config = EmotionConfig(encoder=BertConfig(**SIZES), labels=["a", "b"])
    assert (default_learning_rate(config), default_learning_rate(config, adapted=True)) == (3e-5, 3e-4)
