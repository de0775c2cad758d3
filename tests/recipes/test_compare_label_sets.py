"""`compare.py` as it is typed for texts with several labels each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from label_set_study import write_label_sets
from places import recipe

from emo_hf.storage.record import load_predictions, read_records
from emo_hf.training import run as of_run

SETTINGS = "--labels all --max_length 16 --embedding_size 8 --bf16 false --num_train_epochs 2 --jobs 1 --poolings mean"


@pytest.fixture(scope="module")
def compare() -> Callable[[list[str]], int]:
    return recipe("compare").main


@pytest.fixture(scope="module")
def words(speck, tmp_path_factory) -> list[str]:
    data = write_label_sets(tmp_path_factory.mktemp("data") / "sets.csv")
    return ["--data", str(data), "--encoders", speck[0], *SETTINGS.split()]


@pytest.fixture(scope="module")
def study(compare, words, tmp_path_factory) -> Path:
    """Two losses and two seeds, with the report."""
    folder = tmp_path_factory.mktemp("compared") / "study"
    assert compare([*words, "--aux", "none", "contrastive", "--seeds", "1", "2", "--study_dir", str(folder)]) == 0
    return folder


def scores(folder: Path) -> dict[str, dict]:
    return {record["run_id"]: record["test"] for record in read_records(folder)}


def test_models_and_baselines_stand_in_one_table(study: Path) -> None:
    table = (study / "table.md").read_text(encoding="utf-8")
    assert all(name in table for name in ("contrastive", "TF-IDF + logistic regression", "label priors", "mAP"))
    assert "contrastive over none" in (study / "findings.md").read_text(encoding="utf-8")
    assert {path.stem for path in study.glob("*.png")} >= {"labels", "cooccurrence", "thresholds_speck"}
    truth = [load_predictions(record)["labels"] for record in read_records(study)]
    assert all(np.array_equal(truth[0], other) for other in truth)


def test_the_report_alone_is_the_same_and_takes_a_label_for_its_maps(compare, study: Path, words, capsys) -> None:
    before = {path.name: path.read_bytes() for path in study.iterdir() if path.is_file()}
    alone = ["--report_only", "true", "--study_dir", str(study)]
    assert compare(alone) == 0
    assert before == {path.name: path.read_bytes() for path in study.iterdir() if path.is_file()}
    assert compare([*alone, "--map_label", "분노"]) == 0
    assert (study / "embeddings_speck.png").read_bytes() != before["embeddings_speck.png"]
    capsys.readouterr()
    assert compare([*alone, "--map_label", "joy"]) == 2
    assert capsys.readouterr().err == "error: map_label is 'joy'; allowed: 기쁨, 분노, 불안, 슬픔\n"


def test_a_study_that_is_stopped_goes_on_to_the_same_scores(
    compare, study: Path, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped when the last run has trained, before it is scored."""
    words = [*words, "--aux", "none", "contrastive", "--seeds", "1", "2", "--study_dir", str(tmp_path / "study")]
    predict, called = of_run.predict_in_order, []

    def stops(*given):
        called.append(given)
        if len(called) == 4:
            raise KeyboardInterrupt
        return predict(*given)

    monkeypatch.setattr(of_run, "predict_in_order", stops)
    assert compare(words) == 130
    monkeypatch.setattr(of_run, "predict_in_order", predict)
    last = json.loads((tmp_path / "study" / "speck_mean_contrastive_seed2" / "record.json").read_text())
    assert last["status"] == "interrupted" and last["checkpoint"]
    assert compare(words) == 0
    assert scores(tmp_path / "study") == scores(study)


def test_thresholds_are_swept(compare, words, tmp_path: Path) -> None:
    """At 0.5 a model that has hardly trained gives a row the labels that most rows have, and scores lower."""
    over = ["--aux", "none", "--seeds", "1", "2", "--over", "thresholds=label,0.5", "--study_dir", str(tmp_path)]
    assert compare([*words, *over]) == 0
    found = {record["model"]["settings"]["thresholds"]: record for record in read_records(tmp_path) if record["seed"]}
    assert set(load_predictions(found["0.5"])["thresholds"]) == {0.5}
    assert found["label"]["test"]["macro_f1"] > found["0.5"]["test"]["macro_f1"]
    assert "thresholds=0.5" in (tmp_path / "sweep.md").read_text(encoding="utf-8")
    assert (tmp_path / "sweep_thresholds.png").exists() and not (tmp_path / "clusters.md").exists()


def test_models_are_tuned(compare, words, tmp_path: Path) -> None:
    tune = ["--aux", "none", "--seeds", "1", "--tune", "2", "--tune_space", "learning_rate=1e-3..1e-1"]
    assert compare([*words, *tune, "--study_dir", str(tmp_path)]) == 0
    (tuned,) = (record["tuned"] for record in read_records(tmp_path) if record["kind"] == "model")
    assert set(tuned) == {"learning_rate"}
    assert (tmp_path / "tuning_speck.png").exists()


MINING = "--mining is semi-hard, but of rows with several labels two are alike and unlike in part; allowed: "


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--aux none triplet --mining semi-hard", MINING),
        ("--aux none triplet --over mining=all,semi-hard", MINING),
        ("--aux triplet --tune 2 --tune_space mining=all,semi-hard", MINING),
        ("--aux none pml:TripletMarginLoss", "--aux pml:TripletMarginLoss compares rows with one label each, but"),
        ("--aux none --label_smoothing_factor 0.2", "--label_smoothing_factor is 0.2, but these rows have several"),
    ],
)
def test_what_sets_do_not_take_is_refused_once_before_anything_is_trained(
    compare, words, tmp_path: Path, capsys, given: str, said: str
) -> None:
    assert compare([*words, *given.split(), "--seeds", "1", "2", "--study_dir", str(tmp_path / "study")]) == 2
    *notes, error = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {said}") and not [line for line in notes if "error" in line]
    assert not (tmp_path / "study").exists()


def test_what_rows_of_one_label_do_not_take_is_refused_as_early(refused, csv_file: str) -> None:
    over = ["--aux", "none", "--over", "classification_loss=cross_entropy,asymmetric"]
    said = refused("--data", csv_file, *over, recipe="compare")
    assert said.startswith("--classification_loss asymmetric tells the labels that a row has from those")
    said = refused("--data", csv_file, "--thresholds", "global", recipe="compare")
    assert said == "--thresholds is global, but these rows have one label each, the likeliest; leave it out"
