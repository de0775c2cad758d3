"""Verdicts in words, the linear baseline first."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_run, write_study

from emo_hf.errors import UserError
from emo_hf.evaluation.planning import Goal, Requirement, Variances, detectable, requirement
from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import Decision, Interval, Verdict, decide
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding, Outlook
from emo_hf.report.answers import answer, level_text
from emo_hf.report.findings import findings_markdown, sentence
from emo_hf.report.predictions import LINEAR
from emo_hf.report.summary import summary
from emo_hf.report.table import scores
from emo_hf.report.taking import taking

EFFECT = Effect(0.008)


@pytest.mark.parametrize(
    ("decision", "within", "english", "korean"),
    [
        (
            Decision(Verdict.UNDECIDED, 0.34, 0.21, (Interval(-0.003, 0.019, 0.99375),), 0.00625),
            1.0,
            "[-0.3, +1.9] (99.4 % interval; different p = 0.34, equal p = 0.21): **undecided**",
            "[-0.3, +1.9] (99.4 % 구간, 다름 p = 0.34, 같음 p = 0.21): **판단 보류**",
        ),
        (
            Decision(Verdict.EQUAL, 0.34, 0.0002, (Interval(-0.003, 0.0094, 0.9),), 0.05),
            1.0,
            "[-0.3, +0.9] (90 % interval; different p = 0.34, equal p < 0.001): **equal** (within ±1.0 points)",
            "[-0.3, +0.9] (90 % 구간, 다름 p = 0.34, 같음 p < 0.001): **같다**(±1.0점 이내)",
        ),
        (
            Decision(Verdict.SMALL, 0.01, 0.04, (Interval(0.001, 0.013, 0.975), Interval(0.002, 0.012, 0.9)), 0.025),
            1.25,
            "[+0.1, +1.3] and [+0.2, +1.2] (97.5 % and 90 % intervals; different p = 0.010, equal p = 0.040): "
            "**different but small** (within ±1.25 points)",
            "[+0.1, +1.3]와 [+0.2, +1.2] (97.5 %와 90 % 구간, 다름 p = 0.010, 같음 p = 0.040): "
            "**다르지만 작다**(±1.25점 이내)",
        ),
        (
            Decision(Verdict.DIFFERENT, 0.01, math.nan, (Interval(0.001, 0.015, 0.95),), 0.05),
            None,
            "[+0.1, +1.5] (95 % interval; p = 0.010): **different**",
            "[+0.1, +1.5] (95 % 구간, p = 0.010): **다르다**",
        ),
    ],
)
def test_each_verdict_has_its_word_and_the_numbers_that_decide(
    decision: Decision, within: float | None, english: str, korean: str
) -> None:
    for lang, expected in (("en", english), ("ko", korean)):
        said = answer(EFFECT, decision, within, lang=lang, strong="**")
        assert said == {"estimate": "+0.8", "answer": expected}


@pytest.mark.parametrize(("level", "said"), [(0.95, "95 %"), (0.9, "90 %"), (0.98333, "98.3 %"), (0.9996, "99.96 %")])
def test_a_level_keeps_the_digits_that_tell_it_from_certainty(level: float, said: str) -> None:
    assert level_text(level) == said


def write_grid(study: Path, *, correct: float, linear: float | None, rows: int = 300) -> None:
    for pooling, aux, seed in itertools.product(["cls", "mean"], ["none", "triplet"], (1, 2, 3)):
        write_run(study, pooling=pooling, aux=aux, seed=seed, correct=correct, rows=rows)
    if linear is not None:
        write_run(study, baseline=LINEAR, correct=linear, rows=rows)


def test_the_first_answers_are_about_the_linear_baseline(tmp_path: Path) -> None:
    write_grid(tmp_path, correct=0.8, linear=0.5)
    analysis = Analysis.read(tmp_path)
    mean, best = analysis.against_baseline
    means = {model.cell: scores(model)["macro_f1"].mean for model in analysis.models}
    linear = analysis.baselines[0].runs[0]["test"]["macro_f1"]
    assert isinstance(mean, Finding) and isinstance(best, Finding)
    assert mean.effect.estimate == pytest.approx(np.mean(list(means.values())) - linear, abs=1e-6)
    assert mean.verdict is best.verdict is Verdict.DIFFERENT
    assert best.chosen == max(means, key=lambda cell: means[cell])
    assert best.effect.estimate < max(means.values()) - linear, "a best one that was picked is flattered"
    assert [mean.decision, best.decision] == decide([mean.effect, best.effect], 0.01), "a family of their own"
    first, second, third = findings_markdown(analysis).splitlines()[:3]
    assert first.startswith("- models over TF-IDF + logistic regression (mean of 4): +") and "**different**" in first
    name = " ".join(best.chosen)
    assert second.startswith(
        f"- best model over TF-IDF + logistic regression ({name}, corrected for having been chosen)"
    )
    assert third.startswith("- triplet over none: ")
    korean = findings_markdown(analysis, lang="ko").splitlines()
    assert korean[0].startswith("- TF-IDF + 로지스틱 회귀 대비 모델들 (4개 평균): 매크로 F1 +")
    assert korean[1].startswith(f"- TF-IDF + 로지스틱 회귀 대비 가장 좋은 모델 ({name}, 골랐다는 점을 보정): ")


def test_a_model_that_lacks_seeds_is_left_out_of_the_mean(tmp_path: Path) -> None:
    write_grid(tmp_path, correct=0.7, linear=0.7)
    write_run(tmp_path, pooling="max", correct=0.7, rows=300)
    [first, *_] = findings_markdown(Analysis.read(tmp_path)).splitlines()
    asked = "- models over TF-IDF + logistic regression (mean of 4 of 5; tiny-bert max none has one seed): "
    assert first.startswith(asked)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("none", "has no completed run"),
        ("damaged", "has no predictions that can be read"),
        ("other rows", "was tested on other rows"),
    ],
)
def test_why_there_is_no_comparison_with_the_baseline_stands_first(tmp_path: Path, fault: str, why: str) -> None:
    write_grid(tmp_path, correct=0.7, linear=None, rows=30)
    if fault != "none":
        write_run(tmp_path, baseline=LINEAR, rows=30 if fault == "damaged" else 33)
    if fault == "damaged":
        [path] = tmp_path.glob("TF-IDF*/predictions.npz")
        path.write_bytes(b"PK damaged")
    analysis = Analysis.read(tmp_path)
    said = f"models over {LINEAR}: no answer, because {LINEAR} {why}"
    lines = findings_markdown(analysis).splitlines()
    assert lines[0] == f"- {said}" and lines[1].startswith("- triplet over none: ")
    assert summary(analysis).startswith(f"The models are not compared with {LINEAR}, because {LINEAR} {why}; ")


def test_models_of_one_seed_are_not_compared_with_the_baseline(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=(1,))
    lines = findings_markdown(Analysis.read(tmp_path)).splitlines()
    assert lines[0] == f"- models over {LINEAR}: no answer, because 6 models have one seed each"
    assert "McNemar" in lines[1] and "give three seeds or more (--seeds 1 2 3)" in lines[-1]


def test_a_single_model_is_compared_with_the_baseline_by_its_name(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write_run(tmp_path, seed=seed, correct=0.9, rows=300)
    write_run(tmp_path, baseline=LINEAR, correct=0.5, rows=300)
    analysis = Analysis.read(tmp_path)
    [line] = [line for line in findings_markdown(analysis).splitlines() if line.startswith("- ")]
    assert line.startswith(f"- tiny-bert cls none over {LINEAR}: +") and "**different**" in line
    assert "tiny-bert with cls pooling and no metric loss has +" in summary(analysis)


def test_how_much_is_equal_is_for_the_reader_to_say(tmp_path: Path) -> None:
    write_grid(tmp_path, correct=0.7, linear=0.7)
    narrow, wide = (Analysis.read(tmp_path, equal_within=within) for within in (0.01, 60.0))
    assert {finding.verdict for finding in narrow.findings} <= {Verdict.UNDECIDED, Verdict.DIFFERENT}
    assert {finding.verdict for finding in wide.findings} <= {Verdict.EQUAL, Verdict.SMALL}
    assert "(within ±60.0 points)" in findings_markdown(wide)
    assert [f.effect for f in narrow.findings] == [f.effect for f in wide.findings]


@pytest.mark.parametrize("within", [0.0, -1.0, math.nan, 101.0])
def test_equal_within_nothing_is_refused(tmp_path: Path, within: float) -> None:
    with pytest.raises(UserError, match=r"equal_within is .*; allowed: above 0 to 100"):
        Analysis.read(tmp_path, equal_within=within)


def test_an_undecided_question_says_what_it_would_take(tmp_path: Path) -> None:
    write_grid(tmp_path, correct=0.7, linear=0.7)
    analysis = Analysis.read(tmp_path)
    finding = next(one for one in analysis.findings if one.verdict is Verdict.UNDECIDED)
    parts = Variances.of(analysis.bootstrap, finding.contrast.weights)
    level = finding.decision.level
    shown = detectable(parts, 3, 300, level)
    assert analysis.outlooks[finding.asked] == Outlook(shown, requirement(parts, Goal(0.01, level), 3, 300))
    vars(analysis)["outlooks"] = {finding.asked: Outlook(shown, Requirement(9, 2841))}
    said = "1.0 would take 9 seeds of these 300 sentences, or 3 seeds of 2,900 sentences"
    could = f"; this study could have shown {100 * shown:.1f} points (80 % power)"
    assert taking(finding, analysis) == f"{could}; {said}"
    assert sentence(finding, analysis).endswith(taking(finding, analysis))


@pytest.mark.parametrize(
    ("required", "said"),
    [
        (Requirement(9, 2841), "9 seeds of these 300 sentences, or 3 seeds of 2,900 sentences"),
        (Requirement(9, None), "9 seeds of these 300 sentences"),
        (Requirement(None, 99), "3 seeds of 99 sentences"),
        (Requirement(None, None, (30, 5501)), "30 seeds of 5,600 sentences"),
        (Requirement(None, None), "more than 200 seeds and 1,000,000 sentences"),
    ],
)
def test_every_way_is_named(tmp_path: Path, required: Requirement, said: str) -> None:
    write_grid(tmp_path, correct=0.7, linear=0.7)
    analysis = Analysis.read(tmp_path)
    finding = next(one for one in analysis.findings if one.verdict is Verdict.UNDECIDED)
    vars(analysis)["outlooks"] = {finding.asked: Outlook(0.05, required)}
    assert taking(finding, analysis).endswith(f"; 1.0 would take {said}")


def test_a_study_that_could_have_shown_less_asks_for_no_more(tmp_path: Path) -> None:
    write_grid(tmp_path, correct=0.7, linear=0.7)
    analysis = Analysis.read(tmp_path)
    finding = next(one for one in analysis.findings if one.verdict is Verdict.UNDECIDED)
    vars(analysis)["outlooks"] = {finding.asked: Outlook(0.009, Requirement(2, 300))}
    assert taking(finding, analysis) == "; this study could have shown 0.9 points (80 % power)"
    vars(analysis)["outlooks"] = {finding.asked: Outlook(None, Requirement(9, None))}
    assert taking(finding, analysis).startswith(
        "; this study could have shown no difference at all; 1.0 would take 9 "
    )
