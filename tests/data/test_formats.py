"""Sources: every format, encoding, column name and folder is read as what it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata

import datasets
import pandas as pd
import pytest
from tables import LABELS, all_texts, error_of, rows, texts, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.readers import READERS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl"])
def test_text_formats_and_encodings(tmp_path, suffix, encoding):
    data = load_emotion_data(str(write(tmp_path / f"data{suffix}", rows(), encoding)))
    assert all_texts(data) == {row["sentence"] for row in rows()}
    assert data.report["files"][0]["encoding"] == ("cp949" if encoding == "cp949" else "utf-8-sig")


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet"])
def test_binary_formats(tmp_path, suffix):
    data = load_emotion_data(str(write(tmp_path / f"data{suffix}", rows())))
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_every_format_gives_the_same_fingerprint(tmp_path):
    prints = {load_emotion_data(str(write(tmp_path / f"d{s}", rows()))).fingerprint for s in READERS if s != ".txt"}
    assert len(prints) == 1
    changed = rows()
    changed[3]["sentence"] += "!"
    assert load_emotion_data(str(write(tmp_path / "changed.csv", changed))).fingerprint not in prints


def test_labels_of_each_row_are_right(tmp_path):
    data = load_emotion_data(str(write(tmp_path / "data.csv", rows())))
    truth = {row["sentence"]: row["label"] for row in rows()}
    for split in data.splits.values():
        assert all(data.labels[row["label"]] == truth[row["text"]] for row in split)


def test_cells_are_stripped_and_composed(tmp_path):
    records = rows()
    for record in records:
        record["sentence"] = unicodedata.normalize("NFD", f" \u200b{record['sentence']}\u3000")
        record["label"] = unicodedata.normalize("NFD", record["label"]) + " "
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_semicolons_json_of_columns_and_json_lines_under_another_name(tmp_path):
    pd.DataFrame(rows()).to_csv(tmp_path / "semicolon.csv", index=False, sep=";")
    columns = {name: [row[name] for row in rows()] for name in ("sentence", "label")}
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    (tmp_path / "wrapped.json").write_text(json.dumps({"version": 1, "data": rows()}))
    (tmp_path / "lines.json").write_text("\n".join(json.dumps(row) for row in rows()))
    for path in tmp_path.iterdir():
        assert all_texts(load_emotion_data(str(path))) == {row["sentence"] for row in rows()}


def test_texts_that_pandas_takes_for_missing_stay(tmp_path):
    records = [*rows(), {"sentence": "NA", "label": "불안"}, {"sentence": "null", "label": "기쁨"}]
    assert {"NA", "null"} <= all_texts(load_emotion_data(str(write(tmp_path / "data.csv", records))))


@pytest.mark.parametrize(("text", "label"), [("document", "emotion"), ("TEXT", "감정"), ("사람문장1", "감정_대분류")])
def test_usual_column_names(tmp_path, text, label):
    records = [{text: row["sentence"], "extra": "x", label: row["label"]} for row in rows()]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert data.report["columns"] == {"text": text, "label": label}
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_columns_can_be_named(tmp_path):
    records = [{"sentence": "x", "my text": row["sentence"], "class": row["label"]} for row in rows()]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)), text_column="my text", label_column="class")
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_folder_of_splits_is_taken_as_given(tmp_path):
    write(tmp_path / "train.csv", rows(12))
    write(tmp_path / "dev.jsonl", rows(6, 100))
    write(tmp_path / "Test.tsv", rows(9, 200), "cp949")
    data = load_emotion_data(str(tmp_path))
    assert [len(data.splits[split]) for split in data.splits] == [12, 6, 9]
    assert texts(data, "test") == [row["sentence"] for row in rows(9, 200)]
    assert set(data.report["splits"].values()) == {"given"}


def test_shards_are_one_split(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", rows(12))
    write(tmp_path / "train-00001-of-00002.parquet", rows(12, 50))
    write(tmp_path / "test.csv", rows(6, 100))
    data = load_emotion_data(str(tmp_path))
    assert len(data.splits["train"]) + len(data.splits["validation"]) == 24
    assert len(data.splits["test"]) == 6


def test_split_column(tmp_path):
    records = [row | {"split": ["train", "VAL", "test"][i // 3 % 3]} for i, row in enumerate(rows(27))]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 9, "validation": 9, "test": 9}
    records[4]["split"] = "tset"
    assert "row 6: split 'tset' is unknown" in error_of(write(tmp_path / "wrong.csv", records))


def test_saved_data_sets_map_class_names(tmp_path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["기쁨", "슬픔", "불안"])}
    )

    def part(count, start):
        content = {"text": [row["sentence"] for row in rows(count, start)]}
        content["label"] = [features["label"].str2int(row["label"]) for row in rows(count, start)]
        return datasets.Dataset.from_dict(content, features=features)

    parts = datasets.DatasetDict({"train": part(12, 0), "validation": part(6, 20), "test": part(6, 40)})
    parts.save_to_disk(str(tmp_path / "saved"))
    part(30, 0).save_to_disk(str(tmp_path / "one"))
    part(30, 0).to_parquet(str(tmp_path / "one.parquet"))
    data = load_emotion_data(str(tmp_path / "saved"))
    assert data.labels == LABELS
    assert data.splits["test"]["label"][:] == [LABELS.index(row["label"]) for row in rows(6, 40)]
    for name in ("one", "one.parquet"):
        assert load_emotion_data(str(tmp_path / name)).counts()["train"] == {"불안": 8, "슬픔": 8, "기쁨": 8}


def test_hub_data_set(monkeypatch):
    """The Hub's answer is replaced; what happens to it is not."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(LABELS))})
    content = {"text": [row["sentence"] for row in rows()], "label": [i % 3 for i in range(30)]}
    answer = datasets.DatasetDict({"train": datasets.Dataset.from_dict(content, features=features)})
    asked = {}
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: None)  # of Parquet, say
    monkeypatch.setattr(datasets, "load_dataset", lambda name, **options: asked.update(options, name=name) or answer)
    data = load_emotion_data("someone/emotions", revision="v2")
    assert (asked["name"], asked["revision"]) == ("someone/emotions", "v2")
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_a_number_beyond_the_names_of_a_class_label_is_refused(tmp_path):
    names = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(LABELS))})
    content = {"text": [row["sentence"] for row in rows()], "label": [i % 3 for i in range(30)]}
    for number, label in ((7, 4), (8, 9)):
        content["label"][number] = label
    plain = datasets.Dataset.from_dict(content)
    # datasets checks numbers of 64 bits neither here nor in a file.
    found = datasets.Dataset(plain.data.replace_schema_metadata(names.arrow_schema.metadata))
    found.save_to_disk(str(tmp_path / "saved"))
    said = error_of(tmp_path / "saved")
    assert "row 8: label is 4, but its ClassLabel has names for 0 to 2 (2 such rows); mend the numbers" in said


