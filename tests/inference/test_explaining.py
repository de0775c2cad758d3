"""Which words carried a decision: by plain loops, by every kind of model, and in every format."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
import openpyxl
import places
import pytest
import torch
from transformers import AutoTokenizer

from emo_hf.export.export import export
from emo_hf.inference.explaining import explain
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel

LABELS = ["불안", "슬픔", "기쁨"]
TEXTS = ["오늘 학교에서 웃었어", "울었어", "어제  친구랑\t밥을 먹다가 나도 모르게 울었어", "뷁 뷁"]


def _saved(encoder: str, folder: Path, *, several: bool = False, **options: int) -> str:
    torch.manual_seed(1)
    model = EmotionModel.from_encoder(
        encoder, labels=LABELS, pooling="mean", embedding_size=16, multi_label=several, **options
    )
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(encoders, tmp_path_factory) -> str:
    return _saved(encoders["bert"], tmp_path_factory.mktemp("explained") / "run")


def _odds(predictor: Predictor, text: str, label: int) -> float:
    share = predictor.scores([text]).tolist()[0][label]
    return math.log(share / (1 - share))


def test_weights_are_those_of_a_plain_loop_over_the_words(model) -> None:
    predictor = Predictor(model)
    for text, found in zip(TEXTS, explain(predictor, TEXTS), strict=True):
        words = text.split()
        label = int(predictor.scores([text])[0].argmax())
        assert found.words == tuple(words) and found.label == predictor.labels[label]
        nothing, whole = _odds(predictor, "", label), _odds(predictor, " ".join(words), label)
        for place, word in enumerate(words):
            last = whole - _odds(predictor, " ".join(words[:place] + words[place + 1 :]), label)
            first = _odds(predictor, word, label) - nothing
            assert found.weights[place] == pytest.approx((first + last) / 2, abs=2e-3)
    assert max(abs(weight) for weight in found.weights) > 0.01, "nothing is weighed"


def test_of_two_words_it_is_their_shapley_value(model) -> None:
    """The mean over the orders in which words come, of what each adds."""
    predictor, words = Predictor(model), ("학교에서", "울었어")
    [found] = explain(predictor, [" ".join(words)])
    label = predictor.labels.index(found.label)
    shares = dict.fromkeys(words, 0.0)
    for order in itertools.permutations(words):
        before = _odds(predictor, "", label)
        for count, word in enumerate(order, 1):
            after = _odds(predictor, " ".join(one for one in words if one in order[:count]), label)
            shares[word] += (after - before) / 2
            before = after
    assert found.weights == pytest.approx([shares[word] for word in words], abs=2e-3)


def test_any_number_of_texts_are_explained_as_each_alone(model, monkeypatch) -> None:
    predictor = Predictor(model)
    alone = [next(explain(predictor, [text])) for text in TEXTS]
    monkeypatch.setattr("emo_hf.inference.explaining.ROWS", 3)
    for one, found in zip(alone, explain(predictor, TEXTS), strict=True):
        assert (one.label, one.words) == (found.label, found.words)
        assert one.weights == pytest.approx(found.weights, abs=1e-4)
    assert list(explain(predictor, [])) == []


@pytest.mark.parametrize("kind", ["onnx", "static"])
def test_exports_explain_as_their_run(kind, encoders, static_encoder, tmp_path) -> None:
    run = _saved(static_encoder if kind == "static" else encoders["bert"], tmp_path / "run")
    there = export(run, kind, tmp_path / "export")
    for one, found in zip(explain(Predictor(run), TEXTS), explain(Predictor(there), TEXTS), strict=True):
        assert (one.label, one.words) == (found.label, found.words)
        assert found.weights == pytest.approx(one.weights, abs=5e-3)


def test_a_label_of_several_is_explained_by_its_own_probability(encoders, tmp_path) -> None:
    predictor = Predictor(_saved(encoders["bert"], tmp_path / "run", several=True))
    [found] = explain(predictor, ["울었어"])
    label = predictor.labels.index(found.label)
    assert found.weights == pytest.approx([_odds(predictor, "울었어", label) - _odds(predictor, "", label)], abs=2e-3)


def _said(model: str, tmp_path: Path, *words: str) -> None:
    assert places.recipe("predict").main([model, *words, "--explain"]) == 0


def test_every_format_says_why(model, tmp_path, capsys) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("why,sentence\n7,오늘 학교에서 웃었어\n8,\n9,=울었어\n", encoding="utf-8")
    first, last = explain(Predictor(model), ["오늘 학교에서 웃었어", "=울었어"])
    for kind in ("csv", "tsv", "jsonl", "xlsx"):
        _said(model, tmp_path, str(table), "--output", str(tmp_path / f"out.{kind}"))
    for kind, delimiter in (("csv", ","), ("tsv", "\t")):
        content = (tmp_path / f"out.{kind}").read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content), delimiter=delimiter))
        assert [row["input_why"] for row in rows] == ["7", "8", "9"]
        assert [row["why"] for row in rows] == [first.told(), "", f"'{last.told()}"]  # no cell is a formula
    objects = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [word for word, _ in objects[0]["why"]] == ["오늘", "학교에서", "웃었어"] and objects[1]["why"] is None
    assert [weight for _, weight in objects[0]["why"]] == pytest.approx(first.weights, abs=1e-3)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    rows = [
        dict(zip([cell.value for cell in sheet[1]], row, strict=True))
        for row in sheet.iter_rows(min_row=2, values_only=True)
    ]
    assert [row["why"] for row in rows] == [first.told(), None, last.told()]
    capsys.readouterr()
    _said(model, tmp_path, "오늘 학교에서 웃었어")
    assert capsys.readouterr().out.endswith(f"\t오늘 학교에서 웃었어\t{first.told()}\n")


def test_the_words_that_matter_most_are_told_first(model) -> None:
    [found] = explain(Predictor(model), ["가 나 다 라 마 바 사 오늘 울었어"])
    told = [part.split() for part in found.told().split(", ")]
    sizes = sorted((abs(weight) for weight in found.weights), reverse=True)[:5]
    assert [abs(float(weight)) for _, weight in told] == pytest.approx(sizes, abs=0.051)
    assert np.all(np.diff([abs(float(weight)) for _, weight in told]) <= 0.001)
