"""A sweep: which runs it has, that they get their values, and what its table and figure say of them."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_run

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.evaluation.verdicts import Verdict
from emo_hf.report import sweep as sweep_module
from emo_hf.report.analysis import Analysis
from emo_hf.report.findings import findings_markdown, question
from emo_hf.report.predictions import LINEAR
from emo_hf.report.report import write_report
from emo_hf.report.summary import summary
from emo_hf.report.sweep import baseline, draw_sweep, sweep_markdown, sweep_points
from emo_hf.storage.record import read_record
from emo_hf.study.grid import GridArguments, Study
from emo_hf.study.local import execute_here
from emo_hf.study.variations import combinations, describe, parse_over

WEIGHTS = "aux_weight=0,0.1,1"


def test_values_have_the_types_of_their_arguments() -> None:
    over = parse_over(["aux_weight=0,0.1", "num_train_epochs=3", "max_length=64,128", "mining=all,hard", "bf16=false"])
    assert over == {
        "aux_weight": [0.0, 0.1], "num_train_epochs": [3.0], "max_length": [64, 128], "mining": ["all", "hard"],
        "bf16": [False],
    }  # fmt: skip
    assert isinstance(over["max_length"][0], int)
    assert describe((("aux_weight", 0.3), ("mining", "hard"))) == "aux_weight=0.3, mining=hard"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aux_weight"], "give a name and values"),
        (["aux_wieght=1"], "did you mean aux_weight"),
        (["pooling=cls,max"], "use --poolings"),
        (["margin=1", "margin=2"], "given twice"),
        (["margin=wide"], "--over margin: .*invalid float"),
        (['aux_kwargs={"soft": true}'], "--over aux_kwargs: it takes numbers and words"),
        (["labels=기쁨,슬픔"], "--over labels: it takes numbers and words"),
    ],
)
def test_mistakes_are_named(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_over(words)


def test_a_weight_of_zero_is_no_loss_and_without_one_its_arguments_change_nothing() -> None:
    over = parse_over([WEIGHTS, "learning_rate=1e-3,1e-2"])
    assert len(combinations(over, "none")) == 2
    triplet = combinations(over, "triplet")
    assert len(triplet) == 6 and triplet[0] == ("none", (("learning_rate", 1e-3),))
    assert ("triplet", (("aux_weight", 0.1), ("learning_rate", 1e-2))) in triplet


def test_every_run_of_a_sweep_comes_once_and_gets_its_values(encoders, csv_file, tmp_path) -> None:
    study = Study(
        GridArguments(
            encoders=[encoders["bert"]], poolings=["mean"], aux=["contrastive", "triplet"], seeds=[1, 2],
            over=[WEIGHTS, "train_fraction=0.5"], study_dir=str(tmp_path),
        ),
        ModelArguments(embedding_size=16),
        DataArguments(data=csv_file, max_length=32),
        given(MetricTrainingArguments(num_train_epochs=1, bf16=False)),
    )  # fmt: skip
    tasks = study.tasks()
    assert len(tasks) == len({task.run_id for task in tasks}) == 2 * (1 + 2 * 2)
    study.check()
    task = next(task for task in tasks if dict(task.settings).get("aux_weight") == 1)
    assert task.run_id == "mini-bert_mean_contrastive_aux_weight=1.0_train_fraction=0.5_seed1"
    assert [error for _, error in execute_here(study, [tasks[0], task], jobs=1)] == [None, None]
    record = read_record(tmp_path / task.run_id)
    assert record["arguments"]["training"]["aux_weight"] == 1
    assert record["model"]["settings"] == {"aux_weight": 1.0, "train_fraction": 0.5}
    full = load_emotion_data(csv_file).counts()
    for label, rows in record["data"]["counts"]["train"].items():
        assert rows == full["train"][label] // 2
    assert record["data"]["counts"]["test"] == full["test"]
    assert task not in study.due() and tasks[0] not in study.due()


def test_a_smaller_share_of_training_is_part_of_a_larger_one(csv_file) -> None:
    shares = (0.1, 0.3, 0.7, 1.0)
    texts = [set(load_emotion_data(csv_file, train_fraction=share).splits["train"]["text"]) for share in shares]
    assert all(small < large for small, large in itertools.pairwise(texts))
    with pytest.raises(UserError, match="train_fraction is 0"):
        load_emotion_data(csv_file, train_fraction=0)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Triplets get better with their weight, contrastive pairs do not."""
    for pooling, seed in itertools.product(["cls", "mean"], [1, 2, 3]):
        write_run(tmp_path, pooling=pooling, seed=seed, correct=0.6, rows=240)
        for aux, weight in itertools.product(["contrastive", "triplet"], [0.1, 1.0]):
            correct = 0.6 + (0.25 * weight if aux == "triplet" else 0)
            model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": pooling, "aux": aux}
            name = f"{aux}_{weight}"
            write_run(
                tmp_path, pooling=pooling, aux=name, seed=seed, correct=correct, rows=240,
                model=model | {"settings": {"aux_weight": weight}},
            )  # fmt: skip
    return tmp_path


