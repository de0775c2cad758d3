"""Small tables in every format, and what becomes of them, for the tests of the data."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError

LABELS = ("불안", "슬픔", "기쁨")


def rows(count: int = 30, start: int = 0) -> list[dict[str, str]]:
    """Distinct sentences, the labels in turn; 똠 and 펲 are in cp949 but not in euc-kr."""
    return [
        {"sentence": f'똠방각하와 펲시를 마신 {number}번째 날, "참" 길었다.', "label": LABELS[number % 3]}
        for number in range(start, start + count)
    ]


def write(path: Path, records: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    frame = pd.DataFrame(records)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False, encoding=encoding)
        case ".tsv":
            frame.to_csv(path, index=False, sep="\t", encoding=encoding)
        case ".xlsx":
            frame.to_excel(path, index=False)
        case ".json":
            path.write_text(json.dumps(records, ensure_ascii=False), encoding=encoding)
        case ".jsonl":
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in records), encoding=encoding)
        case ".parquet":
            frame.to_parquet(path, index=False)
    return path


def texts(data, split: str) -> list[str]:
    return data.splits[split]["text"][:]


def all_texts(data) -> set[str]:
    return {text for split in data.splits for text in texts(data, split)}


def error_of(source, **arguments) -> str:
    with pytest.raises(UserError) as caught:
        load_emotion_data(str(source), **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message
