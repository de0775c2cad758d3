"""The benchmarks measure what they name, on little data; speeds themselves are no matter for a test."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import arms
import batch_order
import defaults
import label_sets
import metric_loss
import numpy as np
import pytest
import scale
import torch
import training
import verdicts
from arms import ARMS, FP32, GROUPED, ORIGINAL, OURS, SENTENCE_TRANSFORMERS, SETFIT, Work
from synthetic import write_run
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel, AutoTokenizer
from worlds import GRID, World

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.report.analysis import Analysis
from emo_hf.training.loaded import load_data
from emo_hf.training.objective import AuxiliaryObjective


@pytest.fixture(scope="module")
def work(encoders) -> Work:
    return Work(encoders["bert"], "sample", rows=24, batch_size=8, max_length=32, threads=1)


@pytest.mark.parametrize(
    ("bench", "words"),
    [
        (training, ["--rows", "0"]),
        (metric_loss, ["--threads", "-1"]),
        (batch_order, ["--jobs", "two"]),
        (verdicts, ["--studies", "0"]),
    ],
)
def test_what_is_counted_begins_with_one(bench, words, capsys) -> None:
    assert bench.main(words) == 2
    said = capsys.readouterr().err
    assert said == f"error: argument {words[0]}: {words[1]} is no whole number from 1 on; see --help\n"


def test_operations_of_an_epoch_are_those_that_torch_counts(work: Work) -> None:
    encoder = AutoModel.from_pretrained(work.encoder, attn_implementation="eager")
    with FlopCounterMode(display=False) as counter:
        for length in (5, 30):
            encoder(torch.ones(4, length, dtype=torch.long)).last_hidden_state.sum().backward()
    lengths = np.repeat([5, 30], 4)
    assert training.operations(work, lengths) == pytest.approx(counter.get_total_flops(), rel=0.05)


@pytest.mark.parametrize("name", list(ARMS))
def test_every_arm_trains_on_the_same_rows(name: str, work: Work, tmp_path: Path) -> None:
    """An epoch is all rows once: their real tokens are counted, three times where an arm passes them three times."""
    build, settings = ARMS[name]
    (wall, cpu), counted = build(work, str(tmp_path), **settings)()
    assert wall > 0 and cpu > 0
    if name == SETFIT:  # pairs
        assert counted.sentences > work.rows
        return
    if name == SENTENCE_TRANSFORMERS:  # grouping by label leaves out what fills no batch
        assert work.rows - work.batch_size <= counted.sentences <= work.rows
        return
    assert counted.sentences == work.rows
    texts, _, _ = work.texts()
    tokenizer = AutoTokenizer.from_pretrained(work.encoder)
    tokens = sum(map(len, tokenizer(texts, truncation=True, max_length=32)["input_ids"]))
    if name == ORIGINAL:
        assert counted.cells == 3 * 24 * 32
        assert 2 * tokens < counted.tokens < 4 * tokens
    else:
        assert counted.tokens == tokens
        assert counted.cells < 24 * 32


def test_more_rows_than_training_has_are_those_of_all_splits(work: Work) -> None:
    splits = work.loaded().splits
    every = replace(work, rows=10_000, classes=["기쁨", "불안", "슬픔"])
    texts, labels, names = every.texts()
    assert sorted(texts) == sorted(text for split in splits.values() for text in split["text"])
    assert len(texts) > len(splits["train"]) and names == ["기쁨", "불안", "슬픔"] and set(labels) == {0, 1, 2}
    few, _, _ = replace(work, rows=len(splits["train"])).texts()
    assert sorted(few) == sorted(splits["train"]["text"])


def test_length_sorted_batches_hold_less_padding(encoders, tmp_path: Path) -> None:
    work = Work(encoders["bert"], "sample", rows=256, batch_size=16, max_length=64, threads=1)
    shares = {}
    for name in (OURS, "emo_hf, batches in random order"):
        build, settings = ARMS[name]
        _, counted = build(work, str(tmp_path), **settings)()
        shares[name] = 1 - counted.tokens / counted.cells
    assert shares[OURS] < 0.08 < 0.15 < shares["emo_hf, batches in random order"]


def test_ratios_utilisation_and_failures_stand_in_the_table() -> None:
    def row(wall: float) -> dict[str, float]:
        return {"sentences": 100, "wall": wall, "cpu": wall / 2, "tokens": 900, "cells": 1000, "peak_mib": 10}

    # In the second of three turns the machine is half as fast, in the third one epoch was disturbed.
    turns = {ORIGINAL: (100, 200, 100), GROUPED: (10, 20, 10), OURS: (4, 8, 4), FP32: (8, 16, 80)}
    epochs = {name: [row(wall) for wall in walls] for name, walls in turns.items()} | {SETFIT: "ValueError: no"}
    result = training.summarise(epochs, {"fp32": 1e9, "bf16": 2e9}, needed=4e6)
    assert result["arms"][OURS][f"of {ORIGINAL}"] == result["arms"][OURS][f"by CPU of {ORIGINAL}"] == 25.0
    assert result["arms"][FP32][f"of {GROUPED}"] == 1.25
    assert result["arms"][FP32]["mfu"] == pytest.approx(100 / 16 * 4e6 / 1e9)
    peak = 2e9 if training.bf16_is_native(cpu=not torch.accelerator.is_available()) else 1e9
    assert result["arms"][OURS]["mfu"] == pytest.approx(25 * 4e6 / peak)
    assert SENTENCE_TRANSFORMERS not in result["ratios"].values()
    table = training.table(result)
    assert "| **emo_hf** | 25.0 | 50.0 | 225 | 10% | 10 |" in table and "| 25.0× (25.0×) |" in table
    assert "failed: ValueError: no" in table


@pytest.mark.slow
def test_arms_run_in_turn_in_processes_of_their_own(encoders, tmp_path: Path, capsys) -> None:
    words = [
        "--encoder",
        encoders["bert"],
        "--rows",
        "16",
        "--batch_size",
        "8",
        "--max_length",
        "32",
        "--threads",
        "1",
    ]
    arms = ["--arms", "Trainer", OURS, "--repeats", "1", "--output", str(tmp_path)]
    assert training.main([*words, *arms]) == 0
    result = json.loads((tmp_path / "results.json").read_text())
    assert list(result["arms"]) == ["Trainer", OURS] and result["versions"]["torch"] == torch.__version__
    native = training.bf16_is_native(cpu=not torch.accelerator.is_available())
    assert list(result["gemm_peak_gflops"]) == ["fp32", "bf16"][: 1 + native]
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("warm-up", "epoch"))]
    assert [line.split(": ")[:2] for line in printed] == [
        ["warm-up", "Trainer"], ["warm-up", OURS], ["epoch 1", "Trainer"], ["epoch 1", OURS],
    ]  # fmt: skip


def test_steps_with_one_label_a_row_and_with_several_are_timed_in_turn(work, tmp_path, capsys, monkeypatch) -> None:
    """By a clock that stands still but for what is in question: several take 1.5 times as long."""
    clock, seen = [0.0], []

    class Clocked(label_sets.MetricTrainer):
        def compute_loss(self, model, inputs, *args, **kwargs):
            clock[0] += 1.5 if inputs["labels"].ndim == 2 else 1
            seen.append((len(model.config.labels), inputs["labels"].float().sum().item(), len(inputs["labels"])))
            return super().compute_loss(model, inputs, *args, **kwargs)

    monkeypatch.setattr(label_sets, "MetricTrainer", Clocked)
    monkeypatch.setattr(arms, "time", SimpleNamespace(perf_counter=lambda: clock[0], process_time=lambda: clock[0]))
    words = ["--aux", "none", "supcon", "--repeats", "2", "--rows", "24", "--batch_size", "8", "--threads", "1"]
    assert label_sets.main(["--encoder", work.encoder, "--max_length", "32", *words, "--output", str(tmp_path)]) == 0
    assert "| supcon | 1000.0 ms | 1500.0 ms | 1.50 |" in capsys.readouterr().out
    assert "| none | 1000.0 ms | 1500.0 ms | 1.50 |" in (tmp_path / "label_sets.md").read_text(encoding="utf-8")
    assert [count for count, _, _ in seen] == ([3] * 3 + [44] * 3) * 3 * 2
    assert 6 < sum(labels for count, labels, _ in seen if count == 44) / sum(n for c, _, n in seen if c == 44) < 10


def test_steps_with_and_without_the_metric_loss_are_the_same_batches(work, tmp_path: Path, monkeypatch) -> None:
    """By a clock that stands still but for what is in question: a step takes 1 s, the loss 0.25 s."""
    clock, seen = [0.0], []

    class Clocked(metric_loss.SameBatches):
        def compute_loss(self, model, inputs, *args, **kwargs):
            clock[0] += 1
            seen.append((self.auxiliary is not None, inputs["rows"].tolist()))
            return super().compute_loss(model, inputs, *args, **kwargs)

    term = AuxiliaryObjective.term

    def clocked(self, *args):
        clock[0] += 0.25
        return term(self, *args)

    monkeypatch.setattr(AuxiliaryObjective, "term", clocked)
    monkeypatch.setattr(metric_loss, "SameBatches", Clocked)
    monkeypatch.setattr(metric_loss, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    assert metric_loss.measure(work, "triplet", epochs=4) == (1, 0.25)
    epochs = [seen[start : start + 3] for start in range(0, len(seen), 3)]
    assert len(epochs) == metric_loss.WARM_UP + 4
    assert all([rows for _, rows in epoch] == [rows for _, rows in epochs[0]] for epoch in epochs)
    assert [[on for on, _ in epoch] for epoch in epochs] == [[True, False, True], [False, True, False]] * 3


def test_the_share_of_the_metric_loss_is_written(work, tmp_path: Path, capsys) -> None:
    words = ["--encoder", work.encoder, "--rows", "16", "--batch_size", "8", "--output", str(tmp_path)]
    assert metric_loss.main([*words, "--epochs", "2", "--aux", "contrastive"]) == 0
    written = (tmp_path / "aux.md").read_text(encoding="utf-8")
    assert "16 sentences of `sample`, batches of 8" in written
    assert re.search(r"^\| contrastive \| -?[\d.]+% \| [\d.]+ ms \|$", written, re.MULTILINE)
    assert metric_loss.main([*words, "--epochs", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: --epochs is 1; it must be at least 2")


def test_an_arm_that_fails_or_dies_is_said_and_the_others_go_on() -> None:
    """Before its first epoch, or killed within one."""
    ours, theirs = training.multiprocessing.Pipe()
    theirs.send("ImportError: no")
    theirs.close()
    assert training._epoch_of(ours) == "ImportError: no"
    assert training._epoch_of(ours).startswith("its process was killed")


def test_unknown_data_is_one_line(capsys, tmp_path: Path) -> None:
    assert training.main(["--data", "nowhere.csv", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: nowhere.csv does not exist")


def test_the_synthetic_release_reads_as_ai_hubs(tmp_path: Path) -> None:
    scale.write_release(tmp_path, 600)
    data = load_data(DataArguments(data=str(tmp_path), labels=["six"], turns="all"))
    counts = data.counts()
    assert sum(sum(counts[split].values()) for split in counts) == 3 * 600
    assert sum(counts["test"].values()) == 3 * 78


def test_files_are_streamed_whole(tmp_path: Path) -> None:
    for suffix, write, only_text in ((".parquet", scale.write_parquet, True), (".csv", scale.write_csv, False)):
        path = tmp_path / f"rows{suffix}"
        write(path, 20_000)
        told = scale.stream(str(path), 20_000, only_text)
        assert told["rows"] == 20_000 and told["peak MiB after a tenth"] > 0
        opened = scale.open_rows(path, scale.Layout(), only_text=only_text)
        sentences = [text for block in opened.blocks for text in block.columns["sentence"]]
        assert len(sentences) == 20_000 and sentences[-1].endswith(" 19999") and len(set(sentences)) == 20_000
    assert scale.whole(str(path))["rows"] == 20_000


def test_the_scale_is_measured_without_csv_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "measured", lambda work, *given: work(*given) if work is not scale.prepare else {})
    words = ["--dialogues", "60", "--rows", "5000", "--output", str(tmp_path), "--csv_rows"]
    for rows, lines in (("0", 3), ("4000", 5)):
        assert scale.main([*words, rows]) == 0
        said = (tmp_path / "scale.md").read_text(encoding="utf-8").splitlines()
        assert len(said) == lines and "5,000 rows of Parquet, streamed: rows 5,000" in said[2]
    assert "4,000 rows of CSV, read whole: rows 4,000" in said[3] and "CSV, streamed: rows 4,000" in said[4]


def test_the_cost_of_sorting_is_a_difference_with_an_interval(encoders, csv_file, tmp_path: Path, capsys) -> None:
    words = ["--data", csv_file, "--encoder", encoders["bert"], "--seeds", "1", "2", "--jobs", "1"]
    assert batch_order.main([*words, "--output", str(tmp_path)]) == 0
    said = (tmp_path / "order.md").read_text()
    assert said in capsys.readouterr().out
    assert re.fullmatch(
        r"- \S+\.csv, mean, triplet, 2 seeds: the defaults [\d.]+, random, fp32 [\d.]+; "
        r"difference [+-][\d.]+ \[[+-][\d.]+, [+-][\d.]+\] points of macro-F1\n",
        said,
    )


def test_a_loss_that_loses_a_class_is_seen(tmp_path: Path) -> None:
    """The table has the differences of the means, and no interval where there is one seed."""
    for seed in (1, 2):
        for aux, correct in (("none", 0.8), ("triplet", 0.8), ("contrastive", 0.4)):
            write_run(tmp_path, aux=aux, correct=correct, rows=300, seed=seed)
    found = Analysis.read(tmp_path)
    header, _, *lines = [line.strip("| \n").split(" | ") for line in defaults.table(found).strip().splitlines()]
    assert header == ["Loss, less none", "Macro-F1", "F1 불안", "F1 슬픔", "F1 기쁨"]
    rows = {line[0]: [[float(n) for n in re.findall(r"[+-][\d.]+", cell)] for cell in line[1:]] for line in lines}
    means = {model.aux: [run["test"] for run in model.runs] for model in found.models}
    for loss, (macro, *classes) in rows.items():
        of_class = [
            [np.mean([test["per_class"][label]["f1"] for test in means[aux]]) for label in found.labels]
            for aux in (loss, "none")
        ]
        expected = 100 * np.subtract(*of_class)
        assert [cell[0] for cell in classes] == pytest.approx(expected, abs=0.06)
        assert macro[0] == pytest.approx(expected.mean(), abs=0.06)
    assert all(cell[2] < -5 for cell in rows["contrastive"]) and not any(cell[2] < -5 for cell in rows["triplet"])


def test_a_study_of_defaults_that_fails_ends_with_its_status(tmp_path: Path, capfd) -> None:
    assert defaults.main(["--study_dir", str(tmp_path / "study"), "--margn", "2"]) == 2
    assert "--margn" in capfd.readouterr().err and not (tmp_path / "study").exists()


def test_verdicts_are_counted_by_study_and_by_question() -> None:
    """Two of four studies claim something of the four main effects, one of the five interactions."""
    row = verdicts.Row(World(GRID), 3, 500, "no difference", frozenset(verdicts.CLAIMS), "≤ 5 %", interactions=True)
    found = np.zeros((4, 9), dtype=bool)
    found[0, 0] = found[1, :4] = found[2, 8] = True
    assert row.line(found) == [
        "12 models, 3 seeds, 500 sentences", "no difference", "different or different but small",
        "50.0 % ± 25.0", "31.2 % ± 20.5", "25.0 % ± 21.7", "≤ 5 %",
    ]  # fmt: skip
