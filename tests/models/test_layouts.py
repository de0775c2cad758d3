"""Every layout of encoders that the guide names, with every pooling it takes: padding, gradients, files, graphs."""

from __future__ import annotations

import pytest
import torch
from architectures import CAUSAL, LAYOUTS, batch, build
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BartConfig,
    CLIPConfig,
    Gemma3Config,
    PreTrainedConfig,
    T5Config,
    ViTConfig,
    Wav2Vec2Config,
)

from emo_hf.export.graph import trace
from emo_hf.inference.backends import OnnxBackend
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.layouts import encoder_class, is_causal
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pooling import POOLINGS

EVERY = [
    (layout, pooling) for layout in LAYOUTS for pooling in POOLINGS if not (layout in CAUSAL and pooling == "cls")
]
LENGTHS = (11, 6, 2, 1)
SIDES = {"right": (0, 0, 0, 0), "left": (0, 5, 9, 10), "both": (0, 5, 3, 10)}
# Both ways and one; both kinds of places; a window; what has no SDPA has eager attention alone.
EAGER_TOO = ("bert", "modernbert", "qwen3", "gemma3", "embeddinggemma")


def padded(layout: str, side: str) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """Four rows of 11, 6, 2 and 1 tokens, padded on a side, or on either; and the rows themselves."""
    pad = LAYOUTS[layout].pad_token_id or 0
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(5, 60, (length,), generator=generator) for length in LENGTHS]
    ids, mask = torch.full((4, 11), pad), torch.zeros(4, 11, dtype=torch.long)
    for row, (tokens, start) in enumerate(zip(rows, SIDES[side], strict=True)):
        ids[row, start : start + len(tokens)] = tokens
        mask[row, start : start + len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask}, rows


def check_padding(model: EmotionModel, layout: str) -> None:
    """Rows alone, without a mask, and padded to the longest on either side have the same numbers."""
    _, rows = padded(layout, "right")
    alone = [model(input_ids=row[None]) for row in rows]
    for side in SIDES:
        together = model(**padded(layout, side)[0])
        assert together.logits.isfinite().all()
        for place, row in enumerate(alone):
            torch.testing.assert_close(row.embeddings[0], together.embeddings[place], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(row.logits[0], together.logits[place], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("layout", "pooling"), EVERY)
@torch.no_grad()
def test_padding_on_either_side_changes_nothing(layout, pooling):
    check_padding(build(layout, pooling), layout)


@pytest.mark.parametrize("layout", EAGER_TOO)
@torch.no_grad()
def test_padding_changes_nothing_in_eager_attention(layout):
    model, inputs = build(layout, "last"), padded(layout, "left")[0]
    before = model(**inputs).logits
    model.set_attn_implementation("eager")
    assert model.encoder.config._attn_implementation == "eager"
    torch.testing.assert_close(model(**inputs).logits, before, atol=1e-5, rtol=1e-4)
    check_padding(model, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_which_tokens_see_which(layout):
    """What the modules say of themselves is what they do."""
    encoder = build(layout).encoder
    ids = torch.arange(10, 18)[None]
    other = ids.clone()
    other[0, -1] = 30
    states, others = (encoder(input_ids=i, return_dict=True).last_hidden_state for i in (ids, other))
    seen = not torch.equal(states[0, 0], others[0, 0])
    assert seen != is_causal(encoder) and is_causal(encoder) == (layout in CAUSAL)


@pytest.mark.parametrize("layout", CAUSAL)
def test_the_first_token_of_a_causal_encoder_is_refused(layout):
    kind = LAYOUTS[layout].model_type
    with pytest.raises(ValueError) as caught:
        build(layout, "cls")
    assert str(caught.value) == (
        f"pooling is 'cls', the first token, which sees no other in a causal {kind}; use last or mean"
    )


@pytest.mark.parametrize(("layout", "pooling"), EVERY)
def test_gradients_reach_every_part(layout, pooling):
    model = build(layout, pooling).train()
    for side in ("right", "left"):
        model.zero_grad()
        inputs, _ = padded(layout, side)
        model(**inputs, labels=torch.tensor([0, 2, 1, 0])).loss.backward()
        assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
        assert model.get_input_embeddings().weight.grad.abs().max() > 0


@pytest.mark.parametrize(("layout", "pooling"), EVERY)
@torch.no_grad()
def test_a_saved_model_gives_equal_logits(layout, pooling, tmp_path):
    model, inputs = build(layout, pooling), padded(layout, "left")[0]
    model.save_pretrained(tmp_path)
    for loader in (EmotionModel, AutoModel, AutoModelForSequenceClassification):
        loaded, report = loader.from_pretrained(tmp_path, output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"]
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits, atol=0, rtol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_an_encoder_that_gives_tuples(layout):
    model, inputs = build(layout), batch(layout)
    expected = model(**inputs).logits
    model.encoder.config.return_dict = False
    torch.testing.assert_close(model(**inputs).logits, expected, atol=0, rtol=0)
    types = torch.zeros_like(inputs["input_ids"])
    torch.testing.assert_close(model(**inputs, token_type_ids=types).logits, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("layout", "pooling"),
    [pytest.param(*pair, marks=[] if pair[1] == "last" else pytest.mark.slow, id="-".join(pair)) for pair in EVERY],
)
@torch.no_grad()
def test_an_onnx_graph_gives_equal_logits(layout, pooling, tmp_path):
    """Of batches that are padded on any side, and of others than the traced one."""
    model = build(layout, pooling)
    model.config.encoder.save_pretrained(tmp_path)
    trace(model, padded(layout, "right")[0], tmp_path / "model.onnx")
    backend = OnnxBackend(tmp_path)
    batches = [padded(layout, side)[0] for side in SIDES]
    batches.append({name: value[1:3, :8] for name, value in batches[0].items()})
    for inputs in batches:
        expected = model(**inputs)
        found = backend.outputs(**{name: values.numpy() for name, values in inputs.items()})
        logits, embeddings = map(torch.from_numpy, found)
        torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(embeddings, expected.embeddings, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "albert"])
def test_gradient_checkpointing(layout):
    model, inputs = build(layout, "last"), padded(layout, "left")[0]
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            model.activation_checkpointing_enable()
        model.zero_grad()
        model(**inputs, labels=torch.tensor([0, 2, 1, 0])).loss.backward()
        found.append(model.get_input_embeddings().weight.grad.clone())
    torch.testing.assert_close(*found)


TEXT_ALONE = (
    " reads something else than tokens with an attention mask, as pictures or sound; give an encoder of text, as "
    "bert, modernbert, qwen3 or gemma3_text"
)
ALONE = (
    " is an encoder with a decoder beside it; give an encoder alone, as bert or modernbert, or a decoder alone, as "
    "qwen3"
)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (T5Config(), ALONE),
        (BartConfig(), ALONE),
        (Gemma3Config(), TEXT_ALONE),
        (CLIPConfig(), TEXT_ALONE),
        (ViTConfig(), TEXT_ALONE),
        (Wav2Vec2Config(), TEXT_ALONE),
    ],
    ids=lambda value: value.model_type if isinstance(value, PreTrainedConfig) else "",
)
def test_what_is_no_encoder_of_text_is_refused(config, said):
    with pytest.raises(ValueError) as caught:
        encoder_class(config)
    assert str(caught.value) == config.model_type + said
    if config.model_type != "clip":  # which has no width at all
        with pytest.raises((ValueError, AttributeError)):
            EmotionModel(EmotionConfig(encoder=config))
