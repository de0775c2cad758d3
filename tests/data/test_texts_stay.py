"""Texts that look like something else stay texts, byte for byte, through every format and into tokens and records."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import hub_server
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from tables import LABELS, error_of

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.json_cells import has_json, plain_texts
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.models.pretrained import load_tokenizer

ODD = [
    "1004",
    "null",
    "[1]",
    "1.50",
    "true",
    "{}",
    '"q"',
    '"따옴표"',
    "1e5",
    "NA",
    "TRUE",
    "007",
    "a\\u1234b",
    "[1, 2",
]
PLAIN = [f"{word} 날이었어 {number}" for number in range(8) for word in ("좋은", "긴")]
SPLITS = ["train"] * 18 + ["validation"] * 6 + ["test"] * 6
NUMBER = 7  # stands among them without quotes


def rows(texts: list) -> list[dict]:
    return [{"text": text, "label": LABELS[number % 3]} for number, text in enumerate(texts)]


def mixed() -> list:
    """Odd and plain texts in turn, with the number among the first of them."""
    texts: list = [text for pair in zip(ODD, PLAIN, strict=False) for text in pair] + PLAIN[len(ODD) :]
    return [*texts[:2], NUMBER, *texts[2:-1]]


def table() -> list[dict]:
    return [row | {"split": split} for row, split in zip(rows(mixed()), SPLITS, strict=True)]


def jsonl(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def as_json(path: Path) -> None:
    path.write_text(json.dumps(table(), ensure_ascii=False), encoding="utf-8")


def as_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for record in [{name: name for name in table()[0]}, *table()]:
        book.active.append(list(record.values()))
    book.save(path)


def as_saved(path: Path) -> None:
    """Saved by datasets, with all cells as strings: what a user has who knows of the trap."""
    strings = [record | {"text": str(record["text"])} for record in table()]
    datasets.Dataset.from_list(strings).save_to_disk(str(path))


WRITERS = {
    "data.jsonl": lambda path: jsonl(path, table()),
    "data.json": as_json,
    "data.csv": lambda path: pd.DataFrame(table()).to_csv(path, index=False),
    "data.tsv": lambda path: pd.DataFrame(table()).to_csv(path, index=False, sep="\t"),
    "data.xlsx": as_xlsx,
    "data.parquet": lambda path: pd.DataFrame(table()).astype(str).to_parquet(path),
    "saved": as_saved,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format(tmp_path, name):
    WRITERS[name](tmp_path / name)
    data = load_emotion_data(str(tmp_path / name))
    tokenizer = load_tokenizer(ModelArguments())
    tokens = tokenize_splits(data, tokenizer, cache_dir=tmp_path / "cache")
    for split, rows_of_it in data.splits.items():
        expected = [str(record["text"]) for record in table() if record["split"] == split]
        assert rows_of_it["text"][:] == expected
        assert tokens[split]["input_ids"][:] == tokenizer(expected)["input_ids"]


def test_a_study_writes_them_as_they_are(tmp_path):
    data = jsonl(tmp_path / "data.jsonl", table())
    words = ["--data", str(data), "--encoders", "tiny-bert", "--poolings", "cls", "--aux", "none", "--seeds", "1"]
    words += ["--max_steps", "1", "--embedding_size", "8", "--bf16", "false", "--study_dir", str(tmp_path / "study")]
    assert importlib.import_module("compare").main(words) == 0
    noted = json.loads((tmp_path / "study" / "test.json").read_text(encoding="utf-8"))
    expected = [record for record in table() if record["split"] == "test"]
    assert noted["text"] == [str(record["text"]) for record in expected]
    (run,) = (tmp_path / "study").glob("tiny-bert*/predictions.npz")
    assert np.load(run)["labels"].tolist() == [LABELS.index(record["label"]) for record in expected]


@pytest.mark.parametrize("dirty", ["train", "test"])
def test_what_datasets_has_made_of_a_number_is_read_back(tmp_path, dirty):
    """By the column's own type, or under that of texts, where a training split without a number gave it."""
    unclear = {'"q"', "NA", "TRUE", "[1, 2", "a\\u1234b"}  # of ASCII and no JSON: with these it is refused
    texts = {
        dirty: [text for text in mixed() if text not in unclear],
        "test" if dirty == "train" else "train": [f"{text} 오늘" for text in PLAIN],
    }
    files = {name: str(jsonl(tmp_path / f"{name}.jsonl", rows(texts[name]))) for name in ("train", "test")}
    found = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert ("Json" in str(found["test"].features["text"])) is (dirty == "train")
    assert any("\\u" in cell for cell in found[dirty].with_format("arrow")[:]["text"].to_pylist() if cell)
    found.save_to_disk(str(tmp_path / "saved"))
    data = load_emotion_data(str(tmp_path / "saved"), validation_size=0.2)
    assert data.splits["test"]["text"][:] == [str(text) for text in texts["test"]]
    assert {*data.splits["train"]["text"][:], *data.splits["validation"]["text"][:]} == {*map(str, texts["train"])}
    noted = sum("was written as JSON by datasets" in note for note in data.report["notes"])
    assert noted == (2 if dirty == "train" else 1)


