"""240 utterances by another hand than the sample's, by its rules: a second test set of the bundled encoders (CC0)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.text import text_keys

FILE = Path(__file__).parent / "other_hand.csv"


def test_each_label_sub_emotion_and_situation_has_its_share_and_none_stands_in_the_sample() -> None:
    table = pd.read_csv(FILE)
    assert Counter(table["label"]) == {"불안": 80, "슬픔": 80, "기쁨": 80}
    assert set(Counter(table["sub_emotion"] + table["label"]).values()) == {8}
    assert set(table["situation"].value_counts()) == {20} and table["sentence"].str.len().between(10, 80).all()
    own = text_keys(table["sentence"])
    assert len(set(own)) == 240
    sample = load_emotion_data("sample")
    for split in sample.splits.values():
        assert not set(own) & set(text_keys(pd.Series(split["text"][:])))
