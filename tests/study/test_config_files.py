"""Every study that a file in recipes/ describes, run as it stands on the bundled encoders and a small release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aihub_files import download
from places import RECIPES

from emo_hf.storage.record import read_records

FILES = sorted(path.name for path in RECIPES.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_each_file_is_a_study_that_runs_in_processes(name, tmp_path):
    several = {"klue.yaml": ["tiny-bert", "tiny-roberta"], "sweep.yaml": ["tiny-bert"]}
    runs = {"klue.yaml": 12, "sweep.yaml": 22}  # a weight of 0 is one run under both losses
    written = {"klue.yaml": "report.html", "sweep.yaml": "sweep.md"}
    study = tmp_path / "data" / "runs" / "study"  # among the data, as people have it: what it writes is none of them
    # What makes it quick; everything else is the file's.
    quick = [
        *("--encoders", *several[name], "--data", str(download(tmp_path / "data")), "--seeds", "1"),
        *("--max_length", "16", "--num_train_epochs", "1", "--jobs", "2", "--study_dir", str(study)),
    ]
    command = [sys.executable, str(RECIPES / "compare.py"), "--config", str(RECIPES / name), *quick]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stdout + done.stderr and " failed: " not in done.stdout + done.stderr
    records = read_records(study)
    assert len([record for record in records if record["kind"] == "model"]) == runs[name]
    assert (study / written[name]).is_file()


def test_no_file_is_left_out():
    assert FILES == ["klue.yaml", "sweep.yaml"], "give each new file what makes it quick above"
    assert all(Path(RECIPES, name).read_text(encoding="utf-8").startswith("#") for name in FILES)
