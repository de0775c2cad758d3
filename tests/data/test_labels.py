"""Labels: the taxonomy, what is asked for, and what stands in cells."""

from __future__ import annotations

import unicodedata

import pytest
from tables import LABELS, all_texts, error_of, rows, texts, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.taxonomy import MAJOR_EMOTIONS, SUB_EMOTIONS, emotions, find_emotion, resolve_labels
from emo_hf.errors import UserError


def test_taxonomy_is_complete_and_unique():
    assert len(MAJOR_EMOTIONS) == 6
    assert len(SUB_EMOTIONS) == len(set(SUB_EMOTIONS)) == 60
    assert len({emotion.sub for emotion in emotions()}) == 58
    assert all(find_emotion(emotion.code) == find_emotion(emotion.label) == emotion for emotion in emotions())
    assert find_emotion("E18").sub == "노여워하는"
    assert find_emotion("가난한, 불우한").code == "E45"
    assert find_emotion("고립된", "상처").code == "E43"
    assert find_emotion("고립된", "당황").code == find_emotion("고립된(당황한)").code == "E51"
    assert find_emotion("고립된") is None  # it may be either
    assert not any("," in label for label in SUB_EMOTIONS)


def test_resolve_labels():
    assert resolve_labels("six") == MAJOR_EMOTIONS
    assert resolve_labels("sixty") == SUB_EMOTIONS
    assert (
        resolve_labels("기쁨,슬픔")
        == resolve_labels(["기쁨", unicodedata.normalize("NFD", " 슬픔")])
        == ("기쁨", "슬픔")
    )
    assert resolve_labels(["E18", "가난한, 불우한"]) == ("노여워하는", "가난한·불우한")
    assert resolve_labels("all") is None
    for wrong in ("기쁨", [], "기쁨,", ["기쁨", "기쁨"]):
        with pytest.raises(UserError):
            resolve_labels(wrong)


def test_label_order_is_that_of_the_argument(tmp_path):
    path = str(write(tmp_path / "data.csv", rows()))
    one, other = load_emotion_data(path), load_emotion_data(path, labels=["기쁨", "불안", "슬픔"])
    assert other.labels == ("기쁨", "불안", "슬픔")
    assert texts(one, "train") == texts(other, "train")
    names = [[data.labels[i] for i in data.splits["train"]["label"][:]] for data in (one, other)]
    assert names[0] == names[1]
    assert one.fingerprint != other.fingerprint


def test_known_emotions_not_asked_for_are_left_out_and_counted(tmp_path):
    records = [
        *rows(),
        *({"sentence": f"화난 {i}", "label": "분노"} for i in range(4)),
        {"sentence": "x", "label": "E45"},
    ]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert data.report["left_out"] == {"분노": 4, "상처": 1}
    assert len(all_texts(data)) == 30


def test_sub_emotions_and_codes_mean_their_major_class(tmp_path):
    names = ["E31", "실망한", "감사하는"]
    records = [row | {"label": names[i % 3]} for i, row in enumerate(rows())]
    assert load_emotion_data(str(write(tmp_path / "data.csv", records))).counts()["train"] == dict.fromkeys(LABELS, 8)


def test_sixty_is_decided_by_major_and_sub_emotion(tmp_path):
    pairs = [("상처", "고립된"), ("당황", "고립된"), ("불안", "혼란스러운"), ("당황", "당황")]
    records = [
        {"text": f"문장 {i}", "감정_대분류": pairs[i % 4][0], "감정_소분류": pairs[i % 4][1]} for i in range(40)
    ]
    path = str(write(tmp_path / "data.csv", records))
    wanted = ["고립된(상처)", "고립된(당황)", "혼란스러운(불안)", "당황"]
    for column in (None, "감정_소분류"):
        data = load_emotion_data(path, labels=wanted[:3], label_column=column)
        assert data.counts()["train"] == dict.fromkeys(wanted[:3], 8)
        assert data.report["left_out"] == {"당황": 10}


def test_contradicting_cells_are_refused(tmp_path):
    records = [{"text": f"문장 {i}", "label": "불안", "sub_emotion": "감사하는"} for i in range(10)]
    assert "contradict each other (불안/감사하는)" in error_of(write(tmp_path / "data.csv", records), labels="sixty")


def test_own_labels(tmp_path):
    records = [{"text": f"문장 {i}", "label": ["positive", "negative"][i % 2]} for i in range(20)]
    path = write(tmp_path / "data.csv", records)
    assert load_emotion_data(str(path), labels="positive,negative").labels == ("positive", "negative")
    assert load_emotion_data(str(path), labels="all").labels == ("negative", "positive")
    assert "--labels all" in error_of(path)
    lonely = [{"text": f"문장 {i}", "label": "yes"} for i in range(9)] + [{"text": "혼", "label": "no"}]
    assert error_of(write(tmp_path / "lonely.csv", lonely), labels="yes,no").endswith("every label: add rows.")


def test_numbers_as_labels(tmp_path):
    for suffix in (".csv", ".json", ".xlsx", ".parquet"):
        records = [{"text": f"문장 {i}", "label": i % 2} for i in range(20)]
        assert load_emotion_data(str(write(tmp_path / f"d{suffix}", records)), labels="all").labels == ("0", "1")
