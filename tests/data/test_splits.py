"""Splits: given ones are kept, missing ones carved, and no text stands in two."""

from __future__ import annotations

import json
import random

import pytest
from tables import LABELS, error_of, rows, texts, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError


def test_carving_is_stratified_fixed_and_80_10_10(tmp_path):
    records = [{"text": f"문장 {i}", "label": LABELS[0 if i % 10 < 6 else 1 if i % 10 < 9 else 2]} for i in range(200)]
    path = str(write(tmp_path / "data.csv", records))
    data = load_emotion_data(path)
    assert data.counts() == {
        "train": {"불안": 96, "슬픔": 48, "기쁨": 16},
        "validation": {"불안": 12, "슬픔": 6, "기쁨": 2},
        "test": {"불안": 12, "슬픔": 6, "기쁨": 2},
    }
    assert load_emotion_data(path).fingerprint == data.fingerprint
    assert texts(load_emotion_data(path, seed=7), "test") != texts(data, "test")
    assert data.report["counts"] == data.counts()
    assert "carved out of train: 10%" in data.report["splits"]["test"]
    json.dumps(data.report)
    for sizes in ({"test_size": 0.0}, {"validation_size": 1.5}, {"validation_size": 0.5, "test_size": 0.5}):
        assert "_size" in error_of(path, **sizes)


def test_a_share_of_no_training_rows_is_told_as_what_it_is(tmp_path):
    """One row of each label: test and validation take them all."""
    path = str(write(tmp_path / "data.csv", [{"text": f"문장 {label}", "label": label} for label in LABELS]))
    assert error_of(path, train_fraction=0.5) == error_of(path)


def test_only_the_missing_split_is_carved(tmp_path):
    write(tmp_path / "train.csv", rows(60))
    write(tmp_path / "test.csv", rows(9, 100))
    data = load_emotion_data(str(tmp_path), validation_size=0.2)
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [48, 12, 9]
    assert set(texts(data, "test")) == {row["sentence"] for row in rows(9, 100)}


def test_dialogues_stay_whole(tmp_path):
    records = [{"text": f"문장 {i}", "label": LABELS[i // 4 % 3], "dialogue_id": f"d{i // 4}"} for i in range(240)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    seen = [set(part["dialogue"][:]) for part in data.splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 60
    assert data.report["dialogues_shared"] == 0


def dialogues(count: int, turns: int, labels: tuple[str, ...] = LABELS) -> list[dict[str, str]]:
    """Dialogues whose turns have any label."""
    rng = random.Random(count)
    return [
        {"text": f"{n}번째 대화의 {turn}번째 말", "label": rng.choice(labels), "dialogue": f"d{n}"}
        for n in range(count)
        for turn in range(turns)
    ]


@pytest.mark.parametrize("count", [5, 6, 8, 12])
def test_few_dialogues_leave_most_to_training(tmp_path, count):
    data = load_emotion_data(str(write(tmp_path / "data.csv", dialogues(count, 12))))
    seen = {split: set(part["dialogue"][:]) for split, part in data.splits.items()}
    assert sum(map(len, seen.values())) == len(set.union(*seen.values())) == count
    assert len(seen["train"]) > count / 2
    assert all(min(counts.values()) for counts in data.counts().values())
    assert "whole dialogues of any label" in data.report["splits"]["test"]


def test_few_dialogues_for_many_labels_are_told_with_a_share_that_suffices(tmp_path):
    labels = tuple("가나다라마바사")
    path = str(write(tmp_path / "data.csv", dialogues(8, 10, labels)))
    said = error_of(path, labels=labels)
    assert "(dialogues stay whole, and there are 8); every split needs every label: add rows, or carve more" in said
    sizes = {part.split()[0]: float(part.split()[1].rstrip(".,")) for part in said.split("--")[1:3]}
    assert set(sizes) == {"validation_size", "test_size"}
    assert len(load_emotion_data(path, labels=labels, **sizes).splits["train"]) >= 40


def test_dialogues_that_can_not_be_parted_better_are_noted(tmp_path):
    records = [row | {"label": LABELS[int(row["dialogue"][1]) % 3]} for row in dialogues(9, 10)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert [len(part) for part in data.splits.values()] == [30, 30, 30]
    (note,) = data.report["notes"]
    assert "33% for validation (10% asked for) and 33% for test (10% asked for)" in note and "there are 9" in note


@pytest.mark.parametrize("turns", [1, 2])
def test_only_dialogues_of_several_rows_are_said_to_make_splits_larger(tmp_path, turns):
    """Three rows of each label give one to every split, which is more than was asked for whatever stays whole."""
    records = [
        {"text": f"{label} {n} {turn}", "label": label, "dialogue": f"{label}{n}"}
        for label in LABELS
        for n in range(3)
        for turn in range(turns)
    ]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert [len(part) for part in data.splits.values()] == [3 * turns] * 3
    said = [note for note in data.report["notes"] if "dialogues stay whole" in note]
    assert len(said) == (turns > 1)


def test_equal_texts_are_carved_together(tmp_path):
    records = [row for row in rows(60) for _ in range(3)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert sum(len(part) for part in data.splits.values()) == 180
    assert sum(len(set(texts(data, split))) for split in data.splits) == 60


def test_texts_in_several_splits_stay_in_test_then_validation(tmp_path):
    shared = [{"sentence": f"같은 문장 {i}", "label": LABELS[i % 3]} for i in range(6)]
    spaced = [row | {"sentence": row["sentence"].replace(" ", "  ")} for row in shared]
    write(tmp_path / "train.csv", rows(30) + spaced)
    write(tmp_path / "validation.csv", rows(6, 50) + shared)
    write(tmp_path / "test.csv", rows(6, 70) + shared[:4])
    data = load_emotion_data(str(tmp_path))
    assert data.report["duplicates_removed"] == {"validation": 4, "train": 6}
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [30, 8, 10]


def test_dialogues_in_several_given_splits_are_reported(tmp_path, caplog):
    write(tmp_path / "train.csv", [row | {"dialogue": "a"} for row in rows(60)])
    write(tmp_path / "test.csv", [row | {"dialogue": "a"} for row in rows(9, 100)])
    with pytest.raises(UserError):  # one dialogue can't be carved
        load_emotion_data(str(tmp_path))
    write(tmp_path / "validation.csv", rows(9, 200))
    assert load_emotion_data(str(tmp_path)).report["dialogues_shared"] == 1
    assert "1 dialogues have turns in several" in caplog.text