def test_each_value_is_compared_with_no_auxiliary_loss(sweep: Path) -> None:
    analysis = Analysis.read(sweep)
    models = analysis.models
    assert len(models) == 10 and all(len(model.runs) == 3 for model in models)
    for model in models:
        base = baseline(model, models)
        assert (base is None) == (model.aux == "none")
        assert base is None or (base.aux, base.pooling) == ("none", model.pooling)
    for point in sweep_points(analysis):
        if point.difference is not None:
            expected = point.model.aux == "triplet" and dict(point.model.settings)["aux_weight"] == 1
            assert (point.decision.verdict is Verdict.DIFFERENT) == expected
            assert (point.difference.estimate > 0.1) == expected


def test_table_and_figure_of_a_sweep(sweep: Path) -> None:
    paths = {path.name for path in write_report(sweep)}
    assert paths == {
        "table.md", "table.csv", "table.tex", "findings.md", "sweep.md", "sweep_aux_weight.png", "report.html",
    }  # fmt: skip
    lines = (sweep / "sweep.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in lines if "| mean | triplet | aux_weight=1 |" in line]
    cells = dict(zip(lines[0].split(" | "), row.split(" | "), strict=True))
    assert float(cells["p, different"].removeprefix("< ")) < 0.05 and float(cells["p, equal"]) > 0.05
    assert re.fullmatch(r"\[\+[\d.]+, \+[\d.]+\] \(9[\d.]+ %\)", cells["Interval that decides"])
    assert cells["Verdict"] == "**different**"
    assert "| mean | none | – |" in lines[2] or "| – | – | – | – | – |" in lines[2]
    table = (sweep / "table.md").read_text(encoding="utf-8").splitlines()
    assert "| Settings |" in table[0] and len([line for line in table if line.startswith("| ")]) == 2 + 10
    assert (sweep / "sweep_aux_weight.png").stat().st_size > 20_000
    assert "차이" in sweep_markdown(Analysis.read(sweep), lang="ko")


def test_a_setting_that_is_not_the_loss_s_is_compared_with_its_first_value(tmp_path: Path) -> None:
    for seed, share in itertools.product([1, 2], [0.1, 0.5, 1.0]):
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": "cls", "aux": "triplet"}
        settings = {"train_fraction": share}
        write_run(tmp_path, aux=f"triplet_{share}", seed=seed, model=model | {"settings": settings})
    models = Analysis.read(tmp_path).models
    bases = {model.setting_text(): baseline(model, models) for model in models}
    assert bases["train_fraction=0.1"] is None
    assert bases["train_fraction=1"].setting_text() == "train_fraction=0.1"
    assert any(path.name == "sweep_train_fraction.png" for path in write_report(tmp_path))


def test_the_questions_of_a_sweep(sweep: Path) -> None:
    """Every value against the study's own, and every loss against none, over all poolings."""
    (sweep / "study.json").write_text(json.dumps({"model": {}, "data": {}, "training": {"aux_weight": 1.0}}))
    analysis = Analysis.read(sweep)
    found = {question(f.contrast): f for f in analysis.findings}
    assert list(found) == [
        "contrastive, aux_weight=0.1 over aux_weight=1",
        "triplet, aux_weight=0.1 over aux_weight=1",
        "contrastive, aux_weight=0.1 over none",
        "contrastive, aux_weight=1 over none",
        "triplet, aux_weight=0.1 over none",
        "triplet, aux_weight=1 over none",
    ]
    scores = {m.cell: np.mean([run["test"]["macro_f1"] for run in m.runs]) for m in analysis.models}
    for name, finding in found.items():
        expected = sum(weight * scores[cell] for cell, weight in finding.contrast.weights.items())
        assert finding.effect.estimate == pytest.approx(expected, abs=1e-6) and finding.contrast.cells == 2
        assert (finding.verdict is Verdict.DIFFERENT) == (name.startswith("triplet") and "aux_weight=1" in name)
    assert found["triplet, aux_weight=0.1 over aux_weight=1"].effect.estimate < -0.1
    not_swept = replace(analysis, arguments={"aux_weight": 7.0})  # the first value serves
    lines = findings_markdown(not_swept).splitlines()
    assert lines[1].startswith("- contrastive, aux_weight=1 over aux_weight=0.1: ")


def test_a_setting_that_every_model_has_is_asked_about_over_all_losses(tmp_path: Path) -> None:
    for aux, seed, share in itertools.product(["none", "triplet"], [1, 2], [0.5, 1.0]):
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": "cls", "aux": aux}
        settings = {"train_fraction": share}
        write_run(tmp_path, aux=f"{aux}_{share}", seed=seed, model=model | {"settings": settings})
    (tmp_path / "study.json").write_text(json.dumps({"model": {}, "data": {}, "training": {"train_fraction": 1.0}}))
    [finding] = Analysis.read(tmp_path).findings
    assert question(finding.contrast) == "train_fraction=0.5 over train_fraction=1" and finding.contrast.cells == 2


def test_intervals_of_scores_stay_within_what_a_score_can_be(tmp_path: Path) -> None:
    for aux, seed in itertools.product(["none", "triplet"], [1, 2, 3]):
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": "cls", "aux": aux}
        settings = {} if aux == "none" else {"settings": {"aux_weight": 3.0}}
        correct = 1.0 if aux == "none" else [0.2, 0.9, 1.0][seed - 1]
        write_run(tmp_path, aux=aux, seed=seed, correct=correct, model=model | settings)
    analysis = Analysis.read(tmp_path)
    points = {point.model.aux: point for point in sweep_points(analysis)}
    assert points["triplet"].score.low == 0 and points["triplet"].score.high == 1
    assert points["triplet"].difference.low == -1
    assert "-0.0" not in sweep_markdown(analysis)


def test_a_sweep_of_one_seed_promises_no_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for weight in (0.1, 1.0):
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": "cls", "aux": "triplet"}
        write_run(tmp_path, aux=f"triplet_{weight}", model=model | {"settings": {"aux_weight": weight}})
    headings = []
    monkeypatch.setattr(sweep_module, "set_heading", lambda figure, encoder, phrase: headings.append(phrase))
    for lang, interval, seeds in (("en", "interval", "three seeds"), ("ko", "구간", "시드를 셋 이상")):
        analysis = Analysis.read(tmp_path)
        draw_sweep(analysis, tmp_path / "sweep.png", name="aux_weight", lang=lang)
        assert interval not in headings[-1] and seeds in sweep_markdown(analysis, lang=lang)
    write_run(tmp_path, aux="triplet_1.0", seed=7, model=model | {"settings": {"aux_weight": 1.0}})
    draw_sweep(Analysis.read(tmp_path), tmp_path / "sweep.png", name="aux_weight")
    assert "95 % intervals" in headings[-1] and "interval is the one that decides" in sweep_markdown(
        Analysis.read(tmp_path)
    )


@pytest.mark.parametrize(
    ("name", "values", "style"), [("class_weights", ["none", "sqrt"], "None"), ("aux_weight", [0.1, 1.0], "-")]
)
def test_numbers_are_joined_by_a_line_and_names_are_not(tmp_path: Path, monkeypatch, name, values, style) -> None:
    for value in values:
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": "cls", "aux": "none"}
        write_run(tmp_path, aux=f"none_{value}", model=model | {"settings": {name: value}})
    drawn = []
    monkeypatch.setattr(sweep_module, "save", lambda figure, path: drawn.extend(figure.axes[:1]))
    draw_sweep(Analysis.read(tmp_path), tmp_path / "sweep.png", name=name)
    [[line, *_]] = [bars.lines for bars in drawn[0].containers]
    assert line.get_linestyle() == style and list(drawn[0].get_xlim()) == [-0.5, 1.5]
    assert [label.get_text() for label in drawn[0].get_xticklabels()] == [str(v).removesuffix(".0") for v in values]


def test_with_few_rows_tfidf_has_its_own_curve_and_each_loss_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Models are as good as TF-IDF on 8 rows and better on 64; triplets help on 64 alone."""
    correct = {("none", 8): 0.5, ("none", 64): 0.7, ("triplet", 8): 0.5, ("triplet", 64): 0.9, (LINEAR, 8): 0.5}
    for aux, shots, seed in itertools.product(["none", "triplet", LINEAR], [8, 64], [1, 2, 3]):
        is_linear = aux == LINEAR
        names = [LINEAR, None, None] if is_linear else ["tiny-bert", "mean", aux]
        model = dict(zip(("name", "pooling", "aux"), names, strict=True)) | {"settings": {"shots": shots}}
        record = write_run(
            tmp_path, aux=f"{aux}_{shots}", seed=seed, rows=240, correct=correct.get((aux, shots), 0.5),
            model=model | {"encoder": None if is_linear else "tiny-bert"}, kind="baseline" if is_linear else "model",
        )  # fmt: skip
        record["data"] |= {"fingerprint": f"{shots} {seed}", "report": {"shots": shots, "shots_seed": seed}}
        (tmp_path / record["run_id"] / "record.json").write_text(json.dumps(record), encoding="utf-8")
    analysis = Analysis.read(tmp_path)
    assert "different data" not in caplog.text
    over = {question(found.contrast): found for found in analysis.against_baseline}
    assert list(over) == [
        f"tiny-bert mean {aux} shots={shots} over {LINEAR} on the same rows"
        for aux, shots in itertools.product(["none", "triplet"], [8, 64])
    ]
    assert [found.verdict is Verdict.DIFFERENT for found in over.values()] == [False, True, False, True]
    assert {cell: len(runs) for cell, runs in analysis.linear.classes.items()} == {
        (LINEAR, ("shots", shots)): 3 for shots in (8, 64)
    }
    assert not analysis.linear.deterministic  # its draws count among what is uncertain
    losses = {question(found.contrast): found for found in analysis.findings if found.contrast.factor == "aux"}
    assert list(losses) == ["triplet, shots=8 over none", "triplet, shots=64 over none"]
    assert [found.verdict is Verdict.DIFFERENT for found in losses.values()] == [False, True]
    assert f"| {LINEAR} | – | – | shots=64 |" in sweep_markdown(analysis)
    for lang in ("en", "ko"):
        assert summary(analysis, lang=lang) and findings_markdown(analysis, lang=lang)
    drawn = []
    monkeypatch.setattr(sweep_module, "save", lambda figure, path: drawn.extend(figure.axes))
    draw_sweep(analysis, tmp_path / "sweep.png", name="shots")
    assert len(drawn) == 1 and drawn[0].get_legend_handles_labels()[1] == ["none", "triplet", LINEAR]