def test_a_cell_that_may_stand_for_two_texts_is_refused(tmp_path):
    file = jsonl(tmp_path / "train.jsonl", rows(["ok", NUMBER, *PLAIN]))
    found = datasets.load_dataset("json", data_files={"train": str(file)}, cache_dir=str(tmp_path / "cache"))
    found.save_to_disk(str(tmp_path / "saved"))
    said = error_of(tmp_path / "saved")
    assert "column 'text' holds JSON and not texts" in said and "give the files that it was made from" in said
    assert "ok" in {t for s in load_emotion_data(str(file)).splits.values() for t in s["text"][:]}  # it leads out


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        (['"\\uc548"', "7", "1.50", "null", None, "[1]", " 7 "], ["안", "7", "1.50", "null", "", "[1]", " 7 "]),
        (['"\\uc548"', '"안"', '"a" or', '"'], ["안", '"안"', '"a" or', '"']),
        (['"\\uc548 \\"q\\" \\n b\\/c"'], ['안 "q" \n b/c']),
        (['"\\uc548"', '"ok"'], None),
    ],
)  # fmt: skip
def test_cells(cells, texts):
    for kind in (pa.string(), pa.large_string(), pa.json_()):
        column = pa.chunked_array([pa.array(cells, pa.string()).cast(kind) if kind != pa.json_() else cells_of(cells)])
        assert has_json(column) and plain_texts(column) == texts


def cells_of(cells: list) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(cells, pa.string()))


def test_quotes_of_ones_own_are_no_json():
    for cell in ('"따옴표"', '"q"', "\\uc548", 'a "\\uc548"', '"\\uc548" b'):
        assert not has_json(pa.chunked_array([[cell, "가"]]))


HUB = """
import json, sys
from emo_hf.data.loading import load_emotion_data
for name in ("lines", "table", "named", "several"):
    data = load_emotion_data(f"tester/{name}", labels="all")
    print(json.dumps([data.labels, {s: [t["text"][:], t["label"][:]] for s, t in data.splits.items()}]))
"""
CARD = b"""---
dataset_info:
  features:
  - {name: text, dtype: string}
  - {name: label, dtype: {class_label: {names: {'0': sad, '1': glad}}}}
---
"""
CARD_OF_LISTS = b"""---
dataset_info:
  features:
  - {name: text, dtype: string}
  - {name: labels, sequence: {class_label: {names: {'0': sad, '1': glad, '2': calm}}}}
---
"""


def test_files_on_the_hub(tmp_path):
    """They are read as files here are, with the names that the card gives numbers, and again without the Hub."""
    parts = {split: [record for record in table() if record["split"] == split] for split in ("train", "test")}
    lines = {
        f"{split}.jsonl": jsonl(tmp_path / "part.jsonl", [{**r, "split": ""} for r in part]).read_bytes()
        for split, part in parts.items()
    }
    numbered = [{"text": r["text"], "label": number % 2} for number, r in enumerate(table())]
    with hub_server.running() as server:
        server.repos["datasets/tester/lines"] = hub_server.Repo(lines)
        server.repos["datasets/tester/table"] = hub_server.Repo(
            {"all.csv": pd.DataFrame(table()).to_csv(index=False).encode()}
        )
        named = {"README.md": CARD, "train.jsonl": jsonl(tmp_path / "part.jsonl", numbered).read_bytes()}
        server.repos["datasets/tester/named"] = hub_server.Repo(named)
        lists = [{"text": r["text"], "labels": [[0, 2], [1], []][n % 3]} for n, r in enumerate(table())]
        several = {"README.md": CARD_OF_LISTS, "train.jsonl": jsonl(tmp_path / "part.jsonl", lists).read_bytes()}
        server.repos["datasets/tester/several"] = hub_server.Repo(several)
        own = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        own |= hub_server.environment(server, str(tmp_path / "home"), None)
        answers = []
        for more in ({}, {"HF_HUB_OFFLINE": "1"}):
            done = subprocess.run([sys.executable, "-c", HUB], env=own | more, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
            answers.append([json.loads(line) for line in done.stdout.splitlines()])
    assert answers[0] == answers[1]
    (_, lines_), (_, table_), (labels, named_), (of_lists, several_) = answers[0]
    for split, part in parts.items():
        expected = {str(record["text"]) for record in part}
        assert set(table_[split][0]) == expected
        assert set(lines_[split][0]) <= expected  # some of the training rows are those to choose by
    assert set(lines_["train"][0] + lines_["validation"][0] + lines_["test"][0]) == {
        str(record["text"]) for part in parts.values() for record in part
    }
    assert labels == ["glad", "sad"]
    truth = {str(record["text"]): ["sad", "glad"][number % 2] for number, record in enumerate(table())}
    assert {text: labels[label] for s in named_.values() for text, label in zip(*s, strict=True)} == truth
    assert of_lists == ["calm", "glad", "sad"]
    truth = {str(record["text"]): [[0, 2], [1], []][number % 3] for number, record in enumerate(table())}
    assert {text: found for s in several_.values() for text, found in zip(*s, strict=True)} == truth
