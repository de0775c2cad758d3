"""An encoder without layers: its weighted mean against plain loops, and how a model keeps it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from elsewhere import pipeline_elsewhere
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.inference.backends import load_model
from emo_hf.models.configuration import EmotionConfig, StaticConfig
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.parents import settled
from emo_hf.models.pretrained import check_encoder, default_learning_rate
from emo_hf.models.static import StaticEncoder
from emo_hf.training.run import run

LABELS = ["불안", "슬픔", "기쁨"]
TEXTS = ["오늘 학교에서 웃었어", "어제", "", "저녁에 회사에서 친구랑 같이 밥을 먹다가 울었어", "모르는 낱말 뷁 " * 9]


@pytest.fixture(scope="module")
def tokenizer(static_encoder):
    return AutoTokenizer.from_pretrained(static_encoder)


@pytest.fixture(scope="module")
def model(static_encoder) -> EmotionModel:
    torch.manual_seed(0)
    made = EmotionModel.from_encoder(static_encoder, labels=LABELS, pooling="mean", embedding_size=16)
    torch.nn.init.normal_(made.classifier.weight)
    return made.eval()


def plain_mean(encoder: StaticEncoder, ids: list[int]) -> np.ndarray:
    """The definition, token by token."""
    vectors = encoder.pieces.weight.detach().double().numpy()
    importance = encoder.importance.weight.detach().double().numpy()
    above, below = np.zeros(vectors.shape[1]), 0.0
    for index in ids:
        weight = np.exp(importance[index, 0])
        above += weight * vectors[index]
        below += weight
    return above / below


@torch.no_grad()
def test_the_weighted_mean_against_plain_loops(model, tokenizer):
    exact = copy.deepcopy(model).double()
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    states = exact.encoder(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state
    found = exact.pooler(states, inputs["attention_mask"])
    for row, text in enumerate(TEXTS):
        expected = plain_mean(model.encoder, tokenizer(text)["input_ids"])
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=0, atol=1e-6)  # weights in fp32
    assert (states[1, 3:] == 0).all()


@torch.no_grad()
def test_padding_and_company_change_nothing(model, tokenizer):
    together = model(**tokenizer(TEXTS, padding=True, return_tensors="pt"))
    for row, text in enumerate(TEXTS):
        alone = model(**tokenizer([text], return_tensors="pt"))
        torch.testing.assert_close(alone.logits[0], together.logits[row], atol=1e-5, rtol=1e-5)
    assert together.embeddings.shape == (len(TEXTS), 16)
    with pytest.raises(ValueError, match="give input_ids"):
        model(inputs_embeds=torch.zeros(1, 3, 24))


def test_save_load_and_use_elsewhere(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    loaded = load_model(tmp_path)
    assert isinstance(loaded.config.encoder, StaticConfig)
    torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits, atol=0, rtol=0)
    texts = [text for text in TEXTS if text]
    own = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(-1).tolist()
    elsewhere = pipeline_elsewhere(tmp_path, texts)
    assert [[row[label] for label in LABELS] for row in elsewhere] == [pytest.approx(row, abs=1e-5) for row in own]


def test_training_moves_vectors_weights_and_is_gone_on_from(static_encoder, csv_file, tmp_path):
    data = DataArguments(data=[csv_file], max_length=32)
    arguments = MetricTrainingArguments(
        output_dir=str(tmp_path / "run"), num_train_epochs=5, learning_rate=2e-2, aux="triplet", bf16=False,
        disable_tqdm=True,
    )  # fmt: skip
    record = run(ModelArguments(encoder=static_encoder, pooling="mean", ngrams=2), data, arguments)
    assert record["test"]["macro_f1"] > 0.9
    moved, start = load_model(tmp_path / "run").encoder, StaticEncoder.from_pretrained(static_encoder)
    assert (moved.pieces.weight - start.pieces.weight).abs().max() > 0.01
    assert (moved.importance.weight - start.importance.weight).abs().max() > 0.01
    assert settled(ModelArguments(init_from=str(tmp_path / "run")), data)[0].pooling == "mean"


def test_only_the_mean_is_known_to_it(static_encoder, encoders):
    for pooling in ("cls", "max", "attention"):
        with pytest.raises(UserError, match=rf"--pooling is {pooling}, but .* use --pooling mean"):
            check_encoder(ModelArguments(encoder=static_encoder, pooling=pooling), DataArguments())
        with pytest.raises(ValueError, match="use mean"):
            EmotionModel(EmotionConfig(encoder=StaticConfig(9, 8), pooling=pooling, labels=LABELS))


def test_the_bundled_one_reads_as_tiny_bert_does():
    static, bert = ModelArguments(encoder="static", pooling="mean"), ModelArguments(encoder="tiny-bert")
    check_encoder(static, DataArguments())
    from emo_hf.models.pretrained import load_tokenizer

    text = "드디어 합격했어! ㅋㅋㅋ"
    assert load_tokenizer(static)(text)["input_ids"] == load_tokenizer(bert)(text)["input_ids"]
    assert default_learning_rate(static) == default_learning_rate(bert)
