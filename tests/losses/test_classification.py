"""The classifier's loss against a plain loop, against torch's where it has one, and by what it is there for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from emo_hf.errors import UserError
from emo_hf.losses.classification import (
    CLASS_WEIGHTS,
    CLASSIFICATION_LOSSES,
    OF_SETS_ALONE,
    ClassificationLoss,
    LabelSetLoss,
    weights_of,
)
from emo_hf.models.modeling import label_set_loss

COUNTS = (185, 12, 3, 1)
OF_ONE_LABEL = [kind for kind in CLASSIFICATION_LOSSES if kind != OF_SETS_ALONE]
PRODUCT = [
    {"kind": kind, "class_weights": weights, "smoothing": smoothing, **more}
    for kind, weights, smoothing in itertools.product(OF_ONE_LABEL, CLASS_WEIGHTS, (0.0, 0.1, 0.6))
    for more in {
        "cross_entropy": [{}],
        "focal": [{"focal_gamma": gamma} for gamma in (0.0, 0.5, 2.0)],
        "logit_adjusted": [{"logit_adjustment": tau} for tau in (0.0, 1.0, 1.7)],
    }[kind]
]


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(3)
    logits = torch.randn(9, 4, generator=drawn, dtype=torch.float64) * 3
    return logits.requires_grad_(), torch.tensor([0, 0, 1, 2, 3, 3, 0, 1, 2])


def loop(logits: Tensor, labels: Tensor, options: dict) -> Tensor:
    """Row by row and class by class, with `math` alone for what is no tensor."""
    total, classes = sum(COUNTS), len(COUNTS)
    weights = {
        "none": [1.0] * classes,
        "balanced": [1 / n for n in COUNTS],
        "sqrt": [1 / math.sqrt(n) for n in COUNTS],
        "effective": [(1 - 0.999) / (1 - 0.999**n) for n in COUNTS],
    }[options["class_weights"]]
    mean = sum(weight * n for weight, n in zip(weights, COUNTS, strict=True)) / total
    losses = []
    for row, label in zip(logits, labels.tolist(), strict=True):
        z = [row[c] + options.get("logit_adjustment", 0.0) * math.log(n / total) for c, n in enumerate(COUNTS)]
        p = [z[c].exp() / sum(other.exp() for other in z) for c in range(classes)]
        target = [options["smoothing"] / classes + (1 - options["smoothing"]) * (c == label) for c in range(classes)]
        entropy = -sum(q * of.log() for q, of in zip(target, p, strict=True))
        factor = (1 - p[label]) ** options.get("focal_gamma", 0.0)
        losses.append(weights[label] / mean * factor * entropy)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("options", PRODUCT, ids=lambda options: "-".join(map(str, options.values())))
def test_value_and_gradient_are_those_of_a_plain_loop(batch, options) -> None:
    logits, labels = batch
    expected = loop(logits, labels, options)
    [slope] = torch.autograd.grad(expected, logits)
    found = ClassificationLoss(COUNTS, **options)(logits, labels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.autograd.grad(found, logits)[0], slope, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_it_is_cross_entropy_of_torch(batch, smoothing) -> None:
    logits, labels = batch
    found = ClassificationLoss(COUNTS, smoothing=smoothing)(logits, labels)
    torch.testing.assert_close(
        found, torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("options", PRODUCT, ids=lambda options: "-".join(map(str, options.values())))
def test_the_halves_of_a_batch_mean_the_whole(batch, options) -> None:
    """So processes and accumulated batches train as one batch; torch's weighted mean divides by a batch's weights."""
    logits, labels = batch[0][:8], batch[1][:8]
    loss = ClassificationLoss(COUNTS, **options)
    halves = (loss(logits[:4], labels[:4]) + loss(logits[4:], labels[4:])) / 2
    torch.testing.assert_close(halves, loss(logits, labels), rtol=1e-12, atol=0)


@pytest.mark.parametrize("options", PRODUCT, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_row_that_is_certain_has_a_finite_gradient(options, dtype) -> None:
    logits = torch.tensor([[300.0, 0, 0, 0], [0, 300.0, 0, 0]], dtype=dtype, requires_grad=True)
    found = ClassificationLoss(COUNTS, **options)(logits, torch.tensor([0, 2]))
    assert found.dtype == torch.float32 and found.isfinite()
    assert torch.autograd.grad(found, logits)[0].isfinite().all()


def test_weights_are_1_in_the_mean_over_the_rows() -> None:
    rows = np.array(COUNTS, dtype=float)
    for kind in CLASS_WEIGHTS[1:]:
        found = weights_of(rows, kind)
        assert (found * rows).sum() == pytest.approx(rows.sum())
        assert (np.diff(found) > 0).all()  # the rarer, the heavier
    balanced = weights_of(rows, "balanced")
    np.testing.assert_allclose(balanced * rows, rows.sum() / len(rows))  # every class has one share
    np.testing.assert_allclose(weights_of(rows, "effective", beta=0.0), 1.0)
    np.testing.assert_allclose(weights_of(rows, "effective", beta=1 - 1e-9), balanced, rtol=1e-6)
    assert weights_of(np.array([5, 0, 5]), "balanced").tolist() == [1.0, 0.0, 1.0]


def _trained(loss, labels: Tensor) -> Tensor:
    """The probabilities that minimise a loss over rows that nothing tells apart."""
    logits = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(logits.expand(len(labels), 2), labels)
        value.backward()
        return value

    optimizer.step(closure)
    return logits.detach().softmax(-1)[0]


def test_what_a_model_learns_of_rows_that_say_nothing() -> None:
    """Cross-entropy learns the shares of the classes; the weighted and the adjusted loss that they are equal."""
    labels = torch.tensor([0] * 95 + [1] * 5)
    counts = [95, 5]
    assert _trained(ClassificationLoss(counts), labels)[1].item() == pytest.approx(0.05, abs=1e-5)
    balanced = _trained(ClassificationLoss(counts, class_weights="balanced"), labels)[1].item()
    adjusted = _trained(ClassificationLoss(counts, kind="logit_adjusted"), labels)[1].item()
    assert (balanced, adjusted) == (pytest.approx(0.5, abs=1e-5), pytest.approx(0.5, abs=1e-5))
    rooted = _trained(ClassificationLoss(counts, class_weights="sqrt"), labels)[1].item()
    assert 0.05 < rooted < 0.5


def test_a_heavy_class_wins_no_rows_by_the_smoothing() -> None:
    """Of rows that are surely of the common class, torch's weighted and smoothed loss predicts the rare one."""
    rows, counts = torch.zeros(8, dtype=torch.long), [185, 1]
    ours = ClassificationLoss(counts, class_weights="balanced", smoothing=0.1)
    assert _trained(ours, rows)[0].item() == pytest.approx(0.95, abs=1e-4)
    weights = torch.tensor(weights_of(np.array(counts), "balanced"))
    theirs = torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=0.1)
    assert _trained(theirs, rows)[0].item() < 0.2


