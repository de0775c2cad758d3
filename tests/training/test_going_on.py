"""A run that starts from another: what it keeps of it, what it is not scored on, what its record says."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import LABELS, sentences
from places import recipe
from safetensors.torch import load_file
from test_distributed import launch
from test_training import Stop

from emo_hf import Predictor
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.seen_texts import text_hashes
from emo_hf.encoders import encoder_path
from emo_hf.errors import UserError
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.parents import settled
from emo_hf.models.pretrained import build_model, check_encoder, default_learning_rate
from emo_hf.storage.record import read_record, read_texts
from emo_hf.training.loaded import load_data
from emo_hf.training.run import run

TEXTS = ["오늘 학교에서 정말 웃었어", "어제 집에서 울었어", "주말에 버스에서 조마조마했어"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    """30 sentences of each label, without splits."""
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    found = [{"sentence": text, "label": label} for label in LABELS for text in sentences(label)[:30]]
    pd.DataFrame(found).to_csv(path, index=False)
    return str(path)


def start(folder: Path, model: ModelArguments, data: DataArguments, **training: Any) -> dict[str, Any]:
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False, "disable_tqdm": True}
    return run(model, data, MetricTrainingArguments(output_dir=str(folder), **(settings | training)))


@pytest.fixture(scope="module", params=["mean", "attention"])
def parent(request, speck, rows, tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("parent") / "base"
    model = ModelArguments(encoder=speck[0], pooling=request.param, embedding_size=8, embedding_dropout=0.0)
    start(folder, model, DataArguments(data=rows, max_length=16), learning_rate=1e-2)
    return folder


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


def of(data: DataArguments, split: str) -> list[str]:
    return load_data(data).splits[split]["text"][:]


@pytest.fixture
def half(tmp_path, rows) -> DataArguments:
    """All rows, with a test row and a validation row of each label that the parent was trained on among others."""
    given = DataArguments(data=rows, max_length=16)
    trained = set(of(given, "train"))
    texts = pd.read_csv(rows)
    free = [place for place, text in enumerate(texts["sentence"]) if text not in trained]
    seen = [place for place, text in enumerate(texts["sentence"]) if text in trained]
    split = pd.Series("train", texts.index)
    # Of each label a test row and a validation row that the parent was trained on.
    split[free[::2]], split[free[1::2]] = "test", "validation"
    for label in LABELS:
        mine = [place for place in seen if texts["label"][place] == label]
        split[mine[0]], split[mine[1]] = "test", "validation"
    texts.assign(split=split).to_csv(tmp_path / "half.csv", index=False)
    return DataArguments(data=str(tmp_path / "half.csv"), max_length=16)


@pytest.mark.parametrize("way", ["encoder", "init_from"])
def test_what_the_parent_was_trained_on_scores_nothing(parent, rows, half, tmp_path, way):
    record = start(tmp_path / "on", ModelArguments(**{way: str(parent)}, embedding_size=8), half)
    trained = set(of(DataArguments(data=rows, max_length=16), "train"))
    whole = load_data(half)
    expected = {
        split: [text for text in whole.splits[split]["text"] if text not in trained]
        for split in ("validation", "test")
    }
    gone = {split: len(whole.splits[split]) - len(texts) for split, texts in expected.items()}
    assert gone == {"validation": 3, "test": 3}
    scored = load_data(DataArguments(**record["arguments"]["data"]))
    assert {split: scored.splits[split]["text"][:] for split in expected} == expected
    assert record["data"]["report"]["seen_before"] == gone
    assert sum(row["support"] for row in record["test"]["per_class"].values()) == len(expected["test"])
    assert len(np.load(tmp_path / "on" / "predictions.npz")["labels"]) == len(expected["test"])
    note = f"3 of {len(whole.splits['test'])} test rows are left out: their texts stand in the training of {parent}"
    assert note in record["data"]["report"]["notes"]
    # The child's list holds its parent's.
    hashes, known = read_texts(tmp_path / "on" / "train_texts.npz")
    assert known and set(hashes.tolist()) == set(text_hashes([*trained, *of(half, "train")]).tolist())


def test_two_models_are_scored_on_rows_that_neither_has_seen(parent, speck, half, tmp_path):
    """By `--unseen_by`, where nothing starts from the run."""
    data = replace(half, unseen_by=[str(parent)])
    record = start(tmp_path / "apart", ModelArguments(encoder=speck[0], pooling="mean", embedding_size=8), data)
    assert record["data"]["report"]["seen_before"] == {"validation": 3, "test": 3} and "parent" not in record["model"]
    child = start(tmp_path / "child", ModelArguments(init_from=str(parent)), half)
    assert child["data"]["fingerprint"] == record["data"]["fingerprint"] != load_data(half).fingerprint


def test_the_grandparents_texts_are_known_too(parent, half, rows, tmp_path):
    """A child that was trained on other rows, with the parent's seen ones in its own child's test."""
    found = pd.read_csv(rows).assign(sentence=lambda table: "또 " + table["sentence"])
    found.to_csv(tmp_path / "other.csv", index=False)
    start(
        tmp_path / "child",
        ModelArguments(init_from=str(parent)),
        DataArguments(data=str(tmp_path / "other.csv"), max_length=16),
    )
    record = start(tmp_path / "grandchild", ModelArguments(init_from=str(tmp_path / "child")), half)
    assert record["data"]["report"]["seen_before"] == {"validation": 3, "test": 3}


def test_the_same_split_shares_nothing_and_another_is_refused_with_the_way_out(parent, rows, tmp_path):
    record = start(
        tmp_path / "on", ModelArguments(encoder=str(parent), pooling="mean"), DataArguments(data=rows, max_length=16)
    )
    assert (
        "seen_before" not in record["data"]["report"]
        and record["data"]["fingerprint"] == read_record(parent)["data"]["fingerprint"]
    )
    with pytest.raises(UserError) as caught:
        start(
            tmp_path / "off",
            ModelArguments(encoder=str(parent), pooling="mean"),
            DataArguments(data=rows, max_length=16, split_seed=7),
        )
    assert str(caught.value).endswith(
        "rows that it has not seen, as --split_seed 42 leaves them, by which its own data were cut"
    )
    assert not (tmp_path / "off").exists()


def test_a_run_that_keeps_no_list_is_said(parent, rows, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(parent, old)
    (old / "train_texts.npz").unlink()
    data = DataArguments(data=rows, max_length=16)
    record = start(tmp_path / "on", ModelArguments(encoder=str(old), pooling="mean"), data)
    assert any(note.startswith(f"whether {old} was trained on texts of") for note in record["data"]["report"]["notes"])
    assert read_texts(tmp_path / "on" / "train_texts.npz")[1] is False
    third = start(tmp_path / "third", ModelArguments(init_from=str(tmp_path / "on")), data)
    assert third["model"]["parent"]["run_id"] == "on"


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


@pytest.fixture
def said(parent, tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """What train.py says on standard error where it refuses."""
    main = recipe("train").main

    def call(*words: str) -> str:
        assert main([*words, "--max_length", "16", "--bf16", "false", "--disable_tqdm", "true"]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        return lines[0].removeprefix("error: ").replace(str(parent), "RUN").replace(str(tmp_path), "TMP")

    return call


def test_what_contradicts_a_run_is_refused(said, parent, rows, tmp_path):
    pooling = read_record(parent)["model"]["pooling"]
    own = ["--data", rows, "--init_from", str(parent), "--output_dir", str(tmp_path / "on")]
    assert said(*own, "--encoder", "tiny-bert") == (
        "--init_from RUN brings its own encoder, but --encoder is tiny-bert; leave one of them out"
    )
    assert said(*own, "--pooling", "cls") == (
        f"--pooling is cls, but the model of --init_from RUN has {pooling}; leave --pooling out, or take its encoder "
        "alone: --encoder RUN"
    )
    assert said(*own, "--embedding_size", "256").startswith(
        "--embedding_size is 256, but the model of --init_from RUN has 8;"
    )
    assert said(*own[:-1], str(parent)) == (
        "--output_dir is RUN, the folder that --init_from RUN starts from; give another --output_dir"
    )
    assert said(
        "--data", rows, "--encoder", str(parent), "--pooling", pooling, "--output_dir", str(parent)
    ).startswith("--output_dir is RUN, the folder that --encoder RUN starts from")
    assert said(*own[:2], "--init_from", "tiny-bert") == (
        "--init_from tiny-bert: it is an encoder alone, with no head to keep; use --encoder tiny-bert"
    )
    encoder = read_record(parent)["model"]["encoder"]
    assert said(*own[:2], "--init_from", encoder) == (
        f"--init_from {encoder}: it is no model that train.py saved; use --encoder {encoder}"
    )
    assert "there is no such folder" in said(*own[:2], "--init_from", str(tmp_path / "nothing"))
    assert said(*own, "--unseen_by", str(tmp_path / "nothing")).startswith(
        "--unseen_by TMP/nothing: there is no such run"
    )
    assert read_record(parent)["status"] == "completed" and not (tmp_path / "on").exists()


@pytest.mark.parametrize("flag", ["--encoder", "--init_from"])
def test_folders_that_are_no_run_are_told_for_what_they_are(said, parent, rows, tmp_path, flag):
    study = tmp_path / "study"
    shutil.copytree(parent, study / "base")
    (study / "majority-class").mkdir()
    (study / "majority-class" / "record.json").write_text(
        json.dumps({"kind": "baseline", "status": "completed", "run_id": "m"})
    )
    assert said("--data", rows, flag, str(study)) == (
        "TMP/study is a study, a folder of runs; give the folder of one run, as TMP/study/base, the best of them by "
        "validation macro-F1"
    )
    assert said("--data", rows, flag, str(study / "majority-class")).startswith(
        "TMP/study/majority-class is the run of a baseline, which has no model; give the folder of one run, as TMP/"
    )
    onnx = tmp_path / "onnx"
    onnx.mkdir()
    (onnx / "model.onnx").write_bytes(b"")
    (onnx / "export.json").write_text('{"model": "base"}')
    assert said("--data", rows, flag, str(onnx)) == (
        "TMP/onnx is an ONNX export, which can't be trained on; give the folder of the run that it was made of, base"
    )


def test_the_way_out_of_resuming_a_finished_run_is_tried_and_works(said, parent, rows, tmp_path):
    words = ["--data", rows, "--num_train_epochs", "2"]
    for folder, asked in ((parent, "last"), (tmp_path / "more", str(parent))):
        target = "RUN-2" if folder == parent else "TMP/more"
        line = said(*words, "--output_dir", str(folder), "--resume_from_checkpoint", asked)
        name = asked if asked == "last" else "RUN"
        assert line == (
            f"--resume_from_checkpoint {name}: RUN is a finished run, which keeps no checkpoint and no optimizer to "
            "resume with; train it further as a new run with --init_from RUN --num_train_epochs 1 --output_dir "
            f"{target}, or leave --resume_from_checkpoint out to train anew"
        )
    way = ["--init_from", str(parent), "--num_train_epochs", "1", "--output_dir", str(tmp_path / "more")]
    assert recipe("train").main([*words, *way, "--max_length", "16", "--bf16", "false"]) == 0
    assert read_record(tmp_path / "more")["model"]["parent"]["run_id"] == "base"


def test_a_stopped_run_names_its_checkpoint_and_may_be_started_from(said, speck, rows, tmp_path):
    folder, data = tmp_path / "run", DataArguments(data=rows, max_length=16)
    model = ModelArguments(encoder=speck[0], pooling="mean", embedding_size=8)
    training = MetricTrainingArguments(
        output_dir=str(folder), num_train_epochs=3, per_device_train_batch_size=8, bf16=False, disable_tqdm=True
    )
    with pytest.raises(KeyboardInterrupt):
        run(model, data, training, callbacks=[Stop(12)])
    record = read_record(folder)
    assert record["status"] == "interrupted" and (folder / record["checkpoint"] / "model.safetensors").exists()
    checkpoint = folder / record["checkpoint"]
    assert said("--data", rows, "--encoder", str(folder)) == (
        "TMP/run is a run that has not ended (interrupted), and holds no model; give its checkpoint, "
        f"TMP/run/{checkpoint.name}"
    )
    assert said("--data", rows, "--resume_from_checkpoint", str(folder), "--encoder", speck[0]) == (
        f"--resume_from_checkpoint TMP/run: it is no checkpoint, as it has no trainer_state.json; give "
        f"TMP/run/{checkpoint.name}, its newest"
    )
    # More epochs on it are refused with a way out, which works.
    line = said(
        *[
            "--data",
            rows,
            "--encoder",
            speck[0],
            "--pooling",
            "mean",
            "--embedding_size",
            "8",
            "--num_train_epochs",
            "5",
        ],
        *["--per_device_train_batch_size", "8", "--output_dir", str(folder), "--resume_from_checkpoint", "last"],
    )
    way = line.partition("train it further as a new run with ")[2].partition(" in place of ")
    assert way[2] == "--encoder and --pooling and --embedding_size"
    words = shlex.split(way[0].replace("TMP", str(tmp_path)))
    assert words == [
        "--init_from",
        str(checkpoint),
        "--num_train_epochs",
        "2",
        "--output_dir",
        str(tmp_path / "run-2"),
    ]
    assert recipe("train").main(["--data", rows, *words, "--max_length", "16", "--bf16", "false"]) == 0
    found = read_record(tmp_path / "run-2")
    assert found["model"]["parent"]["run_id"] == "run" and found["model"]["parent"]["kept"][-1] == "classifier"
    assert not any(note.startswith("whether") for note in found["data"]["report"]["notes"])  # its texts are known


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


def test_a_damaged_run_is_one_line(parent, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(parent, folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    for model in (
        ModelArguments(encoder=str(folder), pooling="mean"),
        ModelArguments(encoder=str(folder), init_from=str(folder)),
    ):
        check_encoder(model, DataArguments(max_length=16))  # of the numbers in the weights it sees nothing
        with pytest.raises(UserError, match=f"encoder '{folder}': "):
            build_model(model, LABELS)
