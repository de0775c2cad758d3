"""What trackers get of a run: every part of the loss and every score, as the record has them, without a network."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from places import RECIPES, recipe
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.storage.record import load_predictions
from emo_hf.training.run import run

COMPONENTS = {
    "train_loss", "ce_loss", "plain_ce_loss", "aux_loss", "active_share", "positive_distance", "negative_distance",
    "embedding_norm", "embedding_spread", "train_accuracy", "learning_rate",
    "validation_loss", "validation_accuracy", "validation_macro_f1",
}  # fmt: skip


def tracked_as(name: str) -> str:
    """The name that Trainer's trackers give to a column of a record's history."""
    if name.startswith("validation_"):
        return name.replace("validation_", "eval/")
    return f"train/{name.removeprefix('train_')}"


@pytest.fixture
def start(encoders, csv_file, tmp_path):
    """One run of two epochs, its record and folder."""

    def begin(data: str = csv_file, **arguments: Any) -> tuple[dict[str, Any], Path]:
        usual = {"output_dir": str(tmp_path / "run"), "num_train_epochs": 2, "bf16": False, "disable_tqdm": True}
        record = run(
            ModelArguments(encoder=encoders["bert"], pooling="mean", embedding_size=16),
            DataArguments(data=data, max_length=32),
            MetricTrainingArguments(**usual, aux="triplet", learning_rate=5e-3, **arguments),
        )
        return record, tmp_path / "run"

    return begin


def test_tensorboard_has_every_component_and_the_projector_the_test_set(start, csv_file, tmp_path) -> None:
    table = pd.read_csv(csv_file)
    first = table.index[table["split"] == "test"][0]
    table.loc[first, "sentence"] = "어제\t집에서\n펑펑 울었어"  # what would break a table of tabs and lines
    data = tmp_path / "data.csv"
    table.to_csv(data, index=False)
    record, folder = start(str(data), report_to="tensorboard")
    [written] = (folder / "runs").iterdir()
    events = EventAccumulator(str(written), size_guidance={"scalars": 0})
    events.Reload()
    history = record["history"]
    assert len(history) == 2 and all(set(row) == COMPONENTS | {"epoch"} for row in history)
    for name in COMPONENTS:
        points = [(point.step, point.value) for point in events.Scalars(tracked_as(name))]
        expected = [(9 * epoch, pytest.approx(row[name], abs=2e-6)) for epoch, row in enumerate(history, 1)]
        assert points == expected, name

    config = (written / "projector_config.pbtxt").read_text(encoding="utf-8")
    assert 'tensor_path: "00000/test/tensors.tsv"' in config and 'metadata_path: "00000/test/metadata.tsv"' in config
    arrays = load_predictions(record | {"directory": folder})
    embeddings = np.loadtxt(written / "00000/test/tensors.tsv", delimiter="\t")
    np.testing.assert_allclose(embeddings, arrays["embeddings"].astype(np.float32), rtol=1e-3, atol=1e-4)
    with (written / "00000/test/metadata.tsv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    assert header == ["sentence", "label", "prediction"]
    read = load_emotion_data(str(data))
    sentences, predicted = zip(*[(row[0], row[2]) for row in rows], strict=True)
    assert list(sentences) == [" ".join(text.split()) for text in read.splits["test"]["text"]]
    assert "어제 집에서 펑펑 울었어" in sentences
    assert [row[1] for row in rows] == [read.labels[label] for label in read.splits["test"]["label"]]
    assert list(predicted) == [read.labels[label] for label in arrays["logits"].argmax(1)]


def test_nothing_is_tracked_that_nobody_asked_for(start) -> None:
    record, folder = start()
    assert record["arguments"]["training"]["report_to"] == []
    assert not [path for path in folder.rglob("*") if "events" in path.name or "projector" in path.name]


OFFLINE = """
import pathlib, runpy, socket, sys

def refuse(*_, **__):
    raise AssertionError("a connection was tried")

socket.socket.connect = socket.create_connection = refuse
sys.argv = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_trackio_has_every_component_without_a_network(warm, encoders, csv_file, tmp_path) -> None:
    words = [
        "--data", csv_file, "--encoder", encoders["bert"], "--output_dir", str(tmp_path / "run"), "--max_length", "32",
        "--embedding_size", "16", "--num_train_epochs", "2", "--bf16", "false", "--disable_tqdm", "true",
        "--aux", "triplet", "--report_to", "trackio", "--project", "emotions",
    ]  # fmt: skip
    environment = {"TRACKIO_DIR": str(tmp_path / "trackio")}
    process = warm.start(["-c", OFFLINE, str(RECIPES / "train.py"), *words], environment=environment)
    assert process.wait() == 0, process.err()
    with sqlite3.connect(tmp_path / "trackio" / "emotions.db") as database:
        rows = database.execute("SELECT run_name, run_id, metrics FROM metrics ORDER BY step").fetchall()
    assert len({(name, run_id) for name, run_id, _ in rows}) == 1 and rows[0][0] == "run (Model 5)"
    logged = [json.loads(metrics) for _, _, metrics in rows]
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    for name in COMPONENTS:
        points = [entry[tracked_as(name)] for entry in logged if tracked_as(name) in entry]
        assert points == pytest.approx([row[name] for row in record["history"]], abs=2e-6), name
    [tested] = [entry for entry in logged if "test/macro_f1" in entry]
    assert tested["test/macro_f1"] == pytest.approx(record["test"]["macro_f1"])


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ("tensorboard", "tensorboard: it is not installed; pip install 'emo-hf[trackers]'"),
        ("trackio", "trackio: it is not installed; pip install 'emo-hf[trackers]'"),
        ("wandb", "wandb: it is not installed; pip install wandb"),
        ("mlflow", "mlflow: it is not installed; pip install mlflow"),
        ("tensorbord", "--report_to is 'tensorbord'; allowed: none, all, azure_ml, "),
    ],
)
def test_a_tracker_that_is_not_there_is_said_in_one_line(
    encoders, csv_file, tmp_path, capsys, monkeypatch, tracker, message
) -> None:
    if tracker != "tensorbord":
        integrations = "transformers.integrations.integration_utils"
        monkeypatch.setattr(f"{integrations}.is_{tracker}_available", lambda: False)
    words = ["--data", csv_file, "--encoder", encoders["bert"], "--output_dir", str(tmp_path / "run"), "--max_length"]
    assert recipe("train").main([*words, "32", "--report_to", tracker]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: --report_to") and message in lines[0]
    assert not (tmp_path / "run").exists()
