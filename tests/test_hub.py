"""The card of a run, and what is said when the Hub can't be used."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from emo_hf import hub
from emo_hf.errors import UserError

RECORD = {
    "run_id": "mini_mean_triplet_seed1",
    "seed": 1,
    "model": {"encoder": "klue/bert-base", "name": "bert-base", "pooling": "mean", "aux": "triplet"},
    "data": {
        "source": "sample",
        "fingerprint": "0123456789abcdef0123",
        "labels": ["불안", "기쁨"],
        "counts": {"train": {"불안": 5, "기쁨": 5}, "test": {"불안": 2, "기쁨": 2}},
    },
    "test": {
        "accuracy": 0.75,
        "macro_f1": 0.7333,
        "per_class": {
            "불안": {"precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 2},
            "기쁨": {"precision": 0.667, "recall": 1.0, "f1": 0.8, "support": 2},
        },
    },
}


def test_the_card_says_what_the_record_says() -> None:
    card = ModelCard(hub.model_card(RECORD, "someone/mini"))
    assert (card.data.language, card.data.pipeline_tag) == ("ko", "text-classification")
    assert card.data.base_model == "klue/bert-base"
    assert {r.metric_type: r.metric_value for r in card.data.eval_results} == {"accuracy": 0.75, "f1": 0.7333}
    assert "| 불안 | 1.000 | 0.500 | 0.667 | 2 |" in card.text
    assert "cross-entropy + triplet loss" in card.text and 'model="someone/mini"' in card.text


def test_a_bundled_encoder_is_called_that() -> None:
    record = RECORD | {"model": RECORD["model"] | {"encoder": "tiny-bert"}}
    card = ModelCard(hub.model_card(record, "someone/mini"))
    assert card.data.base_model is None
    assert "it is no KLUE model" in card.text


def test_without_network_or_log_in_one_line_before_training(monkeypatch) -> None:
    def no_network(self):
        raise hub._HTTP_ERROR("Name or service not known")

    monkeypatch.setattr(hub.HfApi, "whoami", no_network)
    with pytest.raises(UserError, match=r"Name or service not known.*hf auth login") as caught:
        hub.check_access(None, default_name="mini")
    assert "\n" not in str(caught.value)


def test_a_push_that_fails_says_how_to_try_again(monkeypatch, tmp_path) -> None:
    def cut(self, **given):
        raise hub._HTTP_ERROR("timed out")

    monkeypatch.setattr(hub.HfApi, "upload_folder", cut)
    with pytest.raises(UserError, match=r"timed out.*hf upload someone/mini"):
        hub.push(tmp_path, RECORD, "someone/mini")
    assert (tmp_path / "README.md").exists()
