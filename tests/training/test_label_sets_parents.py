"""Runs on rows with several labels each that start from other runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import LABELS
from label_set_rows import run_arguments, write_sets
from lineage import start as start_run
from safetensors.torch import load_file

from emo_hf import Predictor
from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.evaluation.thresholds import choose_thresholds
from emo_hf.training.loaded import load_data
from emo_hf.training.run import run


@pytest.fixture(scope="module")
def parents(encoders, three_sets, csv_file, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parents")
    for name, data in (("several", three_sets), ("one", csv_file)):
        run(*run_arguments(encoders["bert"], data, folder / name, num_train_epochs=3))
    return {name: folder / name for name in ("several", "one")}


def test_a_run_from_one_of_sets_keeps_its_classifier_and_chooses_thresholds_anew(parents, tmp_path):
    other = write_sets(tmp_path / "more.csv", {"train": 60, "validation": 60, "test": 30}, seed=9)
    data = DataArguments(data=other, labels=LABELS[::-1], max_length=32)
    model = ModelArguments(init_from=str(parents["several"]))
    record = start_run(tmp_path / "on", model, data, learning_rate=0.0, calibration="none")
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
    parents, three_sets, csv_file, tmp_path, caplog, source, said
):
    given = DataArguments(data=three_sets if source == "one" else csv_file, labels=list(LABELS), max_length=32)
    with caplog.at_level("WARNING"):
        record = start_run(tmp_path / "on", ModelArguments(init_from=str(parents[source])), given)
    assert record["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding"]
    assert record["data"]["report"]["task"] == ("multi" if source == "one" else "single")
    line = f"the classifier of {parents[source]} is not kept, for it gives {said} a row; a new one is trained"
    assert caplog.messages.count(line) == 1
    config = json.loads((tmp_path / "on" / "config.json").read_text())
    assert (config.get("thresholds") is None) == (source == "several")


def test_texts_that_a_parent_was_trained_on_are_left_out(parents, three_sets, tmp_path):
    rows = pd.read_csv(three_sets)
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
