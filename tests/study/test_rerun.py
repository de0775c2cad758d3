"""The same run again: from its record, and beside others, number for number."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from places import RECIPES, recipe

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, plain
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.storage.record import read_record
from emo_hf.study.rerun import settings_of
from emo_hf.training import run as training

TIMES = ("started", "finished", "wall_seconds")


def but_for_times(folder: Path) -> dict[str, Any]:
    """A record without its times, and without the place where it stands."""
    record = read_record(folder)
    started, finished, seconds = (record.pop(name) for name in TIMES)
    assert datetime.fromisoformat(started) <= datetime.fromisoformat(finished) and seconds > 0
    record["arguments"]["training"].pop("output_dir")
    return record


@pytest.fixture
def words(speck) -> list[str]:
    encoder, data = speck
    return [
        *("--encoder", encoder, "--data", data, "--max_length", "16", "--embedding_size", "8", "--bf16", "false"),
        *("--pooling", "mean", "--aux", "contrastive", "--aux_kwargs", '{"balanced": true}', "--seed", "7"),
        *("--num_train_epochs", "2", "--per_device_train_batch_size", "6", "--learning_rate", "0.002"),
        *("--labels", "기쁨", "불안", "--disable_tqdm", "true", "--lr_scheduler_type", "cosine"),
    ]


@pytest.fixture
def first(words, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert recipe("train").main([*words, "--output_dir", "first"]) == 0
    return tmp_path / "first"


def test_a_record_is_run_again(first, tmp_path, capsys):
    torch.set_num_threads(2)
    assert recipe("train").main(["--from_record", str(first / "record.json")]) == 0
    assert torch.get_num_threads() == 1  # as it was then
    again = tmp_path / "runs" / "again" / "first"
    assert but_for_times(again) == but_for_times(first)
    for name in ("model.safetensors", "predictions.npz"):
        assert (again / name).read_bytes() == (first / name).read_bytes()
    assert "may differ" not in capsys.readouterr().err
    # The folder of a run will do; the command line overrides the record, and a config file does too.
    (tmp_path / "more.yaml").write_text("pooling: cls\nmargin: 0.5\n")
    other = ["--from_record", str(first), "--config", "more.yaml", "--margin", "0.7", "--output_dir", "other"]
    assert recipe("train").main(other) == 0
    arguments = read_record(tmp_path / "other")["arguments"]
    assert arguments["model"]["pooling"] == "cls" and arguments["training"]["margin"] == 0.7
    assert arguments["training"]["aux"] == "contrastive" and arguments["data"]["labels"] == ["기쁨", "불안"]


def test_every_argument_of_a_record_is_one_that_can_be_given(first):
    """What is stored is read back as it was: no argument is lost on the way."""
    record = read_record(first)
    record["arguments"]["training"] |= {"report_to": ["tensorboard"], "optim": "adamw_torch", "save_total_limit": 3}
    _, _, found = parse_arguments(
        [ModelArguments, DataArguments, MetricTrainingArguments], [], settings=settings_of(record)
    )
    assert (found.report_to, found.save_total_limit) == (["tensorboard"], 3)
    assert found.lr_scheduler_type == "cosine" and found.aux_kwargs == {"balanced": True}


def test_the_budget_of_tokens_is_no_secret():
    """Left out with what is called a token, it was lost on the way to the same run again."""
    stored = plain(MetricTrainingArguments(tokens_per_batch=640))
    assert stored["tokens_per_batch"] == 640 and not [name for name in stored if name.endswith("_token")]


def test_an_encoder_of_the_hub_is_that_of_its_commit(words, tmp_path, monkeypatch):
    """A record names the commit that a branch stood at, and the run again takes it."""
    train = recipe("train")
    monkeypatch.setattr(training, "hub_commit", lambda *_: "0123abcd")
    assert train.main([*words, "--output_dir", str(tmp_path / "run")]) == 0
    record = read_record(tmp_path / "run")
    assert record["model"]["encoder_commit"] == "0123abcd"
    assert settings_of(record)["encoder_revision"] == "0123abcd"
    assert "encoder_revision" not in settings_of(record, ["encoder"])


def changed(folder: Path, **parts: Any) -> str:
    record = read_record(folder) | parts
    path = folder.parent / "changed.json"
    path.write_text(json.dumps(record))
    return str(path)


def test_what_is_no_record_is_said_in_one_line(first, tmp_path, capsys):
    (tmp_path / "broken.json").write_text('{"schema": 1, "argu')
    arguments = read_record(first)["arguments"]
    arguments["training"]["warp_drive"] = 9
    for path, said in (
        ("missing.json", "there is no such file; give the record.json of a run"),
        ("broken.json", "not readable as a record (JSONDecodeError)"),
        (changed(first, schema=9), "its schema is 9; this version reads 1"),
    ):
        assert recipe("train").main(["--from_record", path]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: --from_record {path}: ") and said in line
    for parts, said in (
        ({"kind": "baseline"}, "a baseline was not trained by train.py"),
        ({"arguments": []}, "not trained by train.py"),
        ({"arguments": arguments}, "the record has 'warp_drive', which this version does not know"),
    ):
        assert recipe("train").main(["--from_record", changed(first, **parts)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (tmp_path / "runs").exists()


def test_other_data_and_other_versions_are_said(first, speck, tmp_path, capsys, caplog):
    record = read_record(first)
    path = changed(first, data=record["data"] | {"fingerprint": "0" * 64})
    assert recipe("train").main(["--from_record", path]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "holds other data than the record's run had" in line and "in the record 000000000000" in line
    assert not (tmp_path / "runs").exists()
    hardware = record["hardware"] | {"processes": 2}
    path = changed(first, versions=record["versions"] | {"torch": "1.0"}, hardware=hardware)
    assert recipe("train").main(["--from_record", path, "--data", speck[1]]) == 0
    [line] = [line for line in caplog.messages if "may differ" in line]
    assert f"torch 1.0, here {record['versions']['torch']}" in line and "--nproc_per_node 2 starts as many" in line


@pytest.mark.slow
def test_one_by_one_and_side_by_side_are_equal(warm, speck, tmp_path):
    """With as many threads a run, all is equal but the times: records, predictions, weights and tables."""
    encoder, data = speck
    words = [
        *("--encoders", encoder, "--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "2"),
        *("--data", data, "--max_length", "16", "--embedding_size", "8", "--bf16", "false"),
        *("--num_train_epochs", "2", "--per_device_train_batch_size", "6", "--learning_rate", "0.002"),
    ]
    for name, jobs, cores in (("one", 1, 1), ("two", 2, 2)):
        process = warm.start(
            [str(RECIPES / "compare.py"), *words, "--jobs", str(jobs), "--study_dir", name],
            cwd=tmp_path,
            environment={"LOKY_MAX_CPU_COUNT": str(cores)},
        )
        assert process.wait() == 0, process.err()
    one = tmp_path / "one"
    runs = [path.name for path in one.glob("*_seed*")]
    assert len(runs) == 4
    two = tmp_path / "two"
    for run in runs:
        assert but_for_times(two / run) == but_for_times(one / run)
        for name in ("model.safetensors", "predictions.npz"):
            assert (two / run / name).read_bytes() == (one / run / name).read_bytes()
    for name in ("table.md", "table.csv", "table.tex", "findings.md"):
        assert (two / name).read_bytes() == (one / name).read_bytes()
