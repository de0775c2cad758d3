"""The benchmark of predicting a file: two builds, every model, and tables that are written."""

from __future__ import annotations

import places
import pytest
import throughput

from emo_hf.errors import UserError


@pytest.mark.slow
def test_both_builds_predict_and_export(trained, tmp_path, capsys, monkeypatch):
    """Of a build and itself, all but the speed is equal."""
    monkeypatch.setattr(throughput, "MODELS", ("run", "onnx-int8"))
    words = [str(trained), "--base", str(places.ROOT), "--rows", "24", "--rounds", "1", "--threads", "1"]
    assert throughput.main([*words, "--output", str(tmp_path)]) == 0
    written = (tmp_path / "throughput.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out and written.count("×") == 2
    lines = written.splitlines()
    for model in throughput.MODELS:
        assert any(line.startswith(f"| 1 | {model} | ") for line in lines)
    assert "| onnx-int8 | 0 | 0.0e+00 | 0 | 0 |" in lines
    lost = [line.split(" | ", 1)[1] for line in lines if line.startswith(("| before | ", "| now | "))]
    assert len(lost) == 2 and lost[0] == lost[1] and lost[0].endswith("of 60 |")


def test_a_folder_that_is_no_checkout_is_refused(tmp_path, capsys):
    assert throughput.main([str(tmp_path), "--base", str(tmp_path)]) == 2
    assert "is no checkout of this project; make one with git worktree add" in capsys.readouterr().err


def test_a_build_that_fails_says_why(tmp_path):
    with pytest.raises(UserError, match=r"can't do it: ValueError: no such thing"):
        throughput.in_build(tmp_path, "raise ValueError('no such thing')", [])
