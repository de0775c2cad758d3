"""A prefix before every text: the tokens of both together, whatever the tokenizer, and everywhere a run is used."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import LABELS, sentences
from lineage import start
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from train import main as train
from transformers import (
    AutoTokenizer,
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaTokenizer,
    pipeline,
)

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.data.seen_texts import trained_on
from emo_hf.errors import UserError
from emo_hf.export.export import export
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.prefix import prefix_in, with_prefix
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.storage.record import TEXTS_FILE, read_record, read_texts
from emo_hf.training.loaded import load_data

CORPUS = [
    *(text for label in LABELS for text in sentences(label)),
    "query: OK ok 7시 (웃음) …네 기뻐 ㅋㅋ 😀 기분: Query",
] * 3
TEXTS = ["오늘 학교에서 웃었어", "OK 7시", "ok", "(웃음) …네", "ㅋㅋ 😀", "기뻐"]
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def unigram(*before: pre_tokenizers.PreTokenizer) -> Tokenizer:
    found = Tokenizer(models.Unigram())
    found.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), normalizers.Lowercase()])
    found.pre_tokenizer = pre_tokenizers.Sequence([*before, pre_tokenizers.Metaspace()])
    found.decoder = decoders.Metaspace()
    found.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=400, special_tokens=WORDS, unk_token="<unk>", show_progress=False)
    )
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return found


def xlm_roberta() -> Tokenizer:
    return unigram(pre_tokenizers.WhitespaceSplit())


def sentencepiece() -> Tokenizer:
    return unigram()


def wordpiece() -> Tokenizer:
    found = Tokenizer(models.WordPiece(unk_token="<unk>"))
    found.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=500, special_tokens=WORDS, show_progress=False)
    )
    found.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    return found


def byte_level(*before: pre_tokenizers.PreTokenizer, processor: processors.PostProcessor | None) -> Tokenizer:
    found = Tokenizer(models.BPE())
    own = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not before)
    found.pre_tokenizer = pre_tokenizers.Sequence([*before, own]) if before else own
    found.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    found.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=700, special_tokens=WORDS, initial_alphabet=letters, show_progress=False),
    )
    if processor is not None:
        found.post_processor = processor
    return found


def roberta() -> Tokenizer:
    return byte_level(processor=processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False))


def gpt2() -> Tokenizer:
    return byte_level(processor=processors.ByteLevel(trim_offsets=True))


def modernbert() -> Tokenizer:
    split = pre_tokenizers.Split(Regex(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    return byte_level(
        split,
        processor=processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        ),
    )


def bare() -> Tokenizer:
    return byte_level(processor=None)


KINDS = [xlm_roberta, sentencepiece, wordpiece, roberta, gpt2, modernbert, bare]


@functools.cache
def content(kind) -> str:
    """Trained once: twice trained, Unigram has its pieces in another order."""
    return kind().to_str()


def loaded(kind) -> PreTrainedTokenizerFast:
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(content(kind)), **dict(zip(names, WORDS, strict=True))
    )


def state(tokenizer: PreTrainedTokenizerFast) -> dict:
    """What is saved, but for how it was cut last."""
    return {**json.loads(tokenizer.backend_tokenizer.to_str()), "truncation": None, "padding": None}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("prefix", ["query: ", "기분: "])
def test_the_tokens_are_those_of_prefix_and_text(kind, prefix, tmp_path):
    plain, tokenizer = loaded(kind), with_prefix(loaded(kind), prefix)
    assert prefix_in(tokenizer) == prefix and prefix_in(plain) == ""
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    alone = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    before = tokenizer("")["input_ids"]
    for text in TEXTS:
        expected = plain(prefix + text)["input_ids"]
        assert tokenizer(text)["input_ids"] == again(text)["input_ids"] == alone.encode(text).ids == expected
        # A text that is cut keeps the prefix, and fills what is left.
        cut = tokenizer(text, truncation=True, max_length=len(before) + 1)["input_ids"]
        kept = len(before) - len(plain("")["input_ids"] if kind not in (gpt2, bare) else [])
        assert len(cut) == len(before) + 1 and cut[:kept] == expected[:kept]
    assert tokenizer.num_special_tokens_to_add() == len(before)
    assert prefix_in(again) == prefix and with_prefix(again, prefix) is again


def test_a_class_that_makes_its_own_template(tmp_path):
    """XLM-R's, read by the type of the model beside it, would leave what stands in tokenizer.json."""
    signs = ["▁", "▁query", ":", "▁오늘", *"좋아기뻐ㅋ7시(웃음)…네😀OKok"]
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((sign, -1.0) for sign in signs)]
    XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)]).save_pretrained(tmp_path)
    XLMRobertaConfig().save_pretrained(tmp_path)
    made = with_prefix(AutoTokenizer.from_pretrained(tmp_path), "query: ")
    made.save_pretrained(tmp_path)
    for tokenizer in (made, AutoTokenizer.from_pretrained(tmp_path)):
        assert tokenizer("오늘 좋아").tokens() == ["<s>", "▁query", ":", "▁오늘", "▁", "좋", "아", "</s>"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_once_whatever_a_text_holds(kind):
    plain, tokenizer = loaded(kind), with_prefix(loaded(kind), "query: ")
    own = tokenizer("")["input_ids"]
    for text in ("", "<s> 오늘 </s> OK", "<mask>", "query: 오늘"):
        found = tokenizer(text)["input_ids"]
        assert len(found) == len(own) + len(tokenizer(text, add_special_tokens=False)["input_ids"])
        if text[:1] not in ("", "<"):
            assert found == plain(f"query: {text}")["input_ids"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_another_one_takes_its_place_and_none_leaves_nothing(kind, tmp_path):
    first = with_prefix(loaded(kind), "query: ")
    first.save_pretrained(tmp_path)
    second = with_prefix(AutoTokenizer.from_pretrained(tmp_path), "기분: ")
    assert state(second) == state(with_prefix(loaded(kind), "기분: "))
    third, plain = with_prefix(second, ""), loaded(kind)
    assert prefix_in(third) == ""
    for text in ["", *TEXTS]:
        assert third(text).data == plain(text).data
        assert third(text, "OK").data == plain(text, "OK").data


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_places_in_the_text_are_those_of_the_text(kind):
    text = "오늘 학교에서 웃었어"
    places = []
    for tokenizer in (loaded(kind), with_prefix(loaded(kind), "query: ")):
        found = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        both = zip(found["offset_mapping"], found["special_tokens_mask"], strict=True)
        covered = {place for (start, end), special in both if not special for place in range(start, end)}
        places.append({place for place in covered if text[place] != " "})
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("질문", "makes one word of its end and of what a text begins with"),
        (" ", "or leaves nothing of it; end it with a sign and a space, as 'query' + ': '"),
        ("뷁쉙: ", "does not know '쉙'; take other words"),
    ],
)
def test_what_can_not_stand_before_a_text(refused, prefix, said):
    line = refused("--encoder", "tiny-bert", "--prefix", prefix)
    assert line.startswith(f"--prefix {prefix!r}: the tokenizer of the encoder ") and said in line


