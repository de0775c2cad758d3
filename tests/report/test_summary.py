"""The one sentence on top of the page: what it claims, and what it does not."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_run, write_study

from emo_hf.report.analysis import Analysis
from emo_hf.report.summary import caution, duration, summary


def test_the_best_model_what_differs_and_what_is_open_are_named(tmp_path: Path) -> None:
    correct = {"none": 0.5, "triplet": 0.9}
    for pooling, aux, seed in itertools.product(["cls", "mean"], correct, (1, 2, 3)):
        write_run(tmp_path, pooling=pooling, aux=aux, seed=seed, correct=correct[aux], rows=300)
    write_run(tmp_path, baseline="TF-IDF + logistic regression", correct=0.6, rows=300)
    write_run(tmp_path, baseline="majority class", correct=0.3, rows=300)
    analysis = Analysis.read(tmp_path)
    means = {model.cell: np.mean([run["test"]["macro_f1"] for run in model.runs]) for model in analysis.models}
    encoder, pooling, aux = max(means, key=lambda cell: means[cell])
    linear = next(one for one in analysis.baselines if "TF-IDF" in one.encoder).runs[0]["test"]["macro_f1"]
    best, baseline = round(100 * max(means.values()), 1), round(100 * linear, 1)
    effect = analysis.findings[0].effect.estimate
    assert summary(analysis) == (
        f"Best of 4 models, picked after the fact: {encoder} with {pooling} pooling and the {aux} loss, with a "
        f"macro-F1 of {best} %, {best - baseline:.1f} points above the best baseline (TF-IDF + logistic regression, "
        f"{baseline} %); what makes a difference: “triplet over none: {100 * effect:+.1f}”; "
        "still open: “mean over cls”."
    )
    korean = summary(analysis, lang="ko")
    assert korean.startswith("결과를 보고 고른 모델 4개 중 최고: ") and "TF-IDF + 로지스틱 회귀" in korean
    assert "차이가 확인된 것: “none 대비 triplet: " in korean
    assert korean.endswith("아직 알 수 없는 것: “cls 대비 mean”.")


def test_nothing_is_claimed_where_nothing_is_shown(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=(1, 2))
    write_run(tmp_path, baseline="an oracle", correct=1.0)
    text = summary(Analysis.read(tmp_path))
    assert "points below the best baseline (an oracle, 100.0 %); no question shows a difference; still open: " in text


def test_one_seed_shows_no_difference_and_one_model_is_no_best(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert caution(Analysis.read(tmp_path)) == ""
    assert summary(Analysis.read(tmp_path)).startswith("The only model, tiny-bert with cls pooling and no metric loss")
    write_run(tmp_path, aux="triplet")
    assert summary(Analysis.read(tmp_path)).endswith("; with one seed a model no difference can be shown.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (45, "45 s"), (588, "9.8 min"), (5399, "90.0 min"), (8280, "2.3 h")],
)
def test_times_have_a_unit_that_suits_them(seconds: float, said: str) -> None:
    assert duration(seconds, "en") == said
