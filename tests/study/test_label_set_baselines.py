"""The baselines of rows with several labels each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
from label_set_study import write_label_sets
from scipy import special
from sklearn.metrics import f1_score

from emo_hf.data.loading import EmotionData, load_emotion_data
from emo_hf.evaluation.thresholds import choose_thresholds
from emo_hf.storage.record import load_predictions, read_records
from emo_hf.study.baselines import run_baselines


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> EmotionData:
    return load_emotion_data(str(write_label_sets(tmp_path_factory.mktemp("sets") / "sets.csv")), labels="all")


def members(data: EmotionData, split: str) -> np.ndarray:
    return np.array([[place in own for place in range(len(data.labels))] for own in data.splits[split]["label"]])


def test_baselines_are_recorded_as_the_models_are(sets: EmotionData, tmp_path: Path) -> None:
    run_baselines(sets, tmp_path)
    tfidf, priors = read_records(tmp_path)
    assert [record["model"]["name"] for record in (tfidf, priors)] == ["TF-IDF + logistic regression", "label priors"]
    for record in (tfidf, priors):
        arrays, truth = load_predictions(record), members(sets, "test")
        assert set(arrays) == {"logits", "labels", "thresholds"} and arrays["labels"].dtype == np.uint8
        assert (arrays["labels"] == truth).all()
        scores = special.expit(arrays["logits"].astype(float))
        assert record["test"]["macro_f1"] == pytest.approx(
            f1_score(truth, scores >= arrays["thresholds"], average="macro", zero_division=0)
        )
        expected = -np.log(np.where(truth, scores, 1 - scores)).sum(1).mean()
        assert record["test"]["loss"] == pytest.approx(expected, rel=1e-4)
    assert tfidf["test"]["macro_f1"] > 0.95  # the cues tell
    shares = members(sets, "train").mean(0)
    assert special.expit(load_predictions(priors)["logits"][0]) == pytest.approx(shares, rel=1e-5)


@pytest.mark.parametrize("kind", ["label", "global", "0.5"])
def test_thresholds_are_chosen_on_validation_rows_as_the_models_are(
    sets: EmotionData, tmp_path: Path, kind: str
) -> None:
    """Priors: at 0.5 a row gets the labels that most rows have; a threshold a label gives F1 2p / (1 + p)."""
    run_baselines(sets, tmp_path, thresholds=kind)
    priors = next(record for record in read_records(tmp_path) if record["run_id"] == "label-priors")
    shares, validation = members(sets, "train").mean(0), members(sets, "validation")
    expected = choose_thresholds(np.tile(shares, (len(validation), 1)), validation, kind)
    arrays = load_predictions(priors)
    assert arrays["thresholds"] == pytest.approx(expected)
    given = special.expit(arrays["logits"]) >= arrays["thresholds"]
    assert (given[0] == (shares >= expected)).all() and (kind == "0.5") == (not given[0].all())


def test_a_label_that_no_training_row_has_takes_no_fit(sets: EmotionData, tmp_path: Path) -> None:
    """Every row has the odds of nearly none, which a threshold of the validation rows gives to all."""
    train = sets.splits["train"].filter(lambda row: 3 not in row["label"])
    run_baselines(replace(sets, splits=datasets.DatasetDict(sets.splits | {"train": train})), tmp_path)
    for record in read_records(tmp_path):
        arrays, truth = load_predictions(record), members(sets, "test")
        assert arrays["logits"][:, 3] == pytest.approx([special.logit(1e-12)] * len(truth))
        share = truth[:, 3].mean()
        assert record["test"]["per_class"][sets.labels[3]]["f1"] == pytest.approx(2 * share / (1 + share))
        fitted = len(np.unique(arrays["logits"][:, :3], axis=0)) > 1
        assert fitted == (record["model"]["name"] != "label priors")
