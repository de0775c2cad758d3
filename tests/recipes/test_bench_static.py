"""The benchmark of a static export: every arm on every number of threads, and a table that is written."""

from __future__ import annotations

import os

import pytest
import static


@pytest.mark.slow
def test_every_arm_is_measured(tmp_path, capsys):
    before = dict(os.environ)
    words = ["--rows", "24", "--rounds", "1", "--threads", "1", "2", "--output", str(tmp_path)]
    assert static.main(words) == 0
    written = (tmp_path / "static.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out and dict(os.environ) == before
    lines = [line for line in written.splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    assert len(lines) == 6 and all(line.count("×") == 2 for line in lines)
    assert sum("1.00× |" in line for line in lines) >= 2
