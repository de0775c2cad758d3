"""The benchmark of classes of 60 to 1: how the sample is cut, and that its table has the differences of the means."""

from __future__ import annotations

import io
import re
from pathlib import Path

import imbalance
import numpy as np
import pandas as pd
import pytest

from emo_hf.data.loading import load_emotion_data
from emo_hf.report.analysis import Analysis


def test_training_rows_alone_are_cut() -> None:
    rows = pd.read_csv(io.StringIO(imbalance.cut()))
    sample = load_emotion_data("sample")
    counts = rows.groupby(["split", "label"]).size()
    assert [counts["train", label] for label in sample.labels] == list(imbalance.SIZES)
    for split in ("validation", "test"):
        assert sorted(rows[rows["split"] == split]["sentence"]) == sorted(sample.splits[split]["text"][:])


@pytest.mark.slow
def test_every_choice_is_compared_with_plain_cross_entropy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(imbalance, "SIZES", (60, 24, 12))
    short = ["--num_train_epochs", "1", "--max_length", "16", "--seeds", "1", "2", "--runs", str(tmp_path)]
    assert imbalance.main(short) == 0
    header, _, *lines = (tmp_path / "imbalance.md").read_text(encoding="utf-8").splitlines()
    assert "F1 기쁨" in header  # the rarest
    found = {}
    for study in imbalance.STUDIES:
        for model in Analysis.read(tmp_path / study).models:
            [(_, value)] = model.settings
            found[value] = 100 * np.mean([run["test"]["macro_f1"] for run in model.runs])
    assert len(lines) == 5
    for line in lines:
        name, macro, _ = line.strip("| ").split(" | ")
        value = name.strip("`").split()[-1]
        plain = "none" if "class_weights" in name else "cross_entropy"
        assert float(re.search(r"[+-][\d.]+", macro)[0]) == pytest.approx(found[value] - found[plain], abs=0.06)
