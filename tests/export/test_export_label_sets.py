"""Exports of a model that gives several labels a row: its thresholds go with it, and its labels are the run's."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_export import read_elsewhere, use

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.evaluation.label_set_metrics import LabelSetScores
from emo_hf.export.export import export
from emo_hf.inference.onnx import OnnxBackend
from emo_hf.inference.predictor import Predictor
from emo_hf.storage.record import load_predictions, read_record
from emo_hf.training.loaded import load_data

SENTENCE = "어제 집에서 웃었어 신났어"


def labels_of(model, texts: list[str]) -> list[set[str]]:
    predictor = Predictor(model, max_length=32)
    return [set(predictor.named(row)) for row in predictor.probabilities(texts).tolist()]


@pytest.fixture(scope="module")
def onnx(trained_sets, tmp_path_factory):
    return export(trained_sets, "onnx", tmp_path_factory.mktemp("onnx") / "out")


def test_an_onnx_export_gives_the_labels_of_the_run(trained_sets, sets_file, onnx) -> None:
    config = json.loads((trained_sets / "config.json").read_text(encoding="utf-8"))
    written = json.loads((onnx / "config.json").read_text(encoding="utf-8"))
    assert len(set(config["thresholds"])) > 6
    for key in ("problem_type", "thresholds", "id2label", "label2id"):
        assert written[key] == config[key]
    assert json.loads((onnx / "export.json").read_text(encoding="utf-8"))["thresholds"] == config["thresholds"]
    texts = list(load_data(DataArguments(data=sets_file, labels=["all"])).splits["test"]["text"])
    exact, exported = (Predictor(model, max_length=32).probabilities(texts) for model in (trained_sets, onnx))
    torch.testing.assert_close(exported, exact, atol=1e-5, rtol=0)
    stored = load_predictions(read_record(trained_sets) | {"directory": trained_sets})
    np.testing.assert_allclose(exported, 1 / (1 + np.exp(-stored["logits"].astype(float))), atol=1e-3)
    found = labels_of(onnx, texts)
    assert found == labels_of(trained_sets, texts) and len({len(labels) for labels in found}) > 2
    assert (exported.sum(-1) - 1).abs().max() > 0.3  # no softmax


@pytest.mark.parametrize(
    ("to", "blocked"), [("transformers", ("emo_hf",)), ("onnx", ("emo_hf", "torch", "transformers"))]
)
def test_the_snippet_of_the_readme_gives_them_too(trained_sets, onnx, to, blocked, tmp_path) -> None:
    folder = onnx if to == "onnx" else export(trained_sets, to, tmp_path / "out")
    [expected] = labels_of(trained_sets, [SENTENCE])
    code = use(folder).replace("드디어 합격했어!", SENTENCE) + "\nprint(json.dumps(labels))"
    assert set(read_elsewhere(folder, code, blocked=blocked)) == expected and len(expected) > 1
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification" and len(config["thresholds"]) == 12
    assert "`thresholds` in `config.json`" in (folder / "README.md").read_text(encoding="utf-8")


def test_int8_is_measured_by_sets_of_labels(trained_sets, sets_file, onnx, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("emo_hf.export.measurement.ROUNDS", 1)
    monkeypatch.setattr("emo_hf.export.measurement.BATCH_SIZE", 8)
    folder = export(trained_sets, "onnx-int8", tmp_path / "int8")
    assert OnnxBackend(folder).thresholds == OnnxBackend(onnx).thresholds
    data = load_data(DataArguments(data=sets_file, labels=["all"]))
    texts, wanted = list(data.splits["test"]["text"]), list(data.splits["test"]["label"])
    actual = [[int(place in labels) for place in range(12)] for labels in wanted]
    rows = json.loads((folder / "export.json").read_text(encoding="utf-8"))["measured"]
    sets = {}
    for row, model in zip(rows, (trained_sets, onnx, folder), strict=True):
        predictor = Predictor(model, batch_size=8, max_length=32)
        scores = predictor.probabilities(texts).double().numpy()
        sets[row["name"]] = labels_of_scores(predictor, scores)
        expected = LabelSetScores().compute(
            predictions=scores, references=actual, labels=predictor.labels, thresholds=predictor.thresholds
        )
        assert row["macro_f1"] == pytest.approx(expected["macro_f1"])
        changed = sum(a != b for a, b in zip(sets[row["name"]], sets["torch"], strict=True))
        assert row["changed"] == changed
    assert rows[0]["macro_f1"] == pytest.approx(read_record(trained_sets)["test"]["macro_f1"], abs=0.01)
    assert rows[0]["changed"] == 0 and "| texts with other labels |" in (folder / "README.md").read_text()


def labels_of_scores(predictor: Predictor, scores: np.ndarray) -> list[set[str]]:
    return [set(predictor.named(row)) for row in scores.tolist()]
