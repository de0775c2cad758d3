"""Runs that promise: what their promise rests on, where it stands, and what they answer then."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from export import main as export
from label_set_rows import run_arguments
from predict import main as predict
from test_distributed import launch
from test_training import run_until

from emo_hf import Predictor
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.evaluation.promises import answers_of, choose_sets, choose_threshold
from emo_hf.storage.record import load_predictions, read_record
from emo_hf.training.promised import HELD, halved
from emo_hf.training.run import make_trainer, run

TEXTS = ["오늘 학교에서 정말 울었어", "주말에 신났어", "어제 집에서 초조했어", "밥을 먹었어"]


def words_of(encoder: str, data: str, folder, **own):
    settings = {"num_train_epochs": 3, "learning_rate": 2e-3, "bf16": False, "disable_tqdm": True} | own
    return (
        ModelArguments(encoder=encoder, pooling="mean", embedding_size=16),
        DataArguments(data=data, max_length=32),
        MetricTrainingArguments(output_dir=str(folder), **settings),
    )


def halves(folder, csv_file, tokens):
    """Probabilities of a saved model, and labels, of the validation rows that choose and of those that are held."""
    predictor, texts = Predictor(folder), load_emotion_data(csv_file).splits["validation"]["text"][:]
    places = {tuple(ids): place for place, ids in enumerate(predictor.pieces.ids(texts, 128))}
    parts = []
    for split in ("validation", HELD):
        scores = predictor.scores([texts[places[tuple(ids)]] for ids in tokens[split]["input_ids"]])
        parts.append((scores, np.asarray(tokens[split]["labels"])))
    return parts


SCRIPT = """
import sys
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.training.run import run
run(
    ModelArguments(encoder=sys.argv[1], pooling="mean", embedding_size=16),
    DataArguments(data=sys.argv[2], max_length=32),
    MetricTrainingArguments(
        output_dir=sys.argv[3], num_train_epochs=10, bf16=False, disable_tqdm=True, learning_rate=2e-3, max_error=0.5
    ),
)
"""


@pytest.fixture(scope="module")
def promising(encoders, csv_file, tmp_path_factory):
    """A run that answers some texts, and its record."""
    folder = tmp_path_factory.mktemp("promising") / "run"
    record = run(*words_of(encoders["bert"], csv_file, folder, max_error=0.5, coverage=0.7, num_train_epochs=10))
    return folder, record


def test_a_half_of_validation_chooses_nothing(encoders, csv_file, tmp_path):
    words = words_of(encoders["bert"], csv_file, tmp_path, max_error=0.2)
    trainer, tokens = make_trainer(*words, load_emotion_data(csv_file))
    whole, whole_tokens = make_trainer(*words_of(encoders["bert"], csv_file, tmp_path), load_emotion_data(csv_file))
    assert HELD not in whole_tokens and len(whole.eval_dataset) == 36
    assert len(trainer.eval_dataset) == len(tokens["validation"]) == len(tokens[HELD]) == 18
    assert np.bincount(tokens[HELD]["labels"]).tolist() == [6, 6, 6]
    ids = [set(map(tuple, rows["input_ids"])) for rows in (tokens["validation"], tokens[HELD])]
    assert not ids[0] & ids[1] and ids[0] | ids[1] == set(map(tuple, whole_tokens["validation"]["input_ids"]))
    with pytest.raises(UserError, match=r"takes half of the validation rows, and there is 1; give a larger"):
        halved({"validation": tokens[HELD].select([0])}, words[2], 0)


def test_a_promise_stands_in_record_and_configuration_and_rests_on_the_held_rows(promising, csv_file):
    folder, record = promising
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for name in ("abstention", "label_sets"):
        found = dict(record["promises"][name])
        found.pop("test")
        assert config[name] == found and found["rows"] == 18 and found["confidence"] == 0.95
    _, tokens = make_trainer(
        *words_of(str(folder), csv_file, folder.parent / "x", max_error=0.5), load_emotion_data(csv_file)
    )
    parts = halves(folder, csv_file, tokens)
    made = choose_threshold(*itertools.starmap(answers_of, parts), 0.5)
    assert made.threshold == pytest.approx(config["abstention"]["threshold"], abs=1e-5)
    assert (made.answered, made.errors) == (config["abstention"]["answered"], config["abstention"]["errors"])
    assert choose_sets(*parts[1], 0.7, "adaptive").bounds == pytest.approx(config["label_sets"]["bounds"], abs=1e-5)


def test_a_text_below_the_threshold_gets_no_answer_but_its_probabilities(promising, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(promising[0], folder)
    predictor = Predictor(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    least = float(np.median(predictor.scores(TEXTS).max(1)))  # some texts are below it, some are not
    config["abstention"]["threshold"] = least
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    predictor.promises = predictor.promises | {"abstention": {"threshold": 0.999}}
    assert predictor.named([0.9985, 0.001, 0.0005]) == ["모름"] and predictor.named([0.9995, 0, 0]) == ["불안"]
    output = tmp_path / "out.csv"
    predict([str(folder), *TEXTS, "--output", str(output)])
    with output.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = Predictor(folder).scores(TEXTS)
    assert sum(row["label"] == "모름" for row in rows) == 2
    assert list(rows[0]) == ["sentence", "label", "label_set", "불안", "슬픔", "기쁨"]
    for row, own in zip(rows, scores, strict=True):
        likeliest = ["불안", "슬픔", "기쁨"][own.argmax()]
        assert row["label"] == (likeliest if own.max() >= least else "모름")
        assert row["label_set"].split("|")[0] == likeliest  # with all that it may be, whatever is answered
        assert [float(row[name]) for name in ("불안", "슬픔", "기쁨")] == pytest.approx(own, abs=1e-4)
    capsys.readouterr()
    predict([str(folder), TEXTS[0], "--format", "jsonl"])
    said = json.loads(capsys.readouterr().out)
    assert said["label_set"] == rows[0]["label_set"].split("|") and said["label"] == rows[0]["label"]
    predict([str(folder), TEXTS[0]])
    assert capsys.readouterr().out.split("\t")[1] == "{" + rows[0]["label_set"].replace("|", ", ") + "}"
    assert predict([str(folder), TEXTS[0], "--output", str(tmp_path / "out.xlsx")]) in (None, 0)


def test_an_export_keeps_the_promise(promising, tmp_path):
    pytest.importorskip("onnxruntime")
    folder, _ = promising
    export([str(folder), "--to", "onnx", "--output", str(tmp_path / "onnx")])
    own, there = Predictor(folder), Predictor(tmp_path / "onnx")
    assert there.promises == own.promises and set(own.promises) == {"abstention", "label_sets"}
    scores = [predictor.scores(TEXTS) for predictor in (own, there)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert there.label_sets(scores[1]) == own.label_sets(scores[0])


def test_the_record_says_how_the_promise_did_on_test_rows(promising):
    folder, record = promising
    arrays = load_predictions(read_record(folder) | {"directory": folder})
    shares = np.exp(arrays["logits"]) / np.exp(arrays["logits"]).sum(1, keepdims=True)
    answered = shares.max(1) >= record["promises"]["abstention"]["threshold"]
    wrong = shares.argmax(1) != arrays["labels"]
    test = record["promises"]["abstention"]["test"]
    assert test["answered"][0] == pytest.approx(answered.mean())
    assert test["errors"][0] == pytest.approx(wrong[answered].mean()) and test["errors"][1] <= test["errors"][0]
    sets = record["promises"]["label_sets"]["test"]
    assert 0 < sets["coverage"][0] <= 1 <= sets["labels"] <= 3


def test_where_no_threshold_holds_a_line_says_so_and_nothing_is_answered(encoders, csv_file, tmp_path, caplog):
    record = run(*words_of(encoders["bert"], csv_file, tmp_path / "run", max_error=0.05, max_steps=2))
    assert record["promises"]["abstention"]["threshold"] is None
    assert "no threshold promises at most 5 % of errors, by 18 validation rows: every answer is 모름" in caplog.text
    assert record["promises"]["abstention"]["test"] == {
        "answered": [0.0, 0.0, pytest.approx(0.06, abs=0.01)],
        "errors": None,
    }
    predictor = Predictor(tmp_path / "run")
    assert {predictor.named(list(scores.values()))[0] for scores in predictor(TEXTS)} == {"모름"}


def promised_again(folder, csv_file, tokens):
    """The threshold by the probabilities of the saved model."""
    return choose_threshold(*itertools.starmap(answers_of, halves(folder, csv_file, tokens)), 0.5)


def test_a_resumed_run_promises_the_same(encoders, csv_file, tmp_path):
    asked = {"max_error": 0.5, "coverage": 0.7}
    straight = run(*words_of(encoders["bert"], csv_file, tmp_path / "straight", **asked))
    run_until(14, *words_of(encoders["bert"], csv_file, tmp_path / "stopped", **asked))
    resumed = run(*words_of(encoders["bert"], csv_file, tmp_path / "stopped", resume_from_checkpoint="last", **asked))
    assert resumed["promises"] == straight["promises"] and straight["promises"]["abstention"]["rows"] == 18


def test_a_promise_of_adapters_is_that_of_the_merged_weights(encoders, csv_file, tmp_path):
    pytest.importorskip("peft")
    model, *others = words_of(
        encoders["bert"], csv_file, tmp_path / "lora", max_error=0.5, learning_rate=2e-2, num_train_epochs=10
    )
    record = run(replace(model, lora=["r=2"]), *others)
    _, tokens = make_trainer(
        *words_of(encoders["bert"], csv_file, tmp_path / "x", max_error=0.5), load_emotion_data(csv_file)
    )
    made, found = promised_again(tmp_path / "lora", csv_file, tokens), record["promises"]["abstention"]
    assert made.threshold is not None and made.threshold == pytest.approx(found["threshold"], abs=1e-5)
    assert (made.answered, made.errors) == (found["answered"], found["errors"])


@pytest.mark.slow
def test_processes_promise_what_one_would_of_all_held_rows(warm, encoders, csv_file, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    launch(warm, tmp_path / "script.py", 2, encoders["bert"], csv_file, str(tmp_path / "run"))
    record = read_record(tmp_path / "run")
    _, tokens = make_trainer(
        *words_of(encoders["bert"], csv_file, tmp_path / "x", max_error=0.5), load_emotion_data(csv_file)
    )
    made, found = promised_again(tmp_path / "run", csv_file, tokens), record["promises"]["abstention"]
    assert record["hardware"]["processes"] == 2 and found["rows"] == made.rows == 18
    assert made.threshold == pytest.approx(found["threshold"], abs=1e-5)
    assert (made.answered, made.errors) == (found["answered"], found["errors"])


@pytest.mark.parametrize("name", ["max_error", "coverage"])
def test_rows_of_several_labels_are_promised_nothing(encoders, three_sets, tmp_path, name):
    words = run_arguments(encoders["bert"], three_sets, tmp_path / "run", **{name: 0.1})
    with pytest.raises(UserError, match=rf"--{name} is 0.1, but these rows have several labels each, and it promises"):
        run(*words)
