"""The model over every family of encoders that it promises to take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from architectures import CONFIGS, batch, build
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    RobertaConfig,
)

from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pooling import POOLINGS, Pooler

EVERY = [(family, pooling) for family in CONFIGS for pooling in POOLINGS]
KNOWS_SDPA = set(CONFIGS) - {"deberta-v2", "deberta-v3"}


@pytest.mark.parametrize(("family", "pooling"), EVERY)
def test_forward_and_backward(family, pooling):
    model = build(family, pooling)
    inputs = batch(family)
    output = model(**inputs)
    assert output.logits.shape == (3, 3)
    assert output.embeddings.shape == (3, 16)
    expected = torch.nn.functional.cross_entropy(output.logits, inputs["labels"])
    torch.testing.assert_close(output.loss, expected)
    output.loss.backward()
    unreached = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not unreached  # else data-parallel training needs find_unused_parameters
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).loss is None


@pytest.mark.parametrize(("family", "pooling"), EVERY)
@torch.no_grad()
def test_padding_changes_nothing(family, pooling):
    model, inputs = build(family, pooling), batch(family)
    together = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
    for row, length in enumerate(inputs["attention_mask"].sum(1).tolist()):
        ids = inputs["input_ids"][row : row + 1, :length]
        alone = model(input_ids=ids, attention_mask=torch.ones_like(ids))
        torch.testing.assert_close(alone.embeddings[0], together.embeddings[row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(alone.logits[0], together.logits[row], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "pooling"), EVERY)
@torch.no_grad()
def test_a_saved_model_gives_equal_logits(family, pooling, tmp_path):
    model, inputs = build(family, pooling), batch(family)
    model.save_pretrained(tmp_path)
    for loader in (EmotionModel, AutoModel, AutoModelForSequenceClassification):
        loaded, report = loader.from_pretrained(tmp_path, output_loading_info=True)
        assert isinstance(loaded, EmotionModel)
        assert not report["missing_keys"] and not report["unexpected_keys"]
        assert type(loaded.config.encoder) is type(CONFIGS[family])
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits, atol=0, rtol=0)


@torch.no_grad()
def plain_pooling(kind: str, states: np.ndarray, lengths: list[int], pooler: Pooler) -> np.ndarray:
    pooled = []
    for row, length in zip(states, lengths, strict=True):
        real = [row[place] for place in range(length)]
        if kind == "cls":
            pooled.append(real[0])
        elif kind == "last":
            pooled.append(real[-1])
        elif kind == "mean":
            pooled.append(sum(real) / length)
        elif kind == "max":
            pooled.append([max(state[i] for state in real) for i in range(len(real[0]))])
        else:
            weight = pooler.score.weight.numpy()[0]
            powers = [np.exp(np.dot(state, weight)) for state in real]
            pooled.append(sum(power * state for power, state in zip(powers, real, strict=True)) / sum(powers))
    return np.array(pooled)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_against_loops(kind):
    torch.manual_seed(3)
    states = torch.randn(4, 7, 6)
    lengths = [7, 4, 1, 3]
    mask = (torch.arange(7) < torch.tensor(lengths)[:, None]).long()
    pooler = Pooler(kind, 6)
    expected = plain_pooling(kind, states.numpy(), lengths, pooler)
    np.testing.assert_allclose(pooler(states, mask).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    unmasked = plain_pooling(kind, states.numpy(), [7] * 4, pooler)
    np.testing.assert_allclose(pooler(states).detach().numpy(), unmasked, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_in_half_precision_keeps_type_and_value(kind):
    torch.manual_seed(4)
    states = torch.randn(2, 500, 4) + 3
    mask = torch.ones(2, 500, dtype=torch.long)
    pooler = Pooler(kind, 4)
    with torch.no_grad():
        exact = pooler(states.bfloat16().float(), mask)
        half = pooler.bfloat16()(states.bfloat16(), mask)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.02, atol=0.02)


@torch.no_grad()
def test_token_types_are_taken_from_any_tokenizer():
    for family in ("roberta", "xlm-roberta", "distilbert", "modernbert", "deberta-v3"):
        model, inputs = build(family), batch(family)
        pair = torch.ones_like(inputs["input_ids"])  # an index error in a table of one type
        torch.testing.assert_close(model(**inputs, token_type_ids=pair).logits, model(**inputs).logits)
    model, inputs = build("bert"), batch("bert")
    pair = torch.ones_like(inputs["input_ids"])
    assert not torch.allclose(model(**inputs, token_type_ids=pair).logits, model(**inputs).logits)


def test_the_config_keeps_labels_in_order(tmp_path):
    labels = ["기쁨", "가난한, 불우한", "불안"]
    EmotionConfig(encoder=CONFIGS["roberta"], labels=labels, pooling="max", embedding_size=8).save_pretrained(tmp_path)
    config = EmotionConfig.from_pretrained(tmp_path)
    assert config.labels == labels
    assert config.id2label == dict(enumerate(labels))
    assert [config.label2id[label] for label in labels] == [0, 1, 2]
    assert (config.num_labels, config.pooling, config.embedding_size) == (3, "max", 8)
    assert (config.hidden_size, config.vocab_size) == (32, 60)
    assert isinstance(config.encoder, RobertaConfig)
    assert config.encoder.type_vocab_size == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "middle"}, "pooling is 'middle'; allowed: cls, mean, max, attention, last"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"embedding_dropout": 1.0}, "embedding_dropout is 1.0"),
    ],
)
def test_what_the_config_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        EmotionConfig(**change)


def test_unknown_pooling():
    with pytest.raises(ValueError, match="pooling is 'sum'"):
        Pooler("sum", 8)


@pytest.mark.parametrize(("family", "limit"), [("bert", 512), ("roberta", 64), ("xlm-roberta", 64)])
@torch.no_grad()
def test_longest_sequence(family, limit):
    model = build(family)
    assert model.config.max_tokens == limit
    ids = torch.full((1, limit), 7)
    assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()
    ids = torch.full((1, limit + 1), 7)
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize("family", [name for name in CONFIGS if name != "albert"])
def test_gradient_checkpointing_gives_equal_gradients(family):
    model, inputs = build(family), batch(family)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.activation_checkpointing_enable()
            assert model.encoder.is_activation_checkpointing
        model.zero_grad()
        torch.manual_seed(5)
        model(**inputs).loss.backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    plain, checkpointed = gradients
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, msg=name)


def test_gradient_checkpointing_of_an_encoder_without_it_is_refused():
    with pytest.raises(ValueError, match="not compatible with gradient checkpointing"):
        build("albert").activation_checkpointing_enable()


@pytest.mark.parametrize("family", CONFIGS)
def test_attention_is_sdpa_where_the_encoder_knows_it(family):
    assert build(family).encoder.config._attn_implementation == ("sdpa" if family in KNOWS_SDPA else "eager")


@torch.no_grad()
def test_outputs():
    model, inputs = build(), batch()
    named = model(**inputs)
    plain = model(**inputs, return_dict=False)
    assert isinstance(plain, tuple) and len(plain) == 3
    for value, expected in zip(plain, (named.loss, named.logits, named.embeddings), strict=True):
        torch.testing.assert_close(value, expected)
    unlabelled = {name: value for name, value in inputs.items() if name != "labels"}
    assert [value.shape for value in model(**unlabelled, return_dict=False)] == [(3, 3), (3, 16)]
    states = model(**inputs, output_hidden_states=True).hidden_states
    assert len(states) == 3 and states[-1].shape == (3, 9, 32)
    embedded = model.get_input_embeddings()(inputs["input_ids"])
    from_embeddings = model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"])
    torch.testing.assert_close(from_embeddings.logits, named.logits)


def test_loss_of_half_precision_logits_is_computed_in_fp32():
    model, inputs = build().bfloat16(), batch()
    assert model(**inputs).loss.dtype == torch.float32


def test_loss_of_a_model_in_double_precision_keeps_its_digits():
    model, inputs = build().double(), batch()
    output = model(**inputs)
    rows = output.logits.log_softmax(1)[torch.arange(3), inputs["labels"]]
    assert output.loss.dtype == torch.float64
    assert torch.allclose(output.loss, -rows.mean(), rtol=1e-14, atol=0)


def test_initialisation_follows_the_encoder():
    """`post_init` ran: linear layers above the encoder are drawn with the library's spread, biases are zero."""
    model = build()
    assert model.classifier.bias.abs().max() == 0
    assert 0.01 < model.embedding.weight.std() < 0.03


@pytest.mark.parametrize(("labels", "number"), [(["불안", "슬픔"], 3), (["불안", "슬픔", "기쁨"], 2)])
def test_labels_and_their_number_have_to_fit(labels, number):
    """transformers would throw the names away, and call the labels LABEL_0, LABEL_1."""
    with pytest.raises(ValueError, match=f"labels names {len(labels)} labels, but num_labels is another number"):
        EmotionConfig(labels=labels, num_labels=number)
    config = EmotionConfig(labels=labels, num_labels=len(labels))
    assert config.labels == labels and config.num_labels == len(labels)
