"""The benchmark of explanations: areas by hand, and a model that goes by one word alone."""

from __future__ import annotations

from types import SimpleNamespace

import explaining
import numpy as np
import pytest

from emo_hf.inference.explaining import Explanation


class OneWord:
    """A stand-in for a model that is sure of 기쁨 wherever 웃어 stands."""

    labels = ("슬픔", "기쁨")

    def scores(self, texts):
        share = np.array([0.9 if "웃어" in text else 0.4 for text in texts])
        return np.stack([1 - share, share], 1)


def test_an_area_is_the_mean_probability_along_the_way() -> None:
    found = Explanation("기쁨", ("오늘", "웃어", "봤어"), (0.0, 2.0, 0.0))
    first, last = np.array([1, 0, 2]), np.array([0, 2, 1])
    deleted = [explaining.area(OneWord(), found, order, insert=False) for order in (first, last)]
    assert deleted == pytest.approx([(0.65 + 0.4 + 0.4) / 3, (0.9 + 0.9 + 0.65) / 3])
    inserted = [explaining.area(OneWord(), found, order, insert=True) for order in (first, last)]
    assert inserted == pytest.approx([(0.65 + 0.9 + 0.9) / 3, (0.4 + 0.4 + 0.65) / 3])


def test_a_model_of_one_word_is_found_out() -> None:
    texts = ["오늘 웃어 봤어", "나는 어제 웃어", "웃어 정말 많이"] * 4
    deletion, insertion = explaining.measured(OneWord(), texts, 4)
    assert deletion[:1] == ["deletion ↓"] and float(deletion[1]) < float(deletion[2])
    assert float(insertion[1]) > float(insertion[2])
    assert deletion[3].startswith("-") and not deletion[3].endswith("+0.0]")


def test_a_model_of_other_labels_is_refused(monkeypatch, capsys) -> None:
    data = SimpleNamespace(
        labels=("가", "나"), splits={"test": {"text": ["하나 둘", "셋 넷"]}}, report={"source": "x"}
    )
    monkeypatch.setattr(explaining, "read_record", lambda folder: {})
    monkeypatch.setattr(explaining, "training_data", lambda record: data)
    monkeypatch.setattr(explaining, "Predictor", lambda model: OneWord())
    assert explaining.main(["there"]) == 2
    assert capsys.readouterr().err == "error: there has the labels 슬픔, 기쁨; allowed: 가, 나\n"
    assert explaining.main(["there", "--rows", "1"]) == 2
    assert capsys.readouterr().err == "error: 1 of 1 test texts have two words; give a larger --rows\n"
