"""A study of few rows: TF-IDF is fitted on the very rows that the models of each seed are trained on."""

from __future__ import annotations

import json
from pathlib import Path

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.storage.record import STUDY_FILE, TEST_FILE, read_record, read_records
from emo_hf.study.arguments import GridArguments
from emo_hf.study.baselines import run_study_baselines
from emo_hf.study.grid import Study
from emo_hf.training.loaded import load_data


def _study(csv_file: Path, folder: Path, over: list[str]) -> Study:
    grid = GridArguments(poolings=["mean"], aux=["none"], seeds=[1, 2], over=over, study_dir=str(folder))
    training = given(MetricTrainingArguments(bf16=False))
    return Study(grid, ModelArguments(), DataArguments(data=[str(csv_file)]), training)


def test_each_draw_of_tfidf_has_the_rows_of_the_models_of_its_seed(csv_file: Path, tmp_path: Path) -> None:
    study = _study(csv_file, tmp_path, ["shots=2,3"])
    run_study_baselines(study, load_data(study.data))
    fingerprints = set()
    for task in study.tasks():
        shots = dict(task.settings)["shots"]
        record = read_record(tmp_path / f"TF-IDF-logistic-regression_shots={shots}_seed{task.seed}")
        assert record["data"]["fingerprint"] == load_data(study.model_and_data(task)[1]).fingerprint
        assert set(record["data"]["counts"]["train"].values()) == {shots} and record["seed"] == task.seed
        fingerprints.add(record["data"]["fingerprint"])
    assert len(fingerprints) == 4
    assert not (tmp_path / "TF-IDF-logistic-regression").exists()  # which on all rows would be no fair baseline


def test_the_report_shows_the_sentences_of_few_rows_too(csv_file: Path, tmp_path: Path) -> None:
    study = _study(csv_file, tmp_path, ["shots=2,3"])
    data = load_data(study.data)
    study.note_test_rows(data)
    run_study_baselines(study, data)
    noted = json.loads((tmp_path / TEST_FILE).read_text(encoding="utf-8"))
    assert noted["text"] == data.splits["test"]["text"][:]
    for task in study.tasks():
        assert load_data(study.model_and_data(task)[1]).splits["test"]["text"][:] == noted["text"]
    assert noted["fingerprint"] in {record["data"]["fingerprint"] for record in read_records(tmp_path)}


def test_the_folder_of_a_study_from_before_goes_on(csv_file: Path, tmp_path: Path) -> None:
    study = _study(csv_file, tmp_path, [])
    study.claim_folder("f")
    assert not {"shots", "shots_seed"} & set(json.loads((tmp_path / STUDY_FILE).read_text(encoding="utf-8"))["data"])
