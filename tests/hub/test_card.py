"""The card of a model: what it says stands in the record, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from emo_hf.hub.card import draw_pictures, model_card
from emo_hf.storage.record import read_record, summary


def test_the_card_says_what_the_record_says(trained) -> None:
    record = read_record(trained)
    draw_pictures(record, trained)
    card = ModelCard(model_card(record, "someone/mini", trained))
    assert (card.data.language, card.data.pipeline_tag, card.data.license) == ("ko", "text-classification", None)
    assert {r.metric_type: r.metric_value for r in card.data.eval_results} == {
        "accuracy": round(record["test"]["accuracy"], 4), "f1": round(record["test"]["macro_f1"], 4),
    }  # fmt: skip
    for label, scores in record["test"]["per_class"].items():
        assert f"| {label} | {scores['precision']:.3f} | {scores['recall']:.3f} | {scores['f1']:.3f} |" in card.text
    assert "TF-IDF is not known: it was trained alone" in card.text
    assert "cross-entropy + triplet loss" in card.text and 'model="someone/mini"' in card.text
    assert "![Confusion matrix of the test split](confusion.png)" in card.text and "train 144" in card.text
    assert str(Path(trained).parent) not in card.content.replace(str(record["arguments"]), "")
    low, high = (float(x) for x in card.text.split("| macro-F1 | ")[1].split("[")[1].split("]")[0].split(", "))
    assert (low <= record["test"]["macro_f1"] <= high and low < high) or low == high == 1.0


def test_a_class_without_a_test_row_has_no_score(trained) -> None:
    record = read_record(trained)
    label = next(iter(record["test"]["per_class"]))
    record["test"]["per_class"][label] = {"precision": None, "recall": None, "f1": None, "support": 0}
    text = ModelCard(model_card(record, "someone/mini")).text
    assert f"| {label} | – | – | – | 0 |" in text
    assert f"The test split has no row of {label}: macro-F1 is the mean over the other classes." in text
    assert f"  {label}  no test row" in summary(record)


@pytest.mark.parametrize(
    ("pooling", "aux", "said", "loss"),
    [
        ("cls", "contrastive", "it is Model 3.", "weight 0.1 of the contrastive loss (margin 1, distance norm"),
        ("mean", "triplet", "it is Model 6.", "weight 0.1 of the triplet loss (margin 1, distance norm"),
        ("mean", "supcon", None, "weight 0.1 of the supcon loss;"),
        ("max", "none", None, "learning rate"),
    ],
)
def test_the_card_has_the_number_and_the_arguments_that_the_model_has(trained, pooling, aux, said, loss) -> None:
    record = read_record(trained)
    other = {"aux_weight": 0.1, "margin": 1.0, "distance": "normalized_euclidean"}
    record["arguments"]["training"] |= other
    text = ModelCard(
        model_card(record | {"model": record["model"] | {"pooling": pooling, "aux": aux}}, "me/mini")
    ).text
    assert (said in text) if said else ("it is Model" not in text)
    assert loss in text.replace("\\_", "_") and ("margin" in text) == (aux in ("contrastive", "triplet"))


def test_a_model_with_ngrams_says_that_the_published_one_has_none(trained) -> None:
    record = read_record(trained)
    record["model"] |= {"pooling": "cls", "aux": "none"}
    record["arguments"]["model"]["ngrams"] = 0
    assert "it is Model 1." in model_card(record, "me/mini") and "n-grams" not in model_card(record, "me/mini")
    record["arguments"]["model"]["ngrams"] = 4
    text = model_card(record, "me/mini")
    assert "embedding with character n-grams of up to 4 letters;" in text
    assert "it is Model 1, which has no n-grams there." in text


def test_a_prefix_is_told_and_a_packed_encoder_is_a_model_of_the_hub(trained) -> None:
    record = read_record(trained)
    assert "before it, which the tokenizer puts there" not in model_card(record, "me/mini")
    record["model"] |= {"encoder": "multilingual-e5-small", "prefix": "query: "}
    card = ModelCard(model_card(record, "me/mini"))
    assert 'Every text is read with "query:" before it, which the tokenizer puts there' in card.text
    assert card.data.base_model == "intfloat/multilingual-e5-small"


def test_a_bundled_encoder_is_called_that_and_a_hub_encoder_is_the_base_model(trained) -> None:
    record = read_record(trained)
    bundled = ModelCard(model_card(record | {"model": record["model"] | {"encoder": "tiny-bert"}}, "me/mini"))
    assert bundled.data.base_model is None and "it is no KLUE model" in bundled.text
    klue = record | {"model": record["model"] | {"encoder": "klue/bert-base"}}
    assert ModelCard(model_card(klue, "me/mini")).data.base_model == "klue/bert-base"


def test_several_files_are_named_without_their_folders(trained) -> None:
    record = read_record(trained)
    files = ["data/2019.csv", "/home/someone/2020.csv"]
    record["data"]["source"], record["arguments"]["data"]["data"] = " ".join(files), files
    card = ModelCard(model_card(record, "me/mini"))
    assert "2019.csv, 2020.csv" in card.text and "someone" not in card.content
    assert card.data.datasets is None  # though it has a `/`, it is no id on the Hub


def test_names_cannot_break_the_card(trained) -> None:
    record = read_record(trained)
    evil = "기쁨 |<script>alert(1)</script>\n---\nlicense: mit"
    record["data"]["labels"] = [evil]
    record["test"]["per_class"] = {evil: next(iter(record["test"]["per_class"].values()))}
    record["data"]["source"] = "/home/someone/secret/a: b\n---\n<img src=x>.csv"
    card = model_card(record, "me/mini")
    front = card.split("\n---\n")[0].removeprefix("---\n")
    assert yaml.safe_load(front)["language"] == "ko" and "license" not in yaml.safe_load(front)
    assert "<script>" not in card and "\nlicense: mit" not in card and "<img" not in card.split("\n---\n", 1)[1]
    assert "/home/someone" not in card


def test_the_card_says_what_is_promised_and_how_a_pipeline_keeps_it(trained):
    record = read_record(trained) or {}
    record["calibration"]["temperatures"] = [1.0]
    assert "calibrated" not in model_card(record, "me/mine", trained)
    record["calibration"]["temperatures"] = [1.25]
    assert "its logits were divided by 1.250, fitted on" in model_card(record, "me/mine", trained)
    assert "모름" not in model_card(record, "me/mine", trained)
    share = [0.5, 0.4, 0.6]
    abstention = {"max_error": 0.1, "confidence": 0.95, "threshold": 0.8, "rows": 300, "answered": 200, "errors": 9}
    sets = {"coverage": 0.9, "confidence": 0.95, "kind": "adaptive", "bounds": [0.7], "rows": 300}
    record["promises"] = {
        "abstention": abstention | {"test": {"answered": share, "errors": [0.08, 0.05, 0.11]}},
        "label_sets": sets | {"test": {"coverage": [0.93, 0.9, 0.95], "labels": 1.5, "single": 0.5}},
    }
    card = model_card(record, "me/mine", trained)
    assert "at most 10 % of errors among its answers, with 95 % confidence" in card and "is 0.8000 or more" in card
    assert "answers 50.0 % [40.0, 60.0], of those 8.0 % [5.0, 11.0] wrongly" in card
    assert 'config.abstention["threshold"]' in card and "93.0 % [90.0, 95.0], and have 1.50 labels" in card
    record["promises"]["abstention"] |= {"threshold": None, "test": {"answered": [0.0, 0.0, 0.1], "errors": None}}
    assert "No threshold holds that, so that every answer is 모름." in model_card(record, "me/mine", trained)
