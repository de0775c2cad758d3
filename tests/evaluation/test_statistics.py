"""Statistics of a study: against other libraries where they have it, and by simulated studies whose truth is known."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from emo_hf.errors import UserError
from emo_hf.evaluation.scores import RowWeights, score
from emo_hf.evaluation.statistics import (
    MultiBootstrap,
    bootstrap_interval,
    holm,
    mcnemar,
    seed_effect,
)
from emo_hf.report.contrasts import contrasts

GRID = list(itertools.product(["bert", "roberta"], ["cls", "mean"], ["none", "contrastive", "triplet"]))


def simulated(random, *, rows: int = 200, seeds: int = 3, spread: float = 0.1, gain: float = 0.0, cells=GRID):
    """Predictions of a study: texts differ in difficulty, runs in skill and bias, and every answer in luck.

    `spread` is how much runs of one model differ; `gain` is what the triplet loss adds to the true class's logit.
    """
    labels = random.integers(3, size=rows)
    true = np.eye(3)[labels]
    texts = 1.2 * true + random.normal(size=(rows, 3))
    predictions = {}
    for cell in cells:
        runs = texts + spread * (random.normal(size=(seeds, 1, 3)) + 1.2 * random.normal(size=(seeds, 1, 1)) * true)
        runs += 0.6 * random.normal(size=(seeds, rows, 3)) + gain * (cell[2] == "triplet") * true
        predictions[cell] = runs.argmax(-1)
    return predictions, labels


@pytest.mark.parametrize("metric", ["macro_f1", "accuracy", 0, 2])
def test_scores_equal_scikit_learn_s(metric: str | int) -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(4, size=60), random.integers(4, size=60)
    predictions[predictions == 2] = 3  # a class that is never predicted
    weights = random.integers(3, size=(5, 60)).astype(float)
    ours = score(RowWeights(labels, 4, weights).counts(predictions), metric)
    for value, row in zip(ours, weights, strict=True):
        options = {"sample_weight": row}
        of_classes = f1_score(labels, predictions, average=None, labels=range(4), zero_division=0, **options)
        if metric == "accuracy":
            theirs = accuracy_score(labels, predictions, **options)
        else:
            theirs = of_classes.mean() if metric == "macro_f1" else of_classes[metric]
        assert value == pytest.approx(theirs, abs=1e-12)


def test_a_thousand_classes_take_no_room_for_their_pairs() -> None:
    """Counts of pairs of classes would be 1,000 × 1,000 × 500 numbers; macro-F1 is of the 250 that there are."""
    labels = np.arange(500) % 250 * 4
    runs = np.random.default_rng(0).integers(1000, size=(2, 500))
    tracemalloc.start()
    bootstrap = MultiBootstrap({"a": runs}, labels, resamples=200)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30e6
    expected = [f1_score(labels, run, average="macro", labels=np.unique(labels)) for run in runs]
    assert bootstrap.scores["a"] == pytest.approx(expected, abs=1e-7)


def test_holm_equals_statsmodels() -> None:
    random = np.random.default_rng(1)
    for size in (1, 2, 9):
        p = random.uniform(size=size) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist(), abs=1e-15)
    assert holm([0.01, math.nan, 0.04])[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(holm([0.01, math.nan])[1])


def test_mcnemar_equals_statsmodels() -> None:
    random = np.random.default_rng(2)
    labels = random.integers(3, size=100)
    first, second = (np.where(random.uniform(size=100) < share, labels, (labels + 1) % 3) for share in (0.8, 0.6))
    table = [[((first == labels) == a).astype(int) @ ((second == labels) == b) for b in (True, False)] for a in (1, 0)]
    assert mcnemar(first, second, labels) == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, abs=1e-12)
    assert mcnemar(first, first, labels) == 1.0


def test_without_luck_by_row_the_variance_is_welch_s_plus_that_of_the_rows() -> None:
    """Runs that are right on nested sets of rows: the parts of the variance are known in closed form."""
    labels = np.zeros(400, dtype=int)
    right = {"a": [300, 310, 326], "b": [250, 262, 259]}
    runs = {name: np.array([np.arange(400) >= n for n in counts]).astype(int) for name, counts in right.items()}
    effect = MultiBootstrap(runs, labels, metric="accuracy", resamples=20000).effect({"a": 1, "b": -1})
    means = {name: np.mean(counts) / 400 for name, counts in right.items()}
    by_row = runs["b"].mean(0) - runs["a"].mean(0)
    assert effect.estimate == pytest.approx(means["a"] - means["b"])
    of_rows = by_row.var() / 400
    of_seeds = sum(np.var(np.array(counts) / 400, ddof=1) / 3 for counts in right.values())
    by_luck = sum((run - run.mean(0)).var(axis=1).sum() / 400 / (3 * 2) for run in runs.values())
    expected = of_rows + max(0, of_seeds - by_luck)
    assert effect.standard_error**2 == pytest.approx(expected, rel=0.03)
    low, high = stats.t.interval(0.95, effect.degrees, effect.estimate, effect.standard_error)
    assert (effect.low, effect.high) == pytest.approx((low, high))


def test_the_interval_and_p_agree_and_one_seed_has_neither() -> None:
    predictions, labels = simulated(np.random.default_rng(3))
    bootstrap = MultiBootstrap(predictions, labels)
    for contrast in contrasts(GRID):
        effect = bootstrap.effect(contrast.weights)
        assert (effect.low > 0 or effect.high < 0) == (effect.p < 0.05)
        assert 0 <= effect.seed_share <= 1
    single = MultiBootstrap({cell: runs[:1] for cell, runs in predictions.items()}, labels)
    effect = single.effect(contrasts(GRID)[0].weights)
    assert math.isfinite(effect.estimate) and math.isnan(effect.p) and math.isnan(effect.low)


def test_few_rows_that_all_runs_answer_alike_do_not_show_that_models_are_equal() -> None:
    """Nothing differs, yet of 20 rows one is 5 points: so much the next 20 might show."""
    for rows, equal in ((20, False), (1000, True)):
        labels = np.arange(rows) % 3
        runs = {name: np.stack([labels, labels]) for name in "ab"}
        effect = MultiBootstrap(runs, labels, resamples=50).effect({"a": 1, "b": -1})
        assert (effect.estimate, effect.p, effect.standard_error) == (0, 1, 1 / rows)
        assert (effect.p_equal(0.01) < 0.05) == equal


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match="3 test rows"):
        MultiBootstrap({"a": np.zeros((2, 4), dtype=int)}, np.zeros(3, dtype=int))
    with pytest.raises(UserError, match="macro_f1, accuracy"):
        MultiBootstrap({"a": np.zeros((2, 3), dtype=int)}, np.zeros(3, dtype=int), metric="f2")


def test_every_question_of_the_original_grid_is_asked() -> None:
    asked = {(c.factor, c.level, c.baseline, c.under, c.cells) for c in contrasts(GRID)}
    assert ("aux", "triplet", "none", None, 4) in asked and ("aux", "contrastive", "none", None, 4) in asked
    assert ("pooling", "mean", "cls", None, 6) in asked and ("encoder", "roberta", "bert", None, 6) in asked
    assert ("aux", "triplet", "none", ("mean", "cls"), 4) in asked
    assert len(asked) == 4 + 5
    for contrast in contrasts(GRID):
        assert sum(contrast.weights.values()) == pytest.approx(0)
        scale = 2 if contrast.under else 1
        assert sum(map(abs, contrast.weights.values())) == pytest.approx(2 * scale)


def test_an_unbalanced_grid_compares_only_what_differs_in_nothing_else() -> None:
    cells = [("bert", "cls", "none"), ("bert", "cls", "triplet"), ("bert", "mean", "triplet")]
    asked = contrasts(cells)
    found = {(c.level, c.baseline): c.weights for c in asked if c.under is None}
    assert found[("triplet", "none")] == {cells[1]: 1, cells[0]: -1}
    assert found[("mean", "cls")] == {cells[2]: 1, cells[1]: -1}
    assert len(found) == 2
    # Whether one depends on the other is asked, but has no answer without mean, none.
    assert [c.absent for c in asked if c.under is not None] == [(("bert", "mean", "none"),)]


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
def test_one_study_in_twenty_finds_what_is_not_there(spread: float) -> None:
    """1,000 studies without any difference: at most 5 % claim one, for each question and for the corrected family."""
    studies, random = 1000, np.random.default_rng(4)
    asked = contrasts(GRID)
    claims, families = np.zeros(len(asked)), np.zeros(2)
    for number in range(studies):
        bootstrap = MultiBootstrap(*simulated(random, spread=spread), resamples=200, seed=number)
        p = np.array([bootstrap.effect(contrast.weights).p for contrast in asked])
        claims += p < 0.05
        for family in (False, True):
            members = [i for i, contrast in enumerate(asked) if (contrast.under is not None) == family]
            families[int(family)] += min(holm(p[members])) < 0.05
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)
    assert (claims / studies <= limit).all() and (families / studies <= limit).all()
    assert claims.max() / studies > 0.01  # a test that never claims anything is no test


@pytest.mark.slow
def test_intervals_cover_the_truth_and_real_differences_are_found() -> None:
    random = np.random.default_rng(5)
    weights = next(c for c in contrasts(GRID) if c.level == "triplet").weights
    cells = list(weights)
    truth = np.mean(
        [
            sum(w * (np.mean(runs[cell] == labels)) for cell, w in weights.items())
            for runs, labels in (simulated(random, rows=4000, gain=0.2, cells=cells) for _ in range(50))
        ]
    )
    covered, found, studies = 0, 0, 400
    for number in range(studies):
        runs = simulated(random, gain=0.2, cells=cells)
        effect = MultiBootstrap(*runs, metric="accuracy", resamples=200, seed=number).effect(weights)
        covered += effect.low <= truth <= effect.high
        found += effect.p < 0.05
    assert 0.92 < covered / studies <= 0.99
    assert found / studies > 0.5


def test_effects_of_whole_runs_are_welch_s() -> None:
    rng = np.random.default_rng(3)
    scores = {"triplet": rng.normal(0.3, 0.1, 6), "none": rng.normal(0.1, 0.005, 5)}
    found = seed_effect(scores, {"triplet": 1.0, "none": -1.0})
    expected = stats.ttest_ind(scores["triplet"], scores["none"], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue) and found.degrees == pytest.approx(expected.df)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert math.isnan(seed_effect({"triplet": [0.3], "none": [0.1, 0.2]}, {"triplet": 1.0, "none": -1.0}).p)


def test_one_run_s_interval_holds_its_score_and_shrinks_with_rows() -> None:
    rng = np.random.default_rng(4)
    widths = []
    for rows in (100, 1600):
        labels = np.arange(rows) % 3
        predicted = np.where(rng.random(rows) < 0.7, labels, (labels + 1) % 3)
        low, high = bootstrap_interval(predicted, labels, metric="accuracy")
        accuracy = (predicted == labels).mean()
        assert low < accuracy < high
        assert high - low == pytest.approx(2 * 1.96 * (accuracy * (1 - accuracy) / rows) ** 0.5, rel=0.15)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
