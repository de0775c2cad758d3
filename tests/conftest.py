"""What several tests share: tiny encoders with their tokenizer, and a small data set that is learned in seconds."""

from __future__ import annotations

import os

# Tests run side by side, and threads that wait for each other's cores take ten times as long. The processes that a
# test starts inherit it; a test that is about several threads or cores says so itself.
os.environ["OMP_NUM_THREADS"] = os.environ["LOKY_MAX_CPU_COUNT"] = "1"

import functools
import gc
import importlib
import itertools
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch
from demo_app import train
from lineage import of, start
from recorded_trainer import recorded_trainer
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel
from warm import Warm

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.models.configuration import StaticConfig
from emo_hf.models.static import StaticEncoder

LABELS = ["불안", "슬픔", "기쁨"]
CUES = {
    "불안": ["떨렸어", "초조했어", "걱정됐어", "조마조마했어"],
    "슬픔": ["울었어", "서러웠어", "그리웠어", "허전했어"],
    "기쁨": ["웃었어", "신났어", "설렜어", "뿌듯했어"],
}
TIMES = ["오늘", "어제", "아침에", "저녁에", "주말에"]
PLACES = ["학교에서", "집에서", "회사에서", "버스에서"]
ENDINGS = ["", "정말", "하루 종일", "친구랑 같이 밥을 먹다가 나도 모르게"]
SPECIALS = {
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "roberta": ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],  # klue/roberta: 0, 1, 2, 3, 4
}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="session", autouse=True)
def token_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tokens of tests, and of the processes that they start, never reach the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMO_HF_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """Trainers collect garbage after each training: spare them a walk through all that has been imported by now."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Processes that tests start take Ctrl-C as in a terminal, though the tests themselves run in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, interruptible: None) -> Iterator[Warm]:
    """An interpreter to fork processes from."""
    interpreter = Warm(tmp_path_factory.mktemp("warm"))
    yield interpreter
    interpreter.close()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A run sets the threads of its process: they do not reach the next test."""
    yield
    torch.set_num_threads(1)


def sentences(label: str) -> list[str]:
    """The 320 sentences of a label in an order that mixes their words and lengths."""
    found = [
        " ".join(word for word in (time, place, ending, cue) if word)
        for time, place, ending, cue in itertools.product(TIMES, PLACES, ENDINGS, CUES[label])
    ]
    return [found[index * 77 % len(found)] for index in range(len(found))]


