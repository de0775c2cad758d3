"""A word that is only too long is read, everywhere the saved tokenizer goes, and no other token changes."""

from __future__ import annotations

import json
import time

import pytest
import tokenizers
import transformers
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.encoders import encoder_path
from emo_hf.export.export import export
from emo_hf.inference.predictor import Predictor
from emo_hf.models.long_words import part_long_words
from emo_hf.models.pretrained import load_tokenizer

LONG = "진짜웃겨" + "ㅋ" * 99
SHORT = "진짜웃겨" + "ㅋ" * 96  # 100 characters
TEXTS = [
    "",
    "합격 소식을 듣고 펑펑 울 만큼 기뻤어!!!",
    SHORT,
    "뷁쉙 😀 ok\u3164 漢字 [SEP] \t끝\n",
    "." * 300,  # each is a word
    " ".join(["가나다라마바사"] * 40),
    "漢" * 200,
]
PIECES = ["진", "짜", "웃", "겨", "ㅋ", "o", "k", "漢", "字", ".", "!", "끝", "가", "나", "다", "라", "마", "바", "사"]


@pytest.mark.parametrize("encoder", ["tiny-bert", "tiny-roberta"])
def test_such_words_alone_change(encoder):
    before = AutoTokenizer.from_pretrained(encoder_path(encoder))
    after = load_tokenizer(ModelArguments(encoder=encoder))
    for text in TEXTS:
        assert after(text)["input_ids"] == before(text)["input_ids"]
    assert before.tokenize(f"아 {LONG} 응") == [*before.tokenize("아"), "[UNK]", *before.tokenize("응")]
    read = after.tokenize(f"아 {LONG} 응")
    assert "[UNK]" not in read and read[1:4] == ["진짜", "##웃", "##겨"]
    assert "".join(piece.removeprefix("##") for piece in read) == f"아{LONG}응"
    for name in ("model_max_length", "special_tokens_map", "padding_side", "model_input_names", "all_special_ids"):
        assert getattr(after, name) == getattr(before, name)
    assert after("가", "나").data == before("가", "나").data


def test_a_saved_tokenizer_and_its_file_alone_read_them_too(tmp_path):
    after = load_tokenizer(ModelArguments(encoder="tiny-bert"))
    expected = after(LONG)["input_ids"]
    for folder in (tmp_path / "once", tmp_path / "twice"):
        after.save_pretrained(folder)
        after = AutoTokenizer.from_pretrained(folder)
        assert after(LONG)["input_ids"] == expected
        assert tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(LONG).ids == expected
        assert part_long_words(after) is after  # a run as an encoder: parted once
    one, two = (json.loads((tmp_path / name / "tokenizer.json").read_text()) for name in ("once", "twice"))
    assert one == two


@pytest.mark.parametrize("config", ["bert", "electra", "roberta", "distilbert", "none"])
def test_whatever_model_type_stands_beside_it(tmp_path, config):
    """An export has the encoder's own configuration, by which a tokenizer's class may be chosen."""
    after = load_tokenizer(ModelArguments(encoder="tiny-bert"))
    after.save_pretrained(tmp_path)
    if config != "none":
        transformers.AutoConfig.for_model(config).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(LONG)["input_ids"] == after(LONG)["input_ids"]


@pytest.mark.parametrize(
    "name", ["BertTokenizer", "ElectraTokenizer", "DistilBertTokenizer", "MPNetTokenizer", "FunnelTokenizer"]
)
def test_every_class_of_wordpiece(tmp_path, name):
    special = {"MPNetTokenizer": ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]}
    special["FunnelTokenizer"] = ["<pad>", "<unk>", "<cls>", "<sep>", "<mask>", "<s>", "</s>"]
    words = [*special.get(name, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), *PIECES, *(f"##{p}" for p in PIECES)]
    made = getattr(transformers, name)(
        vocab={word: number for number, word in enumerate(words)}, do_lower_case=False, model_max_length=64
    )
    made.save_pretrained(tmp_path)
    before, after = (AutoTokenizer.from_pretrained(tmp_path) for _ in range(2))
    after = part_long_words(after)
    for text in TEXTS:
        assert after(text)["input_ids"] == before(text)["input_ids"]
    assert before.tokenize(LONG) == [before.unk_token]
    assert "".join(piece.removeprefix("##") for piece in after.tokenize(LONG)) == LONG


def test_tokens_of_ones_own_and_the_padding_side_stay(tmp_path):
    first = AutoTokenizer.from_pretrained(encoder_path("tiny-bert"), padding_side="left", truncation_side="left")
    first.add_special_tokens({"additional_special_tokens": ["<끝>"]})
    first.add_tokens(["꿀잼"])
    first.save_pretrained(tmp_path)
    before, after = AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(ModelArguments(encoder=str(tmp_path)))
    text = f"꿀잼이야 <끝> 꿀잼 {SHORT}"
    assert after(text)["input_ids"] == before(text)["input_ids"]
    assert after.all_special_tokens == before.all_special_tokens and len(after) == len(before)
    assert (after.padding_side, after.truncation_side) == (before.padding_side, before.truncation_side)


def test_its_own_limit_holds(tmp_path):
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "ㅋ", "##ㅋ"])}
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=7)
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]")
    assert made.tokenize("ㅋ" * 8) == ["[UNK]"]
    assert part_long_words(made).tokenize("ㅋ" * 16) == ["ㅋ", *["##ㅋ"] * 6, "ㅋ", *["##ㅋ"] * 6, "ㅋ", "##ㅋ"]


def test_other_kinds_come_back_as_they_are():
    slow = transformers.ByT5Tokenizer()
    assert part_long_words(slow) is slow
    backend = tokenizers.Tokenizer(tokenizers.models.BPE({"ㅋ": 0, "<unk>": 1}, [], unk_token="<unk>"))
    other = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    state = other.backend_tokenizer.to_str()
    assert part_long_words(other) is other and other.backend_tokenizer.to_str() == state


def test_a_text_of_one_word_takes_no_time():
    after = load_tokenizer(ModelArguments(encoder="tiny-bert"))
    started = time.perf_counter()
    after("진짜웃겨" + "ㅋ" * 100_000)
    assert time.perf_counter() - started < 5  # minutes, were the limit raised instead


def test_a_run_and_its_export_read_alike(trained, tmp_path):
    loaded, word = AutoTokenizer.from_pretrained(trained), "웃었어" * 40
    ids = loaded(word)["input_ids"]
    assert len(ids) > 30 and loaded.unk_token_id not in ids
    folder = export(trained, "onnx", tmp_path / "export")
    assert AutoTokenizer.from_pretrained(folder)(word)["input_ids"] == ids
    alone = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    alone.no_truncation()  # to which the tokenizer was last set
    assert alone.encode(word).ids == ids
    ours, theirs = (next(Predictor(model)([word])) for model in (trained, folder))
    assert theirs == pytest.approx(ours, abs=1e-4)
