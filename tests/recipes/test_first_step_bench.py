"""recipes/bench/first_step.py tells how long a run takes to its first step, and what of that imports take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import first_step
import pytest
from first_step import ALONE, BASE, COLD, STEPPED, THIS, WARM

from emo_hf.errors import UserError


def test_ratios_are_those_of_each_turn_with_and_without_imports() -> None:
    """In the second turn the machine is half as fast."""
    found = {
        ALONE: [(4.0, 2.0), (8.0, 4.0)],
        f"{THIS}, {COLD}": [(6.0, 3.0), (12.0, 6.0)],
        f"{THIS}, {WARM}": [(5.0, 2.5), (10.0, 5.0)],
        f"{BASE}, {COLD}": [(12.0, 6.0), (24.0, 12.0)],
        f"{BASE}, {WARM}": [(10.0, 5.0), (20.0, 10.0)],
    }
    lines = first_step.table(found).splitlines()
    assert f"| {THIS}, {COLD} | 9.00 (4.50) | 3.00 (1.50) | 0.50 (0.50) | 0.25 (0.25) |" in lines
    assert f"| {BASE}, {COLD} | 18.00 (9.00) | 12.00 (6.00) |  |  |" in lines
    assert f"| {ALONE} | 6.00 (3.00) |  |  |  |" in lines


def test_a_run_that_ends_before_its_first_step_is_said(tmp_path: Path) -> None:
    wall, cpu = first_step.timed(f"import os; os._exit({STEPPED})", [], tmp_path, tmp_path)
    assert wall > 0 and cpu > 0
    with pytest.raises(UserError, match="ended before its first step, and said: no such label"):
        first_step.timed("import sys; sys.exit('loading\\nno such label')", [], tmp_path, tmp_path)


def test_a_base_is_a_checkout(tmp_path: Path, capsys) -> None:
    assert first_step.main(["--base", str(tmp_path)]) == 2
    assert "is no checkout: it has no recipes/train.py" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_comes_to_its_first_step_and_is_measured(tmp_path: Path, capsys) -> None:
    assert first_step.main(["--rows", "90", "--repeats", "1", "--output", str(tmp_path)]) == 0
    written = (tmp_path / "first_step.md").read_text(encoding="utf-8")
    assert written.startswith("90 rows of CSV") and all(name in written for name in (COLD, WARM, ALONE))


@pytest.mark.slow
def test_nothing_is_imported_for_what_comes_after_the_training() -> None:
    """evaluate and scikit-learn with the first scores, pictures and the Hub when a model is pushed."""
    late = ("evaluate", "sklearn", "matplotlib", "scipy.stats", "emo_hf.hub", "emo_hf.report")
    program = f"import sys, emo_hf.training.run; print([name for name in {late!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