def tiny_tokenizer(layout: str) -> BertTokenizer:
    """A WordPiece tokenizer that knows the words of the data set, and every other Hangul word by its syllables."""
    texts = [sentence for label in LABELS for sentence in sentences(label)]
    words = sorted({word for text in texts for word in text.split()})
    syllables = sorted({syllable for word in words for syllable in word})
    pieces = dict.fromkeys([*SPECIALS[layout], *syllables, *(f"##{syllable}" for syllable in syllables), *words])
    return BertTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, do_lower_case=False, model_max_length=512
    )


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of a tiny BERT and a tiny RoBERTa in KLUE's layout, each with its tokenizer, by layout."""
    torch.manual_seed(0)
    paths = {}
    for layout, (config_class, model_class) in {
        "bert": (BertConfig, BertModel),
        "roberta": (RobertaConfig, RobertaModel),
    }.items():
        tokenizer = tiny_tokenizer(layout)
        special = {"pad_token_id": tokenizer.pad_token_id}
        if layout == "roberta":
            special |= {"bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
        positions = 64 if layout == "bert" else 66
        config = config_class(vocab_size=len(tokenizer), max_position_embeddings=positions, **SIZES, **special)
        path = tmp_path_factory.mktemp("encoders") / f"mini-{layout}"
        model_class(config, add_pooling_layer=False).save_pretrained(path)
        tokenizer.save_pretrained(path)
        paths[layout] = str(path)
    return paths


@pytest.fixture(scope="session")
def static_encoder(encoders: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a static encoder with random vectors and weights, and the tokenizer of the tiny BERT."""
    tokenizer = tiny_tokenizer("bert")
    torch.manual_seed(3)
    model = StaticEncoder(StaticConfig(len(tokenizer), 24, pad_token_id=tokenizer.pad_token_id))
    torch.nn.init.normal_(model.pieces.weight)
    torch.nn.init.normal_(model.importance.weight)
    path = tmp_path_factory.mktemp("encoders") / "mini-static"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="session")
def speck(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The least that is a run: an encoder of one layer, and 12 training, 6 validation and 12 test sentences."""
    folder = tmp_path_factory.mktemp("speck")
    tokenizer = tiny_tokenizer("bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder / "speck")
    tokenizer.save_pretrained(folder / "speck")
    splits = ["train"] * 4 + ["validation"] * 2 + ["test"] * 4
    rows = [
        {"sentence": sentence, "label": label, "split": split}
        for label in LABELS
        for sentence, split in zip(sentences(label), splits, strict=False)
    ]
    pd.DataFrame(rows).to_csv(folder / "speck.csv", index=False)
    return str(folder / "speck"), str(folder / "speck.csv")


def write_splits(path: Path, sizes: dict[str, int]) -> str:
    """A CSV with so many sentences of each label in each split."""
    splits = [split for split, size in sizes.items() for _ in range(size)]
    rows = [
        {"sentence": sentence, "label": label, "split": split}
        for label in LABELS
        for sentence, split in zip(sentences(label), splits, strict=False)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="session")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """48 training, 12 validation and 20 test sentences of each of three labels."""
    return write_splits(tmp_path_factory.mktemp("data") / "mini.csv", {"train": 48, "validation": 12, "test": 20})


@pytest.fixture(scope="session")
def trained(encoders: dict[str, str], csv_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small trained model, of data that are not public; what a test adds to it harms no other."""
    return train(encoders, csv_file, tmp_path_factory.mktemp("trained") / "mini")


@pytest.fixture(scope="session")
def sets_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CSV of 120 training, 60 validation and 60 test rows with up to three of twelve labels each."""
    cues = [cue for label in LABELS for cue in CUES[label]]
    chosen = np.random.default_rng(0)
    rows = []
    for split, size in {"train": 120, "validation": 60, "test": 60}.items():
        for number in range(size):
            labels = [cues[place] for place in chosen.permutation(len(cues))[: 1 + number % 3]]
            place = f"{TIMES[number % 5]} {PLACES[number % 4]}"
            rows.append({"sentence": f"{place} {' '.join(labels)}", "label": "|".join(labels), "split": split})
    path = tmp_path_factory.mktemp("sets") / "sets.csv"
    pd.DataFrame(rows).drop_duplicates("sentence").to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="session")
def trained_sets(encoders: dict[str, str], sets_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model that gives several labels a row; what a test adds to it harms no other."""
    folder = tmp_path_factory.mktemp("trained") / "sets"
    return train(encoders, sets_file, folder, pooling="cls", all_labels=True, learning_rate=5e-3, num_train_epochs=6)


@pytest.fixture(scope="session")
def three_sets(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CSV of 96 training, 40 validation and 40 test rows, each with up to all of the three labels."""
    from label_set_rows import write_sets  # which takes the words of the texts from here

    return write_sets(tmp_path_factory.mktemp("sets") / "sets.csv")


@pytest.fixture(scope="session")
def tokens(encoders: dict[str, str], csv_file: str) -> datasets.DatasetDict:
    """The small data set as the BERT among the encoders reads it."""
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    return tokenize_splits(load_emotion_data(csv_file), tokenizer, max_length=32)


@pytest.fixture
def make_trainer(encoders: dict[str, str], tokens: datasets.DatasetDict, tmp_path: Path) -> Callable:
    """Makes a `recorded_trainer` on the small data set."""
    return functools.partial(recorded_trainer, encoders["bert"], tokens, tmp_path / "run")


@pytest.fixture
def common(csv_file) -> list[str]:
    """What makes a run short."""
    words = "--max_length 32 --embedding_size 16 --num_train_epochs 2 --bf16 false --disable_tqdm true"
    return ["--data", csv_file, *words.split()]


@pytest.fixture(scope="session")
def mains() -> dict[str, Callable[[list[str]], int]]:
    """The recipes that read data, by name."""
    return {name: importlib.import_module(name).main for name in ("train", "compare", "predict")}


@pytest.fixture
def refused(mains, capsys, tmp_path, encoders, monkeypatch) -> Callable[..., str]:
    """What a recipe says on standard error, with status 2, without the Hub, and with nothing trained."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def call(*words: str, recipe: str = "train") -> str:
        # What a test names comes last, and wins.
        own = {
            "train": ["--encoder", encoders["bert"], "--max_length", "32", "--output_dir", str(tmp_path / "run")],
            "compare": ["--encoders", encoders["bert"], "--max_length", "32", "--study_dir", str(tmp_path / "study")],
            "predict": [],
        }[recipe]
        capsys.readouterr()
        assert mains[recipe]([*own, *words]) == 2
        said = capsys.readouterr()
        trained = [path for name in ("run", "study") for path in (tmp_path / name).rglob("model.safetensors")]
        assert not said.out and not trained
        # A bar draws itself over and over in one line, unless a test before this one has switched bars off.
        lines = re.sub(r"(\r?(Loading weights|Tokenizing)[^\r\n]*)+\n", "", said.err).splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), said.err
        return lines[0].removeprefix("error: ").replace(str(tmp_path), "TMP")

    return call


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    """30 sentences of each label, without splits."""
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    found = [{"sentence": text, "label": label} for label in LABELS for text in sentences(label)[:30]]
    pd.DataFrame(found).to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="session", params=["mean", "attention"])
def parent(request, speck, rows, tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("parent") / "base"
    model = ModelArguments(encoder=speck[0], pooling=request.param, embedding_size=8, embedding_dropout=0.0)
    start(folder, model, DataArguments(data=rows, max_length=16), learning_rate=1e-2)
    return folder


@pytest.fixture
def half(tmp_path, rows) -> DataArguments:
    """All rows, with a test row and a validation row of each label that the parent was trained on among others."""
    given = DataArguments(data=rows, max_length=16)
    trained = set(of(given, "train"))
    texts = pd.read_csv(rows)
    free = [place for place, text in enumerate(texts["sentence"]) if text not in trained]
    seen = [place for place, text in enumerate(texts["sentence"]) if text in trained]
    split = pd.Series("train", texts.index)
    # Of each label a test row and a validation row that the parent was trained on.
    split[free[::2]], split[free[1::2]] = "test", "validation"
    for label in LABELS:
        mine = [place for place in seen if texts["label"][place] == label]
        split[mine[0]], split[mine[1]] = "test", "validation"
    texts.assign(split=split).to_csv(tmp_path / "half.csv", index=False)
    return DataArguments(data=str(tmp_path / "half.csv"), max_length=16)
