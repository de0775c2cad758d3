"""What is said of a training that goes wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from emo_hf.errors import UserError
from emo_hf.training.diagnostics import Watch

ARGUMENTS = SimpleNamespace(aux="triplet", margin=1.0, mining="all", aux_kwargs=None)


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
