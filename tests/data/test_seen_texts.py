"""Texts that a model was trained on before: known by their hashes, and left out of the rows that score another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emo_hf.data.loading import EmotionData, load_emotion_data
from emo_hf.data.seen_texts import TooManySeen, text_hashes, trained_on, without_seen
from emo_hf.storage.record import read_texts, texts_content

LABELS = ["불안", "슬픔", "기쁨"]
SIZES = {"train": 6, "validation": 4, "test": 4}


@pytest.fixture
def data(tmp_path: Path) -> EmotionData:
    """Of each label 6 training, 4 validation and 4 test rows."""
    rows = [
        {"text": f"{label} {split} 글 {number}", "label": label, "split": split}
        for label in LABELS
        for split, count in SIZES.items()
        for number in range(count)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "data.csv", index=False)
    return load_emotion_data(str(tmp_path / "data.csv"), labels=LABELS)


def test_texts_that_a_tokenizer_reads_alike_have_one_hash():
    one, other, third = text_hashes(["정말  좋았어", "정말\t좋았어", "정말 좋았다"])
    assert one == other != third
    assert len(set(text_hashes([f"글 {number}" for number in range(5000)]).tolist())) == 5000


def test_exactly_the_rows_whose_texts_were_seen_are_left_out(data, caplog):
    seen = text_hashes(["불안 test 글 1", "슬픔  test 글 0", "기쁨 validation 글 3", "불안 train 글 1", "nirgends"])
    found = without_seen(data, {"runs/base": seen})
    for split, gone in (("test", {"불안 test 글 1", "슬픔 test 글 0"}), ("validation", {"기쁨 validation 글 3"})):
        before, left = (list(of.splits[split]["text"]) for of in (data, found))
        assert left == [text for text in before if text not in gone]
        labels = dict(zip(before, data.splits[split]["label"], strict=True))
        assert list(found.splits[split]["label"]) == [labels[text] for text in left]
    assert found.splits["train"]["text"][:] == data.splits["train"]["text"][:]
    assert found.report["notes"] == [
        *data.report["notes"],
        "1 of 12 validation rows are left out: their texts stand in the training of runs/base",
        "2 of 12 test rows are left out: their texts stand in the training of runs/base",
    ]
    assert found.counts()["test"] == {"불안": 3, "슬픔": 3, "기쁨": 4} and data.counts()["test"]["불안"] == 4
    assert found.counts()["train"] == data.counts()["train"]
    assert found.report["seen_before"] == {"validation": 1, "test": 2}
    assert found.fingerprint != data.fingerprint
    # The log names texts; a record, which goes to the Hub, does not.
    assert any(line.endswith(", as 불안 test 글 1; 슬픔 test 글 0") for line in caplog.messages)
    assert "test 글" not in str(found.report)


def test_another_set_of_rows_has_another_fingerprint(data):
    found = {
        text: without_seen(data, {"runs/base": text_hashes([text])}).fingerprint
        for text in ("불안 test 글 1", "불안 test 글 2", "불안 validation 글 1", "불안 train 글 1")
    }
    assert len(set(found.values())) == 4 and found["불안 train 글 1"] == data.fingerprint


def test_what_several_runs_have_seen_is_left_out_together(data):
    seen = {"a": text_hashes(["불안 test 글 1"]), "b": text_hashes(["불안 test 글 1", "기쁨 test 글 0"]), "c": None}
    found = without_seen(data, seen)
    assert len(found.splits["test"]) == 10
    assert found.report["notes"][-2:] == [
        "2 of 12 test rows are left out: their texts stand in the training of a and of b",
        "whether c was trained on texts of the validation and test rows can't be told: it keeps no list of its "
        "training texts",
    ]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            [f"{label} test 글 {number}" for label in LABELS for number in range(3)],
            "the texts of 9 of 12 test rows stand in the training of base, so that too few are left to score on; give "
            "test rows that it has not seen",
        ),
        (
            [f"슬픔 validation 글 {number}" for number in range(4)],
            "the texts of 4 of 12 validation rows stand in the training of base, so that none of 슬픔 is left to "
            "score on; give validation rows that it has not seen",
        ),
    ],
    ids=["more than half", "all of a class"],
)
def test_where_too_many_would_go_it_is_refused(data, texts, said):
    with pytest.raises(TooManySeen) as caught:
        without_seen(data, {"base": text_hashes(texts)})
    assert str(caught.value) == said


def test_the_file_keeps_them_with_those_of_parents(data, tmp_path):
    before = text_hashes(["불안 train 글 0", "ganz anders"])
    hashes = trained_on(data, before)
    assert hashes.tolist() == sorted({*text_hashes(data.splits["train"]["text"][:]).tolist(), *before.tolist()})
    (tmp_path / "texts.npz").write_bytes(texts_content(hashes, whole=False))
    found, whole = read_texts(tmp_path / "texts.npz")
    assert np.array_equal(found, hashes) and found.dtype == np.uint64 and whole is False
    assert (tmp_path / "texts.npz").stat().st_size < 8 * len(hashes) + 600


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04no", None])
def test_a_damaged_file_is_none(tmp_path, content):
    path = tmp_path / "texts.npz"
    if content is None:  # a pickle, which would run what it holds
        np.savez(path, hashes=np.array([{}], dtype=object), whole=np.array(True))
    else:
        path.write_bytes(content)
    assert read_texts(path) is None
    assert read_texts(tmp_path / "nothing.npz") is None
