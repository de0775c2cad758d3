"""recipes/bench/epoch_beside.py trains in two checkouts in turn, and tells what one is of the other."""

from __future__ import annotations

from pathlib import Path

import epoch_beside
import pytest
from epoch_beside import BASE, HERE, THIS

TINY = ["--rows", "24", "--batch_size", "8", "--max_length", "16", "--threads", "1", "--repeats", "1"]


def test_ratios_are_those_of_each_turn() -> None:
    """In the second turn the machine is half as fast, and another program has most of the processor."""
    found = {
        THIS: [{"sentences": 100, "wall": 1.0, "cpu": 1.0}, {"sentences": 100, "wall": 8.0, "cpu": 2.0}],
        BASE: [{"sentences": 100, "wall": 2.0, "cpu": 2.0}, {"sentences": 100, "wall": 8.0, "cpu": 6.0}],
    }
    lines = epoch_beside.table(found, needed=1e6, peak=1e9, threads=2).splitlines()
    ratios = "1.50× (1.00 to 2.00) | 2.50× (2.00 to 3.00)"
    assert f"| {THIS} | 56 | 5.6% | 75 | 15.0% | {ratios} |" in lines
    assert f"| {BASE} | 31 | 3.1% | 33 | 6.7% |  |  |" in lines


def test_a_base_is_a_checkout_that_can_train(tmp_path: Path, capsys) -> None:
    assert epoch_beside.main(["--base", str(tmp_path)]) == 2
    assert "is no checkout: it has no recipes/bench/arms.py" in capsys.readouterr().err
    broken = tmp_path / "recipes" / "bench" / "arms.py"
    broken.parent.mkdir(parents=True)
    broken.write_text("raise SystemExit('no such encoder')")
    checkout = epoch_beside.Checkout(tmp_path, "emo_hf", epoch_beside.Work("bert", "sample", 8, 8, 16, 1), tmp_path)
    with pytest.raises(epoch_beside.UserError, match="training ended, and said: no such encoder"):
        checkout.epoch()
    checkout.close()


@pytest.mark.slow
def test_both_checkouts_train_and_are_measured(encoders, tmp_path: Path, capsys) -> None:
    words = [*TINY, "--encoder", str(encoders["bert"]), "--base", str(HERE), "--output", str(tmp_path)]
    assert epoch_beside.main(words) == 0
    said = capsys.readouterr().out
    turns = [line.rpartition(": ")[0] for line in said.splitlines() if "sentences/s" in line and "turn" in line]
    assert turns == [f"turn 1: {THIS}", f"turn 1: {BASE}"]
    assert "24 sentences of `sample`" in (tmp_path / "epoch_beside.md").read_text(encoding="utf-8")
