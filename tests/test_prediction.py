"""Predictions: the same numbers in any batch, order kept, constant memory, every format."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from emo_hf import prediction
from emo_hf.errors import UserError
from emo_hf.modeling import EmotionModel
from emo_hf.prediction import Predictor

LABELS = ["불안", "슬픔", "기쁨"]
SENTENCES = [
    "오늘 학교에서 웃었어",
    "어제",
    "저녁에 회사에서 친구랑 같이 밥을 먹다가 나도 모르게 울었어",
    "",
    "모르는 낱말 뷁",
]


@pytest.fixture(scope="module")
def model(encoders, tmp_path_factory) -> str:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("model") / "run"
    model = EmotionModel.from_encoder(encoders["roberta"], labels=LABELS, pooling="mean", embedding_size=16)
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(path)
    prediction.AutoTokenizer.from_pretrained(encoders["roberta"]).save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    path = Path(__file__).parents[1] / "recipes" / "predict.py"
    spec = importlib.util.spec_from_file_location("predict", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_batches_change_nothing(model) -> None:
    together = Predictor(model, batch_size=3).probabilities(SENTENCES)
    alone = torch.cat([Predictor(model).probabilities([sentence]) for sentence in SENTENCES])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(together.sum(1), torch.ones(len(SENTENCES)))
    assert together.std(0).max() > 1e-3  # the sentences differ, so a wrong order would show


def test_they_equal_the_model(model) -> None:
    tokenizer = prediction.AutoTokenizer.from_pretrained(model)
    logits = EmotionModel.from_pretrained(model).eval()(**tokenizer(SENTENCES[0], return_tensors="pt")).logits
    [scores] = Predictor(model)([SENTENCES[0]])
    assert list(scores) == LABELS
    assert list(scores.values()) == pytest.approx(logits.softmax(-1)[0].tolist(), abs=1e-6)


def test_a_stream_is_read_as_it_is_written(model, monkeypatch) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 4)
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for sentence in itertools.cycle(SENTENCES):
            read += 1
            yield sentence

    got = list(itertools.islice(Predictor(model)(endless()), 6))
    assert read == 8
    assert [list(row.values()) for row in got[:5]] == [
        pytest.approx(row) for row in Predictor(model).probabilities(SENTENCES).tolist()
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_tables_keep_their_order(model, recipe, tmp_path, capsys, encoding, suffix) -> None:
    path = tmp_path / f"comments{suffix}"
    with path.open("w", encoding=encoding, newline="") as file:
        table = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",")
        table.writerows([["id", "text"], *enumerate(SENTENCES)])
    assert recipe.main([model, str(path), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["sentence"] for row in rows] == SENTENCES
    expected = Predictor(model).probabilities(SENTENCES)
    for row, scores in zip(rows, expected, strict=True):
        assert [float(row[label]) for label in LABELS] == pytest.approx(scores.tolist(), abs=1e-4)
        assert row["label"] == LABELS[int(scores.argmax())]


def test_jsonl_text_and_standard_input(model, recipe, tmp_path, capsys, monkeypatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"body": s}, ensure_ascii=False) + "\n" for s in SENTENCES), encoding="utf-8")
    assert recipe.main([model, str(path), "--text_column", "body", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["sentence"] for row in rows] == SENTENCES
    assert all(row["label"] == max(row["scores"], key=row["scores"].get) for row in rows)

    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(SENTENCES[:3]) + "\n"))
    assert recipe.main([model]) == 0
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()] == SENTENCES[:3]


def test_mistakes_are_one_line(model, recipe, tmp_path, capsys) -> None:
    table = tmp_path / "other.csv"
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "하나"}\nno\n', encoding="utf-8")
    for words, said in {
        (str(tmp_path / "nothing"), "오늘"): "can't be loaded",
        (model, str(tmp_path / "nothing.csv")): "no such file",
        (model, str(table)): "found a, b; name one with --text_column",
        (model, str(table), "--text_column", "c"): "no column c",
        (model, str(broken)): "line 2: not JSON",
    }.items():
        assert recipe.main(list(words)) == 2
        captured = capsys.readouterr().err
        assert said in captured and captured.count("\n") == 1
    with pytest.raises(UserError, match="Hub id"):
        Predictor(tmp_path / "nothing")
