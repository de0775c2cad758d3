"""Predictions: the same numbers in any batch, order kept, constant memory, every format."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import huggingface_hub
import numpy as np
import places
import pytest
import torch
from synthetic import write_run
from transformers import AutoTokenizer

from emo_hf.data.sources import streams
from emo_hf.errors import UserError
from emo_hf.export.export import export
from emo_hf.inference import prediction_files
from emo_hf.inference import predictor as prediction
from emo_hf.inference.predictions import predictions
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel

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
    AutoTokenizer.from_pretrained(encoders["roberta"]).save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return places.recipe("predict")


def test_batches_change_nothing(model) -> None:
    together = Predictor(model, batch_size=3).probabilities(SENTENCES)
    alone = torch.cat([Predictor(model).probabilities([sentence]) for sentence in SENTENCES])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(together.sum(1), torch.ones(len(SENTENCES)))
    assert together.std(0).max() > 1e-3  # the sentences differ, so a wrong order would show


@pytest.mark.parametrize("seen", [" {}\u3000", "\u200b{}\ufeff"])
def test_texts_are_cleaned_as_in_training(model, seen) -> None:
    """Space and what is invisible around a text is no part of it; a Hangul filler is a blank."""
    predictor = Predictor(model)
    pairs = [(SENTENCES[0], seen.format(SENTENCES[0])), (SENTENCES[0], SENTENCES[0].replace(" ", "\u3164"))]
    for plain, marked in pairs:
        assert torch.equal(predictor.probabilities([marked]), predictor.probabilities([plain]))


@pytest.mark.parametrize("empty", ["", " \u3164", "nan", "None", "\\N"])
def test_a_text_that_training_leaves_out_gets_no_prediction(model, empty) -> None:
    """A row keeps its place, so that the others keep theirs."""
    found = list(predictions(Predictor(model), [1, 2, 3], [], [SENTENCES[0], empty, "nan 좋아"]))
    assert [(row.text, row.label is None, row.scores is None) for row in found] == [
        (SENTENCES[0], False, False), (empty, True, True), ("nan 좋아", False, False)
    ]  # fmt: skip


def test_they_equal_the_model(model) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
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


class Held(str):
    """A sentence that is counted as long as anything holds it."""

    alive = most = 0

    def __new__(cls, text: str) -> Held:
        cls.alive += 1
        cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, text)

    def __del__(self) -> None:
        Held.alive -= 1


def test_no_more_than_a_chunk_of_a_large_file_is_held(recipe, tmp_path, monkeypatch) -> None:
    """50,000 lines, through a model that computes nothing; its own work on a chunk is over with the chunk."""
    predictor = Predictor.__new__(Predictor)
    predictor.labels, predictor.thresholds, predictor.promises = LABELS, None, {}
    chunks = []
    monkeypatch.setattr(
        predictor, "scores", lambda chunk: chunks.append(len(chunk)) or np.zeros((len(chunk), len(LABELS)))
    )
    blocks = (
        streams.Block(
            range(start, start + 500), {"1": [Held(f"문장 {number}") for number in range(start, start + 500)]}
        )
        for start in range(0, 50_000, 500)
    )
    out = io.StringIO()
    opened = streams.Opened("many", ["1"], "1", False, (), blocks)
    count, empty = recipe.write(opened, predictor, prediction_files.writer_to(out, "text", [], LABELS, mark=False))
    assert (count, empty.count) == (50_000, 0) and set(chunks) == {500}
    del opened, blocks
    assert 500 <= Held.most <= 1001 and Held.alive == 0  # a block, and the next one while it is made
    assert [line.split("\t")[2] for line in out.getvalue().splitlines()] == [f"문장 {n}" for n in range(50_000)]


def test_the_speed_is_told_of_many_sentences_and_to_a_terminal(model, recipe, capsys, monkeypatch) -> None:
    given = list(filter(None, SENTENCES))
    assert recipe.main([model, *given]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(recipe, "MANY", 3)
    assert recipe.main([model, *given]) == 0
    assert re.fullmatch(r"4 sentences in \d+\.\d s, [\d,]+ a second\n", capsys.readouterr().err)
    monkeypatch.setattr(recipe, "MANY", 1000)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert recipe.main([model, SENTENCES[0]]) == 0
    assert capsys.readouterr().err.startswith("1 sentences in")


def test_embeddings_come_in_the_order_of_the_sentences(model) -> None:
    probabilities, embeddings = Predictor(model, batch_size=2).outputs(SENTENCES)
    tokenizer = AutoTokenizer.from_pretrained(model)
    for sentence, scores, embedding in zip(SENTENCES, probabilities, embeddings, strict=True):
        expected = EmotionModel.from_pretrained(model).eval()(**tokenizer(sentence, return_tensors="pt"))
        assert torch.allclose(embedding, expected.embeddings[0], atol=1e-5)
        assert torch.allclose(scores, expected.logits.softmax(-1)[0], atol=1e-5)


def test_the_benchmark_measures_equal_work(tmp_path, capsys) -> None:
    """The plain pipeline and Predictor give the same probabilities, or the recipe refuses to time them."""
    bench = places.recipe("bench/prediction")
    assert bench.main(["--rows", "24", "--rounds", "1", "--output", str(tmp_path)]) == 0
    written = (tmp_path / "predict.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out and written.count("×") == 3
    with pytest.raises(UserError, match="other differs from the first arm"):
        bench.measure({"first": lambda texts: np.zeros(3), "other": lambda texts: np.ones(3)}, ["하나"], 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_tables_keep_their_order(model, recipe, tmp_path, capsys, encoding, suffix) -> None:
    path = tmp_path / f"comments{suffix}"
    with path.open("w", encoding=encoding, newline="") as file:
        table = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",")
        table.writerows([["id", "text"], *enumerate(SENTENCES)])
    assert recipe.main([model, str(path), "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("\ufeffid,sentence,label,")
    assert said.err == f"{path.name}: 1 row has no text and an empty prediction: 5\n"
    rows = list(csv.DictReader(io.StringIO(said.out.removeprefix("\ufeff"))))
    assert [(row["id"], row["sentence"]) for row in rows] == [(str(n), text) for n, text in enumerate(SENTENCES)]
    assert [*rows.pop(3).values()] == ["3", "", "", "", "", ""]
    expected = Predictor(model).probabilities(list(filter(None, SENTENCES)))
    for row, scores in zip(rows, expected, strict=True):
        assert [float(row[label]) for label in LABELS] == pytest.approx(scores.tolist(), abs=1e-4)
        assert row["label"] == LABELS[int(scores.argmax())]


def test_a_reader_that_has_enough_is_no_mistake(model, tmp_path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"오늘 {number}\n" for number in range(3000)), encoding="utf-8")
    for kind in ("csv", "jsonl"):
        words = [sys.executable, str(places.RECIPES / "predict.py"), model, str(path), "--format", kind]
        with subprocess.Popen(words, cwd=places.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert "sentence" in process.stdout.readline().decode()
            process.stdout.close()
            assert process.stderr.read() == b"" and process.wait() == 0


def test_jsonl_text_and_standard_input(model, recipe, tmp_path, capsys, monkeypatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"body": s}, ensure_ascii=False) + "\n" for s in SENTENCES), encoding="utf-8")
    assert recipe.main([model, str(path), "--text_column", "body", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["sentence"] for row in rows] == SENTENCES
    assert rows.pop(3) == {"sentence": "", "label": None, "scores": None}
    assert all(row["label"] == max(row["scores"], key=row["scores"].get) for row in rows)

    for words in ([], ["-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(SENTENCES[:3]).encode())))
        assert recipe.main([model, *words]) == 0
        assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()] == SENTENCES[:3]


def test_mistakes_are_one_line(model, recipe, tmp_path, capsys) -> None:
    table = tmp_path / "other.csv"
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "하나"}\nno\n', encoding="utf-8")
    empty, workbook = tmp_path / "empty.csv", tmp_path / "comments.xlsx"
    empty.touch()
    workbook.touch()
    for words, said in {
        (str(tmp_path / "nothing"), "오늘"): "can't be loaded",
        (model, str(tmp_path / "nothing.csv")): "no such file",
        (model, str(table)): "columns found: a, b; name yours with --text_column",
        (model, str(table), "--text_column", "c"): "--text_column 'c' is missing",
        (model, str(empty), "--format", "csv"): "is empty",
        (model, str(workbook)): "comments.xlsx is empty",
        (model, str(tmp_path)): "is a folder",
        (model, "오늘", str(table)): "one file at a time",
        (model, "오늘", " "): "is empty",
        (model, "-", "오늘"): "- stands for standard input and takes nothing beside it",
        (model, "오늘", "--batch_size", "two"): "argument --batch_size: invalid int value: 'two'; see --help",
        (model, "오늘", "--formt", "csv"): "unknown argument '--formt'; did you mean --format?",
        (model, str(broken)): "row 2: not a JSON object",
    }.items():
        assert recipe.main(list(words)) == 2
        captured = capsys.readouterr()
        assert said in captured.err and captured.err.count("\n") == 1 and not captured.out
    with pytest.raises(UserError, match="Hub id"):
        Predictor(tmp_path / "nothing")


def test_a_study_is_named_with_the_best_of_its_runs_that_has_a_model(model, recipe, tmp_path, capsys) -> None:
    """Of three models, the best has lost its weights; the baselines' folders, first by name, never had any."""
    study = tmp_path / "study"
    for aux, score in (("none", 0.9), ("contrastive", 0.6), ("triplet", 0.7)):
        record = write_run(study, aux=aux, correct=score)
        if aux != "none":
            shutil.copy(f"{model}/model.safetensors", study / record["run_id"])
    baseline = study / write_run(study, baseline="TF-IDF + logistic regression")["run_id"]
    best = study / "tiny-bert_cls_triplet_seed42"
    advice = f"give the folder of one run, as {best}, the best of them by validation macro-F1\n"
    for given, what in ((study, "a study, a folder of runs"), (baseline, "the run of a baseline, which has no model")):
        assert recipe.main([str(given), "오늘"]) == 2
        assert capsys.readouterr().err == f"error: {given} is {what}; {advice}"
        with pytest.raises(UserError, match=re.escape(str(best))):
            export(given, "onnx", tmp_path / "out")
    for folder in study.glob("*/model.safetensors"):
        folder.unlink()
    assert recipe.main([str(study), "오늘"]) == 2
    assert "which none of this study does" in capsys.readouterr().err


def test_a_model_is_looked_for_on_the_hub_once(monkeypatch, caplog):
    """Its client tries six times, for half a minute, and tells of each."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    started = time.monotonic()
    with pytest.raises(UserError, match="no such folder is here, and the Hub can't be reached"):
        Predictor("runs/nothing")
    with pytest.raises(UserError, match="there is no such folder"):
        Predictor("runs/train/nothing")
    assert time.monotonic() - started < 5 and not caplog.messages
