"""The benchmark of promises: what it counts in a world whose rates are known, and the runs that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import promises
import pytest
from scipy import special

from emo_hf.storage.record import write_record


def rows(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(count, 3))
    labels = (special.softmax(logits, axis=1).cumsum(1) > random.random((count, 1))).argmax(1)
    return logits.astype(np.float32), labels


@pytest.fixture
def study(tmp_path) -> Path:
    """Two runs with what the benchmark reads of them."""
    logits, labels = rows()
    for seed, loss in ((1, 0.5), (2, 0.4)):
        test = {
            name: {"loss": [value, 0, 1], "ece": [value / 10, 0, 1]}
            for name, value in (("before", 0.6), ("after", loss))
        }
        record = {"run_id": f"run_seed{seed}", "status": "completed", "seed": seed, "calibration": {"test": test}}
        write_record(tmp_path / f"run_seed{seed}", record, {"logits": logits, "labels": labels})
    return tmp_path


def share(text: str) -> float:
    return float(text.removesuffix(" %"))


def test_a_promise_is_counted_against_the_rates_of_the_world():
    logits, labels = rows()
    wanted, true, answered, best = promises.risk_line(logits, labels, 200, 0.1, 60)
    assert wanted == "errors ≤ 10 %" and share(true) >= 90
    order = np.argsort(-special.softmax(logits.astype(np.float64), axis=1).max(1))
    right = (logits.argmax(1) == labels)[order]
    most = max(count for count in range(1, 601) if (~right[:count]).sum() <= 0.1 * count)
    assert best.startswith(f"best possible {100 * most / 600:.1f} %")
    assert 0 < share(answered.removeprefix("answers ")) <= 100 * most / 600 + 5
    for kind in promises.SETS:
        _, true, size, held = promises.sets_line(logits, labels, 250, 0.85, kind, 60)
        assert share(true) >= 90 and share(held.removeprefix("hold ")) >= 85
        assert 1 <= float(size.split()[0]) < 3


def test_changes_are_means_over_runs(study):
    cells = promises.changes(promises.calibrated(study))
    assert cells[:3] == ["2", "0.600", "0.450"]
    assert cells[3] == "-0.150 ± 0.635; lower in 2"  # 12.706 × 0.0707 / √2, of Student's t with one degree of freedom


def test_what_it_can_not_take_is_a_line(study, tmp_path, capsys):
    assert promises.main([str(tmp_path / "nowhere")]) == 2
    assert "holds no run with a temperature; run it again with --calibration temperature" in capsys.readouterr().err
    assert promises.main([str(study), "--run", "x"]) == 2
    assert capsys.readouterr().err == "error: give folders of studies, or --run RUN and --on DATA\n"
    assert promises.main([str(study), "--max_error", "1"]) == 2
    assert capsys.readouterr().err == "error: --max_error is 1.0; allowed: above 0 to below 1\n"
    assert promises.main(["--run", str(study / "run_seed1"), "--on", "sample"]) == 2
    assert "promises nothing; train one with --max_error 0.1" in capsys.readouterr().err


@pytest.mark.slow
def test_the_table_is_written(study, tmp_path, capsys):
    words = [str(study), "--draws", "20", "--sentences", "8", "--rounds", "1", "--output", str(tmp_path / "out")]
    assert promises.main(words) == 0
    written = (tmp_path / "out" / "promises.md").read_text(encoding="utf-8")
    assert written in capsys.readouterr().out
    assert written.count(f"| {study.name} |") == 5 and written.count("×\n") == 4