def test_a_tokenizer_of_code_is_refused():
    with pytest.raises(UserError, match="needs a tokenizer that stands in a tokenizer"):
        with_prefix(ByT5Tokenizer(), "query: ")
    slow = ByT5Tokenizer()
    assert with_prefix(slow, "") is slow


@pytest.fixture(scope="module")
def run_with(encoders, csv_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prefix") / "run"
    words = ["--encoder", encoders["bert"], "--pooling", "cls", "--data", csv_file, "--max_length", "24"]
    short = ["--embedding_size", "16", "--num_train_epochs", "1", "--bf16", "false", "--disable_tqdm", "true"]
    assert train([*words, *short, "--prefix", "하루 종일 ", "--output_dir", str(folder)]) == 0
    return folder


def test_a_run_says_it_and_answers_alike_everywhere(run_with, encoders, tmp_path):
    record, config = read_record(run_with), json.loads((run_with / "config.json").read_text())
    assert record["model"]["prefix"] == config["text_prefix"] == "하루 종일 "
    texts = [*sentences("기쁨")[:5], "", "[SEP] 오늘"]
    expected = Predictor(run_with).probabilities(texts).double().numpy()

    # The model on texts that have it, by a tokenizer that knows nothing of it.
    model = EmotionModel.from_pretrained(run_with).eval()
    plain = load_tokenizer(ModelArguments(encoder=encoders["bert"]))
    batch = plain(
        ["하루 종일 " + text for text in texts], padding=True, return_tensors="pt", return_token_type_ids=False
    )
    assert np.allclose(model(**batch).logits.softmax(-1).detach().numpy(), expected, atol=1e-6)

    without = plain(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    assert not np.allclose(model(**without).embeddings.detach(), model(**batch).embeddings.detach(), atol=1e-3)

    classify = pipeline("text-classification", model=str(run_with), top_k=None, trust_remote_code=True)
    for text, row in zip(texts, expected, strict=True):
        found = {score["label"]: score["score"] for score in classify([text])[0]}
        assert [found[label] for label in model.config.labels] == pytest.approx(row, abs=1e-5)
    for to in ("onnx", "transformers"):
        folder = export(run_with, to, tmp_path / to)
        assert json.loads((folder / "config.json").read_text())["text_prefix"] == "하루 종일 "
        assert 'puts "하루 종일" before every text' in (folder / "README.md").read_text()
    assert np.allclose(Predictor(tmp_path / "onnx").probabilities(texts).numpy(), expected, atol=1e-4)
    stock = pipeline("text-classification", model=str(tmp_path / "transformers"), top_k=None)
    found = {score["label"]: score["score"] for score in stock([texts[0]])[0]}
    assert [found[label] for label in model.config.labels] == pytest.approx(expected[0], abs=1e-4)

    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = export(run_with, "sentence-transformers", tmp_path / "sentence-transformers")
    embeddings = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts)
    assert np.allclose(embeddings, model(**batch).embeddings.detach().numpy(), atol=1e-4)


def test_texts_that_are_compared_are_those_of_the_file(run_with, csv_file):
    """By them a child knows what it must not be tested on, whatever stands before them."""
    kept, whole = read_texts(run_with / TEXTS_FILE)
    assert whole and np.array_equal(kept, trained_on(load_data(DataArguments(data=csv_file)), None))


def test_children_keep_it(run_with, csv_file, tmp_path):
    data = DataArguments(data=csv_file, max_length=24)
    for name, model in {
        "encoder": ModelArguments(encoder=str(run_with), embedding_size=16),
        "whole": ModelArguments(init_from=str(run_with)),
    }.items():
        record = start(tmp_path / name, model, data)
        assert record["model"]["prefix"] == "하루 종일 "
        assert prefix_in(AutoTokenizer.from_pretrained(tmp_path / name)) == "하루 종일 "
    record = start(tmp_path / "none", ModelArguments(encoder=str(run_with), embedding_size=16, prefix=""), data)
    assert "prefix" not in record["model"]
    loaded_again = EmotionModel.from_pretrained(tmp_path / "none")
    assert loaded_again.config.text_prefix == "" and prefix_in(AutoTokenizer.from_pretrained(tmp_path / "none")) == ""


def test_a_child_of_all_of_it_can_have_no_other(run_with, refused):
    said = refused("--encoder", str(run_with), "--init_from", str(run_with), "--prefix", "오늘 ")
    assert said == (
        f"--prefix is '오늘 ', but the model of --init_from {run_with} has '하루 종일 '; leave --prefix out, or take "
        f"its encoder alone: --encoder {run_with}"
    )


def test_a_tokenizer_of_another_prefix_is_told(run_with, encoders, tmp_path):
    EmotionModel.from_pretrained(run_with).save_pretrained(tmp_path)
    load_tokenizer(ModelArguments(encoder=encoders["bert"])).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="its texts begin with '하루 종일 ', but with '' by its tokenizer"):
        Predictor(tmp_path)
