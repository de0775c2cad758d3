"""Test sets that nobody labelled, as competitions give them out."""

from __future__ import annotations

import datasets
import pytest
from folders import WAYS, fill, read, refusal, said
from tables import LABELS, all_texts, rows, write

from emo_hf.data.loading import load_emotion_data


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("split", ["test", "valid"])
def test_an_unlabelled_split_is_set_aside(tmp_path, split, empty, way):
    fill(tmp_path / "data", "train.csv")
    other = [{"sentence": row["sentence"]} | ({"label": ""} if empty else {}) for row in rows(9, 200)]
    write(tmp_path / "data" / f"{split}.csv", other)
    data = read(tmp_path / "data", way)
    assert all_texts(data) == {row["sentence"] for row in rows(12)}
    assert all(origin.startswith("carved") for name, origin in data.report["splits"].items() if name != "train")
    why = "its column 'label' is empty" if empty else "it has no labels (training has them in 'label')"
    assert f"{split}.csv is set aside, as {why}" in said(data)
    assert "carved out of training: validation and test" in said(data)


def test_labels_that_are_written_as_missing_are_none(tmp_path):
    fill(tmp_path, "train.csv")
    write(tmp_path / "test.csv", [{"sentence": row["sentence"], "label": "nan"} for row in rows(9, 200)])
    assert "test.csv is set aside, as its column 'label' is empty" in said(read(tmp_path))


def test_a_competition_s_folder(tmp_path):
    fill(tmp_path, "train.csv")
    write(tmp_path / "test.csv", [{"id": str(n), "sentence": row["sentence"]} for n, row in enumerate(rows(9, 200))])
    write(tmp_path / "sample_submission.csv", [{"id": str(n), "label": "0"} for n in range(9)])
    data = read(tmp_path)
    assert "sample_submission.csv" in said(data) and "test.csv is set aside" in said(data)


@pytest.mark.parametrize("column", ["text", "label"])
def test_a_test_set_that_lacks_more_is_refused(tmp_path, column):
    """An unlabelled test set has texts, and training has labels; other tables are a mistake."""
    fill(tmp_path, "train.csv")
    if column == "text":
        write(tmp_path / "test.csv", [{"id": str(n)} for n in range(9)])
        assert "test.csv: no text column" in refusal(tmp_path)
    else:
        for name in ("train", "test"):
            write(tmp_path / f"{name}.csv", [{"sentence": row["sentence"]} for row in rows(9)])
        assert "train.csv: no label column" in refusal(tmp_path)


def test_an_unlabelled_split_of_the_hub_is_set_aside(monkeypatch):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(LABELS))})

    def part(count, start, label=None):
        content = {"text": [row["sentence"] for row in rows(count, start)]}
        content["label"] = [n % 3 if label is None else label for n in range(count)]
        return datasets.Dataset.from_dict(content, features=features)

    found = datasets.DatasetDict(train=part(30, 0), dev=part(9, 50), test=part(9, 100, -1), extra=part(9, 200))
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: None)  # of Parquet, say
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: found)
    data = load_emotion_data("someone/emotions")
    assert len(data.splits["validation"]) == 9 and len(data.splits["train"]) + len(data.splits["test"]) == 30
    notes = said(data)
    assert "validation: dev" in notes and "splits that are not read: extra" in notes and "(test) is set aside" in notes
