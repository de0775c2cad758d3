"""A run that starts from another: what it keeps of it, and what its record says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import LABELS
from lineage import start
from places import recipe
from safetensors.torch import load_file
from test_distributed import launch
from test_training import Stop

from emo_hf import Predictor
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.encoders import encoder_path
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.parents import settled
from emo_hf.models.pretrained import build_model, default_learning_rate
from emo_hf.storage.record import read_record, read_texts
from emo_hf.training.run import run

TEXTS = ["오늘 학교에서 정말 웃었어", "어제 집에서 울었어", "주말에 버스에서 조마조마했어"]


def logits(model: EmotionModel) -> torch.Tensor:
    ids = torch.arange(5, 25).reshape(4, 5)
    with torch.no_grad():
        return model.eval()(ids, torch.ones_like(ids)).logits


def test_init_from_keeps_all_and_the_classifier_where_the_labels_are_the_same(parent):
    theirs = EmotionModel.from_pretrained(parent)
    model, _ = settled(ModelArguments(init_from=str(parent)), DataArguments())
    assert (model.pooling, model.embedding_size) == (theirs.config.pooling, 8) and model.encoder == str(parent)
    same = build_model(model, LABELS)
    weights = theirs.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in same.state_dict().items())
    assert torch.equal(logits(same), logits(theirs))
    turned = build_model(model, LABELS[::-1])
    assert turned.config.labels == LABELS[::-1]
    assert torch.equal(logits(turned), logits(theirs).flip(1))
    other = build_model(model, ["불안", "슬픔", "분노"])
    kept = {name for name, tensor in other.state_dict().items() if torch.equal(tensor, weights[name])}
    assert set(weights) - kept == {"classifier.weight", "classifier.bias"}
    assert build_model(model, [*LABELS, "분노"]).classifier.weight.shape == (4, 8)
    assert (
        build_model(
            ModelArguments(init_from=str(parent), encoder=str(parent), embedding_dropout=0.4), LABELS
        ).dropout.p
        == 0.4
    )


def test_as_an_encoder_a_run_gives_its_encoder_alone(parent):
    theirs = EmotionModel.from_pretrained(parent).state_dict()
    for built in (
        build_model(ModelArguments(encoder=str(parent), pooling="max", embedding_size=4), ["a", "b"]),
        EmotionModel.from_encoder(str(parent), labels=["a", "b"], pooling="max", embedding_size=4),
    ):
        ours = {name: tensor for name, tensor in built.state_dict().items() if name.startswith("encoder.")}
        assert ours and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
        assert built.embedding.weight.shape[0] == 4 and built.config.pooling == "max"


def test_a_run_that_goes_on_is_saved_and_used_as_any_other(parent, rows, tmp_path):
    record = start(
        tmp_path / "on",
        ModelArguments(init_from=str(parent)),
        DataArguments(data=rows, max_length=16),
        learning_rate=0.0,
    )
    model = record["model"]
    assert model["parent"] == {
        "from": str(parent),
        "run_id": "base",
        "data_fingerprint": read_record(parent)["data"]["fingerprint"],
        "kept": ["encoder", "pooling", "embedding", "classifier"],
    }
    assert record["arguments"]["model"]["init_from"] == record["arguments"]["model"]["encoder"] == str(parent)
    # With a learning rate of 0 it is its parent still, through training, saving and loading.
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (parent, tmp_path / "on"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert record["test"]["macro_f1"] == read_record(parent)["test"]["macro_f1"]
    assert torch.equal(Predictor(tmp_path / "on").probabilities(TEXTS), Predictor(parent).probabilities(TEXTS))
    again = start(
        tmp_path / "third", ModelArguments(init_from=str(tmp_path / "on")), DataArguments(data=rows, max_length=16)
    )
    assert again["model"]["parent"]["run_id"] == "on"


def test_other_labels_get_a_new_classifier_which_is_said(parent, rows, tmp_path, caplog):
    found = pd.read_csv(rows).replace({"label": {"기쁨": "분노"}})
    found.to_csv(tmp_path / "own.csv", index=False)
    data = DataArguments(data=str(tmp_path / "own.csv"), labels=["all"], max_length=16)
    record = start(tmp_path / "on", ModelArguments(init_from=str(parent)), data)
    assert record["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding"]
    said = (
        f"the classifier of {parent} is not kept, for its labels are others (불안, 슬픔, 기쁨); a new one is trained"
    )
    assert caplog.messages.count(said) == 1


def test_the_learning_rate_goes_by_lineage(parent, tmp_path, rows):
    assert default_learning_rate(ModelArguments(encoder=str(parent))) == 3e-5
    data = DataArguments(data=rows, max_length=16)
    start(tmp_path / "a", ModelArguments(), data, max_steps=1)
    record = start(tmp_path / "b", ModelArguments(encoder=str(tmp_path / "a")), data, max_steps=1)
    assert record["arguments"]["training"]["learning_rate"] == 5e-4
    assert (
        start(tmp_path / "c", ModelArguments(init_from=str(tmp_path / "b")), data, max_steps=1)["arguments"][
            "training"
        ]["learning_rate"]
        == 5e-4
    )
    # A run from before encoders told their origin: its record does.
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    del config["encoder"]["base_encoder"]
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    assert default_learning_rate(ModelArguments(encoder=str(tmp_path / "a"))) == 5e-4
    shutil.copytree(encoder_path("tiny-bert"), tmp_path / "copy")
    assert default_learning_rate(ModelArguments(encoder=str(tmp_path / "copy"))) == 5e-4


def test_from_its_record_a_run_that_went_on_is_made_again(parent, half, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = start(tmp_path / "on", ModelArguments(init_from=str(parent)), half)
    assert recipe("train").main(["--from_record", str(tmp_path / "on")]) == 0
    again = read_record(tmp_path / "runs" / "again" / "on")
    for name in ("test", "data", "history"):
        assert again[name] == first[name], name
    assert again["model"]["parent"] == first["model"]["parent"]
    # Another start, and nothing of the first one's is asked for.
    assert (
        recipe("train").main(
            ["--from_record", str(tmp_path / "on"), "--encoder", read_record(parent)["model"]["encoder"]]
        )
        == 0
    )
    other = read_record(tmp_path / "runs" / "again" / "on")
    assert "parent" not in other["model"] and other["arguments"]["data"]["unseen_by"] == []


def test_a_run_that_goes_on_is_resumed_as_any_other(parent, rows, tmp_path):
    def begin(name: str, *callbacks: Any, **more: Any) -> Path:
        training = MetricTrainingArguments(
            output_dir=str(tmp_path / name),
            num_train_epochs=2,
            per_device_train_batch_size=8,
            bf16=False,
            disable_tqdm=True,
            **more,
        )
        run(
            ModelArguments(init_from=str(parent)),
            DataArguments(data=rows, max_length=16),
            training,
            callbacks=callbacks,
        )
        return tmp_path / name / "model.safetensors"

    straight = load_file(begin("straight"))
    with pytest.raises(KeyboardInterrupt):
        begin("stopped", Stop(12))
    resumed = load_file(begin("stopped", resume_from_checkpoint="last"))
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in straight.items())


TWO = """
import sys
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.distributed import leave, world_size
from emo_hf.training.run import run

parent, data, folder = sys.argv[1:]
run(
    ModelArguments(init_from=parent),
    DataArguments(data=data, max_length=16),
    MetricTrainingArguments(output_dir=folder, num_train_epochs=1, per_device_train_batch_size=4, bf16=False,
                            disable_tqdm=True, learning_rate=0.0, aux="triplet"),
)
assert world_size() == 2
leave(0)
"""


def test_two_processes_go_on_from_a_run(warm, parent, half, tmp_path):
    (tmp_path / "script.py").write_text(TWO, encoding="utf-8")
    launch(warm, tmp_path / "script.py", 2, str(parent), half.data[0], str(tmp_path / "on"))
    record = read_record(tmp_path / "on")
    assert record["hardware"]["processes"] == 2 and record["data"]["report"]["seen_before"]["test"] == 3
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (parent, tmp_path / "on"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert read_texts(tmp_path / "on" / "train_texts.npz")[1] is True
