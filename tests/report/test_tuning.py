"""What the report tells of a tuning, from its records alone."""

from __future__ import annotations

import csv
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import EVIL, write_run

from emo_hf.report.analysis import Analysis
from emo_hf.report.page import context, write_page
from emo_hf.report.plots.tuning import draw_tuning
from emo_hf.report.report import write_report
from emo_hf.report.table import csv_table
from emo_hf.report.tuning import tuned_models, tuning_markdown
from emo_hf.report.tuning_words import TUNING_WORDS
from emo_hf.storage.files import file_stem

SCORES = {"none": [0.70, 0.72, 0.60, 0.71], "triplet": [0.60, None, 0.78, 0.65]}  # None: a draw that failed
SETTINGS = {"none": {"learning_rate": 0.0003}, "triplet": {"learning_rate": 0.001, "aux_kwargs.soft": True}}


def write_tuning_record(study: Path, model: dict[str, Any], scores: list[float | None], settings: dict) -> Path:
    """The record that the tuning of a cell leaves."""
    draws = [
        {
            "draw": number,
            "settings": settings,
            "validation_macro_f1": [score / 2, score] if score is not None else [],
            "wall_seconds": 15.0,
            "error": None if score is not None else "ce_loss is nan",
        }
        for number, score in enumerate(scores, start=1)
    ]
    best = max(range(len(scores)), key=lambda place: scores[place] or 0.0) + 1
    rungs = [{"epochs": 1.0, "draws": 4}, {"epochs": 2.0, "draws": 2}]
    record = {"status": "completed", "model": model, "draws": draws, "rungs": rungs, "chosen": best, "tuned": settings}
    path = study / "tuning" / file_stem(f"{model['name']}_{model['pooling']}_{model['aux']}") / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


@pytest.fixture
def tuned_study(tmp_path) -> Path:
    """Two models of two poolings, tuned and trained."""
    for pooling in ("cls", "mean"):
        for aux, scores in SCORES.items():
            for seed in (1, 2):
                record = write_run(tmp_path, pooling=pooling, aux=aux, seed=seed, tuned=SETTINGS[aux])
            write_tuning_record(tmp_path, record["model"], scores, SETTINGS[aux])
    write_run(tmp_path, baseline="majority class", correct=0.3)
    return tmp_path


def of_all_subsets(first: float, scores: list[float], count: int) -> float:
    return float(np.mean([max(first, *subset) for subset in combinations(scores, count)]))


def test_the_curve_is_what_the_first_and_random_draws_come_to(tuned_study):
    """The first draw is always among them, only the others are random, and one that failed counts as 0."""
    found = {(one.model.pooling, one.model.aux): one for one in tuned_models(Analysis.read(tuned_study))}
    assert len(found) == 4
    for (_, aux), one in found.items():
        first, *others = (score or 0.0 for score in SCORES[aux])
        expected = [first, *(of_all_subsets(first, others, count) for count in (1, 2, 3))]
        assert one.curve == pytest.approx(expected)
    assert (found["cls", "triplet"].failed, found["cls", "none"].failed) == (1, 0)


def test_the_table_shows_what_was_chosen(tuned_study):
    analysis = Analysis.read(tuned_study)
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in tuning_markdown(analysis, tuned_models(analysis)).splitlines()
        if line.startswith("|")
    )
    assert header[4:] == ["Best of 1", "Best of 2", "Best of 4", "Draw", "Chosen"]
    assert [row[4:] for row in rows[:4:2]] == [
        ["70.0", f"{100 * of_all_subsets(0.7, [0.72, 0.6, 0.71], 1):.1f}", "72.0", "2", "learning_rate=0.0003"],
        [
            "60.0",
            f"{100 * of_all_subsets(0.6, [0, 0.78, 0.65], 1):.1f}",
            "78.0",
            "3",
            "learning_rate=0.001, soft=True",
        ],
    ]
    text = tuning_markdown(analysis, tuned_models(analysis))
    assert "draws trained: 4 to epoch 1, 2 to epoch 2" in text and "counts with its best score until then" in text
    assert "tiny-bert cls triplet: 1 failed, which count as 0." in text and "took 4.0 min in all" in text
    assert "1에폭까지" in tuning_markdown(analysis, tuned_models(analysis), lang="ko")
    rows = list(csv.DictReader(csv_table(analysis).splitlines()))
    assert [row["tuned_learning_rate"] for row in rows] == [*["0.0003"] * 2, *["0.001"] * 2, ""]
    assert [row["tuned_aux_kwargs.soft"] for row in rows] == [*[""] * 2, *["True"] * 2, ""]


