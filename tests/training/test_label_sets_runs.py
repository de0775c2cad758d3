"""Runs on rows with several labels each: what they learn and refuse, stopped, gone on with, of odd labels."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import LABELS
from label_set_rows import run_arguments, set_rows
from places import ROOT
from test_training import run_until, weights

from emo_hf import EmotionModel, MetricTrainer, Predictor
from emo_hf.evaluation.thresholds import choose_thresholds, sigmoid
from emo_hf.storage.record import PLAIN_LOSSES, read_record
from emo_hf.training import run as running
from emo_hf.training.classifier_loss import CLASSIFIER_DEFAULTS
from emo_hf.training.loaded import load_data
from emo_hf.training.run import run


@pytest.fixture
def begin(encoders, three_sets, tmp_path) -> Callable[..., Path]:
    """A run of 6 steps an epoch, with a checkpoint every 3."""

    def call(name: str, stop: int = 0, **own: Any) -> Path:
        words = run_arguments(encoders["bert"], three_sets, tmp_path / name, **own)
        run_until(stop, *words)
        return tmp_path / name

    return call


def test_a_run_learns_sets_and_keeps_what_is_needed_to_use_them(begin, three_sets):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as Trainer's, of label smoothing
        folder = begin(
            "run",
            num_train_epochs=20,
            aux="contrastive",
            save_strategy="epoch",
            eval_strategy="epoch",
            calibration="none",  # which thresholds chosen anew below would not go along with
        )
    record = read_record(folder)
    assert record["arguments"]["training"]["label_smoothing_factor"] == 0.0
    assert record["model"]["classifier_loss"] == {"classification_loss": "binary_cross_entropy"}
    assert record["data"]["report"]["task"] == "multi" and record["test"]["macro_f1"] > 0.8
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification" and len(config["thresholds"]) == 3
    rows = pd.read_csv(three_sets)
    test = rows[rows["split"] == "test"]
    with np.load(folder / "predictions.npz") as arrays:
        assert arrays["labels"].dtype == np.uint8
        said = ["|".join(LABELS[c] for c in np.flatnonzero(row)) or "[]" for row in arrays["labels"]]
        assert arrays["thresholds"].tolist() == config["thresholds"]
        logits = arrays["logits"]
    assert [set(name.split("|")) for name in said] == [set(name.split("|")) for name in test["labels"]]
    predictor = Predictor(folder)
    found = predictor.probabilities(test["text"].tolist()).numpy()
    assert np.abs(found - sigmoid(logits)).max() < 1e-3
    valid = rows[rows["split"] == "validation"]
    truth = np.array([[int(name in cell.split("|")) for name in LABELS] for cell in valid["labels"]])
    chosen = choose_thresholds(predictor.probabilities(valid["text"].tolist()).numpy().astype(float), truth)
    assert np.abs(chosen - np.array(config["thresholds"])).max() < 1e-3


def test_a_bias_at_the_priors_starts_lower(encoders, tmp_path, monkeypatch):
    """Of 20 labels that one row in 20 has: what comes first else is that they are rare."""
    draw = random.Random(3)
    rows = [
        {"text": text, "labels": json.dumps(draw.sample(range(20), draw.choice((0, 1, 2))))}
        for text, _ in set_rows(160)
    ]
    path = tmp_path / "rare.jsonl"
    path.write_text("".join(json.dumps(row | {"labels": json.loads(row["labels"])}) + "\n" for row in rows))
    common = {"num_train_epochs": 1, "learning_rate": 1e-3, "eval_steps": 2, "save_steps": 2}
    histories = []
    for name in ("priors", "zero"):
        model, data, training = run_arguments(encoders["bert"], str(path), tmp_path / name, **common)
        histories.append(run(model, dataclasses.replace(data, labels=["all"]), training)["history"])
        monkeypatch.setattr(EmotionModel, "start_at", lambda self, shares: None)
    ours, theirs = histories
    assert len(ours) >= 3 and ours[0]["validation_loss"] < 0.6 * theirs[0]["validation_loss"]
    assert all(one["validation_loss"] < other["validation_loss"] for one, other in zip(ours, theirs, strict=True))


def test_the_bias_is_the_logit_of_the_share(begin, encoders, three_sets, tmp_path):
    words = run_arguments(encoders["bert"], three_sets, tmp_path / "x")
    data = load_data(words[1])
    trainer, _ = running.make_trainer(*words[:2], words[2], data)
    shares = np.array([data.report["counts"]["train"][label] for label in LABELS]) / 96
    assert sigmoid(trainer.model.classifier.bias.detach().numpy()) == pytest.approx(shares, abs=1e-6)


REFUSED = {
    "--label_smoothing_factor 0.2": "--label_smoothing_factor is 0.2, but these rows have several labels each",
    "--aux pml:TripletMarginLoss": "--aux pml:TripletMarginLoss compares rows with one label each, but these have",
    "--aux triplet --mining hard": "--mining is hard, but of rows with several labels two are alike and unlike in",
    "--aux triplet --mining semi-hard": "--mining is semi-hard, but of rows with several labels two are alike",
    "--aux contrastive --mining hard": "--mining is hard, but of rows with several labels two are alike",
    "--thresholds each": "--thresholds is 'each'; allowed: label, global, 0.5",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_sets_do_not_take_is_refused_before_a_text_is_cut_into_tokens(refused, three_sets, monkeypatch, words):
    monkeypatch.setattr(running, "tokenize_splits", None)
    assert refused("--data", three_sets, "--labels", "all", *words.split()).startswith(REFUSED[words])


def test_what_rows_of_one_label_do_not_take_is_refused_as_early(refused, csv_file, monkeypatch):
    monkeypatch.setattr(running, "tokenize_splits", None)
    said = refused("--data", csv_file, "--thresholds", "global")
    assert said == "--thresholds is global, but these rows have one label each, the likeliest; leave it out"
    said = refused("--data", csv_file, "--classification_loss", "asymmetric")
    assert "asymmetric" in said
    said = refused("--data", csv_file, "--aux", "supcon", "--aux_kwargs", '{"overlap": "any"}')
    assert said == "--aux_kwargs has overlap 'any', but these rows have one label each; leave it out"


@pytest.mark.parametrize(
    "loss",
    [
        {"aux": "triplet", "mining": "sampled"},
        {"aux": "contrastive", "aux_memory": 40},
        {"aux": "supcon", "aux_pool": "accumulated", "gradient_accumulation_steps": 2,
         "per_device_train_batch_size": 8},
        {"classification_loss": "asymmetric", "class_weights": "sqrt", "tokens_per_batch": 150},
    ],
    ids=lambda loss: "-".join(map(str, loss.values())),
)  # fmt: skip
def test_a_run_that_was_stopped_ends_bit_equal(begin, loss):
    straight = begin("straight", **loss)
    stopped = begin("stopped", stop=8, **loss)
    assert (stopped / "checkpoint-6").is_dir() and read_record(stopped)["status"] == "interrupted"
    begin("stopped", resume_from_checkpoint="last", **loss)
    assert weights(stopped) == weights(straight)
    one, other = read_record(stopped), read_record(straight)
    own = {name: value for name, value in loss.items() if name in CLASSIFIER_DEFAULTS}
    usual = {"asymmetric_gamma": 4.0, "asymmetric_clip": 0.05} if own else {"classification_loss": PLAIN_LOSSES[1]}
    assert one["model"]["classifier_loss"] == other["model"]["classifier_loss"] == own | usual
    assert one["test"] == other["test"] and one["status"] == "completed"
    assert (
        json.loads((stopped / "config.json").read_text())["thresholds"]
        == (json.loads((straight / "config.json").read_text())["thresholds"])
    )


def test_a_killed_run_goes_on_to_the_same_end(warm, mains, encoders, three_sets, tmp_path):
    words = f"--data {three_sets} --labels all --encoder {encoders['bert']} --max_length 32 --embedding_size 16 --aux"
    words += " supcon --bf16 false --save_strategy steps --eval_strategy steps --save_steps 3 --eval_steps 3"
    words += " --learning_rate 1e-3 --num_train_epochs 8 --disable_tqdm true --output_dir"
    process = warm.start([str(ROOT / "recipes" / "train.py"), *words.split(), str(tmp_path / "killed")])
    while not (tmp_path / "killed" / "checkpoint-6").is_dir():  # the one before it is whole
        assert process.poll() is None, process.err()[-2000:]
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    again = [*words.split(), str(tmp_path / "killed"), "--resume_from_checkpoint", "last"]
    assert mains["train"](again) == 0
    assert mains["train"]([*words.split(), str(tmp_path / "straight")]) == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")
    tests = [read_record(tmp_path / name)["test"] for name in ("killed", "straight")]
    assert tests[0] == tests[1]


def test_a_budget_of_tokens_and_a_batch_that_does_not_fit(begin, monkeypatch):
    budget = read_record(begin("budget", tokens_per_batch=200, aux="triplet"))
    assert budget["status"] == "completed" and budget["test"]["macro_f1"] > 0
    compute = MetricTrainer.compute_loss

    def too_large(self, model, inputs, *args, **kwargs):
        if model.training and len(inputs["input_ids"]) > 8:
            raise RuntimeError("CUDA out of memory.")
        return compute(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(MetricTrainer, "compute_loss", too_large)
    found = read_record(begin("found", auto_find_batch_size=True, aux="supcon", class_weights="sqrt"))
    size = found["arguments"]["training"]["per_device_train_batch_size"]
    assert found["status"] == "completed" and size <= 8
    monkeypatch.undo()
    straight = begin("straight", per_device_train_batch_size=size, aux="supcon", class_weights="sqrt")
    assert weights(straight) == weights(straight.parent / "found")


def test_arguments_stay_as_they_were_given(begin, encoders, three_sets, tmp_path):
    words = run_arguments(encoders["bert"], three_sets, tmp_path / "x", num_train_epochs=1)
    before = dataclasses.asdict(words[0]), dataclasses.asdict(words[1]), words[2].to_dict()
    run(*words)
    assert (dataclasses.asdict(words[0]), dataclasses.asdict(words[1]), words[2].to_dict()) == before


def odd_rows(case: str) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """The labels of training, validation and test rows."""
    usual = [[LABELS[place] for place in labels] for _, labels in set_rows(80)]
    parts = usual[:48], usual[48:64], usual[64:]
    if case == "all labels on every row":
        return tuple([list(LABELS)] * len(part) for part in parts)
    if case == "a label in training alone":
        return ([[*found, "rare"] if place % 8 == 0 else found for place, found in enumerate(parts[0])], *parts[1:])
    if case == "validation rows without labels":
        return parts[0], [["other"]] * 16, parts[2]
    if case == "a label on every row":
        return tuple([[*found, "always"] for found in part] for part in parts)
    if case == "a thousand labels":
        return tuple([[f"l{(31 * n + k) % 1000:03}" for k in range(25)] for n in range(len(part))] for part in parts)
    return parts


ODD = ["all labels on every row", "a label in training alone", "validation rows without labels",
       "a label on every row", "a thousand labels"]  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_labels_of_an_odd_kind_train_to_scores_that_are_right(mains, speck, tmp_path, capsys, case):
    texts = iter([text for text, _ in set_rows(80)])
    rows = [
        {"text": next(texts), "labels": labels, "split": split}
        for split, part in zip(("train", "validation", "test"), odd_rows(case), strict=True)
        for labels in part
    ]
    path = tmp_path / "odd.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = " ".join(LABELS) if "without" in case else "all"
    words = f"--labels {asked} --max_length 32 --embedding_size 8 --num_train_epochs 2 --bf16 false --aux supcon"
    folder = tmp_path / "run"
    own = ["--encoder", speck[0], "--data", str(path), "--output_dir", str(folder)]
    assert mains["train"]([*own, *words.split()]) == 0
    said = capsys.readouterr().err
    assert "Traceback" not in said and "Warning" not in said
    record = read_record(folder)
    test, thresholds = record["test"], json.loads((folder / "config.json").read_text())["thresholds"]
    numbers = [value for value in test.values() if isinstance(value, int | float)]
    assert all(map(math.isfinite, [*numbers, *thresholds])) and all(0 <= value <= 1 for value in thresholds)
    with np.load(folder / "predictions.npz") as arrays:
        probabilities, labels = sigmoid(arrays["logits"]), arrays["labels"].astype(bool)
    given = probabilities >= np.array(thresholds)
    hits, total = (given & labels).sum(0), given.sum(0) + labels.sum(0)
    known = labels.any(0)
    assert test["macro_f1"] == pytest.approx((2 * hits / np.maximum(total, 1))[known].mean(), abs=1e-6)
    names = record["data"]["labels"]
    for place, name in enumerate(names):
        assert (test["per_class"][name]["f1"] is None) == (not known[place])
    match case:
        case "all labels on every row":
            assert test["macro_f1"] == test["accuracy"] == 1.0
        case "a label in training alone":
            assert record["data"]["report"]["labels_absent"] == {"validation": ["rare"], "test": ["rare"]}
        case "validation rows without labels":
            assert thresholds == [0.5] * 3 and record["history"][-1]["validation_macro_f1"] == 0.0
        case "a label on every row":
            assert test["per_class"]["always"]["recall"] == 1.0
        case _:
            assert len(thresholds) == len(names) > 500
