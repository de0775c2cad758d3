"""What a run leaves to its caller: the arguments as they were, data that are those of the files, and warnings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import LABELS

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.storage.record import read_record
from emo_hf.training.loaded import load_data
from emo_hf.training.outcome import Predicted, warn_of_one_class
from emo_hf.training.run import run


def test_a_run_changes_nothing_of_its_callers_arguments(speck, tmp_path):
    """A second run with the same object would else have the rate and the folder of the first."""
    encoder, data = speck
    training = MetricTrainingArguments(
        output_dir=str(tmp_path / "{name}"), num_train_epochs=1, per_device_train_batch_size=6, bf16=False
    )
    data = DataArguments(data=data, max_length=16)
    before = [dict(vars(arguments)) for arguments in (data, training)]
    with pytest.raises(UserError, match="--pooling is 'middle'"):  # a bundled encoder, which takes a larger rate
        run(ModelArguments(encoder="tiny-bert", pooling="middle"), data, training)
    record = run(ModelArguments(encoder=encoder, embedding_size=8), data, training)
    assert [dict(vars(arguments)) for arguments in (data, training)] == before
    found = record["arguments"]["training"]
    assert (found["learning_rate"], Path(found["output_dir"])) == (3e-5, tmp_path / "speck_cls_none_seed42")
    assert found["run_name"] == "speck_cls_none_seed42 (Model 1)"
    assert read_record(tmp_path / "speck_cls_none_seed42")["status"] == "completed"


def table(path: Path, word: str, splits: Sequence[str] = ("train", "train", "validation", "test")) -> None:
    rows = [
        {"text": f"{word} {label} {number}", "label": label, "split": split}
        for label in LABELS
        for number, split in enumerate(splits)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)


def test_data_are_read_again_when_their_file_has_changed(tmp_path):
    table(tmp_path / "data.csv", "하나")
    arguments = DataArguments(data=str(tmp_path / "data.csv"))
    first = load_data(arguments)
    assert load_data(arguments) is first
    table(tmp_path / "data.csv", "다른")
    os.utime(tmp_path / "data.csv", ns=(1, 1))
    assert load_data(arguments).splits["train"]["text"][0].startswith("다른")
    assert load_data(arguments).fingerprint != first.fingerprint


def test_data_are_read_again_when_a_file_of_their_folder_has_changed(tmp_path):
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "back").symlink_to(folder)  # a circle
    for split in ("train", "validation", "test"):
        table(folder / f"{split}.csv", split, [split])
    arguments = DataArguments(data=str(folder))
    first = load_data(arguments)
    assert load_data(arguments) is first
    table(folder / "test.csv", "다른 시험", ["test"])
    changed = load_data(arguments)
    assert changed.splits["test"]["text"][0].startswith("다른 시험") and changed.fingerprint != first.fingerprint
    (folder / "inner" / "more.csv").touch()
    assert load_data(arguments) is not changed


def test_a_model_that_gives_one_class_alone_is_said(speck, tmp_path, caplog):
    encoder, data = speck
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 6, "bf16": False}
    words = ModelArguments(encoder=encoder, embedding_size=8), DataArguments(data=data, max_length=16)
    record = run(*words, MetricTrainingArguments(output_dir=str(tmp_path / "flat"), learning_rate=0.0, **settings))
    predicted = [label for label, score in record["test"]["per_class"].items() if score["recall"] > 0]
    assert len(predicted) == 1
    of_validation, line = caplog.messages
    assert of_validation.startswith("no validation row is predicted as ")
    assert line.startswith(
        f"flat: the model gives all 12 test texts the class {predicted[0]}, which 33.3 % of them are; "
    )


def test_a_model_that_gives_several_classes_is_not_warned_of(caplog):
    logits = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    warn_of_one_class("one_run", Predicted(logits, logits, np.array([0, 1, 2]), 1.0), LABELS)
    assert not caplog.messages
    warn_of_one_class("one_run", Predicted(logits[:2], logits[:2], np.array([0, 1]), 1.0), LABELS)
    assert "one_run: the model gives all 2 test texts the class 슬픔, which 50.0 % of them are" in caplog.text
