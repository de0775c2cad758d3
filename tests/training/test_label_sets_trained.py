"""Training on rows with several labels each: by hand and as a run, with every metric loss, stopped, gone on with."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import LABELS
from label_set_rows import set_rows, write_sets
from lineage import start as start_run
from places import ROOT
from recorded_trainer import record_steps
from safetensors.torch import load_file
from test_training import Stop, weights
from torch.nn import BCEWithLogitsLoss
from transformers import AutoTokenizer, DataCollatorWithPadding

from emo_hf import EmotionModel, MetricTrainer, MetricTrainingArguments, Predictor, UserError
from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.evaluation.thresholds import choose_thresholds, sigmoid
from emo_hf.storage.record import PLAIN_LOSSES, read_record
from emo_hf.training import run as running
from emo_hf.training.classifier_loss import CLASSIFIER_DEFAULTS
from emo_hf.training.loaded import load_data
from emo_hf.training.run import run


@pytest.fixture(scope="session")
def sets_file(tmp_path_factory) -> str:
    return write_sets(tmp_path_factory.mktemp("sets") / "sets.csv")


def hot(rows: list[tuple[str, tuple[int, ...]]], kind: type = float) -> list[list[Any]]:
    return [[kind(place in labels) for place in range(3)] for _, labels in rows]


class Hand:
    """What a test makes a trainer of, without a recipe or a run."""

    def __init__(self, encoder: str, folder: Path):
        self.encoder, self.folder = encoder, folder
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.texts = set_rows(48)

    def rows(self, labels: Any = None, column: str = "labels") -> datasets.Dataset:
        labels = hot(self.texts) if labels is None else labels
        data = datasets.Dataset.from_dict({"text": [text for text, _ in self.texts], column: labels})
        return data.map(lambda batch: self.tokenizer(batch["text"], truncation=True), batched=True)

    def model(self, multi_label: bool = True) -> EmotionModel:
        torch.manual_seed(0)
        settings = {"labels": LABELS, "pooling": "mean", "embedding_size": 16, "embedding_dropout": 0.0}
        return EmotionModel.from_encoder(self.encoder, multi_label=multi_label, **settings)

    def trainer(self, rows: Any, eval_dataset: Any = None, **own: Any) -> MetricTrainer:
        given = {name: own.pop(name) for name in ("model", "data_collator") if name in own}
        settings = {"output_dir": str(self.folder / "run"), "max_steps": 4, "bf16": False, "disable_tqdm": True}
        settings |= {"learning_rate": 1e-3, "eval_strategy": "no", "save_strategy": "no", "report_to": []}
        arguments = MetricTrainingArguments(**(settings | own))
        return MetricTrainer(**({"model": self.model()} | given), args=arguments, train_dataset=rows,
                             eval_dataset=eval_dataset, processing_class=self.tokenizer)  # fmt: skip


@pytest.fixture
def hand(encoders, tmp_path) -> Hand:
    return Hand(encoders["bert"], tmp_path)


def trained(trainer: MetricTrainer) -> dict[str, torch.Tensor]:
    trainer.train()
    return {name: tensor.detach().clone() for name, tensor in trainer.model.state_dict().items()}


class TorchRows(torch.utils.data.Dataset):
    def __init__(self, rows: datasets.Dataset):
        self.kept = list(rows)

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        row = self.kept[place]
        return {name: torch.tensor(row[name]) for name in ("input_ids", "attention_mask", "labels")}


WAYS: dict[str, Callable[[Hand], dict[str, Any]]] = {
    "floats": lambda hand: {"rows": hand.rows()},
    "integers": lambda hand: {"rows": hand.rows(hot(hand.texts, int))},
    "truth values": lambda hand: {"rows": hand.rows(hot(hand.texts, bool))},
    "label": lambda hand: {"rows": hand.rows(column="label")},
    "torch format": lambda hand: {"rows": hand.rows().with_format("torch")},
    "their collator": lambda hand: {
        "rows": hand.rows().remove_columns("text"), "data_collator": DataCollatorWithPadding(hand.tokenizer)
    },
    "list of dictionaries": lambda hand: {"rows": [dict(row) for row in hand.rows().remove_columns("text")]},
    "torch data set": lambda hand: {"rows": TorchRows(hand.rows())},
}  # fmt: skip


@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_every_kind_of_rows_trains_to_the_same_weights(hand, way):
    found = []
    for kind in ("floats", way):
        given = WAYS[kind](hand)
        found.append(trained(hand.trainer(given.pop("rows"), aux="supcon", **given)))
    assert all(torch.equal(found[1][name], tensor) for name, tensor in found[0].items())
    assert not torch.equal(found[0]["embedding.weight"], hand.model().state_dict()["embedding.weight"])


WRONG = {
    "class indices": ([0, 1, 2] * 16, "column labels holds no lists, but the model gives several labels a row"),
    "too few": ([[0, 1]] * 48, "column labels holds a list of 2 in row 0, but the model has 3 labels"),
    "unequal": ([[0, 1, 0]] * 47 + [[1]], "column labels holds a list of 1 in row 47, but the model has 3 labels"),
    "counts": ([[0, 2, 1]] * 48, "column labels holds 2; allowed are zeros and ones, one for each of the 3 labels"),
    "probabilities": ([[0.0, 0.4, 1.0]] * 48, "column labels holds 0.4; allowed are zeros and ones"),
    "not a number": ([[0.0, math.nan, 1.0]] * 48, "column labels holds nan; allowed are zeros and ones"),
    "names": ([["불안", "슬픔", ""]] * 48, "column labels holds 불안; allowed are zeros and ones"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("as_list", [False, True])
def test_labels_that_are_no_sets_are_refused_in_a_line(hand, case, as_list):
    labels, said = WRONG[case]
    rows = hand.rows(labels)
    if as_list and case == "class indices":
        said = "column labels holds a list of 1 in row 0, but the model has 3 labels"
    given = [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in rows] if as_list else rows
    with pytest.raises(UserError) as caught:
        hand.trainer(given).train()
    assert f"train_dataset: {said}" in str(caught.value)
    if not as_list:
        with pytest.raises(UserError, match="eval_dataset: column labels holds"):
            hand.trainer(hand.rows(), rows, eval_strategy="epoch", save_strategy="epoch").train()


def test_a_model_of_one_label_a_row_refuses_sets_and_says_what_takes_them(hand):
    with pytest.raises(UserError, match=r"one whole number a row.*made with multi_label=True"):
        hand.trainer(hand.rows(), model=hand.model(multi_label=False)).train()


def test_the_loss_is_that_of_every_label_summed(hand):
    """C × BCEWithLogitsLoss, a step of training as of evaluation."""
    trainer = hand.trainer(hand.rows(), hand.rows(), logging_strategy="steps", logging_steps=1)
    steps = record_steps(trainer)
    trainer.train()
    assert len(steps) == 4
    for step, entry in zip(steps, trainer.state.log_history, strict=False):
        plain = BCEWithLogitsLoss()(step["logits"], step["inputs"]["labels"].float()).item()
        assert step["loss"] == pytest.approx(3 * plain, rel=1e-5) == pytest.approx(entry["ce_loss"], rel=1e-5)
    found = trainer.predict(hand.rows())
    labels = torch.tensor(hot(hand.texts))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(
        3 * BCEWithLogitsLoss()(torch.tensor(found.predictions), labels).item(), rel=1e-5
    )


def test_a_model_trained_by_hand_is_used_at_a_half(hand, tmp_path):
    trainer = hand.trainer(hand.rows(), max_steps=30)
    trainer.train()
    logits = torch.tensor(trainer.predict(hand.rows()).predictions)
    trainer.save_model(str(tmp_path / "own"))
    predictor = Predictor(tmp_path / "own")
    assert predictor.thresholds == [0.5] * 3
    probabilities = predictor.probabilities([text for text, _ in hand.texts])
    assert torch.allclose(probabilities, logits.sigmoid(), atol=1e-5)
    for row, scores in zip(logits, probabilities.tolist(), strict=True):
        assert set(predictor.named(scores)) == {LABELS[place] for place in torch.nonzero(row > 0).ravel()}


PRODUCT = list(itertools.product(("contrastive", "triplet", "supcon"), ("batch", "accumulated"), (0, 20)))


@pytest.mark.parametrize(("aux", "pool", "memory"), PRODUCT)
def test_every_metric_loss_trains_on_sets(hand, aux, pool, memory):
    """Beside the classifier's loss, to other weights than without it and to a lower value of its own."""
    shared = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 8, "max_steps": 24,
              "logging_strategy": "steps", "logging_steps": 6, "learning_rate": 3e-3}  # fmt: skip
    plain = trained(hand.trainer(hand.rows(), **shared))
    trainer = hand.trainer(hand.rows(), aux=aux, aux_weight=1.0, aux_pool=pool, aux_memory=memory, **shared)
    found = trained(trainer)
    assert (found["embedding.weight"] - plain["embedding.weight"]).abs().max() > 1e-3
    values = [entry["aux_loss"] for entry in trainer.state.log_history if "aux_loss" in entry]
    assert len(values) == 4 and all(map(math.isfinite, values)) and values[-1] < values[0]