def test_focal_turns_to_the_rows_that_it_gets_wrong() -> None:
    logits = torch.tensor([[3.0, 0, 0, 0], [0, 3.0, 0, 0]], requires_grad=True)
    labels = torch.tensor([0, 0])  # one right, one wrong
    shares = []
    for gamma in (0.0, 1.0, 3.0):
        loss = ClassificationLoss(COUNTS, kind="focal", focal_gamma=gamma)(logits, labels)
        of_rows = torch.autograd.grad(loss, logits)[0].norm(dim=1)
        shares.append((of_rows[0] / of_rows.sum()).item())
    assert shares[0] > 3 * shares[1] > 30 * shares[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "dice"}, "--classification_loss is 'dice'; allowed: cross_entropy, focal, logit_adjusted, asymm"),
        ({"kind": "asymmetric"}, "rows with one label each take cross_entropy, focal or logit_adjusted"),
        ({"class_weights": "equal"}, "--class_weights is 'equal'; allowed: none, balanced, sqrt, effective"),
    ],
)
def test_an_unknown_name_is_refused(options, said) -> None:
    with pytest.raises(UserError, match=said):
        ClassificationLoss(COUNTS, **options)


def test_a_class_without_rows_has_no_share_to_adjust_by() -> None:
    with pytest.raises(UserError, match="no training row is of class 1; leave such classes out"):
        ClassificationLoss([3, 0, 4], kind="logit_adjusted")


