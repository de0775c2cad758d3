"""Runs with a temperature: their answers are those without one, their probabilities are better, whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import batch, build
from label_set_rows import run_arguments
from safetensors.torch import load_file
from test_distributed import launch
from test_training import run_until

from emo_hf import EmotionModel, Predictor
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.evaluation.calibration import reliability, softmax
from emo_hf.evaluation.temperature import loss_at
from emo_hf.evaluation.thresholds import decide, sigmoid
from emo_hf.storage.record import load_predictions, read_record, summary
from emo_hf.training.run import run


@pytest.fixture
def begin(encoders, csv_file, tmp_path) -> Callable[..., dict[str, Any]]:
    """The record of a run of three epochs, each with a checkpoint."""

    def call(name: str, stop: int = 0, lora: list[str] | None = None, **own: Any) -> dict[str, Any]:
        settings = {"num_train_epochs": 3, "learning_rate": 2e-3, "bf16": False, "disable_tqdm": True} | own
        run_until(
            stop,
            ModelArguments(encoder=encoders["bert"], pooling="mean", embedding_size=16, lora=lora),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(output_dir=str(tmp_path / name), **settings),
        )
        return (read_record(tmp_path / name) or {}) | {"directory": tmp_path / name}

    return call


def classifier(folder: Path, file: str = "model.safetensors") -> dict[str, np.ndarray]:
    found = load_file(folder / file)
    return {name.split(".")[-1]: value.double().numpy() for name, value in found.items() if "classifier" in name}


def test_a_temperature_changes_how_sure_a_run_is_and_nothing_else(begin, csv_file):
    without, record = begin("none", calibration="none"), begin("temperature")
    assert without["calibration"] == {"method": "none"} and "\ntemperature" not in summary(without)
    found = record["calibration"]
    (temperature,) = found["temperatures"]
    assert temperature != 1 and found["validation"]["loss_after"] < found["validation"]["loss_before"]
    assert f"temperature {temperature:.2f}: test loss" in summary(record)
    plain, divided = load_predictions(without), load_predictions(record)
    assert divided["logits"] * temperature == pytest.approx(plain["logits"], abs=1e-5)
    assert (divided["logits"].argmax(1) == plain["logits"].argmax(1)).all()
    kept = ("accuracy", "macro_f1", "per_class", "confusion_matrix", "embeddings")
    assert all(record["test"][score] == without["test"][score] for score in kept)
    assert record["history"] == without["history"]  # of the training, before there is a temperature
    for name, of, logits in (("before", without, plain["logits"]), ("after", record, divided["logits"])):
        labels = divided["labels"]
        loss, error = loss_at(logits, labels), reliability(logits, labels).error
        assert found["test"][name]["loss"][0] == pytest.approx(loss, abs=1e-5)
        assert of["test"]["loss"] == pytest.approx(loss, abs=1e-5)
        assert found["test"][name]["ece"][0] == pytest.approx(error, abs=1e-4)
        assert of["test"]["ece"] == pytest.approx(error, abs=1e-6)
    first, second = (classifier(one["directory"]) for one in (without, record))
    assert all(second[name] * temperature == pytest.approx(first[name], rel=1e-6) for name in ("weight", "bias"))
    texts = ["오늘 학교에서 정말 울었어", "주말에 신났어"]
    predictor = Predictor(record["directory"])
    expected = softmax(Predictor(without["directory"]).logits(texts)[0].numpy() / temperature)
    assert predictor.probabilities(texts).numpy() == pytest.approx(expected, abs=1e-5)


def test_a_resumed_run_has_the_same_temperature(begin):
    straight, _ = begin("straight"), begin("stopped", stop=14, calibration="none")
    resumed = begin("stopped", resume_from_checkpoint="last")  # what comes after the training may be otherwise
    assert resumed["calibration"] == straight["calibration"]
    assert (straight["directory"] / "model.safetensors").read_bytes() == (
        resumed["directory"] / "model.safetensors"
    ).read_bytes()


def test_adapters_are_kept_with_the_classifier_of_their_model(begin):
    pytest.importorskip("peft")
    record = begin("lora", lora=["r=2"], learning_rate=5e-3)
    assert record["calibration"]["temperatures"] != [1.0]
    merged, kept = (
        classifier(record["directory"], file) for file in ("model.safetensors", "adapter/adapter_model.safetensors")
    )
    assert merged.keys() == kept.keys() and all((merged[name] == kept[name]).all() for name in merged)


def test_thresholds_go_along_with_the_temperatures_of_their_labels(encoders, three_sets, tmp_path):
    arrays, tests = [], []
    for calibration in ("none", "temperature"):
        folder = tmp_path / calibration
        words = run_arguments(encoders["bert"], three_sets, folder, calibration=calibration, num_train_epochs=16)
        record = run(*words)
        arrays.append(load_predictions(record | {"directory": folder}))
        tests.append(record["test"])
    temperatures = np.array(record["calibration"]["temperatures"])
    assert temperatures.shape == (3,) and (temperatures != 1).any()
    plain, divided = arrays
    assert divided["logits"] * temperatures == pytest.approx(plain["logits"], abs=1e-5)
    decided = [decide(sigmoid(one["logits"]), one["thresholds"]) for one in arrays]
    assert (decided[0] == decided[1]).all() and decided[0].any()
    for score in ("accuracy", "macro_f1", "micro_f1", "sample_f1"):
        assert tests[0][score] == tests[1][score]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["thresholds"] == divided["thresholds"].tolist() and config["temperatures"] == temperatures.tolist()
    change = record["calibration"]["test"]["change"]
    assert change["loss"][0] == pytest.approx(tests[1]["loss"] - tests[0]["loss"], abs=1e-5)
    assert change["ece"][0] == pytest.approx(tests[1]["ece"] - tests[0]["ece"], abs=1e-5)


@pytest.mark.parametrize("temperatures", [[1.7], [0.3, 1.0, 9.0]])
@torch.no_grad()
def test_a_divided_model_is_saved_divided(temperatures, tmp_path):
    model, inputs = build("bert", "cls"), batch("bert")
    before = model(**inputs).logits
    model.divide_logits(temperatures)
    after = model(**inputs).logits
    torch.testing.assert_close(after, before / torch.tensor(temperatures), atol=1e-6, rtol=1e-6)
    model.save_pretrained(tmp_path)
    loaded = EmotionModel.from_pretrained(tmp_path)
    assert torch.equal(loaded(**inputs).logits, after) and loaded.config.temperatures == temperatures
    further = loaded.going_on(labels=loaded.config.labels)
    assert further.config.temperatures is None  # its classifier is where it starts, and is trained


@pytest.mark.parametrize("temperatures", [[1.0, 2.0], [0.0], [-1.0, 1.0, 1.0]])
def test_temperatures_that_are_none_are_refused(temperatures):
    with pytest.raises(ValueError, match=r"temperatures is .*; give one, or one a label, all of them above 0"):
        type(build("bert", "cls").config)(labels=["a", "b", "c"], temperatures=temperatures)


SCRIPT = """
import sys
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.training.run import run
run(
    ModelArguments(encoder=sys.argv[1], pooling="mean", embedding_size=16),
    DataArguments(data=sys.argv[2], max_length=32),
    MetricTrainingArguments(
        output_dir=sys.argv[3], num_train_epochs=2, bf16=False, disable_tqdm=True, learning_rate=2e-3
    ),
)
"""


@pytest.mark.slow
def test_processes_find_one_temperature_of_all_rows(warm, encoders, csv_file, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    launch(warm, tmp_path / "script.py", 2, encoders["bert"], csv_file, str(tmp_path / "run"))
    record = read_record(tmp_path / "run")
    assert record["hardware"]["processes"] == 2 and record["calibration"]["validation"]["rows"] == 36
    logits = load_predictions(record | {"directory": tmp_path / "run"})["logits"]
    assert len(logits) == 60  # the last batch, which is filled up, counts no row twice
    assert record["test"]["loss"] == pytest.approx(record["calibration"]["test"]["after"]["loss"][0], abs=1e-6)
