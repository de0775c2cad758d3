"""Tokens are right, unpadded, and made once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers

from emo_hf.data.collation import PaddingCollator
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.errors import UserError

SENTENCES = [f"{number} 번째 날은 {word} 보냈다" for number in range(20) for word in ("기쁘게", "슬프게", "불안하게")]
PIECES = sorted({piece for sentence in SENTENCES for piece in sentence})


def tokenizer(extra: tuple[str, ...] = ()) -> transformers.BertTokenizer:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES, *(f"##{piece}" for piece in PIECES), *extra]
    return transformers.BertTokenizer(
        vocab={piece: number for number, piece in enumerate(vocabulary)}, do_lower_case=False, model_max_length=64
    )


def data_at(path: Path, sentences: list[str] = SENTENCES):
    labels = ["기쁨", "슬픔", "불안"] * (len(sentences) // 3)
    pd.DataFrame({"sentence": sentences, "label": labels}).to_csv(path, index=False)
    return load_emotion_data(str(path))


@pytest.fixture
def data(tmp_path):
    return data_at(tmp_path / "data.csv")


def stored(cache: Path) -> set[Path]:
    return set((cache / "tokens").glob("*.arrow"))


def test_tokens(data, tmp_path):
    cutter = tokenizer()
    tokens = tokenize_splits(data, cutter, max_length=128, cache_dir=tmp_path)
    for name, split in tokens.items():
        assert split.column_names == ["input_ids", "labels", "length"]
        assert split["labels"][:] == data.splits[name]["label"][:]
        for row, text in zip(split, data.splits[name]["text"], strict=True):
            assert row["input_ids"] == cutter(text)["input_ids"]
            assert len(row["input_ids"]) == row["length"]
        assert len(split.cache_files) == 1  # memory-mapped, on the first run too
        assert Path(split.cache_files[0]["filename"]) in stored(tmp_path)
    assert len(set(tokens["train"]["length"][:])) > 1  # not padded
    assert not list((tmp_path / "tokens").glob("writing-*"))


class Doubled(transformers.BertTokenizer):
    """A tokenizer with a way of its own to be called, as some classes of transformers have."""

    def __call__(self, text, *args, **kwargs):
        return super().__call__([f"{one} {one}" for one in text], *args, **kwargs)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("own", [transformers.BertTokenizer, Doubled])
def test_tokens_are_those_of_the_plain_call(own, side, data, tmp_path):
    """Whatever was asked of the tokenizer before, where texts are cut and special tokens stand in them."""
    for split in data.splits:
        texts = [f"{text} [SEP] {'날은 ' * (row % 9)}" for row, text in enumerate(data.splits[split]["text"])]
        columns = data.splits[split].remove_columns("text").add_column("text", texts)
        data.splits[split] = columns.select_columns(["text", "label"])
    words = {piece: number for number, piece in enumerate(tokenizer().get_vocab())}
    cutter = own(vocab=words, do_lower_case=False, model_max_length=64)
    cutter.truncation_side = side
    cutter([SENTENCES[0]], padding="max_length", max_length=50, truncation=True, split_special_tokens=True)
    tokens = tokenize_splits(data, cutter, max_length=12, cache_dir=tmp_path)
    for name, split in tokens.items():
        plain = [cutter([text], truncation=True, max_length=12)["input_ids"][0] for text in data.splits[name]["text"]]
        assert split["input_ids"][:] == plain
        assert split["length"][:] == [len(ids) for ids in plain] and 12 in split["length"][:]


def test_long_texts_are_cut_to_both_limits(data, tmp_path):
    assert max(tokenize_splits(data, tokenizer(), max_length=8, cache_dir=tmp_path)["train"]["length"][:]) == 8
    short = tokenizer()
    short.model_max_length = 6
    assert max(tokenize_splits(data, short, max_length=128, cache_dir=tmp_path)["train"]["length"][:]) == 6
    with pytest.raises(UserError, match="max_length is 2"):
        tokenize_splits(data, tokenizer(), max_length=2, cache_dir=tmp_path)


def test_other_limits_tokenizers_and_texts_get_files_of_their_own(data, tmp_path):
    def files(*arguments, **options) -> int:
        tokenize_splits(*arguments, cache_dir=tmp_path / "cache", **options)
        return len(stored(tmp_path / "cache"))

    assert files(data, tokenizer()) == 3
    assert files(data, tokenizer()) == 3
    assert files(data, tokenizer(), max_length=200) == 3  # the tokenizer's own limit of 64 counts
    assert files(data, tokenizer(), max_length=10) == 6
    assert files(data, tokenizer(("##새",))) == 9
    other = [sentence.replace("번째", "째") for sentence in SENTENCES]
    assert files(data_at(tmp_path / "other.csv", other), tokenizer()) == 12


def test_a_tokenizer_in_another_folder_or_used_before_is_the_same(data, tmp_path):
    first = tokenizer()
    tokenize_splits(data, first, cache_dir=tmp_path / "cache")
    before = {path: path.stat().st_mtime_ns for path in stored(tmp_path / "cache")}
    first(["padded", "and cut"], padding="max_length", truncation=True, max_length=5)  # leaves traces in the backend
    for folder in ("one", "two"):
        first.save_pretrained(tmp_path / folder)
        tokenize_splits(
            data, transformers.AutoTokenizer.from_pretrained(tmp_path / folder), cache_dir=tmp_path / "cache"
        )
    assert {path: path.stat().st_mtime_ns for path in stored(tmp_path / "cache")} == before


PROGRAM = """
import sys, transformers
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.tokenization import tokenize_splits
source, folder, cache, may_tokenize = sys.argv[1:]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
if may_tokenize == "no":
    def refuse(*arguments, **options):
        raise SystemExit("tokenized again")
    type(tokenizer).__call__ = refuse
