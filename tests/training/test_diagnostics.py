"""What is said of a training that goes wrong."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emo_hf.errors import UserError
from emo_hf.training.diagnostics import Watch

ARGUMENTS = SimpleNamespace(aux="triplet", margin=1.0, mining="all", aux_kwargs=None, distance="euclidean")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_named(value: float) -> None:
    watch = Watch()
    good = {"ce_loss": torch.tensor(1.0), "aux_loss": torch.tensor(0.5), "positive_distance": torch.tensor(value)}
    watch.step(3, good, torch.arange(12))
    watch.step(4, good | {"aux_loss": torch.tensor(value)}, torch.arange(12) + 20)
    with pytest.raises(
        UserError, match=rf"aux_loss is {value} at step 4, training rows 20, .* \(12 rows\): .*learning"
    ):
        watch.step(5, good, None)


def test_a_collapse_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()
    watch.log({"embedding_norm": 2.0, "embedding_spread": 1.1, "aux_loss": 1.0}, ARGUMENTS)
    assert not caplog.records
    for _ in range(3):
        watch.log({"embedding_norm": 2.0, "embedding_spread": 0.001, "aux_loss": 1.001}, ARGUMENTS)
    [record] = caplog.records
    assert "collapsed" in record.getMessage() and "triplet loss stands at the margin" in record.getMessage()


LOWER = "try a lower --learning_rate"
SMALLER = f"{LOWER}, a smaller --aux_weight or --aux_warmup 0.1"


@pytest.mark.parametrize(
    ("aux", "ends"),
    [
        ("triplet", f"and the triplet loss stands at the margin: {SMALLER}, or --mining semi-hard"),
        ("contrastive", f"and the contrastive loss stands at the margin: {SMALLER}"),
        ("supcon", f"norm 2): {SMALLER}"),
        ("none", f"norm 2): {LOWER}"),
    ],
)
def test_a_collapse_comes_with_advice_that_the_loss_can_follow(aux: str, ends: str, caplog) -> None:
    given = SimpleNamespace(**vars(ARGUMENTS) | {"aux": aux})
    Watch().log({"embedding_norm": 2.0, "embedding_spread": 0.001, "aux_loss": 1.001}, given)
    assert caplog.records[0].getMessage().endswith(ends)


def distances(near: float, far: float, active: float) -> dict[str, float]:
    return {"positive_distance": near, "negative_distance": far, "active_share": active, "aux_loss": 1.0}


@pytest.mark.parametrize(
    ("aux", "distance", "logs", "said"),
    [
        (
            "contrastive", "euclidean", [distances(1.9, 2.0, 0.5)],
            "the contrastive loss squeezes the embeddings and may cost the rare classes: the texts of one class that "
            "it compares lie 1.9 apart, those of different classes 2, both beyond the margin 1, so that nothing is "
            "pushed apart; raise --margin, or use --distance normalized_euclidean, which has no scale",
        ),
        ("contrastive", "normalized_euclidean", [distances(0.7, 1.2, 0.6)] * 3, None),
        ("contrastive", "euclidean", [distances(0.5, 2.0, 0.5)] * 3, None),  # what the loss is for
        ("triplet", "euclidean", [distances(1.9, 2.0, 0.5)], None),  # its margin is between distances
        (
            "triplet", "cosine", [distances(0.5, 0.6, 1.0)] * 2,
            "the margin 1 of the triplet loss is out of reach: the texts of one class that it compares lie 0.5 apart, "
            "those of different classes 0.6; lower --margin",
        ),
        ("triplet", "cosine", [distances(0.5, 0.6, 1.0), distances(0.4, 0.9, 0.8)], None),
        (
            "triplet", "euclidean", [distances(10, 30, 0.001)],
            "the triplet loss has nothing to do: the texts of one class that it compares lie 10 apart, those of "
            "different classes 30, and 0.1 % of what it compares is within the margin 1; raise --margin, or use "
            "--distance normalized_euclidean, which has no scale",
        ),
        (
            "triplet", "euclidean", [distances(1, math.nan, 0.0)],  # rows that all have all labels
            "the triplet loss has nothing to do: no two texts of a batch are of different classes; use --aux none",
        ),
        (
            "triplet", "euclidean", [distances(math.nan, 2, 0.0)],
            "the triplet loss has nothing to do: no two texts of a batch are of one class; use --aux none",
        ),
        ("triplet", "euclidean", [distances(9, 10, 0.5), distances(1, 30, 0.001)], None),  # it has done its work
        ("supcon", "euclidean", [distances(5.0, 5.0, 1.0)] * 3, None),  # without a margin
    ],
)  # fmt: skip
def test_a_margin_that_does_not_fit_is_said_once(aux, distance, logs, said, caplog) -> None:
    watch, given = Watch(), SimpleNamespace(**vars(ARGUMENTS) | {"aux": aux, "distance": distance})
    for entry in [*logs, *(logs if said else [])]:
        watch.log({"embedding_norm": 5.0, "embedding_spread": 2.0, **entry}, given)
    assert [record.getMessage() for record in caplog.records] == ([said] if said else [])


@pytest.mark.parametrize(
    ("given", "predicted", "said"),
    [
        (
            {"aux": "contrastive"}, [0, 1] * 10,
            "no validation row is predicted as 슬픔 (10 % of them): train for more epochs (--num_train_epochs), lower "
            "--aux_weight or use --distance normalized_euclidean",
        ),
        (
            {"aux": "none"}, [0] * 20,
            "no validation row is predicted as 기쁨 (40 % of them), 슬픔 (10 % of them): train for more epochs "
            "(--num_train_epochs)",
        ),
        ({"aux": "triplet"}, [0, 1, 2, 0] * 5, None),
    ],
)  # fmt: skip
def test_a_class_that_is_never_predicted_is_said_once(given, predicted, said, caplog) -> None:
    watch, true = Watch(), np.array([0] * 10 + [1] * 8 + [2] * 2)
    for _ in range(2):
        watch.evaluated(
            np.array(predicted), true, ["불안", "기쁨", "슬픔"], SimpleNamespace(**vars(ARGUMENTS) | given)
        )
    assert [record.getMessage() for record in caplog.records] == ([said] if said else [])


def test_a_small_class_may_need_more_epochs(caplog) -> None:
    Watch().evaluated(np.zeros(25, dtype=int), np.array([0] * 24 + [1]), ["기쁨", "슬픔"], ARGUMENTS)
    assert not caplog.records


def test_a_training_says_that_its_loss_squeezes_and_that_a_class_is_lost(make_trainer, caplog) -> None:
    trainer = make_trainer(
        aux="contrastive",
        distance="euclidean",
        margin=0.01,
        eval_strategy="epoch",
        num_train_epochs=2,
        learning_rate=0.0,
        load_best_model_at_end=False,
    )
    with torch.no_grad():
        trainer.model.classifier.bias[1] = -100.0
    trainer.train()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("emo_hf")]
    assert sum("squeezes the embeddings" in line for line in said) == 1
    assert sum("no validation row is predicted as 슬픔" in line for line in said) == 1
    caplog.clear()
    trainer.predict(trainer.eval_dataset)  # of test rows nobody can learn for the training
    assert not any("no validation row" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("mining", ["hard", "semi-hard"])
def test_triplets_that_were_chosen_for_their_loss_say_nothing_of_the_margin(mining, caplog) -> None:
    watch, given = Watch(), SimpleNamespace(**vars(ARGUMENTS) | {"mining": mining})
    for _ in range(3):
        watch.log({"embedding_norm": 5.0, "embedding_spread": 2.0, **distances(0.7, 0.4, 1.0)}, given)
    assert not caplog.records
