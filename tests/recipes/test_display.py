"""What train.py and compare.py show: short lines in a file, where nothing else belongs, and a bar on a terminal."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import pytest
from display import run as of_run
from display import study as of_study
from places import recipe
from rich.console import Console
from synthetic import write_run

from emo_hf.storage.record import read_record
from emo_hf.study.grid import Task
from emo_hf.study.local import PROGRESS_FILE


@pytest.fixture
def words(speck, tmp_path) -> list[str]:
    encoder, data = speck
    common = "--max_length 32 --embedding_size 8 --bf16 false --aux triplet --pooling mean --num_train_epochs 2"
    return ["--encoder", encoder, "--data", data, *common.split(), "--output_dir", str(tmp_path / "run")]


NUMBER = r"\d\.\d{3}"
LOSSES = rf"loss {NUMBER} \(cross-entropy {NUMBER}, triplet {NUMBER}\)"


def test_a_file_gets_one_short_line_an_epoch(words, capfd):
    assert recipe("train").main(words) == 0
    said = capfd.readouterr()
    lines = said.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all(re.fullmatch(rf"epoch \d/2: {LOSSES}, validation loss {NUMBER}, macro-F1 {NUMBER}", x) for x in lines)
    assert not re.search(r"[{\x1b\r]|REPORT|it/s", said.out + said.err)
    assert said.out.startswith("trained on cpu in fp32\n")


def test_several_labels_a_row_have_a_loss_and_scores_of_their_own(words, sets_file, tmp_path, capfd):
    assert recipe("train").main([*words, "--data", sets_file, "--labels", "all"]) == 0
    said = capfd.readouterr()
    *notes, first, second = said.err.splitlines()
    assert not [line for line in notes if line.startswith("epoch")]
    losses = LOSSES.replace("cross", "binary cross").replace(r"\d\.", r"\d+\.")
    for number, line in enumerate((first, second), start=1):
        assert re.fullmatch(rf"epoch {number}/2: {losses}, validation loss {NUMBER}, macro-F1 {NUMBER}", line), line
    test = read_record(tmp_path / "run")["test"]
    shown = [f"{test[key]:.3f}" for key in ("macro_f1", "micro_f1", "mean_average_precision", "loss")]
    _, model, scores, *_ = said.out.splitlines()
    assert model.startswith("speck, mean pooling, binary cross-entropy + triplet, seed 42 (epoch ")
    assert scores == "test: macro-F1 {}, micro-F1 {}, mAP {}, loss {}".format(*shown)


def test_losses_that_are_logged_apart_from_scores_have_lines_of_their_own(words, capfd):
    steps = ["--logging_strategy", "steps", "--logging_steps", "1", "--num_train_epochs", "1"]
    assert recipe("train").main([*words, *steps, "--per_device_train_batch_size", "6"]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert [re.sub(NUMBER, "#", line).replace(" (cross-entropy #, triplet #)", "") for line in lines] == [
        "epoch 0.5/1: loss #",
        "epoch 1/1: loss #",
        "epoch 1/1: validation loss #, macro-F1 #",
    ]


def test_a_terminal_has_a_bar_below_the_lines(words, capfd, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=200, highlight=False)
    monkeypatch.setattr(of_run, "Console", lambda **_: terminal)
    assert recipe("train").main([*words, "--disable_tqdm", "false"]) == 0  # the default of a process that is loud
    shown = screen.getvalue()
    assert "\x1b[" in shown and "100%" in shown and "epoch 2/2: loss" in shown
    assert shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # the cursor is back, the bar gone
    screen.seek(0)
    screen.truncate()
    assert recipe("train").main([*words, "--disable_tqdm", "true"]) == 0
    assert "100%" not in screen.getvalue() and "epoch 2/2: loss" in screen.getvalue()


def study(tmp_path: Path, monkeypatch, terminal: bool) -> str:
    """What is shown of two runs: one that is in work for a moment and ends, one that fails."""
    monkeypatch.setattr(of_study, "LOOK_EVERY", 0.01)
    due = [Task("tiny-bert", "cls", "none", seed) for seed in (1, 2)]
    write_run(tmp_path, seed=1)
    progress = tmp_path / due[1].run_id / PROGRESS_FILE
    progress.parent.mkdir()
    progress.write_text(json.dumps({"step": 5, "steps": 10, "epoch": 1.5, "epochs": 3}))
    screen = io.StringIO()
    with of_study.StudyDisplay(tmp_path, due, Console(file=screen, force_terminal=terminal, width=150)) as display:
        display.run_ended(due[0], None)
        bar, end = display._bar.tasks[0], time.monotonic() + 10
        while bar.completed != 1.5 and time.monotonic() < end:
            time.sleep(0.01)
        assert bar.description == f"{due[1].run_id} epoch 2/3" and bar.fields["left"].endswith("min left")
        display.run_ended(due[1], "UserError: [no] good")
    return screen.getvalue()


def test_a_study_says_how_each_run_went(tmp_path, monkeypatch):
    lines = study(tmp_path, monkeypatch, terminal=False).splitlines()
    assert re.fullmatch(r"\[1/2\] tiny-bert_cls_none_seed1: macro-F1 \d+\.\d, 3\d s; about 0\.0 min left", lines[0]), (
        lines
    )
    assert lines[1:] == ["[2/2] tiny-bert_cls_none_seed2 failed: UserError: [no] good"]


def test_a_study_has_a_bar_on_a_terminal(tmp_path, monkeypatch):
    assert "2.0/2 runs" in study(tmp_path, monkeypatch, terminal=True)
