"""Scores of texts from elsewhere, against plain loops."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from emo_hf.evaluation.unfamiliar import Familiar, auroc, scores, unsure

DRAWS = np.random.default_rng(0)
CLASSES = np.arange(90) % 3
CENTRES = 4 * DRAWS.normal(size=(3, 5))
KNOWN = CENTRES[CLASSES] + DRAWS.normal(size=(90, 5))
NEW = np.concatenate([CENTRES[:2] + 0.5, 9 * DRAWS.normal(size=(4, 5))])


def test_distances_are_those_of_a_plain_loop() -> None:
    known = Familiar(KNOWN, CLASSES)
    means = [KNOWN[label == CLASSES].mean(0) for label in range(3)]
    covariance, _ = ledoit_wolf(np.array([row - means[label] for row, label in zip(KNOWN, CLASSES, strict=True)]),
                                assume_centered=True)  # fmt: skip
    for place, row in enumerate(NEW):
        nearest = min(float(np.sum((row - mean) ** 2)) ** 0.5 for mean in means)
        assert known.class_mean(NEW)[place] == pytest.approx(nearest)
        spread = min(float((row - mean) @ np.linalg.solve(covariance, row - mean)) for mean in means)
        assert known.mahalanobis(NEW)[place] == pytest.approx(spread)
        apart = sorted(
            float(np.sum((row / np.linalg.norm(row) - other / np.linalg.norm(other)) ** 2)) ** 0.5 for other in KNOWN
        )
        assert known.neighbour(NEW)[place] == pytest.approx(apart[9], abs=1e-6)


def test_a_class_that_no_training_text_has_is_no_mean() -> None:
    with_gap = np.where(CLASSES == 2, 7, CLASSES)
    np.testing.assert_allclose(Familiar(KNOWN, with_gap).mahalanobis(NEW), Familiar(KNOWN, CLASSES).mahalanobis(NEW))


def test_what_is_far_has_the_larger_scores() -> None:
    shares = np.array([[0.9, 0.05, 0.05]] * 2 + [[0.4, 0.3, 0.3]] * 4)
    found = scores(Familiar(KNOWN, CLASSES), NEW, shares)
    for name, values in found.items():
        if name != "nearest neighbours":  # a direction may be familiar, however far
            assert values[:2].max() < values[2:].min(), name
    assert unsure(shares).tolist() == pytest.approx([0.1] * 2 + [0.6] * 4)


def test_every_weighting_is_as_texts_that_stand_there_so_often() -> None:
    home, away = DRAWS.integers(0, 9, 30).astype(float), DRAWS.integers(3, 12, 20).astype(float)
    weights = [np.concatenate([np.ones((1, n)), DRAWS.multinomial(n, np.full(n, 1 / n), size=4)]) for n in (30, 20)]
    found = auroc(home, away, *weights)
    for place in range(5):
        drawn = [
            np.repeat(values, counts[place].astype(int)) for values, counts in zip((home, away), weights, strict=True)
        ]
        truth = np.repeat([0, 1], [len(one) for one in drawn])
        assert found[place] == pytest.approx(roc_auc_score(truth, np.concatenate(drawn)))
