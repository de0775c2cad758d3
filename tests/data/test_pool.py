"""Texts to label and texts that are labelled: what of a pool is left, and what is put beside the rows of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emo_hf.data.labelled import joined, read_labelled
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.pool import columns_of, known_texts, read_pool
from emo_hf.data.seen_texts import text_hashes
from emo_hf.errors import UserError

LABELS = ["불안", "슬픔", "기쁨"]


def write(path: Path, rows: list[dict]) -> str:
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def test_each_text_once_and_none_that_is_known(tmp_path, trained, csv_file):
    data = load_emotion_data(csv_file)
    train, test = data.splits["train"]["text"][0], data.splits["test"]["text"][0]
    texts = ["처음 보는 말", " 처음  보는 말 ", "", train, f"{test}\u200b", "또 다른 말", "nan"]
    path = write(tmp_path / "pool.csv", [{"text": text, "id": i} for i, text in enumerate(texts)])
    lines = tmp_path / "more.txt"
    lines.write_text("또 다른 말\n셋째 말\n", encoding="utf-8")
    pool = read_pool([path, str(lines)], None, known_texts(trained, data))
    assert pool.texts == ["처음 보는 말", "또 다른 말", "셋째 말"]
    assert pool.places == [("pool.csv", 2), ("pool.csv", 7), ("more.txt", 2)]
    assert pool.left_out == {"empty": 2, "twice": 2, "train": 1, "scored": 1}
    assert "2 rows left out whose text stood there before" in pool.said()
    assert "1 row left out whose text is a validation or test row of the run" in pool.said()
    # Without its data a run still knows what it was trained on.
    alone = read_pool([path], None, known_texts(trained, None))
    assert alone.left_out == {"empty": 2, "twice": 1, "train": 1}


def test_a_pool_without_anything_to_label(tmp_path):
    path = write(tmp_path / "pool.csv", [{"text": "하나"}, {"text": "하나"}, {"text": "둘"}])
    known = {"train": text_hashes(["하나", "둘"])}
    with pytest.raises(UserError) as error:
        read_pool([path], None, known)
    assert str(error.value).endswith(
        "no text is left to label (3 whose text the model was trained on); give files with other texts"
    )
    with pytest.raises(UserError, match="--pool is missing"):
        read_pool([], None, {})
    with pytest.raises(UserError, match="no text column"):
        read_pool([write(tmp_path / "other.csv", [{"a": 1, "b": 2}])], None, {})
    assert read_pool([write(tmp_path / "named.csv", [{"a": "말", "b": 2}])], "a", {}).texts == ["말"]


def test_columns_are_those_of_the_runs_file():
    def record(columns):
        return {"data": {"report": {"columns": columns}}}

    assert columns_of(record({"text": "본문", "label": "감정"})) == ("본문", "감정")
    for other in (None, {}, record({"text": "1", "label": "2"}), record({"text": "본문", "label": ["a", "b"]})):
        assert columns_of(other) == ("sentence", "label")


def test_the_last_label_of_a_text_counts_and_an_empty_one_is_none(tmp_path):
    first = write(tmp_path / "a.csv", [{"sentence": "하나", "label": "불안"}, {"sentence": "둘", "label": "슬픔"}])
    second = write(tmp_path / "b.csv", [{"sentence": "하나", "label": "기쁨"}, {"sentence": "셋", "label": ""}])
    found = read_labelled([first, second], LABELS, several=False)
    assert dict(zip(found.texts, found.labels, strict=True)) == {"둘": ("슬픔",), "하나": ("기쁨",)}
    with pytest.raises(UserError, match=r"a.csv, row 2: the model has no label '불안'; it has 슬픔, 기쁨"):
        read_labelled([first], LABELS[1:], several=False)
    with pytest.raises(UserError, match="no row there has a label"):
        read_labelled([write(tmp_path / "c.csv", [{"sentence": "셋", "label": ""}])], LABELS, several=False)
    with pytest.raises(UserError, match="no column of labels beside 'sentence'"):
        read_labelled([write(tmp_path / "d.csv", [{"sentence": "셋", "x": "y"}])], LABELS, several=False)


def test_sets_of_labels_are_lists_or_joined_names(tmp_path):
    cells = ['["슬픔", "기쁨"]', "[]", "슬픔|불안", "기쁨"]
    path = write(tmp_path / "a.csv", [{"sentence": f"말 {i}", "label": cell} for i, cell in enumerate(cells)])
    found = read_labelled([path], LABELS, several=True)
    assert found.labels == [("슬픔", "기쁨"), (), ("슬픔", "불안"), ("기쁨",)]


@pytest.mark.parametrize("several", [False, True])
def test_rows_of_a_run_keep_their_splits_beside_the_labelled_ones(several, tmp_path, csv_file, sets_file):
    data = load_emotion_data(sets_file if several else csv_file, labels="all")
    names = data.labels
    known = data.splits["test"]["text"][0]
    label = json.dumps(list(names[:2]), ensure_ascii=False) if several else names[1]
    none = [{"sentence": "아무것도 아닌 말", "label": "[]"}] if several else []
    rows = [{"sentence": "처음 보는 말", "label": label}, {"sentence": known, "label": label}, *none]
    labelled = read_labelled([write(tmp_path / "new.csv", rows)], names, several=several)
    content, counts = joined(data, labelled, ("본문", "감정"))
    assert counts == {"added": 1 + len(none), "known": 1}
    (tmp_path / "joined.csv").write_bytes(content)
    again = load_emotion_data(
        str(tmp_path / "joined.csv"), labels=list(names), text_column="본문", label_column="감정"
    )
    assert again.multi_label == several
    for split in ("validation", "test"):
        assert again.splits[split]["text"][:] == data.splits[split]["text"][:]
        assert again.splits[split]["label"][:] == data.splits[split]["label"][:]
    before, after = data.splits["train"], again.splits["train"]
    new = dict(zip(after["text"][len(before) :], after["label"][len(before) :], strict=True))
    assert after["label"][: len(before)] == before["label"][:]
    assert new == {"처음 보는 말": [0, 1] if several else 1} | ({"아무것도 아닌 말": []} if several else {})
    assert np.isin(text_hashes(["처음 보는 말"]), text_hashes(after["text"][:])).all()