@pytest.mark.parametrize("names", [("train.csv", "train.jsonl"), ("dev.csv", "val.csv"), ("test.csv", "TEST.CSV")])
def test_one_split_in_two_files_is_refused(tmp_path, names):
    """Both were read: rows counted twice, or dropped in silence."""
    for number, name in enumerate({"train.csv", "dev.csv", "test.csv", *names}):
        frame = pd.DataFrame(rows()).assign(sentence=[f"{row['sentence']} {number}" for row in rows()])
        if name.endswith("jsonl"):
            frame.to_json(tmp_path / name, orient="records", lines=True, force_ascii=False)
        else:
            frame.to_csv(tmp_path / name, index=False)
    said = error_of(tmp_path)
    split = {"train": "train", "dev": "validation", "test": "test"}[names[0].split(".")[0]]
    assert f"{' and '.join(sorted(names))} are each the {split} split; keep one file" in said
    (tmp_path / names[1]).unlink()
    assert load_emotion_data(str(tmp_path)).report["kind"] == "folder"


def test_one_split_under_two_names_of_a_data_set_is_refused(tmp_path):
    part = datasets.Dataset.from_list(rows())
    datasets.DatasetDict({"train": part, "dev": part, "validation": part}).save_to_disk(str(tmp_path / "saved"))
    assert "dev and validation are each the validation split; keep one split" in error_of(tmp_path / "saved")


def test_unreachable_hub_data_set_is_one_line(tmp_path):
    code = "from emo_hf import load_emotion_data as load\ntry: load('no/such')\nexcept ValueError as e: print(e)"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("no/such is neither a file or folder here nor a Hub data set that could be loaded")
    assert done.stdout.count("\n") == 1