def arguments(encoder: str, data: str, folder: Path, **own: Any) -> tuple[Any, ...]:
    model = ModelArguments(encoder=encoder, pooling="mean", embedding_size=16)
    given = DataArguments(data=data, labels=list(LABELS), max_length=32)
    settings = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "bf16": False, "disable_tqdm": True}
    settings |= {"output_dir": str(folder), "learning_rate": 3e-3, "save_strategy": "steps", "eval_strategy": "steps"}
    return model, given, MetricTrainingArguments(**(settings | {"save_steps": 3, "eval_steps": 3} | own))


@pytest.fixture
def begin(encoders, sets_file, tmp_path) -> Callable[..., Path]:
    """A run of 6 steps an epoch, with a checkpoint every 3."""

    def call(name: str, stop: int = 0, **own: Any) -> Path:
        words = arguments(encoders["bert"], sets_file, tmp_path / name, **own)
        if stop:
            with pytest.raises(KeyboardInterrupt):
                run(*words, callbacks=[Stop(stop)])
        else:
            run(*words)
        return tmp_path / name

    return call


def test_a_run_learns_sets_and_keeps_what_is_needed_to_use_them(begin, sets_file):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as Trainer's, of label smoothing
        folder = begin("run", num_train_epochs=20, aux="contrastive", save_strategy="epoch", eval_strategy="epoch")
    record = read_record(folder)
    assert record["arguments"]["training"]["label_smoothing_factor"] == 0.0
    assert record["model"]["classifier_loss"] == {"classification_loss": "binary_cross_entropy"}
    assert record["data"]["report"]["task"] == "multi" and record["test"]["macro_f1"] > 0.8
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification" and len(config["thresholds"]) == 3
    rows = pd.read_csv(sets_file)
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
        model, data, training = arguments(encoders["bert"], str(path), tmp_path / name, **common)
        histories.append(run(model, dataclasses.replace(data, labels=["all"]), training)["history"])
        monkeypatch.setattr(EmotionModel, "start_at", lambda self, shares: None)
    ours, theirs = histories
    assert len(ours) >= 3 and ours[0]["validation_loss"] < 0.6 * theirs[0]["validation_loss"]
    assert all(one["validation_loss"] < other["validation_loss"] for one, other in zip(ours, theirs, strict=True))


