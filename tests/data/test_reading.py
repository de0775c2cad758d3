"""Which files and sheets become which split, from a folder and from a list; what is left out is said."""

from __future__ import annotations

import logging
from pathlib import Path

import datasets
import pandas as pd
import pytest
from aihub_files import as_json, as_zip, put
from folders import WAYS, fill, read, refusal, said
from tables import all_texts, error_of, rows, texts, write

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.training.loaded import load_data

# The files, and those of them that are the test set and the validation set.
FOLDERS = [
    ("ratings_train.txt ratings_test.txt", "ratings_test.txt", None),
    ("comments_30K_train_01234.txt comments_30K_test_01234.txt", "comments_30K_test_01234.txt", None),
    ("EmotionalTalkCorpusTraining.csv EmotionalTalkCorpusTest.csv", "EmotionalTalkCorpusTest.csv", None),
    ("감성대화_학습.csv 감성대화_검증.csv 감성대화_평가.csv", "감성대화_평가.csv", "감성대화_검증.csv"),
    ("trainset.jsonl devset.tsv testset.csv", "testset.csv", "devset.tsv"),
    ("train/a.csv test/a.csv valid/a.csv", "test/a.csv", "valid/a.csv"),
    ("학습/감정.csv 평가/감정.csv", "평가/감정.csv", None),
    ("emotions.csv emotions_test.csv", "emotions_test.csv", None),  # what says nothing beside a test set is training
    ("emotions.csv emotions_valid.csv", None, "emotions_valid.csv"),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("names", "test", "validation"), FOLDERS)
def test_a_word_in_the_name_says_the_split(tmp_path, names, test, validation, way):
    begins = fill(tmp_path / "data", names)
    data = read(tmp_path / "data", way)
    for split, name in (("test", test), ("validation", validation)):
        if name is not None:
            assert texts(data, split) == [row["sentence"] for row in rows(12, begins[name])]
            assert f"{split}: " in said(data) and name in said(data).split(f"{split}: ")[1].split(";")[0]
        else:
            assert data.report["splits"][split].startswith("carved out of train")
    assert all_texts(data) == {row["sentence"] for start in begins.values() for row in rows(12, start)}
    assert "training: " in said(data) and "(12 rows)" in said(data)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "names",
    [
        "contest.csv latest.csv",  # neither is a test set
        "4차년도.csv 5차년도.csv 5차년도_2차.csv",
        "2019.tsv 2020.jsonl",
        "train_2019.csv train_2020.csv",
        "train/news.csv train/twitter.csv",
        "train-00000-of-00002.parquet train-00001-of-00002.parquet",
    ],
)
def test_files_of_one_kind_are_one_table(tmp_path, names, way):
    begins = fill(tmp_path / "data", names)
    data = read(tmp_path / "data", way)
    assert sum(len(part) for part in data.splits.values()) == 12 * len(begins)
    assert all_texts(data) == {row["sentence"] for start in begins.values() for row in rows(12, start)}
    assert f"({12 * len(begins)} rows)" in said(data) and all(Path(name).name in said(data) for name in begins)
    assert all(origin.startswith("carved") for split, origin in data.report["splits"].items() if split != "train")


def test_the_order_of_columns_and_the_encoding_of_each_file_are_its_own(tmp_path):
    write(tmp_path / "4차년도.csv", rows(12), "cp949")
    pd.DataFrame(rows(12, 50))[["label", "sentence"]].to_csv(tmp_path / "5차년도.csv", index=False)
    assert all_texts(read(tmp_path)) == {row["sentence"] for row in [*rows(12), *rows(12, 50)]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("names", "twice", "listed_too"),
    [
        ("train.csv val.csv valid.csv", "val.csv and valid.csv are each the validation split; keep one file", True),
        ("train.csv train.tsv test.csv", "train.csv and train.tsv are each the train split; keep one file", True),
        ("train.csv train.json test.csv", "train.csv and train.json are each the train split; keep one file", True),
        ("train.csv train_augmented.csv", "train.csv and train_augmented.csv are each the train split", False),
        ("train_old.csv train_new.csv", "train_new.csv and train_old.csv are each the train split", False),
        ("train.csv train_2.csv", "train.csv and train_2.csv are each the train split", False),
        ("train_v1.csv train_v2.csv", "train_v1.csv and train_v2.csv are each the train split", False),
        ("a/train.csv old/train.csv", "a/train.csv and old/train.csv are each the train split", False),
    ],
)
def test_a_split_that_is_there_twice_is_refused(tmp_path, names, twice, listed_too, way):
    """Of two versions of a file the user may want both, and then names them."""
    begins = fill(tmp_path / "data", names)
    if way == "list" and not listed_too:
        data = read(tmp_path / "data", way)
        assert all_texts(data) == {row["sentence"] for start in begins.values() for row in rows(12, start)}
        return
    message = refusal(tmp_path / "data", way)
    assert twice in message
    assert ("after --data" in message) != listed_too  # the way out leads out, as the lists here tell


