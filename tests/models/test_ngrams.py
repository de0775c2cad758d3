"""Character n-grams beside an encoder: sums against plain loops, what tokens spell, and how a model keeps them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import build
from elsewhere import pipeline_elsewhere
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from emo_hf.export import formats
from emo_hf.inference.onnx import OnnxBackend
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.ngrams import CharacterNgrams, letters_of

LABELS = ["불안", "슬픔", "기쁨"]
TEXTS = ["오늘 학교에서 웃었어", "어제", "", "저녁에 회사에서 나도 모르게 울었어", "뷁!!"]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def model(request, encoders) -> tuple[EmotionModel, PreTrainedTokenizerFast]:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(encoders[request.param])
    made = with_ngrams(encoders[request.param], tokenizer).eval()
    torch.nn.init.normal_(made.ngrams.table.weight)
    return made, tokenizer


def with_ngrams(encoder: str, tokenizer: PreTrainedTokenizerFast | None) -> EmotionModel:
    return EmotionModel.from_encoder(encoder, labels=LABELS, embedding_size=16, ngrams=3, tokenizer=tokenizer)


def spelling(ngrams: CharacterNgrams, ids: list[int]) -> list[int]:
    return [code for index in ids for code in ngrams.letters[index].tolist() if code]


def plain_sum(ngrams: CharacterNgrams, codes: list[int]) -> np.ndarray:
    """The definition, text by text, n-gram by n-gram."""
    table = ngrams.table.weight.detach().double().numpy()
    found = []
    for length in range(1, ngrams.longest + 1):
        for start in range(len(codes) - length + 1):
            number = codes[start]
            for code in codes[start + 1 : start + length]:
                number = (number * 1_000_003 + code) % (2**31 - 1)
            found.append(table[number % len(table)])
    return np.sum(found, axis=0) / len(found) ** 0.5 if found else np.zeros(table.shape[1])


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1], TEXTS[1:2], [""]])
@torch.no_grad()
def test_against_plain_loops(model, texts):
    made, tokenizer = model
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    found = copy.deepcopy(made.ngrams).double()(inputs["input_ids"], inputs["attention_mask"])
    for row, text in enumerate(texts):
        expected = plain_sum(made.ngrams, spelling(made.ngrams, tokenizer(text)["input_ids"]))
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_padding_and_company_change_nothing(model):
    made, tokenizer = model
    together = made(**tokenizer(TEXTS, padding=True, return_tensors="pt"))
    for row, text in enumerate(TEXTS):
        alone = made(**tokenizer([text], return_tensors="pt"))
        torch.testing.assert_close(alone.embeddings[0], together.embeddings[row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(alone.logits[0], together.logits[row], atol=1e-5, rtol=1e-5)
    assert together.embeddings.shape == (len(TEXTS), 16) and made.embedding.out_features == 14


def test_only_what_a_text_holds_is_learned(model):
    made, tokenizer = model
    made.zero_grad()
    made(**tokenizer(["어제"], return_tensors="pt"), labels=torch.tensor([1])).loss.backward()
    codes = spelling(made.ngrams, tokenizer("어제")["input_ids"])
    touched = int((made.ngrams.table.weight.grad.abs().sum(1) > 0).sum())
    assert 0 < touched <= 3 * len(codes) - 3
    made.zero_grad(set_to_none=True)


def test_a_new_model_knows_no_ngram_and_training_leaves_some_out(encoders):
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    made = with_ngrams(encoders["bert"], tokenizer)
    assert made.ngrams.table.weight.abs().max() == 0 and made.ngrams.letters.max() > 0
    torch.nn.init.ones_(made.ngrams.table.weight)
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    whole = made.eval().ngrams(ids)
    torch.manual_seed(0)
    drawn = torch.stack([made.train().ngrams(ids) for _ in range(400)])
    assert drawn.std(0).min() > 0
    torch.testing.assert_close(drawn.mean(0), whole, rtol=0.05, atol=0)


def test_save_load_and_use_elsewhere(model, tmp_path):
    made, tokenizer = model
    made.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    loaded, report = EmotionModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    torch.testing.assert_close(loaded(**inputs).logits, made(**inputs).logits, atol=0, rtol=0)
    texts = [text for text in TEXTS if text]
    elsewhere = pipeline_elsewhere(tmp_path, texts)
    own = made(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(-1)
    for scores, row in zip(elsewhere, own, strict=True):
        np.testing.assert_allclose([scores[label] for label in LABELS], row.detach().numpy(), atol=1e-5)


def test_onnx_has_them_and_stock_heads_say_that_they_have_not(model, tmp_path):
    made, tokenizer = model
    (tmp_path / "onnx").mkdir()
    differences = formats.write_onnx(tmp_path / "onnx", made, tokenizer, 64)
    assert differences["max_embedding_difference"] < 1e-4
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    feed = {name: inputs[name].numpy() for name in ("input_ids", "attention_mask")}
    [logits] = OnnxBackend(tmp_path / "onnx").session.run(["logits"], feed)
    np.testing.assert_allclose(logits, made(**inputs).logits.detach().numpy(), atol=1e-4)
    with pytest.raises(formats.UserError, match="no stock head has the model's character n-grams; --to onnx has them"):
        formats.write_transformers(tmp_path, made, tokenizer, 64)
    with pytest.raises(formats.UserError, match="n-grams, which sentence-transformers has not; --to onnx has them"):
        formats.write_sentence_transformers(tmp_path, made, tokenizer, 64)


def test_a_model_that_goes_on_keeps_them(model, tmp_path):
    tokenizer = model[1]
    settings = {"labels": LABELS, "embedding_size": 16, "ngrams": 2, "ngram_size": 5, "ngram_buckets": 99}
    made = EmotionModel(EmotionConfig(encoder=model[0].config.encoder, ngram_dropout=0.2, **settings)).eval()
    torch.nn.init.normal_(made.ngrams.table.weight)
    made.ngrams.letters.copy_(model[0].ngrams.letters)
    made.going_on(labels=["기쁨", "분노"]).save_pretrained(tmp_path)
    further = EmotionModel.from_pretrained(tmp_path)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    torch.testing.assert_close(further(**inputs).embeddings, made(**inputs).embeddings)
    assert further.ngrams.dropout == 0.2 and further.config.labels == ["기쁨", "분노"]


def test_no_tokenizer_no_spelling(encoders):
    with pytest.raises(ValueError, match="ngrams need the spelling of the tokens; give tokenizer"):
        with_ngrams(encoders["bert"], None)


def test_embeddings_of_tokens_are_refused():
    made = build(ngrams=3)
    with pytest.raises(ValueError, match="inputs_embeds tell nothing of a text's n-grams; give input_ids"):
        made(inputs_embeds=torch.zeros(1, 4, 32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ngrams": -1}, "ngrams is -1"),
        ({"ngrams": 2, "ngram_size": 8, "embedding_size": 8}, "ngrams take 8 of the 8 dimensions"),
        ({"ngrams": 2, "embedding_size": 1}, "ngrams take 1 of the 1 dimensions .* a larger embedding_size"),
        ({"ngrams": 2, "ngram_dropout": 1.0}, "dropout 1.0"),
        ({"ngrams": 2, "ngram_buckets": 0}, "0 buckets"),
    ],
)
def test_what_the_config_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        EmotionConfig(**change)


def letters(tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    table = letters_of(tokenizer, len(tokenizer) + 3)
    assert table[len(tokenizer) :].max() == 0
    return "".join(chr(code) for index in tokenizer(text)["input_ids"] for code in table[index].tolist() if code)


def test_what_wordpiece_spells(encoders):
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    assert letters(tokenizer, "오늘 학교에서 웃었어") == " 오늘 학교에서 웃었어 "


def trained(backend: Tokenizer, trainer: trainers.Trainer) -> PreTrainedTokenizerFast:
    backend.train_from_iterator(TEXTS * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")


def test_what_sentencepiece_spells():
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    specials = ["<unk>", "</s>", "<pad>"]
    tokenizer = trained(
        backend,
        trainers.UnigramTrainer(vocab_size=90, special_tokens=specials, unk_token="<unk>", show_progress=False),
    )
    assert letters(tokenizer, "오늘 학교에서") == " 오늘 학교에서"


@pytest.mark.parametrize("size", [259, 320])
def test_what_bytes_spell(size):
    """Pieces that are only parts of a letter count as letters of their own; whole ones as what they are."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    specials = ["<unk>", "</s>", "<pad>"]
    tokenizer = trained(
        backend,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    table = letters_of(tokenizer, len(tokenizer))
    codes = [code for index in tokenizer("어제 ok")["input_ids"] for code in table[index].tolist() if code]
    assert codes[-3:] == [ord(" "), ord("o"), ord("k")]
    parts = [code for code in codes if code >= 0x110000]
    assert len(parts) == (6 if size == 259 else 0) and len(set(parts)) == (5 if size == 259 else 0)


def test_bytes_to_fall_back_on_spell_no_letters():
    pieces = ["<unk>", "</s>", "▁", "▁가", "<0xEA>", "<0xB0>"]
    backend = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, [], byte_fallback=True))
    table = letters_of(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>"), 6)
    assert table[:, 0].tolist() == [0, ord(" "), ord(" "), ord(" "), 0x110000 + 4, 0x110000 + 5]
    assert table[3, 1] == ord("가") and table[4:, 1:].max() == 0


def test_a_long_piece_is_cut_and_specials_spell_nothing(tmp_path: Path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "-" * 40, "##가"]
    backend = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )
    spelt = ["".join(chr(code) for code in row if code) for row in letters_of(tokenizer, 6).tolist()]
    assert spelt == ["", "", "", " ", " " + "-" * 15, "가"]