tokens = tokenize_splits(load_emotion_data(source), tokenizer, cache_dir=cache)
print(tokens["test"]["input_ids"][:])
"""


def test_a_second_process_is_served_from_the_cache(warm, data, tmp_path):
    tokenizer().save_pretrained(tmp_path / "tokenizer")
    own = transformers.AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    tokens = tokenize_splits(data, own, cache_dir=tmp_path / "cache")
    (tmp_path / "copy").mkdir()
    moved = (tmp_path / "data.csv").rename(tmp_path / "copy" / "moved.csv")
    process = warm.start(["-c", PROGRAM, str(moved), str(tmp_path / "tokenizer"), str(tmp_path / "cache"), "no"])
    assert process.wait() == 0, process.err()
    assert process.out().strip() == str(tokens["test"]["input_ids"][:])


def test_processes_side_by_side_write_once(warm, data, tmp_path):
    tokenizer().save_pretrained(tmp_path / "tokenizer")
    words = ["-c", PROGRAM, *(str(tmp_path / name) for name in ("data.csv", "tokenizer", "cache")), "yes"]
    processes = [warm.start(words) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0], [process.err() for process in processes]
    assert processes[0].out() == processes[1].out() != ""
    writers = ["Tokenizing train" in process.err() for process in processes]  # the progress bar of who writes
    assert sum(writers) == 1
    assert len(stored(tmp_path / "cache")) == 3


def test_broken_files_are_made_again_with_a_warning(data, tmp_path, caplog):
    tokens = tokenize_splits(data, tokenizer(), cache_dir=tmp_path)
    truth = {name: split["input_ids"][:] for name, split in tokens.items()}
    for content in (b"", b"no arrow", None):
        path = Path(tokens["train"].cache_files[0]["filename"])
        whole = path.read_bytes()
        path.unlink()  # the old file is still mapped
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
        caplog.clear()
        tokens = tokenize_splits(data, tokenizer(), cache_dir=tmp_path)
        assert {name: split["input_ids"][:] for name, split in tokens.items()} == truth
        assert len([record for record in caplog.records if "is broken and is made again" in record.message]) == 1


def test_several_processes_of_map_give_the_same(data, tmp_path):
    one = tokenize_splits(data, tokenizer(), cache_dir=tmp_path / "one")
    two = tokenize_splits(data, tokenizer(), cache_dir=tmp_path / "two", num_proc=2)
    assert one["train"][:] == two["train"][:]
    assert len(two["train"].cache_files) == 1


def test_a_tokenizer_without_a_fast_backend(data, tmp_path):
    slow = transformers.ByT5Tokenizer()
    assert not slow.is_fast
    for _ in range(2):
        tokens = tokenize_splits(data, slow, cache_dir=tmp_path)
        assert len(stored(tmp_path)) == 3
    assert tokens["test"]["input_ids"][:] == [slow(text)["input_ids"] for text in data.splits["test"]["text"]]
    tokenize_splits(data, transformers.ByT5Tokenizer(extra_ids=5), cache_dir=tmp_path)
    assert len(stored(tmp_path)) == 6


def test_cache_folder(data, tmp_path, monkeypatch):
    monkeypatch.setenv("EMO_HF_CACHE", str(tmp_path / "from environment"))
    tokenize_splits(data, tokenizer())
    assert len(stored(tmp_path / "from environment")) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="EMO_HF_CACHE or cache_dir"):
        tokenize_splits(data, tokenizer(), cache_dir=tmp_path / "file")


def test_a_full_cache_is_only_read(data, tmp_path):
    """So it may be read-only: not even a lock is made."""
    tokenize_splits(data, tokenizer(), cache_dir=tmp_path)
    for lock in (tmp_path / "tokens").glob("*.lock"):
        lock.unlink()
    before = sorted((tmp_path / "tokens").iterdir())
    tokenize_splits(data, tokenizer(), cache_dir=tmp_path)
    assert sorted((tmp_path / "tokens").iterdir()) == before


@pytest.mark.parametrize("side", ["right", "left"])
def test_batches_are_those_of_the_library(encoders, side) -> None:
    cutter = transformers.AutoTokenizer.from_pretrained(encoders["roberta"], padding_side=side)
    rows = [
        {"input_ids": cutter(text)["input_ids"], "labels": label, "rows": 7 * label}
        for label, text in enumerate(["오늘 정말 웃었어", "", "어제 친구랑 같이 밥을 먹다가 나도 모르게 울었어"])
    ]
    expected = transformers.DataCollatorWithPadding(cutter)([dict(row) for row in rows])
    found = PaddingCollator(cutter)(rows)
    assert found["attention_mask"].sum(1).tolist() == [len(row["input_ids"]) for row in rows]
    for name, values in found.items():
        assert values.dtype == expected[name].dtype and torch.equal(values, expected[name]), name
