"""A run by numpy alone gives what torch gives: every layout, pooling, kind of labels, n-grams; and what it leaves."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, CamembertConfig, ElectraConfig, RobertaConfig, XLMRobertaConfig

from emo_hf.encoders import encoder_path
from emo_hf.errors import UserError
from emo_hf.inference import numpy_model
from emo_hf.inference.backends import TransformersPieces
from emo_hf.inference.numpy_model import NumpyBackend, gelu, numpy_backend
from emo_hf.inference.pieces import Pieces
from emo_hf.inference.predictor import Predictor
from emo_hf.inference.static import probabilities
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.long_words import part_long_words
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.ngrams import letters_of
from emo_hf.models.pooling import POOLINGS
from emo_hf.models.prefix import with_prefix

LABELS = ["불안", "슬픔", "기쁨"]
TEXTS = [
    "오늘 학교에서 웃었어",
    "",
    "저녁에 회사에서 친구랑 같이 밥을 먹다가 나도 모르게 울었어",
    "[PAD] 어제 [SEP] 뷁 😀",
    "모르는 낱말 뷁 " * 40,
    "ㅋ" * 250,
]
WIDE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
OF_ROBERTA = {**WIDE, "max_position_embeddings": 66, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}
LAYOUTS = {
    "bert": BertConfig(**WIDE, max_position_embeddings=64),
    "electra": ElectraConfig(**WIDE, embedding_size=16, max_position_embeddings=64),
    "roberta": RobertaConfig(**OF_ROBERTA),
    "xlm-roberta": XLMRobertaConfig(**OF_ROBERTA),
    "camembert": CamembertConfig(**OF_ROBERTA),
}


def build(folder: Path, layout: str = "bert", pooling: str = "mean", ngrams: int = 0, several: bool = False) -> Path:
    """The folder of a run with weights that tell texts apart."""
    tokenizer = tiny_tokenizer("bert" if layout in ("bert", "electra") else "roberta")
    torch.manual_seed(len(layout))
    encoder = LAYOUTS[layout].to_dict() | {"vocab_size": len(tokenizer)}
    more = {"problem_type": "multi_label_classification", "thresholds": [0.2, 0.5, 0.7]} if several else {}
    model = EmotionModel(
        EmotionConfig(
            encoder=encoder, pooling=pooling, embedding_size=16, ngrams=ngrams, ngram_buckets=97, labels=LABELS, **more
        )
    )
    for name, parameter in model.named_parameters():
        if not name.endswith("LayerNorm.weight"):
            torch.nn.init.normal_(parameter, std=0.15 if name.startswith("encoder") else 0.3)
    if model.ngrams is not None:
        model.ngrams.letters.copy_(letters_of(tokenizer, len(tokenizer)))
    model.save_pretrained(folder)
    part_long_words(tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_probabilities_and_embeddings_are_those_of_torch(layout, tmp_path):
    spread = []
    for pooling, ngrams, several in itertools.product(POOLINGS, (0, 3), (False, True)):
        folder = build(tmp_path / f"{pooling}{ngrams}{several}", layout, pooling, ngrams, several)
        backend = NumpyBackend(folder)
        ids, mask = backend.pieces.padded(backend.pieces.ids(TEXTS, 64))
        logits, embeddings = backend.outputs(ids, mask)
        model = EmotionModel.from_pretrained(folder).eval()
        expected = model(torch.from_numpy(ids), torch.from_numpy(mask))
        exact = expected.logits.sigmoid() if several else expected.logits.softmax(-1)
        found = probabilities(logits, several=several)
        assert found.dtype == embeddings.dtype == np.float32
        np.testing.assert_allclose(found, exact.numpy(), atol=1e-6, rtol=0)
        np.testing.assert_allclose(embeddings, expected.embeddings.numpy(), atol=1e-5, rtol=0)
        assert (found.argmax(-1) == exact.numpy().argmax(-1)).all()
        assert backend.thresholds == ([0.2, 0.5, 0.7] if several else None) and backend.labels == LABELS
        assert backend.max_tokens == model.config.max_tokens == 64
        spread.append(found.std(0).max())
    assert min(spread) > 1e-3  # the texts differ, so that a wrong order or mask would show


@pytest.mark.parametrize("encoder", ["tiny-bert", "tiny-roberta"])
def test_the_bundled_encoders_by_sentence_and_by_batch(encoder, tmp_path):
    torch.manual_seed(2)
    path = encoder_path(encoder)
    model = EmotionModel.from_encoder(path, labels=LABELS, pooling="cls")
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(path).save_pretrained(tmp_path)
    first, usual = Predictor(tmp_path), Predictor(tmp_path, device="cpu")
    assert isinstance(first.backend, NumpyBackend) and first.max_length == usual.max_length
    expected = usual.scores(TEXTS)
    np.testing.assert_allclose(first.scores(TEXTS), expected, atol=1e-6, rtol=0)
    np.testing.assert_allclose([first.scores([text])[0] for text in TEXTS], expected, atol=1e-6, rtol=0)
    assert [first.length(text) for text in TEXTS] == [usual.length(text) for text in TEXTS]
    for found, of in zip(first.outputs(TEXTS), usual.outputs(TEXTS), strict=True):
        torch.testing.assert_close(found, of, atol=1e-5, rtol=0)


def test_torch_takes_over_after_the_first_sentences(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_model, "FIRST", 8)
    build(tmp_path)
    asked: list[str] = []
    predictor = Predictor(tmp_path, batch_size=2, prepare=lambda: asked.append("torch"))
    assert predictor.scores(TEXTS).shape == (6, 3) and not asked
    expected = Predictor(tmp_path, batch_size=2, device="cpu").scores(TEXTS)
    for _ in range(2):
        np.testing.assert_allclose(predictor.scores(TEXTS), expected, atol=1e-6, rtol=0)
    assert asked == ["torch"] and type(predictor.backend).__name__ == "TorchBackend"
    asked.clear()
    large = Predictor(tmp_path, prepare=lambda: asked.append("torch"))
    assert not asked and large.scores(TEXTS * 2).shape == (12, 3) and asked == ["torch"]


def test_a_large_encoder_is_soon_left_to_torch(tmp_path, monkeypatch):
    build(tmp_path)
    assert NumpyBackend(tmp_path).first == 256
    weights = 2 * (4 * 32 * 32 + 2 * 32 * 48)  # of two layers
    for work, first in ((100 * weights, 100), (weights - 1, 1)):
        monkeypatch.setattr(numpy_model, "_WORK", work)
        assert NumpyBackend(tmp_path).first == first


def test_gelu_is_that_of_erf():
    values = np.concatenate([np.linspace(-9, 9, 20_001), [0.0, -0.0, 60.0, -60.0]]).astype(np.float32)
    exact = [value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in values.tolist()]
    np.testing.assert_allclose(gelu(values), exact, atol=1e-7, rtol=6e-8)
    assert gelu(values.reshape(5, -1)).shape == (5, len(values) // 5)


OF_ENCODER = ("hidden_act", "is_decoder", "num_hidden_layers")


def changed(**settings: object) -> Callable[[Path], None]:
    """Writes other values into the encoder's part of config.json, or into its whole."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        for name, value in settings.items():
            (config["encoder"] if name in OF_ENCODER else config)[name] = value
        path.write_text(json.dumps(config), encoding="utf-8")

    return change


