"""A class without a test row: left out of the mean everywhere, and said."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import LABELS, write_run

from emo_hf.report.analysis import Analysis
from emo_hf.report.report import write_report
from emo_hf.report.table import csv_table, latex_table, markdown_table

SAID = "The test set holds no text of {}: macro-F1 is the mean over the other classes."


def study(folder: Path, absent: int) -> Analysis:
    labels = [*LABELS, "혐오*"]
    for seed in (1, 2):
        for aux in ("none", "triplet"):
            scores = {"silhouette": 0.1}
            write_run(folder, aux=aux, seed=seed, labels=labels, absent=absent, embeddings=scores)
    write_run(folder, baseline="TF-IDF + logistic regression", labels=labels, absent=absent)
    return Analysis.read(folder)


def test_tables_have_no_score_of_it_and_say_so(tmp_path: Path) -> None:
    analysis = study(tmp_path, absent=1)
    header, _, *rows = (line.strip("|").split(" | ") for line in markdown_table(analysis).splitlines()[:5])
    assert header[9] == "F1 혐오\\*" and {row[9] for row in rows} == {"–"}
    assert SAID.format("혐오\\*") in markdown_table(analysis)
    assert SAID.format("혐오*") in latex_table(analysis).splitlines()[-1]
    assert "매크로 F1은 나머지 클래스의 평균이다" in markdown_table(analysis, lang="ko")
    names, first, *_ = (line.split(",") for line in csv_table(analysis).splitlines())
    assert first[names.index("f1_혐오*_mean")] == "" != first[names.index("f1_기쁨_mean")]


def test_findings_compare_the_mean_over_the_other_classes(tmp_path: Path) -> None:
    analysis = study(tmp_path, absent=1)
    for model in analysis.models:
        means = [run["test"]["macro_f1"] for run in model.runs]
        assert analysis.bootstrap.scores[model.cell] == pytest.approx(means, abs=1e-6)


def test_the_report_is_written_whole(tmp_path: Path) -> None:
    study(tmp_path, absent=1)
    write_report(tmp_path)
    assert SAID.format("혐오*") in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "confusion_tiny-bert.png").stat().st_size > 0


def test_nothing_is_said_where_no_class_is_missing(tmp_path: Path) -> None:
    assert "holds no text" not in markdown_table(study(tmp_path, absent=0))