def test_versions_of_other_columns_are_no_table_to_name_together(tmp_path):
    fill(tmp_path, "train.csv")
    write(tmp_path / "train_augmented.csv", [row | {"from": "1"} for row in rows(12, 50)])
    assert "keep one file" in refusal(tmp_path) and "--data" not in refusal(tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_read_once(tmp_path, way):
    fill(tmp_path / "data", "train.csv test.csv")
    (tmp_path / "data" / "train (1).csv").write_bytes((tmp_path / "data" / "train.csv").read_bytes())
    data = read(tmp_path / "data", way)
    assert len(data.splits["train"]) + len(data.splits["validation"]) == 12
    assert "holds the same as" in said(data)


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_says_a_split_and_can_not_be_read_stops_the_run(tmp_path, way):
    fill(tmp_path / "data", "train.csv val.csv")
    for name, content, why in (
        ("test.csv", b"sentence,label\nx,y,z\n", "test.csv, row 2: 3 cells"),
        ("test.csv", b"", "test.csv is empty"),
        ("test.xls", b"\xd0\xcf\x11\xe0", "test.xls"),
        ("test.csv.gz", b"\x1f\x8b", "test.csv.gz"),
    ):
        put(tmp_path / "data" / name, content)
        assert why in refusal(tmp_path / "data", way)
        (tmp_path / "data" / name).unlink()
    assert read(tmp_path / "data", way).report["splits"]["test"].startswith("carved")


def test_what_says_no_split_is_named_and_not_read(tmp_path):
    begins = fill(tmp_path, "train.csv test.csv extra.csv old/train.csv old/more.csv")
    put(tmp_path / "labels.txt", "불안\n슬픔\n".encode())
    put(tmp_path / "README.txt", b"what this is")
    put(tmp_path / "train.pkl", b"\x80")
    put(tmp_path / "notes.md", b"# notes")
    data = read(tmp_path)
    assert all_texts(data) == {row["sentence"] for name in ("train.csv", "test.csv") for row in rows(12, begins[name])}
    notes = said(data)
    assert "not read, as no split stands in the name: extra.csv, labels.txt" in notes
    assert "not read: train.pkl, old/more.csv, old/train.csv" in notes
    assert "README" not in notes and "notes.md" not in notes


def test_many_names_are_shortened(tmp_path):
    fill(tmp_path, "train.csv " + " ".join(f"part{number:02}.csv" for number in range(20)))
    assert "part00.csv, part01.csv, part02.csv, part03.csv, part04.csv and 15 more" in said(read(tmp_path))


def test_a_listed_file_that_says_no_split_beside_others_is_refused(tmp_path):
    """Who names a file wants it read, and where to, nobody could tell."""
    fill(tmp_path, "train.csv test.csv extra.csv")
    assert "no split stands in the name of extra.csv" in refusal(tmp_path, "list")


@pytest.mark.parametrize("way", WAYS)
def test_tables_of_other_columns_are_not_one(tmp_path, way):
    fill(tmp_path / "data", "a.csv")
    other = [{"sentence": row["sentence"], "label": row["label"], "age": "20"} for row in rows(12, 50)]
    write(tmp_path / "data" / "b.csv", other)
    assert "a.csv and b.csv are not one table, as only b.csv has age; " in refusal(tmp_path / "data", way)
    write(tmp_path / "data" / "b.csv", [{"id": row["sentence"], "age": "20"} for row in rows(12, 50)])
    if way == "list":
        assert "only a.csv has label, sentence and only b.csv has age, id" in refusal(tmp_path / "data", way)
        return
    data = read(tmp_path / "data", way)  # the only one with texts and labels
    assert all_texts(data) == {row["sentence"] for row in rows(12)}
    assert "not read, as its columns are others: " in said(data) and "b.csv" in said(data)


@pytest.mark.parametrize("way", WAYS)
def test_one_table_in_two_formats_is_refused(tmp_path, way):
    fill(tmp_path / "data", "comments.csv comments.jsonl")
    assert "seem to be one table in two formats; keep one" in refusal(tmp_path / "data", way)


@pytest.mark.parametrize("name", ["mine.csv", "train.csv", "감정.xlsx"])
def test_a_folder_of_one_file_is_that_file(tmp_path, name):
    write(tmp_path / name, rows())
    put(tmp_path / "requirements.txt", b"torch\n")
    assert all_texts(read(tmp_path)) == {row["sentence"] for row in rows()}


def test_a_folder_without_training_rows_is_refused(tmp_path):
    fill(tmp_path, "test.csv dev.csv")
    assert "no training rows, only dev.csv, test.csv; a name has to say which they are: train" in refusal(tmp_path)


def test_parts_of_ai_hub_from_two_folders_or_zips(tmp_path):
    parts = {"1.Training": as_json(120), "2.Validation": as_json(24, 500)}
    folders = [put(tmp_path / part / "a" / "대화.json", content).parent.parent for part, content in parts.items()]
    zips = [put(tmp_path / f"{part}.zip", as_zip({"대화.json": content})) for part, content in parts.items()]
    for several in (folders, zips, [folders[0], zips[1]]):
        data = load_emotion_data([str(path) for path in several])
        assert [len(data.splits[split]) for split in data.splits] == [54, 6, 12]
        assert "AI Hub's validation part is the test set" in said(data)


def test_ai_hub_with_a_test_part_keeps_its_validation_part(tmp_path):
    for part, count, start in (("Training", 120, 0), ("Validation", 24, 500), ("Test", 36, 900)):
        put(tmp_path / f"감성대화_{part}.json", as_json(count, start))
    data = read(tmp_path)
    assert [len(data.splits[split]) for split in data.splits] == [60, 12, 18]
    assert "is the test set" not in said(data) and "test: 감성대화_Test.json (36 rows)" in said(data)


@pytest.mark.parametrize("other", ["sample", "someone/emotions", "saved"])
def test_what_can_not_be_read_together(tmp_path, monkeypatch, other):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", rows())
    datasets.Dataset.from_list(rows()).save_to_disk("saved")
    with pytest.raises(UserError, match=f"{other} can't be read together with other data; give it alone"):
        load_emotion_data(["a.csv", other])


def test_a_file_that_is_named_twice_is_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "a.csv", rows())
    assert sum(map(len, load_emotion_data(["a.csv", str(path)]).splits.values())) == 30