def test_the_bias_is_the_logit_of_the_share(begin, encoders, sets_file, tmp_path):
    words = arguments(encoders["bert"], sets_file, tmp_path / "x")
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
def test_what_sets_do_not_take_is_refused_before_a_text_is_cut_into_tokens(refused, sets_file, monkeypatch, words):
    monkeypatch.setattr(running, "tokenize_splits", None)
    assert refused("--data", sets_file, "--labels", "all", *words.split()).startswith(REFUSED[words])


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


def test_a_killed_run_goes_on_to_the_same_end(warm, mains, encoders, sets_file, tmp_path):
    words = f"--data {sets_file} --labels all --encoder {encoders['bert']} --max_length 32 --embedding_size 16 --aux"
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


@pytest.fixture(scope="module")
def parents(encoders, sets_file, csv_file, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parents")
    for name, data in (("several", sets_file), ("one", csv_file)):
        run(*arguments(encoders["bert"], data, folder / name, num_train_epochs=3))
    return {name: folder / name for name in ("several", "one")}


def test_a_run_from_one_of_sets_keeps_its_classifier_and_chooses_thresholds_anew(parents, tmp_path):
    other = write_sets(tmp_path / "more.csv", {"train": 60, "validation": 60, "test": 30}, seed=9)
    data = DataArguments(data=other, labels=LABELS[::-1], max_length=32)
    record = start_run(tmp_path / "on", ModelArguments(init_from=str(parents["several"])), data, learning_rate=0.0)
    assert record["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding", "classifier"]
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (parents["several"], tmp_path / "on"))
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor.flip(0) if name.startswith("classifier") else tensor), name
    configs = [json.loads((folder / "config.json").read_text()) for folder in (parents["several"], tmp_path / "on")]
    assert configs[1]["thresholds"] != configs[0]["thresholds"][::-1]
    rows = load_data(data).splits["validation"]
    truth = np.array([[int(place in found) for place in range(3)] for found in rows["label"]])
    found = Predictor(tmp_path / "on").probabilities(rows["text"][:]).numpy().astype(float)
    assert np.abs(choose_thresholds(found, truth) - np.array(configs[1]["thresholds"])).max() < 1e-3


