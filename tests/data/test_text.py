"""Texts that look alike are alike: cleaned by one function, compared by what can be seen of them."""

from __future__ import annotations

import re
import unicodedata

import pandas as pd
import pytest
from tables import LABELS, all_texts, rows, texts, write

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.data import text as ours
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.text import clean, clean_column, text_keys
from emo_hf.models.pretrained import load_tokenizer

INVISIBLE = {
    "zero width space": "\u200b", "soft hyphen": "\u00ad", "word joiner": "\u2060", "byte order mark": "\ufeff",
    "joiner": "\u200d", "right-to-left mark": "\u200f", "tag": "\U000e0041", "variation selector": "\ufe0f",
}  # fmt: skip


def test_the_classes_of_characters_are_those_of_unicode():
    """Wherever a code point is assigned in this Python's Unicode; written out, as pyarrow knows no other way."""
    named = {name: re.compile(f"[{getattr(ours, name)}]") for name in ("BLANKS", "CONTROLS", "FORMATS")}
    for point in (*range(0xD800), *range(0xE000, 0x110000)):
        character, category = chr(point), unicodedata.category(chr(point))
        if category != "Cn":
            assert bool(named["BLANKS"].match(character)) == character.isspace(), hex(point)
            assert bool(named["FORMATS"].match(character)) == (category == "Cf"), hex(point)
            is_control = category == "Cc" and not character.isspace()
            assert bool(named["CONTROLS"].match(character)) == is_control, hex(point)


def test_a_column_is_cleaned_as_a_text_is():
    points = [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)]
    found = [form.format(chr(point)) for point in points for form in ("{}", "{0}가{0}나{0}")]
    assert clean_column(pd.Series(found, dtype="str")).tolist() == [clean(text) for text in found]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\u3164좋아\u3164정말 \ufeff", "좋아 정말"),  # Hangul fillers are blanks
        ("\uffa0\u115f\u1160\u2800", ""),
        ("\u200b\u00ad\u2060 \u3000", ""),
        ("\ufe0f", ""),
        ("합격했어 👩\u200d👩\u200d👧 ❤\ufe0f", "합격했어 👩\u200d👩\u200d👧 ❤\ufe0f"),  # one picture stays one
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("가\u200b나", "가\u200b나"),  # what stands within is left to the tokenizer
        (unicodedata.normalize("NFD", " 기뻐\n"), "기뻐"),
        ("null", "null"),
        ("[1]", "[1]"),
        ("1.50", "1.50"),
    ],
)
def test_what_cleaning_changes(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE)
def test_texts_that_differ_in_what_cannot_be_seen_have_one_key(character):
    pair = pd.Series(["정말 좋아", f"정말{character} 좋{character}아"], dtype="str")
    assert text_keys(pair).nunique() == 1


@pytest.mark.parametrize("character", ["\u200b", "\u00ad", "\u2060", "\u3164"])
def test_no_test_row_has_the_tokens_of_a_training_row(tmp_path, character):
    plain = [{"sentence": f"{word} {number}번째 날", "label": LABELS[number % 3]} for number in range(200)
             for word in ("정말 좋은", "아주 긴", "그저 그런")]  # fmt: skip
    marked = [row | {"sentence": row["sentence"].replace(" ", f"{character} ", 1)} for row in plain]
    frame = pd.DataFrame([*plain, *marked]).sample(frac=1, random_state=0)
    data = load_emotion_data(str(write(tmp_path / "data.csv", frame.to_dict("records"))))
    tokenizer = load_tokenizer(ModelArguments(encoder="tiny-bert"))
    tokens = {split: {tuple(ids) for ids in tokenizer(texts(data, split))["input_ids"]} for split in data.splits}
    assert sum(len(part) for part in data.splits.values()) == 1200
    assert not tokens["test"] & (tokens["train"] | tokens["validation"]) and not tokens["validation"] & tokens["train"]


def test_given_splits_do_not_share_what_looks_alike(tmp_path):
    marked = [row | {"sentence": row["sentence"].replace(" ", "\u2060 ")} for row in rows(1, 4)]
    write(tmp_path / "train.csv", rows(30))
    write(tmp_path / "valid.csv", rows(6, 60))
    write(tmp_path / "test.csv", [*rows(6, 80), *marked])
    data = load_emotion_data(str(tmp_path))
    assert data.report["duplicates_removed"] == {"validation": 0, "train": 1}
    assert "texts that stand in several splits: 1 left train" in data.report["notes"]


@pytest.mark.parametrize("text", ["\u200b\u200b", "\u3164", "\u2060", "\u00ad", "\ufe0f\u200d"])
def test_a_text_of_nothing_visible_is_empty(tmp_path, text):
    data = load_emotion_data(str(write(tmp_path / "data.csv", [{"sentence": text, "label": "불안"}, *rows()])))
    assert data.report["bad_rows"]["empty text"]["train"] == {"count": 1, "rows": ["data.csv, row 2"]}
    assert len(all_texts(data)) == 30
