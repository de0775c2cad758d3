"""Test sets that nobody labelled, as competitions give them out."""

from __future__ import annotations

import datasets
import pytest
from folders import WAYS, fill, read, refusal, said
from tables import LABELS, all_texts, error_of, rows, write

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


def of_splits(names, empty, count=60):
    """Rows whose split stands in a column, a third each; those of the splits in `empty` have its label."""
    records = [row | {"split": names[place * len(names) // count]} for place, row in enumerate(rows(count))]
    return [row | ({"label": empty[row["split"]]} if row["split"] in empty else {}) for row in records]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl", ".parquet"])
@pytest.mark.parametrize("empty", ["", "nan", "NULL", "-1", "?"])
def test_rows_of_one_table_that_are_not_labelled_are_set_aside(tmp_path, suffix, empty):
    path = str(write(tmp_path / f"data{suffix}", of_splits(["학습", "검증", "평가"], {"평가": empty})))
    data = load_emotion_data(path)
    assert all_texts(data) == {row["sentence"] for row in rows(40)} and data.report["bad_rows"] == {}
    assert data.report["splits"]["validation"] == "given" and data.report["splits"]["test"].startswith("carved")
    held = {*data.splits["validation"]["text"][:]}
    assert held <= {row["sentence"] for row in rows(20, 20)}
    assert f"data{suffix} (split 평가) is set aside, as its column 'label' is" in said(data)
    assert f"read: data{suffix} (40 rows)" in said(data)


def test_validation_and_test_rows_of_two_tables_and_in_lists(tmp_path):
    for start, name in ((0, "a.jsonl"), (100, "b.jsonl")):
        records = of_splits(["train", "dev", "test"], {"dev": "", "test": ""})
        labelled = [
            row | {"sentence": f"{start} {row['sentence']}", "label": [row["label"]] if row["label"] else []}
            for row in records
        ]
        write(tmp_path / name, labelled)
    data = read(tmp_path)
    assert len(all_texts(data)) == 40
    assert "(split dev), b.jsonl (split dev) is set aside" in said(data) and "(split test) is set aside" in said(data)


@pytest.mark.parametrize("empty", [{"test": "", "train": ""}, {"train": ""}])
def test_a_table_without_labels_in_training_is_refused(tmp_path, empty):
    path = write(tmp_path / "data.csv", of_splits(["train", "dev", "test"], empty))
    assert "the label is empty" in error_of(path)


def test_a_test_split_that_is_labelled_in_part_is_refused(tmp_path):
    records = of_splits(["train", "dev", "test"], {"test": ""})
    records[-1]["label"] = LABELS[0]
    assert "(19 of 20 rows of test" in error_of(write(tmp_path / "data.csv", records))


@pytest.mark.parametrize("mark", ["-1", "-1.0", "?"])
def test_a_mark_in_each_row_is_no_label_unless_training_has_it(tmp_path, mark):
    fill(tmp_path, "train.csv")
    write(tmp_path / "test.csv", [row | {"label": mark} for row in rows(9, 200)])
    data = read(tmp_path, labels="all")
    assert f"test.csv is set aside, as its column 'label' is {mark} in every row, and in no row of" in said(data)
    assert len(all_texts(data)) == 12
    write(tmp_path / "test.csv", [row | {"label": mark if place else LABELS[0]} for place, row in enumerate(rows(9))])
    assert f"unknown label {mark!r}" in refusal(tmp_path, labels="all")
    write(tmp_path / "train.csv", [row | ({"label": mark} if place % 2 else {}) for place, row in enumerate(rows(36))])
    write(tmp_path / "test.csv", [row | {"label": mark} for row in rows(9, 200)])
    data = read(tmp_path, labels="all")
    assert len(data.splits["test"]) == 9 and set(data.splits["test"]["label"][:]) == {data.labels.index(mark[:2])}


def test_a_competition_s_folder(tmp_path):
    fill(tmp_path, "train.csv")
    write(tmp_path / "test.csv", [{"id": str(n), "sentence": row["sentence"]} for n, row in enumerate(rows(9, 200))])
    write(tmp_path / "sample_submission.csv", [{"id": str(n), "label": "0"} for n in range(9)])
    data = read(tmp_path)
    assert "sample_submission.csv" in said(data) and "test.csv is set aside" in said(data)


def fill_with_ids(folder, ids: list[int], labels: list[dict[str, str]]) -> list[dict[str, str]]:
    """A competition's folder once it is over: the texts of the test set with their ids, its labels in another file."""
    fill(folder, "train.csv")
    test = rows(9, 200)
    write(folder / "test.csv", [{"id": str(n), "sentence": row["sentence"]} for n, row in zip(ids, test, strict=True)])
    write(folder / "test_labels.csv", labels)
    return test


@pytest.mark.parametrize("way", WAYS)
def test_labels_in_another_file_are_joined_by_their_ids(tmp_path, way):
    labels = [{"id": str(n), "label": LABELS[n % 3]} for n in range(8, -1, -1)]
    test = fill_with_ids(tmp_path / "data", list(range(9)), labels)
    data = read(tmp_path / "data", way)
    found = [(row["text"], data.labels[row["label"]]) for row in data.splits["test"]]
    assert found == [(row["sentence"], LABELS[n % 3]) for n, row in enumerate(test)]
    assert "test.csv: its labels are those in" in said(data) and "test_labels.csv, by id" in said(data)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("ids", "labels", "why"),
    [
        (
            range(9),
            [{"id": str(n), "label": "기쁨"} for n in range(1, 10)],
            "id does not hold the same ids",
        ),
        (range(9), [{"id": str(n), "label": "기쁨"} for n in range(8)], "id does not hold the same ids"),
        ([0] * 9, [{"id": "0", "label": "기쁨"}] * 9, "id does not hold the same ids"),
        (range(9), [{"label": "기쁨"}] * 9, "no column of ids stands in both"),
    ],
)
def test_labels_in_another_file_that_can_not_be_joined(tmp_path, ids, labels, why, way):
    fill_with_ids(tmp_path / "data", list(ids), labels)
    message = refusal(tmp_path / "data", way)
    assert "test.csv holds the texts of the test split and " in message and why in message
    assert "put texts and labels into one file" in message and "--data" not in message


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