SETS = torch.tensor(
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]]
)
HAVE, ROWS = (150, 40, 3, 0), 200
OF_SETS = [
    {"kind": kind, "class_weights": weights, **more}
    for kind, weights in itertools.product(CLASSIFICATION_LOSSES, CLASS_WEIGHTS)
    for more in {
        "cross_entropy": [{}],
        "focal": [{"focal_gamma": gamma} for gamma in (0.0, 0.5, 2.0)],
        "logit_adjusted": [{"logit_adjustment": tau} for tau in (0.0, 1.0, 1.7)],
        "asymmetric": [{"asymmetric_gamma": 4.0, "asymmetric_clip": clip} for clip in (0.0, 0.05, 0.4)],
    }[kind]
]


def set_loop(logits: Tensor, labels: Tensor, options: dict) -> Tensor:
    total = []
    for row, have in zip(logits, labels.tolist(), strict=True):
        for c, n in enumerate(HAVE):
            known = min(max(n, 0.5), ROWS - 0.5)
            p = torch.sigmoid(row[c] + options.get("logit_adjustment", 0.0) * math.log(known / (ROWS - known)))
            gamma = options.get("focal_gamma", 0.0)
            weights = {"none": lambda n: 1.0, "balanced": lambda n: 1 / n, "sqrt": lambda n: 1 / math.sqrt(n)}
            weight = weights.get(options["class_weights"], lambda n: 0.001 / (1 - 0.999**n))
            mean = 1.0
            if 0 < n < ROWS:
                mean = (weight(n) * n + weight(ROWS - n) * (ROWS - n)) / ROWS
            own = weight(n if have[c] else ROWS - n) / mean if 0 < n < ROWS else 1.0
            if have[c]:
                total.append(own * (1 - p) ** gamma * -p.log())
            elif options["kind"] == "asymmetric":
                q = torch.relu(p - options["asymmetric_clip"])
                total.append(own * q ** options["asymmetric_gamma"] * -(1 - q).log())
            else:
                total.append(own * p**gamma * -(1 - p).log())
    return sum(total) / len(logits)


@pytest.mark.parametrize("options", OF_SETS, ids=lambda options: "-".join(map(str, options.values())))
def test_sets_of_labels_against_a_plain_loop(options) -> None:
    drawn = torch.Generator().manual_seed(4)
    logits = (torch.randn(8, 4, generator=drawn, dtype=torch.float64) * 3).requires_grad_()
    expected = set_loop(logits, SETS, options)
    loss = LabelSetLoss(HAVE, ROWS, **options)
    found = loss(logits, SETS)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for ours, theirs in zip(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)
    halves = (loss(logits[:4], SETS[:4]) + loss(logits[4:], SETS[4:])) / 2
    torch.testing.assert_close(halves, found, rtol=1e-12, atol=0)


@pytest.mark.parametrize("options", OF_SETS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sets_that_are_certain_have_a_finite_gradient(options, dtype) -> None:
    logits = torch.tensor([[300.0, -300, 300, -300], [-300, 300, 0, 0]], dtype=dtype, requires_grad=True)
    found = LabelSetLoss(HAVE, ROWS, **options)(logits, SETS[:2])
    assert found.dtype == torch.float32 and found.isfinite()
    assert torch.autograd.grad(found, logits)[0].isfinite().all()


def test_plain_sets_are_the_loss_of_the_model() -> None:
    logits = torch.randn(8, 4, dtype=torch.float64)
    own = label_set_loss(logits, SETS)
    torch.testing.assert_close(LabelSetLoss(HAVE, ROWS)(logits, SETS), own, rtol=1e-12, atol=0)
    of_torch = torch.nn.BCEWithLogitsLoss()(logits, SETS.to(logits))
    torch.testing.assert_close(own, of_torch * 4, rtol=1e-12, atol=0)
