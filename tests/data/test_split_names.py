"""Words that say a split, inside longer names, and words that only look like it."""

from __future__ import annotations

import unicodedata

import pytest
from tables import LABELS, error_of, rows, texts, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.split_names import split_of, split_of_path, without_split

SAID = {
    "train": [
        "train", "Training", "TRAIN", "train1", "ratings_train", "CorpusTRAIN", "EmotionalTalkCorpusTraining",
        "DFTrain", "감성대화Training", "감정train셋", "trainset", "TrainData", "X_train", "emotion_score_train",
        "chat_log_train", "학습", "1.학습", "감성_학습", "학습데이터", "감정학습데이터", "훈련셋", "훈련용 자료",
        "Training_221115_add",
    ],
    "validation": [
        "val", "Valid", "validation", "dev", "eval", "evaluation", "emotion-dev-v2", "valid_dev", "devset",
        "2.Validation", "검증", "감성_검증", "검증데이터", "대화검증용", "감성대화말뭉치(최종데이터)_Validation",
    ],
    "test": [
        "test", "Testing", "testSet", "TESTset", "testDataframe", "KOREANtest", "iTest", "EmotionalTalkCorpusTest",
        "comments_30K_labeled_test_01234", "감정test셋", "test.ko", "평가", "평가용", "평가데이터", "시험셋", "테스트",
    ],
    None: [
        "", "contest", "latest", "LATEST", "Contest", "protest", "attestation", "constrain", "Strain", "strain",
        "brain", "retrain", "trains", "evaluate", "validity", "interval", "valence", "carnival", "device", "medieval",
        "학습자", "강의평가", "영화평가_2020", "시험불안", "기계학습", "검증된", "train_test", "test_of_training",
        "val_test", "학습_검증", "training_log", "TrainingLog", "eval_results", "test_predictions", "submission_test",
        "감성_검증_결과", "sample_submission", "comments", "4차년도",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "split"), [(name, split) for split, names in SAID.items() for name in names])
def test_words_in_names(name, split):
    assert split_of(name) == split
    assert split_of(unicodedata.normalize("NFD", name)) == split  # as macOS writes it


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("ratings_train.txt", "train"),
        ("train/comments.csv", "train"),
        ("release/2.Validation/라벨링데이터.zip/대화.json", "validation"),
        ("train/test.csv", "test"),  # the innermost name knows best
        ("train/train_test.csv", None),
        ("test/training_log.csv", None),
        ("data/train-00000-of-00002.parquet", "train"),
        ("data/dev-00000-of-00001-a09b74b3ef9c3b56.parquet", "validation"),
        ("comments.csv", None),
        ("test.csv.gz", "test"),
    ],
)
def test_words_in_paths(path, split):
    assert split_of_path(path) == split


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("train", ""),
        ("valid", ""),
        ("train_2019", "2019"),
        ("EmotionTest2020", "emotion 2020"),
        ("old/train", "old"),
        ("4차년도_학습", "4 차년도"),
    ],
)
def test_what_is_left_of_a_name(name, rest):
    assert without_split(name) == rest


@pytest.mark.parametrize(
    "words",
    [
        ("학습", "검증", "평가"),
        ("훈련용", "val", "시험"),
        ("Training", "dev set", "TESTING"),
        ("train", "eval", "test"),
    ],
)
def test_values_of_a_column_of_splits(tmp_path, words):
    records = [row | {"split": words[place // 3 % 3]} for place, row in enumerate(rows(27))]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    for place, split in enumerate(("train", "validation", "test")):
        assert texts(data, split) == [row["sentence"] for row in records if row["split"] == words[place]]
    assert data.labels == LABELS


@pytest.mark.parametrize("word", ["latest", "train_test", "all", "3"])
def test_values_that_are_no_split(tmp_path, word):
    records = [row | {"split": word if place == 4 else "train"} for place, row in enumerate(rows(27))]
    said = error_of(write(tmp_path / "data.csv", records))
    assert f"row 6: split '{word}' is unknown (1 rows); allowed are train (training, 학습, 훈련), validation" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("구분", ("학습용", "검증용", "평가용")),
        ("Usage", ("Training", "PublicTest", "PrivateTest")),
        ("데이터셋", ("Training", "Training", "Validation")),
        ("partition", ("TRAIN", "DEV", "TEST")),
    ],
)
def test_a_column_of_splits_by_another_name(tmp_path, name, words):
    records = [row | {name: words[place // 3 % 3]} for place, row in enumerate(rows(270))]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    for split in {split_of(word) for word in words} - {"train"}:
        assert texts(data, split) == [row["sentence"] for row in records if split_of(row[name]) == split]
    assert data.report["notes"] == [f"column {name!r} is read as the split of each row, as its cells say"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("비고", ("학습", "학습", "학습")), ("비고", ("학습", "평가", "")), ("fold", ("0", "1", "2"))],
)
def test_a_column_that_says_a_split_for_some_rows_is_none(tmp_path, name, words):
    records = [row | {name: words[place // 3 % 3]} for place, row in enumerate(rows(90))]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 72, "validation": 9, "test": 9}
    assert data.report["notes"] == []


def test_a_column_that_is_asked_for_is_no_split(tmp_path):
    """Neither where the table's own name says its split."""
    records = [row | {"구분": ("학습", "평가")[place % 2]} for place, row in enumerate(rows(90))]
    path = write(tmp_path / "data.csv", records)
    place = str(list(records[0]).index("구분") + 1)
    for asked in ("구분", place):
        assert load_emotion_data(str(path), labels="all", label_column=asked).labels == ("평가", "학습")
    path.rename(tmp_path / "train.csv")
    assert len(texts(load_emotion_data(str(tmp_path)), "test")) == 9
