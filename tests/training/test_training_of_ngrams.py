"""Training with character n-grams: their rate, what they bring, and how runs, studies and their children keep them."""

from __future__ import annotations

import json

import pytest
import torch
from compare import main as compare
from lineage import start
from test_training import run_until
from train import main as train

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.models.modeling import EmotionModel
from emo_hf.training.run import make_trainer, run


@pytest.fixture
def trainer(encoders, csv_file, tmp_path):
    def make(**training):
        settings = {"bf16": False, "disable_tqdm": True, "warmup_steps": 0}
        made, _ = make_trainer(
            ModelArguments(encoder=encoders["bert"], embedding_size=16, ngrams=3),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(output_dir=str(tmp_path / "run"), **(settings | training)),
            load_emotion_data(csv_file),
        )
        return made

    return make


@pytest.mark.parametrize("aux", ["none", "pml:ProxyAnchorLoss"])
def test_a_first_step_moves_each_part_by_its_own_rate(trainer, aux):
    made = trainer(aux=aux, max_steps=1, learning_rate=1e-4, ngrams_learning_rate=0.03, weight_decay=0.0)
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    made.train()
    moved = {
        name: (value - before[name]).abs().max().item() for name, value in made.model.named_parameters() if "." in name
    }
    assert moved.pop("ngrams.table.weight") == pytest.approx(0.03, rel=0.01)  # Adam's first step is the rate
    assert max(moved.values()) == pytest.approx(1e-4, rel=0.01)
    held = [id(parameter) for group in made.optimizer.param_groups for parameter in group["params"]]
    wanted = [*made.model.parameters(), *made._proxies]
    assert sorted(held) == sorted(map(id, wanted)) and bool(made._proxies) == (aux != "none")


def test_they_learn_where_the_encoder_does_not(encoders, csv_file, tmp_path):
    """An encoder whose rate is next to none, with n-grams and without."""
    scores = {}
    for ngrams in (0, 3):
        record = start(
            tmp_path / str(ngrams),
            ModelArguments(encoder=encoders["bert"], embedding_size=128, ngrams=ngrams),
            DataArguments(data=csv_file, max_length=32),
            learning_rate=1e-5,
            num_train_epochs=6,
        )
        scores[ngrams] = record["test"]["macro_f1"]
    assert scores[3] > 0.9 and scores[0] < 0.6


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(encoders, csv_file, tmp_path):
    finished = []
    for name, stop in (("whole", 0), ("cut", 13)):
        words = [
            ModelArguments(encoder=encoders["bert"], embedding_size=16, ngrams=3),
            DataArguments(data=csv_file, max_length=32),
        ]
        settings = {"output_dir": str(tmp_path / name), "num_train_epochs": 3, "bf16": False, "disable_tqdm": True}
        run_until(stop, *words, MetricTrainingArguments(**settings))
        if stop:
            run(*words, MetricTrainingArguments(**settings, resume_from_checkpoint="last"))
        finished.append(EmotionModel.from_pretrained(tmp_path / name).state_dict())
    whole, cut = finished
    assert all(torch.equal(cut[name], value) for name, value in whole.items())


def test_a_child_keeps_them_and_no_other_number(encoders, csv_file, tmp_path, capsys):
    data = DataArguments(data=csv_file, max_length=32)
    start(tmp_path / "a", ModelArguments(encoder=encoders["bert"], embedding_size=16, ngrams=3), data, max_steps=2)
    record = start(tmp_path / "b", ModelArguments(init_from=str(tmp_path / "a")), data, max_steps=0)
    assert record["arguments"]["model"]["ngrams"] == 3
    words = ["--init_from", str(tmp_path / "a"), "--data", csv_file, "--ngrams", "2"]
    assert train([*words, "--output_dir", str(tmp_path / "c")]) == 2
    assert "--ngrams is 2, but the model of --init_from" in capsys.readouterr().err


def test_a_study_asks_whether_they_help(encoders, csv_file, tmp_path, capsys):
    words = ["--data", csv_file, "--encoders", encoders["bert"], "--poolings", "mean", "--aux", "none"]
    words += ["--seeds", "1", "2", "--num_train_epochs", "2", "--embedding_size", "16", "--max_length", "32"]
    words += ["--over", "ngrams=0,3", "--bf16", "false", "--study_dir", str(tmp_path / "study")]
    assert compare(words) == 0
    said = capsys.readouterr().out
    assert "ngrams=3 over ngrams=0" in said
    records = [json.loads(path.read_text()) for path in (tmp_path / "study").glob("*/record.json")]
    assert sorted(r["arguments"]["model"].get("ngrams") for r in records if "model" in r["arguments"])[-1] == 3


def test_an_embedding_too_small_for_them_is_one_line(refused, csv_file):
    words = ["--data", csv_file, "--ngrams", "2", "--embedding_size", "1"]
    assert "ngrams take 1 of the 1 dimensions of the embedding" in refused(*words)