def other_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return write


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def old_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({name: value for name, value in settings.items() if name != "backend"}))


@pytest.mark.parametrize(
    "change",
    [
        changed(hidden_act="relu"),
        changed(is_decoder=True),
        changed(num_hidden_layers=1),
        changed(model_type="other"),
        changed(text_prefix="query: "),
        changed(problem_type="multi_label_classification", thresholds=[0.5, 2, 0.5]),
        other_weights(lambda weights: weights.pop("classifier.bias")),
        other_weights(lambda weights: weights.update(more=torch.zeros(1))),
        other_weights(lambda weights: weights.update({"classifier.bias": weights["classifier.bias"].half()})),
        cut,
        old_tokenizer,
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "config.json").write_text("[]"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_left_to_transformers(change, tmp_path):
    build(tmp_path)
    assert numpy_backend(tmp_path)
    change(tmp_path)
    assert numpy_backend(tmp_path) is None


def test_a_broken_run_is_told_as_ever(tmp_path):
    cut(build(tmp_path))
    with pytest.raises(UserError, match="can't be loaded"):
        Predictor(tmp_path)
    with pytest.raises(UserError, match="can't be loaded"):
        Predictor(tmp_path / "nothing")


@pytest.mark.parametrize("kind", ["bert", "long words", "prefix", "left", "tiny-roberta", "whole words"])
def test_pieces_are_those_of_transformers(kind, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(encoder_path("tiny-roberta" if kind == "tiny-roberta" else "tiny-bert"))
    if kind in ("long words", "prefix"):
        tokenizer = part_long_words(tokenizer)
    if kind == "prefix":
        tokenizer = with_prefix(tokenizer, "질문: ")
    if kind == "left":
        tokenizer.truncation_side = tokenizer.init_kwargs["truncation_side"] = "left"
    if kind == "whole words":  # special tokens that stand in a text are letters
        tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True
    tokenizer.save_pretrained(tmp_path)
    own, theirs = Pieces(tmp_path), TransformersPieces(tmp_path)
    assert own.longest == theirs.longest and own.prefix == theirs.prefix == ("질문: " if kind == "prefix" else "")
    for longest in (8, 64):
        ids = own.ids(TEXTS, longest)
        assert ids == theirs.ids(TEXTS, longest) and max(map(len, ids)) == longest
        for found, expected in zip(own.padded(ids), theirs.padded(ids), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert [own.length(text) for text in TEXTS] == [theirs.length(text) for text in TEXTS]


def test_an_export_whose_tokenizer_only_a_class_can_read(tmp_path, monkeypatch):
    """Without tokenizer.json the tokens come from transformers."""
    from emo_hf.export.export import export

    run = build(tmp_path / "run")
    folder = export(run, "onnx", tmp_path / "onnx")
    expected = Predictor(run, device="cpu").scores(TEXTS)
    assert isinstance(Predictor(folder).pieces, Pieces)
    np.testing.assert_allclose(Predictor(folder).scores(TEXTS), expected, atol=1e-5)
    shutil.copytree(folder, tmp_path / "slow")
    (tmp_path / "slow" / "tokenizer.json").unlink()
    tiny_tokenizer("bert").save_pretrained(tmp_path / "usual")
    usual = AutoTokenizer.from_pretrained(tmp_path / "usual")
    monkeypatch.setattr("emo_hf.inference.backends.AutoTokenizer.from_pretrained", lambda *_, **__: usual)
    slow = Predictor(tmp_path / "slow")
    assert isinstance(slow.pieces, TransformersPieces)
    np.testing.assert_allclose(slow.scores(TEXTS[:4]), expected[:4], atol=1e-5)