def test_the_report_has_table_picture_and_section(tuned_study):
    written = {path.name for path in write_report(tuned_study)}
    assert {"tuning.md", "tuning_tiny-bert.png"} <= written
    page = (tuned_study / "report.html").read_text(encoding="utf-8")
    assert 'id="tuning"' in page and 'alt="Tuning tiny-bert"' in page and "learning_rate=0.001, soft=True" in page
    shown = context(Analysis.read(tuned_study), lang="ko")["tuning"]
    assert [head["name"] for head in shown["table"]["header"]][-2:] == ["고른 시도", "고른 설정"]


def test_a_study_without_tuning_says_nothing_of_it(tmp_path):
    write_run(tmp_path, seed=1)
    analysis = Analysis.read(tmp_path)
    assert tuned_models(analysis) == [] and context(analysis)["tuning"] is None
    assert 'id="tuning"' not in write_page(analysis, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "tuned_" not in csv_table(analysis)


def test_records_that_are_damaged_or_hostile_harm_nothing(tuned_study, caplog):
    folders = sorted((tuned_study / "tuning").iterdir())
    (folders[0] / "record.json").write_text('{"status": "comp')
    for folder, change in (
        (folders[1], {"draws": 3}),
        (folders[2], {"rungs": []}),
        (folders[3], {"model": "none"}),
    ):
        record = json.loads((folder / "record.json").read_text()) | change
        (folder / "record.json").write_text(json.dumps(record))
    analysis = Analysis.read(tuned_study)
    [left] = tuned_models(analysis)
    assert "is damaged and is left out" in caplog.text
    record = json.loads((folders[2] / "record.json").read_text())
    record["draws"][left.chosen - 1]["settings"] = {EVIL: EVIL}
    (folders[2] / "record.json").write_text(json.dumps(record))
    analysis = Analysis.read(tuned_study)
    assert "<script>" not in tuning_markdown(analysis, tuned_models(analysis))
    page = write_page(analysis, tuned_study / "report.html").read_text(encoding="utf-8")
    assert "<script>document" not in page


def test_a_sweep_has_a_line_for_each_setting(tmp_path):
    for weight in (0.1, 1.0):
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": "cls", "aux": "triplet"}
        model["settings"] = {"aux_weight": weight}
        for seed in (1, 2):
            write_run(tmp_path, seed=seed, aux=f"triplet{weight}", model=model, tuned={"margin": weight})
        write_tuning_record(tmp_path, model | {"name": f"of {weight}"}, SCORES["none"], {"margin": weight})
    analysis = Analysis.read(tmp_path)
    tuned = tuned_models(analysis)
    assert [(one.model.setting_text(), one.settings) for one in tuned] == [
        ("aux_weight=0.1", {"margin": 0.1}),
        ("aux_weight=1", {"margin": 1.0}),
    ]
    assert "| aux_weight=0.1 |" in tuning_markdown(analysis, tuned)
    assert draw_tuning(tuned, tmp_path / "tuning_tiny-bert.png").stat().st_size > 10_000


def test_both_languages_have_the_same_words():
    assert set(TUNING_WORDS["en"]) == set(TUNING_WORDS["ko"])