@pytest.mark.parametrize(("source", "said"), [("one", "one label"), ("several", "several labels")])
def test_a_run_of_the_other_task_gets_a_new_classifier_which_is_said(
    parents, sets_file, csv_file, tmp_path, caplog, source, said
):
    given = DataArguments(data=sets_file if source == "one" else csv_file, labels=list(LABELS), max_length=32)
    with caplog.at_level("WARNING"):
        record = start_run(tmp_path / "on", ModelArguments(init_from=str(parents[source])), given)
    assert record["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding"]
    assert record["data"]["report"]["task"] == ("multi" if source == "one" else "single")
    line = f"the classifier of {parents[source]} is not kept, for it gives {said} a row; a new one is trained"
    assert caplog.messages.count(line) == 1
    config = json.loads((tmp_path / "on" / "config.json").read_text())
    assert (config.get("thresholds") is None) == (source == "several")


def test_texts_that_a_parent_was_trained_on_are_left_out(parents, sets_file, tmp_path):
    rows = pd.read_csv(sets_file)
    swapped = rows.assign(split=rows["split"].map({"train": "test", "test": "train", "validation": "validation"}))
    keep = (swapped["split"] != "test") | (np.arange(len(rows)) < 12)
    fresh = pd.read_csv(write_sets(tmp_path / "fresh.csv", {"test": 40}, seed=5))
    mixed = pd.concat([swapped[keep], fresh[~fresh["text"].isin(rows["text"])]])
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    data = DataArguments(
        data=str(tmp_path / "mixed.csv"), labels=list(LABELS), max_length=32, unseen_by=[str(parents["several"])]
    )
    found = load_data(data)
    assert found.report["seen_before"]["test"] == 12
    assert not set(found.splits["test"]["text"]) & set(rows.loc[rows["split"] == "train", "text"])
    assert found.report["rows"]["test"] == len(found.splits["test"])
    for place, label in enumerate(LABELS):
        have = sum(place in labels for labels in found.splits["test"]["label"])
        assert found.report["counts"]["test"][label] == have
    assert found.fingerprint != load_data(dataclasses.replace(data, unseen_by=[])).fingerprint


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


def test_arguments_stay_as_they_were_given(begin, encoders, sets_file, tmp_path):
    words = arguments(encoders["bert"], sets_file, tmp_path / "x", num_train_epochs=1)
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
