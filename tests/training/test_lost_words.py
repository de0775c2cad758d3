"""A tokenizer that does not know the texts is found out before the first step, with the cause and a way that helps."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import tokenizers
import transformers
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.encoders import encoder_path
from emo_hf.errors import UserError
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.training.lost_words import check_texts_known, look_at_tokens, lost_words, share_of_unknown

TEXTS = ["오늘 합격해서 정말 기뻤어.", "할머니가 그리워서 울었어", "내일 발표라 잠이 안 와!"]


def vocabulary(spell=str) -> str:
    ids = AutoTokenizer.from_pretrained(encoder_path("tiny-bert")).get_vocab()
    return "".join(spell(word) + "\n" for word in sorted(ids, key=ids.get))


def with_marks(word: str) -> str:
    return word if word.startswith("[") else word[2:] if word.startswith("##") else "▁" + word


def mixed_up(word: str) -> str:
    """Letters of the language, in pieces that no word of it is made of."""
    return word if word.startswith("[") else word.replace("##", "#")[::-1]


def english(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return f"{letters[number % 26]}{letters[number // 26 % 26]}{letters[number // 676 % 26]}"


def encoder(folder: Path, kind: str) -> str:
    """The bundled encoder with a tokenizer that reads no Korean, each in its way."""
    source = Path(encoder_path("tiny-bert"))
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(source / name, folder)
    settings = {"model_max_length": 256, "tokenizer_class": "BertTokenizer", "do_lower_case": kind == "lower"}
    if kind == "normalizer":  # the setting stands in tokenizer.json alone
        content = json.loads((source / "tokenizer.json").read_text())
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}
        (folder / "tokenizer.json").write_text(json.dumps(content))
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
        settings |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    elif kind == "sentencepiece":
        (folder / "vocab.txt").write_text(vocabulary(with_marks))
    elif kind == "foreign":
        words = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!", *map(english, range(7000))])
        (folder / "vocab.txt").write_text("\n".join(words))
    elif kind == "mixed up":  # Korean words, but not one that follows another
        (folder / "vocab.txt").write_text(vocabulary(mixed_up))
    else:
        (folder / "vocab.txt").write_text(vocabulary())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return str(folder)


REASONS = {
    "lower": r'syllables apart .*\(do_lower_case, strip_accents\).*; set "do_lower_case": false in its',
    "normalizer": "syllables apart .* the normalizer in its tokenizer.json the type BertNormalizer",
    "sentencepiece": "SentencePiece .* read as WordPiece, so this is not the encoder's own tokenizer",
    "foreign": r"vocabulary lacks most of their letters: 0 of its [\d,]+ pieces are of the script Hangul",
    "mixed up": "another model's tokenizer",
}


@pytest.mark.parametrize("kind", REASONS)
def test_a_run_is_refused_before_its_first_step(tmp_path, kind, capsys, common):
    main = importlib.import_module("train").main
    words = [*common, "--encoder", encoder(tmp_path / "encoder", kind), "--output_dir", str(tmp_path / "run")]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: encoder ") and re.search(REASONS[kind], said), said
    share = float(re.search(r": ([\d.]+) % of the tokens", said)[1])
    assert share > 50
    assert len(re.search(r"most often ('[^']+'), ('[^']+'), ('[^']+');", said).groups()) == 3
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_the_way_out_helps(tmp_path):
    folder = encoder(tmp_path / "encoder", "lower")
    with pytest.raises(UserError, match='set "do_lower_case": false'):
        check_texts_known(TEXTS, ModelArguments(encoder=folder))
    path = Path(folder) / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_lower_case": False}))
    check_texts_known(TEXTS, ModelArguments(encoder=folder))
    assert share_of_unknown(load_tokenizer(ModelArguments(encoder=folder)), TEXTS) == 0


def test_an_uncased_vocabulary_that_has_syllables_apart_is_no_mistake(tmp_path):
    """As bert-base-multilingual-uncased: the pieces are of the letters that syllables are taken apart into."""
    folder = Path(encoder(tmp_path / "encoder", "lower"))
    jamo = [chr(code) for code in range(0x1100, 0x1200)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!", *jamo, *(f"##{letter}" for letter in jamo)]
    (folder / "vocab.txt").write_text("\n".join(words))
    check_texts_known(TEXTS, ModelArguments(encoder=str(folder)))


def test_a_study_is_refused_before_there_is_a_folder(tmp_path, capsys, common, encoders):
    main = importlib.import_module("compare").main
    bad = encoder(tmp_path / "encoder", "sentencepiece")
    words = [*common, "--encoders", encoders["bert"], bad, "--study_dir", str(tmp_path / "study"), "--seeds", "1"]
    assert main(words) == 2
    assert "SentencePiece" in capsys.readouterr().err
    assert not list((tmp_path / "study").glob("*/record.json"))


def data_of(folder: Path, texts: list[str]):
    rows = [(text, "기쁨" if number % 2 else "슬픔") for number, text in enumerate(texts)]
    pd.DataFrame(rows, columns=["sentence", "label"]).to_csv(folder / "data.csv", index=False)
    return load_emotion_data(str(folder / "data.csv"), labels="all")


def look(folder: Path, texts: list[str], tokenizer, max_length: int = 128, most: int | None = None):
    data = data_of(folder, texts)
    tokens = tokenize_splits(data, tokenizer, max_length=max_length, cache_dir=folder / "cache")["train"]
    found, noted = look_at_tokens(data, tokens, tokenizer, ModelArguments(), max_length, most)
    assert noted.report["notes"][: len(data.report["notes"])] == data.report["notes"]
    return found, noted.report["notes"][len(data.report["notes"]) :], data


def test_a_twentieth_is_warned_of_with_the_commonest_words(tmp_path, caplog):
    tokenizer = load_tokenizer(ModelArguments(encoder="tiny-bert"))
    words = ["🤗", "🤗", "🤗", "🦊", "🦊", "🦉"]
    texts = [f"{number} 번째 날에는 기뻤어 {words[number % 6]}" for number in range(120)]
    found, notes, data = look(tmp_path, texts, tokenizer)
    split = data.splits["train"]["text"][:]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in split]
    expected = sum(row.count(tokenizer.unk_token_id) for row in ids) / sum(map(len, ids))
    assert 0.05 < expected < 0.5 and found["unknown_share"] == round(expected, 4)
    assert found["commonest_unknown"] == ["🤗", "🦊", "🦉"]
    (note,) = notes
    assert note in caplog.messages
    assert "'🤗', '🦊', '🦉'; its vocabulary has no pieces for such signs" in note


def test_texts_that_are_known_are_not_spoken_of(tmp_path, caplog):
    found, notes, _ = look(tmp_path, [f"{n} 번째 날에는 기뻤어" for n in range(60)], load_tokenizer(ModelArguments()))
    assert found == {"unknown_share": 0.0, "cut_share": 0.0, "commonest_unknown": []}
    assert not notes and not caplog.messages


def test_texts_that_are_cut(tmp_path):
    tokenizer = load_tokenizer(ModelArguments(encoder="tiny-bert"))
    base = len(tokenizer("기뻤어")["input_ids"])
    texts = [f"{'아 ' * (12 if number % 4 else 40)}기뻤어 {number:02}" for number in range(80)]
    lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
    limit = max(length for length in lengths if length < 40 + base)  # the shorter ones just fit
    found, notes, data = look(tmp_path, texts, tokenizer, limit, most=256)
    own = [len(tokenizer(text)["input_ids"]) for text in data.splits["train"]["text"][:]]
    expected = sum(length > limit for length in own) / len(own)
    assert found["cut_share"] == round(expected, 4) and 0.2 < expected < 0.3
    (note,) = notes
    wanted = int(re.search(r"--max_length (\d+) would cut 0.0 %", note)[1])
    assert limit < wanted and max(own) <= wanted < 2 * max(own)
    assert "the encoder takes no more" in look(tmp_path, texts, tokenizer, limit, most=limit)[1][0]


def test_tokenizers_without_an_unknown_token_lose_nothing(tmp_path):
    slow = transformers.ByT5Tokenizer()
    found, notes, _ = look(tmp_path, [f"{n} 번째 날" for n in range(40)], slow, 64)
    assert (found["unknown_share"], notes) == (0.0, [])
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    backend = tokenizers.Tokenizer(tokenizers.models.BPE({letter: code for code, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    bytewise = transformers.PreTrainedTokenizerFast(tokenizer_object=backend)
    found, _, _ = look(tmp_path, [f"{n} 번째 날" for n in range(40)], bytewise, 64)
    assert found["unknown_share"] == 0


@pytest.mark.parametrize("named", [True, False])
def test_unigram(named):
    """Its unknown token counts, also where the configuration does not name it."""
    backend = tokenizers.Tokenizer(tokenizers.models.Unigram([("<unk>", 0.0), ("▁가", -1.0), ("나", -2.0)], unk_id=0))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    settings = {"unk_token": "<unk>"} if named else {}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **settings)
    assert share_of_unknown(tokenizer, ["가나 가나 가꿀"]) == pytest.approx(1 / 6)
    assert lost_words(tokenizer, ["가나 가나 가꿀"]) == {"꿀": 1}


def test_an_end_token_that_is_the_unknown_token_too_is_not_counted(tmp_path):
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"<|end|>": 0, "가": 1, "나": 2, **{str(n): 3 + n for n in range(60)}}, "<|end|>")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing("$A <|end|>", special_tokens=[("<|end|>", 0)])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<|end|>")
    found, _, _ = look(tmp_path, [f"가 나 {number}" for number in range(60)], tokenizer)
    assert found["unknown_share"] == 0


def test_the_record_of_a_run(tmp_path, common, encoders):
    main = importlib.import_module("train").main
    words = [*common, "--encoder", encoders["bert"], "--output_dir", str(tmp_path / "run")]
    assert main(words) in (0, None)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["tokens"] == {"unknown_share": 0.0, "cut_share": 0.0, "commonest_unknown": []}
    assert main([*words[:-1], str(tmp_path / "short"), "--max_length", "5"]) in (0, None)
    record = json.loads((tmp_path / "short" / "record.json").read_text())
    assert record["tokens"]["cut_share"] > 0.5
    assert any("more than 5 tokens and are cut" in note for note in record["data"]["report"]["notes"])


def test_a_study_says_it_once_and_last(tmp_path, common, encoders, capfd):
    main = importlib.import_module("compare").main
    words = [*common, "--encoders", encoders["bert"], "--poolings", "cls", "mean", "--aux", "none", "--seeds", "1"]
    assert main([*words, "--study_dir", str(tmp_path / "study"), "--max_length", "5"]) == 0
    shown = capfd.readouterr()
    lines = (shown.out + shown.err).splitlines()
    said = [line for line in lines if "more than 5 tokens and are cut" in line]
    assert len(said) == 1 and said[0] in (shown.err.splitlines() + shown.out.splitlines())[-3:]
