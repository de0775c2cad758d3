"""Rows that nothing can be learned from, and all that decides what becomes of rows, together."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter

import pytest
from tables import all_texts, error_of, rows, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError

BAD = {
    "empty text": {"sentence": " "},
    "nan text": {"sentence": "nan"},
    "null text": {"sentence": "\\N"},
    "empty label": {"label": ""},
    "nan label": {"label": "nan"},
    "unknown label": {"label": "행복"},
}
KINDS = {"nan text": "empty text", "null text": "empty text", "nan label": "empty label"}


def with_bad(kind: str, count: int, of: int = 60) -> list[dict[str, str]]:
    records = rows(of)
    return [row | (BAD[kind] if place < count else {}) for place, row in enumerate(records)]


@pytest.mark.parametrize("kind", BAD)
def test_up_to_a_fifth_is_left_out_and_said(tmp_path, caplog, kind):
    path = str(write(tmp_path / "data.csv", with_bad(kind, 12)))
    data = load_emotion_data(path)
    assert len(all_texts(data)) == 48
    recorded = data.report["bad_rows"][KINDS.get(kind, kind)]["train"]
    assert recorded == {"count": 12, "rows": [f"data.csv, row {row}" for row in range(2, 14)]}
    (note,) = data.report["notes"]
    assert note.startswith("12 rows were left out: ") and "rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13" in note
    assert note in caplog.text
    assert load_emotion_data(path, on_bad_rows="drop").fingerprint == data.fingerprint


@pytest.mark.parametrize("kind", BAD)
def test_beyond_a_fifth_and_under_error_they_are_refused(tmp_path, kind):
    said = error_of(write(tmp_path / "data.csv", with_bad(kind, 13)))
    assert "data.csv, rows 2, 3, 4, 5, 6 and 8 more" in said
    assert "(13 of 60 rows of train, more than the fifth that is left out by itself)" in said
    assert said.endswith("or leave such rows out with --on_bad_rows drop.")
    assert len(all_texts(load_emotion_data(str(tmp_path / "data.csv"), on_bad_rows="drop"))) == 47
    said = error_of(write(tmp_path / "data.csv", with_bad(kind, 1)), on_bad_rows="error")
    assert "data.csv, row 2" in said and "fifth" not in said


def test_the_share_is_that_of_all_kinds_in_one_split(tmp_path):
    records = rows(60)
    for place, kind in enumerate(itertools.islice(itertools.cycle(BAD), 13)):
        records[place] |= BAD[kind]
    said = error_of(write(tmp_path / "data.csv", records))
    assert "13 of 60 rows of train" in said and "the text is nan" in said and "the label is nan" in said
    write(tmp_path / "train.csv", rows(60))
    write(tmp_path / "valid.csv", rows(9, 200))
    write(tmp_path / "test.csv", [row | ({"label": ""} if place < 3 else {}) for place, row in enumerate(rows(9, 90))])
    (tmp_path / "data.csv").unlink()
    assert "(3 of 9 rows of test," in error_of(tmp_path)


def test_when_nothing_is_left_it_is_refused_whatever_the_policy(tmp_path):
    path = write(tmp_path / "data.csv", with_bad("empty label", 60))
    assert "the label is empty; fill it in or remove the row." in error_of(path, on_bad_rows="drop")
    assert "on_bad_rows is 'skip'; allowed are 'auto', 'error', 'drop'" in error_of(path, on_bad_rows="skip")


def test_a_missing_name_that_was_asked_for_is_a_label(tmp_path):
    records = [{"sentence": f"문장 {i}", "label": ["None", "hate"][i % 2]} for i in range(40)]
    path = str(write(tmp_path / "data.csv", records))
    assert load_emotion_data(path, labels=["None", "hate"]).labels == ("None", "hate")
    assert load_emotion_data(path, labels="all", label_map=["None=없음"]).labels == ("hate", "없음")
    assert "the label is None (20 of 40 rows of train" in error_of(path, labels="all")


@pytest.mark.parametrize("word", ["NULL", "null", "N/A", "n/a", "#N/A"])
def test_words_of_databases_for_no_label_are_no_class(tmp_path, word):
    """They are left out with a line, which says how to keep them where they are a class."""
    for share, count in ((10, 6), (2, 30)):
        records = [row | ({"label": word} if place % share == 0 else {}) for place, row in enumerate(rows(60))]
        path = str(write(tmp_path / "data.csv", records))
        if share == 10:
            data = load_emotion_data(path, labels="all")
            assert data.labels == ("기쁨", "불안", "슬픔") and len(all_texts(data)) == 60 - count
            (said,) = data.report["notes"]
        else:
            said = error_of(path, labels="all")
        assert f"the label is {word}" in said
        given = shlex.split(said.partition("--label_map ")[2].replace(",", " "))[0]
        kept = load_emotion_data(path, labels="all", label_map=[given])
        assert kept.labels == tuple(sorted((word, "기쁨", "불안", "슬픔"))) and len(all_texts(kept)) == 60
        assert load_emotion_data(path, labels=[word, "기쁨", "불안", "슬픔"]).labels[0] == word
    assert "--label_map" not in error_of(path)  # the labels that were asked for are others


def test_contradicting_cells_of_the_real_files(tmp_path):
    pairs = [("분노", "툴툴대는"), ("불안", "두려운"), ("기쁨", "감사하는")]
    records = [
        {"text": f"문장 {i}", "감정_대분류": pairs[i % 3][0], "감정_소분류": pairs[i % 3][1]} for i in range(60)
    ]
    records[4] |= {"감정_대분류": "분노", "감정_소분류": "스트레스 받는"}
    path = str(write(tmp_path / "data.csv", records))
    for column in (None, "감정_소분류"):
        data = load_emotion_data(path, labels=["툴툴대는", "두려운", "감사하는"], label_column=column)
        assert data.report["bad_rows"] == {"contradictory cells": {"train": {"count": 1, "rows": ["data.csv, row 6"]}}}
        assert "(분노/스트레스 받는)" in data.report["notes"][0]


def given(tmp_path, test: list[dict[str, str]]) -> str:
    write(tmp_path / "train.csv", rows(60))
    write(tmp_path / "valid.csv", rows(9, 100))
    write(tmp_path / "test.csv", test)
    return str(tmp_path)


@pytest.mark.parametrize("labels", ["all", "불안,슬픔,기쁨"])
def test_a_given_test_set_may_lack_a_label(tmp_path, labels):
    folder = given(tmp_path, [row for row in rows(30, 200) if row["label"] != "슬픔"])
    data = load_emotion_data(folder, labels=labels)
    assert data.report["labels_absent"] == {"test": ["슬픔"]}
    assert data.counts()["test"]["슬픔"] == 0
    assert data.report["notes"][1:] == ["test holds no row of 슬픔: its macro-F1 is the mean over the other 2 labels"]


def test_an_unknown_class_of_a_given_test_set_says_which_rows(tmp_path):
    new = [row | ({"label": "혐오"} if place < 6 else {}) for place, row in enumerate(rows(30, 200))]
    data = load_emotion_data(given(tmp_path, new), labels="all")
    _, note = data.report["notes"]
    assert note == (
        "6 rows were left out: unknown label '혐오' in test.csv, rows 2, 3, 4, 5, 6, 7 (6 rows), which no training "
        "row has"
    )
    new[6]["label"] = "혐오"
    said = error_of(given(tmp_path, new), labels="all")
    assert "--labels all" not in said and "add rows of it to the training split, or leave such rows out with" in said
    # An emotion of AI Hub's that training lacks was not left out by anybody.
    known = [row | ({"label": "상처"} if place < 3 else {}) for place, row in enumerate(rows(30, 200))]
    assert "unknown label '상처'" in load_emotion_data(given(tmp_path, known), labels="all").report["notes"][1]


def test_rare_labels_are_left_out_of_every_split(tmp_path):
    rare = [{"sentence": f"드문 {place}", "label": f"드문{place % 2}"} for place in range(3)]
    folder = given(tmp_path, [*rows(9, 200), {"sentence": "드문 말", "label": "드문0"}])
    write(tmp_path / "train.csv", rows(60) + rare)
    data = load_emotion_data(folder, labels="all", drop_labels_below=3)
    assert data.labels == ("기쁨", "불안", "슬픔")
    assert data.report["labels_dropped"] == {"드문0": 2, "드문1": 1}
    assert data.report["notes"][1:] == [
        "2 labels of fewer than 3 training rows were left out, 4 rows in all: 드문0 (2), 드문1 (1)"
    ]
    assert "drop_labels_below is 0" in error_of(folder, drop_labels_below=0)


@pytest.mark.parametrize("given", ["all", ["불안", "슬픔"]])
def test_a_number_that_leaves_no_two_labels_is_said_to_be_too_large(tmp_path, given):
    more = [{"sentence": f"더 걱정된 {place}번째 날", "label": "불안"} for place in range(9)]
    path = write(tmp_path / "data.csv", rows(60) + more)
    for least in (21, 99):
        said = error_of(path, labels=given, drop_labels_below=least)
        assert said.startswith(f"--drop_labels_below {least} leaves fewer than two labels; training has most rows of")
        assert "불안 (29)" in said and said.endswith("; give a smaller number.")
    assert "불안" in load_emotion_data(str(path), labels=given, drop_labels_below=20).labels


def test_rare_labels_are_named_with_the_number_that_helps(tmp_path):
    records = rows(60) + [{"sentence": f"드문 {place}", "label": "드문"} for place in range(2)]
    path = write(tmp_path / "data.csv", records)
    said = error_of(path, labels="all")
    assert "leave out labels of fewer than 3 training rows with --drop_labels_below 3" in said
    assert load_emotion_data(str(path), labels="all", drop_labels_below=3).labels == ("기쁨", "불안", "슬픔")


TYPED = (["anger"] * 24 + ["Anger"] * 6 + ["joy"] * 30 + ["sad"] * 12 + ["rare"] * 2
         + ["anger|joy"] * 4 + ["joy|sad"] * 3 + ["nan", "nan", ""])  # fmt: skip


def expected(labels, label_map, on_bad_rows, several_labels, drop_labels_below) -> dict[str, int] | None:
    """Rows of each label, worked out row by row; None where it must be refused."""
    kept, bad, size = Counter(), 0, 0
    for typed in TYPED:
        parts = [part for part in typed.split("|") if part not in ("", "nan")]
        parts = ["anger" if part == "Anger" else part for part in parts]
        parts = [{"anger": "화", "joy": "화"}.get(part, part) if label_map else part for part in parts]
        parts = list(dict.fromkeys(parts))  # 화|화 is one label
        if len(parts) > 1 and several_labels == "error":
            return None
        if len(parts) > 1 and several_labels == "drop":
            continue
        size += 1
        if not parts or (labels and parts[0] not in labels):
            bad += 1
        else:
            kept[parts[0]] += 1
    if bad and (on_bad_rows == "error" or (on_bad_rows == "auto" and bad > size / 5)):
        return None
    if drop_labels_below:
        kept = {label: count for label, count in kept.items() if count >= drop_labels_below}
    fine = len(kept) > 1 and min(kept.values()) > 2 and (drop_labels_below or set(labels or kept) == set(kept))
    return dict(kept) if fine else None


@pytest.mark.parametrize(
    ("labels", "label_map", "on_bad_rows", "several_labels", "drop_labels_below"),
    itertools.product(
        [None, ("anger", "joy"), ("화", "sad")],
        [None, ("anger=화", "joy=화")],
        ["auto", "error", "drop"],
        ["error", "first", "drop"],
        [None, 3],
    ),
)
def test_all_that_decides_about_rows_together(
    tmp_path, labels, label_map, on_bad_rows, several_labels, drop_labels_below
):
    records = [{"text": f"문장 {place}", "label": label} for place, label in enumerate(TYPED)]
    options = {
        "label_map": label_map,
        "on_bad_rows": on_bad_rows,
        "several_labels": several_labels,
        "drop_labels_below": drop_labels_below,
    }
    right = expected(labels, **options)
    path = str(write(tmp_path / "data.csv", records))
    if right is None:
        with pytest.raises(UserError):
            load_emotion_data(path, labels=labels or "all", task="single", **options)
    else:
        data = load_emotion_data(path, labels=labels or "all", task="single", **options)
        assert {label: sum(part[label] for part in data.counts().values()) for label in data.labels} == right
