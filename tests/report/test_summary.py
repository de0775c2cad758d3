"""The one sentence on top of the page: what it claims, and what it does not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from synthetic import write_run

from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import interval_text
from emo_hf.report.summary import caution, duration, summary


def test_the_baseline_and_every_verdict_are_named(tmp_path: Path) -> None:
    correct = {"none": 0.5, "triplet": 0.9}
    for pooling, aux, seed in itertools.product(["cls", "mean"], correct, (1, 2, 3)):
        write_run(tmp_path, pooling=pooling, aux=aux, seed=seed, correct=correct[aux], rows=300)
    write_run(tmp_path, baseline="TF-IDF + logistic regression", correct=0.6, rows=300)
    write_run(tmp_path, baseline="majority class", correct=0.3, rows=300)
    analysis = Analysis.read(tmp_path)
    linear = next(one for one in analysis.baselines if "TF-IDF" in one.encoder).runs[0]["test"]["macro_f1"]
    mean, best = analysis.against_baseline
    said = [f"{100 * found.effect.estimate:+.1f}" for found in (mean, best, analysis.findings[0])]
    intervals = [interval_text(found.decision.intervals[0]) for found in (mean, best)]
    encoder, pooling, aux = best.chosen
    assert aux == "triplet"
    assert summary(analysis) == (
        f"Over TF-IDF + logistic regression ({100 * linear:.1f} %) the 4 models have on average {said[0]} points of "
        f"macro-F1 {intervals[0]}: different; the best of them, {encoder} with {pooling} pooling and the {aux} loss, "
        f"corrected for having been chosen, {said[1]} {intervals[1]}: different; different: “triplet over none: "
        f"{said[2]}”; undecided: “mean over cls”."
    )
    assert caution(analysis).startswith("Undecided: this study is too small to say")
    korean = summary(analysis, lang="ko")
    assert korean.startswith("TF-IDF + 로지스틱 회귀(") and "골랐다는 점을 보정하면" in korean
    assert f"다르다: “none 대비 triplet: {said[2]}”" in korean
    assert korean.endswith("판단 보류: “cls 대비 mean”.")


def test_one_seed_shows_nothing(tmp_path: Path) -> None:
    write_run(tmp_path)
    write_run(tmp_path, aux="triplet")
    write_run(tmp_path, baseline="TF-IDF + logistic regression")
    analysis = Analysis.read(tmp_path)
    assert caution(analysis) == ""
    why = "because tiny-bert cls none, tiny-bert cls triplet have one seed each"
    first = f"The models are not compared with TF-IDF + logistic regression, {why}; "
    assert summary(analysis) == f"{first}with one seed a model no difference can be shown."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (45, "45 s"), (588, "9.8 min"), (5399, "90.0 min"), (8280, "2.3 h")],
)
def test_times_have_a_unit_that_suits_them(seconds: float, said: str) -> None:
    assert duration(seconds, "en") == said
