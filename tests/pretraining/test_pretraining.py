"""Pre-training: the recipe end to end on a small corpus, its resume, and the exchange of layouts."""

from __future__ import annotations

import importlib.util
import json
import lzma
import random
from pathlib import Path
from types import ModuleType

import pytest
import torch
from places import RECIPES
from transformers import AutoModel, AutoTokenizer

from emo_hf.pretraining.corpus import train_tokenizer, trained_pieces
from emo_hf.pretraining.objectives import Pretrainer, drawn, encoder_config

RECIPE = RECIPES / "pretrain.py"
WORDS = [
    "영화",
    "정말",
    "재미있어요",
    "지루하고",
    "배우",
    "연기",
    "최고",
    "눈물이",
    "나서",
    "무섭고",
    "ㅋㅋㅋ",
    "ㅠㅠ",
    "!!",
]
SMALL = ["--hidden", "64", "--layers", "1", "--vocab_size", "160", "--batch_tokens", "256"]


@pytest.fixture(scope="module")
def pretrain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pretrain", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.HELD_OUT = 60
    return module


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("reviews") / "reviews.tsv.xz"
    with lzma.open(path, "wt", encoding="utf-8") as file:
        for _ in range(600):
            file.write(f"{draw.randint(1, 10)}\t{' '.join(draw.choices(WORDS, k=draw.randint(4, 12)))}\n")
    return path


def held_out(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]


def test_it_learns_resumes_and_changes_layout(pretrain: ModuleType, reviews: Path, tmp_path: Path) -> None:
    bert, roberta = tmp_path / "bert", tmp_path / "roberta"
    common = ["--reviews", str(reviews), "--objective", "mlm", *SMALL]
    pretrain.main([*common, "--layout", "bert", "--tokens", "0.004", "--output", str(bert)])
    pretrain.main([*common, "--layout", "bert", "--tokens", "0.06", "--output", str(bert)])
    first, last = held_out(bert)
    assert last["mlm"] < first["mlm"] and last["tokens"] > 60_000 > first["tokens"]

    as_it_is = ["--start_from", str(bert / "state.pt"), "--learning_rate", "0"]
    pretrain.main([*common, *as_it_is, "--layout", "roberta", "--tokens", "0.0001", "--output", str(roberta)])
    models = {f.name: AutoModel.from_pretrained(f / "encoder", dtype=torch.float32).eval() for f in (bert, roberta)}
    tokenizers = {f.name: AutoTokenizer.from_pretrained(f / "encoder") for f in (bert, roberta)}
    assert (models["bert"].config.pad_token_id, models["roberta"].config.pad_token_id) == (0, 1)
    assert models["roberta"].config.type_vocab_size == 1
    assert tokenizers["roberta"].convert_tokens_to_ids(["[CLS]", "[PAD]", "[SEP]"]) == [0, 1, 2]
    states = [
        models[name](**tokenizers[name]("영화 정말 최고", return_tensors="pt", return_token_type_ids=False))
        for name in ("bert", "roberta")
    ]
    assert torch.allclose(states[0].last_hidden_state, states[1].last_hidden_state, atol=2e-2)  # half precision


def test_replaced_tokens(pretrain: ModuleType, reviews: Path, tmp_path: Path) -> None:
    words = [
        "--reviews",
        str(reviews),
        "--objective",
        "rtd",
        *SMALL,
        "--tokens",
        "0.02",
        "--output",
        str(tmp_path / "x"),
    ]
    pretrain.main(words)
    [scores] = held_out(tmp_path / "x")
    assert set(scores) == {"step", "tokens", "mlm", "rtd", "rating", "marks"}
    assert (tmp_path / "x" / "encoder" / "model.safetensors").exists()


def test_what_is_drawn_has_its_probability() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[0.0, 1.0, -float("inf"), 2.0], [3.0, -float("inf"), 0.0, -float("inf")]])
    found = drawn(logits.repeat(20_000, 1)).view(-1, 2)
    for row, expected in enumerate(logits.softmax(-1)):
        share = torch.bincount(found[:, row], minlength=4) / len(found)
        assert (share - expected).abs().max() < 0.012  # three standard errors
        assert (share[expected == 0] == 0).all()


def test_whole_words_are_masked_together(encoders: dict[str, str]) -> None:
    """Of the pieces of a word all are masked or none, in the batches that mask words."""
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    config = encoder_config("bert", tokenizer, 64, 1)
    model = Pretrainer(AutoModel.from_config(config, add_pooling_layer=False), "mlm", 0.4, tokenizer)
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda *given: seen.append(given[2]["input_ids"]), with_kwargs=True)
    ids = tokenizer(["설렜다는 말이 있었고 웃었어"] * 64, return_tensors="pt")["input_ids"]
    continues = model.continues[ids]
    assert continues.any()
    whole = 0
    for seed in range(12):
        torch.manual_seed(seed)
        model(ids, torch.zeros(64, dtype=torch.long), torch.full((64, 1), -1))
        masked = seen[-1] == tokenizer.mask_token_id
        split = (masked[:, 1:] != masked[:, :-1]) & continues[:, 1:]
        whole += int(split.sum()) < 0.2 * int(continues.sum())  # some of the chosen pieces stay or are shuffled
    assert 2 <= whole <= 10


def test_a_vocabulary_follows_from_its_texts(tmp_path: Path) -> None:
    """Trained anew, from the same texts in another order too, the file is the same to the byte."""
    draw = random.Random(1)
    letters = [chr(code) for code in range(0xAC00, 0xAC00 + 120)]
    texts = [" ".join("".join(draw.choices(letters, k=draw.randint(1, 4))) for _ in range(6)) for _ in range(400)]
    files = []
    for name in ("one", "two", "three"):
        train_tokenizer(texts, tmp_path / name / "model" / "encoder", "bert", 400)
        files.append((tmp_path / name / "vocab-400.txt").read_bytes())
        texts = texts[1:] + texts[:1]
        draw.shuffle(texts)
    assert files[0] == files[1] == files[2]
    pieces = files[0].decode().split("\n")
    assert len(pieces) == len(set(pieces)) == 400
    assert pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] and pieces[5:] == sorted(pieces[5:])
    assert {*letters, *(f"##{letter}" for letter in letters)} < {*pieces}


def test_the_rarest_letters_are_left_out_alike() -> None:
    texts = ["가나 다라"] * 9 + ["마", "바", "사", "아", "자", "차"]
    assert trained_pieces(texts, 60, letters=6) == trained_pieces(texts[::-1], 60, letters=6)
    assert {"마", "바"} < {*trained_pieces(texts, 60, letters=6)} and "사" not in trained_pieces(texts, 60, letters=6)
