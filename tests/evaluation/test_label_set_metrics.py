"""Thresholds against all there are, and scores of label sets against plain counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from transformers import EvalPrediction

from emo_hf.evaluation.calibration import reliability_of_sets
from emo_hf.evaluation.label_set_metrics import LabelSetScores, label_set_intervals
from emo_hf.evaluation.thresholds import THRESHOLDS, choose_thresholds, decide, macro_f1, sigmoid
from emo_hf.evaluation.trainer_metrics import label_set_metrics


@pytest.fixture(params=range(4))
def rows(request) -> tuple[np.ndarray, np.ndarray]:
    """40 rows of 6 labels: one on no row, one on all, one on one row; probabilities that may tie."""
    random = np.random.default_rng(request.param)
    labels = (random.random((40, 6)) < [0.5, 0.3, 0.1, 0.6, 0.0, 1.0]).astype(int)
    labels[:, 2] = np.arange(40) == 7
    scores = np.clip(np.round(0.25 * labels + 0.6 * random.random((40, 6)), 1), 0.05, 0.95)
    return scores, labels


def f1_by_hand(given: np.ndarray, actual: np.ndarray) -> float:
    hits = sum(bool(g) and bool(a) for g, a in zip(given, actual, strict=True))
    return 2 * hits / (int(given.sum()) + int(actual.sum())) if given.sum() + actual.sum() else 0.0


def best_of_rows(scores: np.ndarray, actual: np.ndarray) -> float:
    """The lowest place of a cut with the best F1 of one label, half-way to the next lower score."""
    cuts = sorted(set(scores), reverse=True)
    at = max(cuts, key=lambda cut: f1_by_hand(scores >= cut, actual))
    return (at + max((score for score in cuts if score < at), default=0.0)) / 2


def test_the_threshold_of_a_label_is_the_mean_of_the_best_ones_of_resamples(rows) -> None:
    scores, labels = rows
    found = choose_thresholds(scores, labels)
    drawn = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), size=50)
    for c in range(4):
        odds = []
        for counts in drawn:
            resampled = np.repeat(np.arange(40), counts)
            if not labels[resampled, c].any():
                continue
            cuts = sorted(set(scores[:, c]), reverse=True)
            f1 = [f1_by_hand(scores[resampled, c] >= cut, labels[resampled, c]) for cut in cuts]
            at = int(np.argmax(f1))
            place = (cuts[at] + [*cuts, 0.0][at + 1]) / 2
            odds.append(np.log(place / (1 - place)))
        assert np.log(found[c] / (1 - found[c])) == pytest.approx(np.mean(odds))
        assert (len(odds) < 50) == (c == 2)  # of one row, which a third of the resamples lack


def test_thresholds_hold_better_on_other_rows_than_the_best_ones_do() -> None:
    """Labels of ten rows in 400: the best threshold of the rows themselves goes by chance."""
    random = np.random.default_rng(2)
    gains = []
    for _ in range(150):
        actual = (random.random((800, 4)) < 0.025).astype(int)
        scores = sigmoid(-4 + 2.5 * actual + random.normal(size=actual.shape))
        found = choose_thresholds(scores[:400], actual[:400])
        best = np.array([best_of_rows(scores[:400, c], actual[:400, c]) for c in range(4)])
        held = [macro_f1(decide(scores[400:], places), actual[400:] > 0) for places in (found, best)]
        gains.append(held[0] - held[1])
    assert np.mean(gains) > 3 * np.std(gains) / len(gains) ** 0.5


def test_one_threshold_for_all_is_the_best_of_a_grid(rows) -> None:
    scores, labels = rows
    [joint] = set(choose_thresholds(scores, labels, "global"))
    known = labels.any(0)

    def mean(place: float) -> float:
        return np.mean([f1_by_hand(scores[:, c] >= place, labels[:, c]) for c in np.flatnonzero(known)])

    assert mean(joint) == pytest.approx(max(map(mean, np.linspace(0.01, 0.99, 99))))
    own = choose_thresholds(scores, labels)
    assert own[4] == own[5] == joint  # a label of no row, and one of all
    assert choose_thresholds(scores, labels, "0.5").tolist() == [0.5] * 6
    assert choose_thresholds(scores, labels * 0).tolist() == [0.5] * 6


def test_scores_are_those_of_plain_counting(rows) -> None:
    scores, labels = rows
    labels[0] = 0
    scores[0] = 0.05
    names = [f"label {c}" for c in range(6)]
    thresholds = choose_thresholds(scores, labels)
    found = LabelSetScores().compute(predictions=scores, references=labels, labels=names, thresholds=thresholds)
    given = decide(scores, thresholds)
    per_label = [f1_by_hand(given[:, c], labels[:, c]) for c in range(6)]
    assert [found["per_class"][name]["f1"] for name in names] == pytest.approx(
        [f1 if labels[:, c].any() else None for c, f1 in enumerate(per_label)]
    )
    assert found["per_class"]["label 4"] == {
        "precision": None, "recall": None, "f1": None, "average_precision": None, "threshold": thresholds[4],
        "support": 0,
    }  # fmt: skip
    assert found["macro_f1"] == pytest.approx(np.mean([per_label[c] for c in (0, 1, 2, 3, 5)]))
    assert found["macro_f1"] == pytest.approx(macro_f1(given, labels > 0))
    assert macro_f1(given, np.zeros_like(given)) == 0
    assert found["micro_f1"] == pytest.approx(f1_by_hand(given.ravel(), labels.ravel()))
    by_row = [f1_by_hand(g, a) if g.any() or a.any() else 1.0 for g, a in zip(given, labels, strict=True)]
    assert found["sample_f1"] == pytest.approx(np.mean(by_row))
    assert found["accuracy"] == np.mean([(g == a).all() for g, a in zip(given, labels.astype(bool), strict=True)])
    pairs = zip(scores, labels, strict=True)
    covered = [max((int((s >= s[c]).sum()) for c in np.flatnonzero(a)), default=0) for s, a in pairs]
    assert found["coverage_error"] == pytest.approx(np.mean(covered))
    assert 0 < found["lrap"] <= 1 and 0 < found["mean_average_precision"] <= 1


@pytest.mark.parametrize("kind", THRESHOLDS)
def test_a_trainer_is_told_the_scores_at_thresholds_of_its_rows(rows, kind) -> None:
    scores, labels = rows
    logits = np.log(scores / (1 - scores))
    np.testing.assert_allclose(sigmoid(logits), scores)
    thresholds = choose_thresholds(sigmoid(logits), labels, kind)
    names = list("abcdef")
    wanted = LabelSetScores().compute(
        predictions=sigmoid(logits), references=labels, labels=names, thresholds=thresholds
    )
    for predictions in (logits, (logits, np.zeros((40, 2)))):
        found = label_set_metrics(kind)(EvalPrediction(predictions=predictions, label_ids=labels))
        assert found == pytest.approx({name: wanted[name] for name in ("accuracy", "macro_f1", "micro_f1")})


def test_calibration_is_the_mean_gap_of_bins() -> None:
    scores = np.array([[0.1, 0.9], [0.1, 0.9], [0.7, 0.9]])
    labels = np.array([[0, 1], [1, 1], [1, 0]])
    gaps = [2 * abs(0.1 - 0.5), 1 * abs(0.7 - 1), 3 * abs(0.9 - 2 / 3)]
    found = reliability_of_sets(scores, labels)
    assert found.error == pytest.approx(sum(gaps) / 6) and found.counts.sum() == 6
    sure = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
    assert reliability_of_sets(sure, sure).error == 0


def test_intervals_are_those_of_scores_of_drawn_rows(rows) -> None:
    scores, labels = rows
    actual, given = labels > 0, decide(scores, choose_thresholds(scores, labels))
    actual[3] = given[3] = False
    found = label_set_intervals(given, actual, resamples=300, seed=5)
    drawn = np.random.default_rng(5).multinomial(40, np.full(40, 1 / 40), size=300)
    expected = {name: [] for name in found}
    for counts in drawn:
        g, a = np.repeat(given, counts, axis=0), np.repeat(actual, counts, axis=0)
        known = [f1_by_hand(g[:, c], a[:, c]) for c in range(6) if actual[:, c].any()]
        expected["macro_f1"].append(np.mean(known))
        expected["micro_f1"].append(f1_by_hand(g.ravel(), a.ravel()))
        of_rows = [f1_by_hand(x, y) if x.any() or y.any() else 1.0 for x, y in zip(g, a, strict=True)]
        expected["sample_f1"].append(np.mean(of_rows))
        expected["accuracy"].append(np.mean([(x == y).all() for x, y in zip(g, a, strict=True)]))
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1e-5)
