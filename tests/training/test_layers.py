"""The fused layers compute what transformers' layers do, forward and backward, and hand on what they don't know."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, ElectraConfig, RobertaConfig, XLMRobertaConfig

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.modeling import EmotionModel
from emo_hf.training.cpu.layers import FusedLayer, use_fused_layers
from emo_hf.training.trainer import MetricTrainer

KINDS = [BertConfig, RobertaConfig, ElectraConfig, XLMRobertaConfig]
PADDING = 1
REAL = (9, 4, 1)  # tokens of three sentences


def make(kind: type = BertConfig, pooling: str = "mean", dropout: float = 0.0, **more: Any) -> EmotionModel:
    torch.manual_seed(0)
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    encoder = kind(
        vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
        max_position_embeddings=32, pad_token_id=PADDING, initializer_range=0.3, **(rates | more),
    )  # fmt: skip
    model = EmotionModel(
        EmotionConfig(
            encoder=encoder, labels=["불안", "기쁨"], pooling=pooling, embedding_size=8, embedding_dropout=dropout
        )
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "LayerNorm" in name:  # which begin at 0 and 1, where an error could hide
            nn.init.normal_(parameter, float(name.endswith("weight")), 0.3)
    return model


def batch(padded: bool = True) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(2, 50, (len(REAL), max(REAL)), generator=generator)
    mask = (torch.arange(max(REAL)) < torch.tensor(REAL)[:, None]).long() if padded else torch.ones_like(ids)
    return {"input_ids": ids.where(mask.bool(), PADDING), "attention_mask": mask, "labels": torch.tensor([0, 1, 0])}


def step(model: EmotionModel, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Embeddings of a batch, and the gradients of a loss that all of them move."""
    output = model.train()(**inputs)
    (output.loss + output.embeddings.square().sum()).backward()
    return output.embeddings.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def from_left(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch with its padding on the left."""
    order = torch.argsort(inputs["attention_mask"], dim=1, stable=True)
    return inputs | {name: inputs[name].gather(1, order) for name in ("input_ids", "attention_mask")}


def fused(model: EmotionModel) -> EmotionModel:
    found = use_fused_layers(copy.deepcopy(model))
    assert sum(isinstance(module, FusedLayer) for module in found.modules()) == 2
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_token_is_found_behind_padding(kind):
    """Where the last layer would else compute the first place alone."""
    expected, gradients = step(make(kind, "cls"), batch())
    found, own = step(fused(make(kind, "cls")), from_left(batch()))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    for name, gradient in gradients.items():
        torch.testing.assert_close(own[name], gradient, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_layer(kind: type, padded: bool, pooling: str) -> None:
    model = make(kind, pooling).double()
    inputs = batch(padded)
    embeddings, gradients = step(copy.deepcopy(model), inputs)
    fused_embeddings, fused_gradients = step(fused(model), inputs)
    torch.testing.assert_close(fused_embeddings, embeddings, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(fused_gradients, gradients, rtol=1e-9, atol=1e-10)


def test_the_gradient_is_that_of_the_function_with_dropout() -> None:
    """By finite differences, with the draws held still."""
    layer = fused(make(dropout=0.3).double()).train().encoder.encoder.layer[0]
    mask = batch()["attention_mask"][:, None, None, :].bool()
    states = torch.randn(3, max(REAL), 24, dtype=torch.float64, requires_grad=True)
    parameters = [layer.attention.self.key.weight, layer.output.dense.bias, layer.attention.output.LayerNorm.weight]

    def function(*_: Tensor) -> Tensor:
        torch.manual_seed(5)
        return layer(states, mask)[:, :3]

    assert torch.autograd.gradcheck(function, (states, *parameters), fast_mode=True)
    torch.manual_seed(6)
    assert not torch.equal(layer(states, mask)[:, :3], function())


def test_dropout_falls_where_the_layer_has_it() -> None:
    """The mean over many draws is that of transformers' own layer, and each rate alone moves the result."""
    model = make(dropout=0.4)
    states, mask = torch.randn(1, 4, 24), None
    plain, quick = model.train().encoder.encoder.layer[0], fused(model).train().encoder.encoder.layer[0]
    with torch.no_grad():
        torch.manual_seed(0)
        means = [layer(states.expand(20_000, 4, 24), mask).mean(0) for layer in (plain, quick)]
        spread = [layer(states.expand(20_000, 4, 24), mask).std(0) for layer in (plain, quick)]
    torch.testing.assert_close(means[1], means[0], rtol=0, atol=0.05)
    torch.testing.assert_close(spread[1], spread[0], rtol=0, atol=0.05)
    parts = (quick.attention.self, quick.attention.output, quick.output)
    for alone in parts:
        for part in parts:
            part.dropout.p = 0.4 if part is alone else 0.0
        assert not torch.allclose(quick(states, mask), quick(states, mask))


def test_half_precision_is_as_exact_as_autocast() -> None:
    model, inputs = make(), batch()
    exact, _ = step(copy.deepcopy(model), inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain, _ = step(copy.deepcopy(model), inputs)
        quick, gradients = step(fused(model), inputs)
    assert (quick - exact).norm() < 2 * (plain - exact).norm()
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}


def test_evaluation_gives_the_state_of_every_token() -> None:
    """Also where CLS pooling reads the first one alone, which is all that training computes in the last layer."""
    model, inputs = make(pooling="cls"), batch()
    quick = fused(model)
    states = [each.eval()(**inputs, output_hidden_states=True).hidden_states for each in (model, quick)]
    assert len(states[1]) == 3
    real = inputs["attention_mask"].bool()
    for one, other in zip(*states, strict=True):
        torch.testing.assert_close(one[real], other[real])


def adapted(model: EmotionModel) -> EmotionModel:
    """A last layer that is of no known kind any more."""
    attention = model.encoder.encoder.layer[1].attention.self
    attention.query = nn.Sequential(attention.query)
    return model


def doubled(model: EmotionModel) -> EmotionModel:
    """A last layer that stands twice."""
    model.encoder.encoder.layer[0] = model.encoder.encoder.layer[1]
    return model


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("change", [adapted, doubled])
def test_only_a_last_layer_of_its_own_computes_the_first_token_alone(change: Callable, padded: bool) -> None:
    model = change(make(pooling="cls").double())
    embeddings, gradients = step(copy.deepcopy(model), batch(padded))
    quick_embeddings, quick_gradients = step(use_fused_layers(copy.deepcopy(model)), batch(padded))
    torch.testing.assert_close(quick_embeddings, embeddings)
    torch.testing.assert_close(quick_gradients, gradients)


def test_layers_that_look_back_alone_stay_as_they_are() -> None:
    model = make(is_decoder=True, use_cache=False).double()
    embeddings, _ = step(copy.deepcopy(model), batch(padded=False))
    torch.testing.assert_close(step(use_fused_layers(model), batch(padded=False))[0], embeddings)


def test_long_texts_in_evaluation_make_no_matrix_of_all_scores(monkeypatch) -> None:
    model, inputs = make(), batch()
    quick = fused(model).eval()
    monkeypatch.setattr("emo_hf.training.cpu.layers._MOST_SCORES", 3 * 3 * 9 * 9 - 1)
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr("emo_hf.training.cpu.layers._Layer.apply", None)  # what is called fails
        torch.testing.assert_close(quick(**inputs).logits, model.eval()(**inputs).logits)
    trained, _ = step(quick, inputs)
    torch.testing.assert_close(trained, step(model, inputs)[0])


def test_long_texts_in_training_take_one_way_with_gradients_and_without(monkeypatch) -> None:
    """A pass without gradients that is repeated with them, by a gradient cache or a checkpoint, drops the same."""
    model, inputs = fused(make(dropout=0.3)).train(), batch()
    monkeypatch.setattr("emo_hf.training.cpu.layers._MOST_SCORES", 0)
    torch.manual_seed(4)
    with torch.no_grad():
        cached = model(**inputs).embeddings
    torch.manual_seed(4)
    replayed, gradients = step(model, inputs)
    assert torch.equal(cached, replayed)
    checkpointed = copy.deepcopy(model)
    checkpointed.zero_grad()
    checkpointed.gradient_checkpointing_enable({"use_reentrant": True})
    torch.manual_seed(4)
    torch.testing.assert_close(step(checkpointed, inputs), (replayed, gradients))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_what_the_fused_form_does_not_know_goes_to_the_layer() -> None:
    model, inputs = make(), batch()
    quick = fused(model).eval()
    quick.set_attn_implementation("eager")
    given = quick(**inputs, output_attentions=True)
    assert [share.shape for share in given.attentions] == [(3, 3, 9, 9)] * 2
    torch.testing.assert_close(given.logits, model.eval()(**inputs).logits)
    traced = torch.jit.trace(
        lambda ids, mask: fused(model).eval()(ids, mask, return_dict=False)[0],
        (inputs["input_ids"], inputs["attention_mask"]),
        check_trace=False,
    )
    assert "_Layer" not in str(traced.graph)
    for other in (make(hidden_act="gelu_new"), make(is_decoder=True, add_cross_attention=True)):
        assert not any(isinstance(module, FusedLayer) for module in use_fused_layers(other).modules())
    adapted = make()
    adapted.encoder.encoder.layer[0].attention.self.query = nn.Sequential(nn.Linear(24, 24))
    adapted = use_fused_layers(adapted).encoder.encoder.layer
    assert [isinstance(layer, FusedLayer) for layer in adapted] == [False, True]


def test_a_fused_model_is_copied_pickled_and_saved_like_any(tmp_path) -> None:
    quick, inputs = fused(make()).eval(), batch()
    logits = quick(**inputs).logits
    quick.save_pretrained(tmp_path)
    loaded = EmotionModel.from_pretrained(tmp_path)
    assert not any(isinstance(module, FusedLayer) for module in loaded.modules())
    for other in (copy.deepcopy(quick), pickle.loads(pickle.dumps(quick))):
        assert torch.equal(other(**inputs).logits, logits)
    torch.testing.assert_close(loaded(**inputs).logits, logits)


def test_gradient_checkpointing_draws_the_same_twice() -> None:
    model, inputs = fused(make(dropout=0.3)), batch()
    checkpointed = copy.deepcopy(model)
    checkpointed.gradient_checkpointing_enable()
    results = []
    for each in (model, checkpointed):
        torch.manual_seed(4)
        results.append(step(each, inputs))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("wanted", [True, False])
def test_the_trainer_takes_the_fused_form_unless_told_not_to(wanted: bool, tmp_path) -> None:
    arguments = MetricTrainingArguments(output_dir=str(tmp_path), eval_strategy="no", fused_layers=wanted)
    trainer = MetricTrainer(make(), arguments)
    assert any(isinstance(module, FusedLayer) for module in trainer.model.modules()) is wanted