def test_a_near_name_is_named(tmp_path):
    write(tmp_path / "comments.csv", rows())
    said = error_of(tmp_path / "coments.csv")
    assert f"coments.csv does not exist, did you mean {tmp_path / 'comments.csv'}?" in said
    assert "did you mean" not in error_of(tmp_path / "other.csv")
    with pytest.raises(UserError, match=r"coments\.csv does not exist, did you mean"):
        load_emotion_data([str(tmp_path / "comments.csv"), str(tmp_path / "coments.csv")])


def test_a_change_of_any_of_several_files_is_seen(tmp_path):
    fill(tmp_path, "2019.csv 2020.csv")
    arguments = DataArguments(data=[str(tmp_path / "2019.csv"), str(tmp_path / "2020.csv")])
    first = load_data(arguments)
    assert load_data(arguments) is first
    write(tmp_path / "2020.csv", rows(15, 300))
    assert all_texts(load_data(arguments)) == {row["sentence"] for row in [*rows(12), *rows(15, 300)]}


def test_notes_are_logged_once(tmp_path, caplog):
    fill(tmp_path, "train.csv test.csv extra.csv")
    with caplog.at_level(logging.WARNING):
        data = read(tmp_path)
    assert len(data.report["notes"]) == 2
    assert [record.getMessage() for record in caplog.records] == data.report["notes"]


def test_a_plain_file_needs_no_word(tmp_path):
    assert read(write(tmp_path / "a.csv", rows()).parent).report["notes"] == []
    assert load_emotion_data("sample").report["notes"] == []


def test_a_table_in_another_encoding_is_read_once(tmp_path):
    for name, encoding in (("data.csv", "utf-8"), ("data_excel.csv", "cp949")):
        write(tmp_path / name, rows(60), encoding)
    data = load_emotion_data(str(tmp_path))
    assert sum(map(len, data.splits.values())) == 60
    assert "data_excel.csv holds the same rows as data.csv, and is read once" in data.report["notes"]


def test_raw_texts_beside_labelled_ones_are_not_read(tmp_path):
    """As AI Hub's releases are laid out."""
    for split, start, count in (("Training", 0, 60), ("Validation", 100, 12)):
        for kind in ("01.원천데이터", "02.라벨링데이터"):
            (tmp_path / split / kind).mkdir(parents=True)
        records = rows(count, start)
        write(tmp_path / split / "02.라벨링데이터" / "1.json", records)
        raw = "\n".join(row["sentence"] for row in records)
        (tmp_path / split / "01.원천데이터" / "1.txt").write_text(raw, encoding="utf-8")
    data = load_emotion_data(str(tmp_path))
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 54, "validation": 12, "test": 6}
    assert (
        "not read, as labels are in files beside them: Training/01.원천데이터/1.txt, Validation/01.원천데이터/1.txt"
        in data.report["notes"]
    )
