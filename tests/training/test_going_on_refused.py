"""What can not be gone on with is told in one line, with a way out that works."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable

import pytest
from conftest import LABELS
from places import recipe
from test_training import Stop

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.models.pretrained import build_model, check_encoder
from emo_hf.storage.record import read_record
from emo_hf.training.run import run


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
