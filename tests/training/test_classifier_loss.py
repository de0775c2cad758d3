"""The classifier's loss in a trainer, in a run's record and in what is said of it."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from torch.nn import functional as F

from emo_hf.escaping import markdown_name
from emo_hf.hub.card import model_card
from emo_hf.losses.classification import ClassificationLoss

KINDS = [
    {"classification_loss": "focal", "focal_gamma": 1.5},
    {"classification_loss": "logit_adjusted", "logit_adjustment": 0.7},
    {"class_weights": "balanced"},
    {
        "classification_loss": "focal",
        "class_weights": "effective",
        "effective_beta": 0.9,
        "label_smoothing_factor": 0.2,
    },
]


@pytest.mark.parametrize("case", KINDS, ids=str)
def test_a_step_is_trained_with_it_and_validation_is_plain(make_trainer, tokens, case) -> None:
    """By the classes of the training rows, which are of unequal size; beside a metric loss too."""
    each_step = {"logging_strategy": "steps", "logging_steps": 1}
    trainer = make_trainer(aux="triplet", per_device_train_batch_size=16, max_steps=2, **each_step, **case)
    rows = tokens["train"].filter(lambda row, place: row["labels"] == 0 or place % 4 == 0, with_indices=True)
    trainer.train_dataset = rows
    trainer.train()
    sizes = Counter(rows["labels"][:])
    assert len(set(sizes.values())) > 1
    names = {"classification_loss": "kind", "label_smoothing_factor": "smoothing"}
    loss = ClassificationLoss([sizes[label] for label in range(3)], **{names.get(k, k): v for k, v in case.items()})
    entries = [entry for entry in trainer.state.log_history if "aux_loss" in entry]
    for step, entry in zip(trainer.steps, entries, strict=True):
        logits, labels = step["logits"], step["inputs"]["labels"]
        expected = loss(logits, labels).item()
        assert step["loss"] == pytest.approx(expected + 0.1 * entry["aux_loss"], rel=1e-4)
        assert entry["ce_loss"] == pytest.approx(expected, rel=1e-4)
        assert entry["plain_ce_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
        assert abs(entry["plain_ce_loss"] - expected) > 1e-3
    with torch.no_grad():
        losses = [
            F.cross_entropy(
                trainer.model(input_ids=torch.tensor([row["input_ids"]])).logits, torch.tensor([row["labels"]])
            ).item()
            for row in tokens["validation"]
        ]
    assert trainer.evaluate()["eval_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_a_run_says_what_its_classifier_was_trained_with(mains, speck, tmp_path, capsys) -> None:
    words = "--max_length 32 --classification_loss focal --class_weights sqrt --aux triplet --num_train_epochs 1"
    folder = tmp_path / "run"
    assert (
        mains["train"](["--encoder", speck[0], "--data", speck[1], "--output_dir", str(folder), *words.split()]) == 0
    )
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    own = {"classification_loss": "focal", "class_weights": "sqrt", "focal_gamma": 2.0}
    assert record["model"]["classifier_loss"] == own
    said = capsys.readouterr()
    assert "focal (class_weights=sqrt, focal_gamma=2) + triplet, seed 42" in said.out
    assert "(focal 0." in said.err  # of the epoch
    assert markdown_name("focal (class_weights=sqrt, focal_gamma=2) + triplet loss") in model_card(record, "me/model")


def test_what_makes_no_difference_is_refused(refused) -> None:
    assert refused("--focal_gamma", "3") == (
        "--focal_gamma is 3.0, but it counts with --classification_loss focal alone; add that, or leave it out"
    )
    assert refused("--class_weights", "equal") == (
        "--class_weights is 'equal'; allowed: none, balanced, sqrt, effective"
    )
