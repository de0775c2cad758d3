"""Losses by name: what is built from arguments, and what is refused in words."""

from __future__ import annotations

import pytest
import torch
from plain_losses import settings_of
from torch import Tensor

from emo_hf.errors import UserError
from emo_hf.losses import TripletLoss, build_loss


def test_build_loss() -> None:
    assert build_loss("none", margin=1.0, distance="normalized_euclidean", mining="all") is None
    triplet = build_loss("triplet", margin=0.5, distance="cosine", mining="hard", soft=True, reduction="valid")
    assert settings_of(triplet) == {
        "margin": 0.5, "distance": "cosine", "mining": "hard", "soft": True, "reduction": "valid",
        "overlap": "jaccard",
    }  # fmt: skip
    assert build_loss("contrastive", balanced=True).balanced
    assert build_loss("supcon", temperature=0.2).temperature == 0.2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"aux": "arcface"}, "none, contrastive, triplet, supcon"),
        ({"aux": "triplet", "mining": "easy"}, "all, semi-hard, hard, sampled"),
        ({"aux": "contrastive", "mining": "semi-hard"}, "all, hard, sampled"),
        ({"aux": "triplet", "distance": "manhattan"}, "normalized_euclidean, cosine, euclidean, squared_euclidean"),
        ({"aux": "triplet", "reduction": "sum"}, "active, valid"),
        ({"aux": "triplet", "soft": True}, "semi-hard, hard or sampled"),
        ({"aux": "triplet", "balanced": True}, "reduction, soft"),
        ({"aux": "contrastive", "margin": -1.0}, "0 or more"),
        ({"aux": "contrastive", "margin": float("nan")}, "0 or more"),
        ({"aux": "supcon", "temperature": 0.0}, "above 0"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        build_loss(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels": torch.zeros(3)}, "labels"),
        ({"reference": torch.zeros(4, 2)}, "go together"),
        ({"reference": torch.zeros(4, 3), "reference_labels": torch.zeros(4)}, "reference"),
        ({"rows": torch.zeros(1)}, "rows"),
        ({"reference_rows": torch.zeros(2)}, "needs a reference"),
        ({"reference": torch.zeros(4, 2), "reference_labels": torch.zeros(4), "rows": torch.zeros(2)}, "go together"),
    ],
)
def test_arguments_that_do_not_fit_are_named(more: dict[str, Tensor], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TripletLoss()(**{"embeddings": torch.zeros(2, 2), "labels": torch.zeros(2), **more})
