"""recipes/bench/gpu.py measures what it names, on a tiny shape, and one arm that fails does not end the others."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import gpu
import numpy as np
import pytest
import torch
from gpu import ARMS, SHAPES, Cell

NUMBERS = {"sentences": 1234.5, "tokens": 30000.0, "mfu": 0.514, "tflops": 700.0, "peak_mib": 4096.0}


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split(" | ")]


def test_every_arm_and_batch_is_a_row_and_one_that_fails_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    asked = []

    def measured(cell: Cell) -> dict[str, float] | str:
        asked.append((cell.arm, cell.batch, cell.tokens))
        if cell.arm == "bf16" and cell.batch == 64:
            return "out of memory"
        return NUMBERS

    monkeypatch.setattr(gpu, "measured", measured)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name == "flash_attn" else object())
    assert gpu.main(["--batches", "32", "64", "--tokens", "64", "--output", str(tmp_path)]) == 0
    there = [name for name in ARMS if name != "bf16, flash attention 2"]
    assert asked == [(name, batch, 64) for name in there for batch in (32, 64)]
    written = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    rows = [cells_of(line) for line in written.splitlines() if line.startswith("| ")]
    assert len({len(row) for row in rows}) == 1
    assert [(row[0], int(row[1])) for row in rows[2:]] == [(name, batch) for name, batch, _ in asked]
    values = {(row[0], row[1]): row[2:] for row in rows[2:]}
    assert values["fp32", "64"] == ["1,234", "30,000", "0.51", "700", "4,096"]
    assert values["bf16", "64"][0] == "out of memory" and values["bf16", "32"][0] == "1,234"
    assert "Not measured: bf16, flash attention 2, as flash_attn is not installed." in written
    assert "12 layers of 768, vocabulary 32,000, 64 tokens a row" in capsys.readouterr().out


@pytest.mark.parametrize("guide", ["speed.md", "ko.md"])
def test_guides_name_commands_that_there_are(guide: str, tmp_path: Path, monkeypatch) -> None:
    asked: list[Cell] = []
    monkeypatch.setattr(gpu, "measured", lambda cell: asked.append(cell) or NUMBERS)
    text = (Path(gpu.__file__).parents[1] / "guides" / guide).read_text(encoding="utf-8")
    commands = re.findall(r"python recipes/bench/gpu\.py([^`]*?)(?:`|\n```)", text)
    assert commands
    for words in commands:
        assert gpu.main([*shlex.split(words), "--output", str(tmp_path)]) == 0
    assert {cell.batch for cell in asked if cell.shape == "base"} == {32, 64, 128, 256, 512}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "out of memory"),
        (RuntimeError("no compiler\nat all"), "failed: no compiler"),
    ],
)
def test_errors_of_a_process_are_lines(error, said, monkeypatch) -> None:
    def fails(cell: Cell) -> dict[str, float]:
        raise error

    monkeypatch.setattr(gpu, "measure", fails)
    ours, theirs = gpu.multiprocessing.Pipe()
    gpu.serve(Cell("fp32", 4, "tiny", 8, 1, 1, 1), theirs)
    assert ours.recv() == said


@pytest.mark.parametrize("name", ["fp32", "bf16, eager attention", "bf16, tokens_per_batch", "bf16, LoRA r=16"])
def test_an_arm_trains_the_tiny_shape(name: str) -> None:
    pytest.importorskip(ARMS[name].needs)
    told = gpu.measure(Cell(name, 8, "tiny", 8, steps=2, repeats=1, threads=1))
    assert all(value > 0 for value in told.values())
    assert told["tokens"] == pytest.approx(8 * told["sentences"])


def test_attention_is_that_of_the_arm() -> None:
    kinds = {
        name: gpu.make_model(SHAPES["tiny"], ARMS[name]).encoder.config for name in ("fp32", "bf16, eager attention")
    }
    assert [config._attn_implementation for config in kinds.values()] == ["sdpa", "eager"]


def test_operations_are_those_of_trained_weights_and_of_attention() -> None:
    whole, adapted = (gpu.make_model(SHAPES["tiny"], ARMS[name]) for name in ("fp32", "bf16, LoRA r=16"))
    short, long = np.full(10, 8), np.full(5, 16)
    weights = sum(part.numel() for part in whole.encoder.encoder.parameters())
    assert gpu.operations(whole, short) == 6 * weights * 80 + 12 * 2 * 64 * 10 * 64
    assert gpu.operations(whole, long) - gpu.operations(whole, short) == 12 * 2 * 64 * 10 * 64
    trained = sum(p.numel() for p in adapted.encoder.encoder.parameters() if p.requires_grad)
    assert 0 < trained < weights
    frozen = 4 * weights + 6 * trained  # adapters stand beside what they adapt
    assert gpu.operations(adapted, short) == frozen * 80 + 12 * 2 * 64 * 10 * 64


def test_rows_are_as_long_as_the_samples_sentences_or_as_asked() -> None:
    lengths = gpu.lengths_of(None, 5000)
    assert len(lengths) == 5000 and lengths.min() >= 3 and 15 < lengths.mean() < 35 and len(set(lengths)) > 20
    rows = gpu.rows_of(gpu.lengths_of(64, 12), 1000)
    assert [len(ids) for ids in rows["input_ids"]] == rows["length"][:] == [64] * 12
    assert rows["labels"][:] == [0, 1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tokens", "129"], "--tokens is 129; allowed is 3 to 128"),
        (["--batches", "32", "2"], "--batches has 2; a triplet loss needs 4 rows or more"),
    ],
)
def test_what_can_not_be_measured_is_one_line(words, said, capsys) -> None:
    assert gpu.main(words) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.slow
def test_a_cell_is_measured_in_a_process_of_its_own() -> None:
    told = gpu.measured(Cell("fp32", 4, "tiny", 8, steps=1, repeats=1, threads=1))
    assert isinstance(told, dict) and told["sentences"] > 0
