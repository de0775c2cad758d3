"""Promises: by plain loops and sums, and in 1,000 simulated draws of the rows that they rest on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from emo_hf.arguments.promises import SETS
from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import label_sets, promises_in, set_scores, unanswered
from emo_hf.evaluation.promises import (
    answers_of,
    binomial_interval,
    choose_sets,
    choose_threshold,
    needed_rank,
    p_value,
)

POPULATION = 100_000


def binomial(count: int, rows: int, share: float) -> float:
    return math.comb(rows, count) * share**count * (1 - share) ** (rows - count)


@pytest.fixture(scope="module")
def population() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are surer than they should be, of classes of different size, and the classes."""
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(POPULATION, 3)) + [1.0, 0.0, -1.0]
    labels = (special.softmax(logits, axis=1).cumsum(1) > random.random((POPULATION, 1))).argmax(1)
    return special.softmax(1.5 * logits, axis=1), labels


def test_the_p_value_is_a_sum():
    for errors, rows, share in ((0, 29, 0.1), (3, 50, 0.1), (40, 200, 0.25)):
        assert p_value(errors, rows, share) == pytest.approx(
            sum(binomial(count, rows, share) for count in range(errors + 1)), rel=1e-9
        )
    assert p_value(0, 28, 0.1) > 0.05 > p_value(0, 29, 0.1)  # so many answers it takes at least


def plain_threshold(chosen_by, held, max_error):
    sure, right = chosen_by
    ranked = sorted(sure, reverse=True)
    places = sorted({math.ceil(step / 50 * len(ranked)) for step in range(1, 50)} - {len(ranked)})
    thresholds = [(ranked[place - 1] + ranked[place]) / 2 for place in places] + [0.0]

    def p(rows, threshold):
        answered = [good for own, good in zip(*rows, strict=True) if own >= threshold]
        errors = sum(not good for good in answered)
        return sum(binomial(count, len(answered), max_error) for count in range(errors + 1))

    start = min(range(len(thresholds)), key=lambda place: p((sure, right), thresholds[place]))
    found = None
    for threshold in thresholds[start:]:
        if p(held, threshold) > 0.05:
            break
        found = threshold
    return found


@pytest.mark.parametrize("rows", [40, 90, 300])
@pytest.mark.parametrize("max_error", [0.1, 0.25])
def test_the_threshold_is_that_of_a_plain_loop(population, rows, max_error):
    sure, right = answers_of(*population)
    found = []
    for seed in range(6):
        drawn = np.random.default_rng(seed).choice(POPULATION, (2, rows), replace=False)
        parts = [(sure[part], right[part]) for part in drawn]
        made = choose_threshold(*parts, max_error)
        assert made.threshold == plain_threshold(*[(list(a), list(b)) for a, b in parts], max_error)
        found.append(made.threshold)
        if made.threshold is not None:
            answered = parts[1][0] >= made.threshold
            assert (made.answered, made.errors) == (answered.sum(), (~parts[1][1])[answered].sum())
    assert rows < 300 or None not in found


def test_the_risk_holds_in_95_of_100_draws(population):
    sure, right = answers_of(*population)
    order = np.argsort(-sure)
    risk = np.append(0, (~right[order]).cumsum() / np.arange(1, POPULATION + 1))
    random, broken, answered = np.random.default_rng(1), 0, []
    for _ in range(1000):
        drawn = random.integers(POPULATION, size=(2, 250))
        made = choose_threshold(*[(sure[part], right[part]) for part in drawn], 0.1)
        count = 0 if made.threshold is None else int((sure >= made.threshold).sum())
        broken += int(risk[count] > 0.1)
        answered.append(count / POPULATION)
    assert broken <= 60
    assert np.mean(answered) > 0.6 * np.flatnonzero(risk <= 0.1)[-1] / POPULATION  # not by answering nothing


@pytest.mark.parametrize("kind", SETS)
def test_sets_hold_their_label_in_95_of_100_draws(population, kind):
    probabilities, labels = population
    own = set_scores(probabilities, kind)[np.arange(POPULATION), labels]
    likeliest = probabilities.argmax(1) == labels
    random, broken = np.random.default_rng(2), np.zeros(3 if kind == "class" else 1)
    for _ in range(1000):
        drawn = random.integers(POPULATION, size=300)
        bounds = np.array(choose_sets(probabilities[drawn], labels[drawn], 0.9, kind).bounds)
        held = likeliest | (own <= (bounds[labels] if kind == "class" else bounds[0]))
        parts = [held[labels == c] for c in range(3)] if kind == "class" else [held]
        broken += [part.mean() < 0.9 for part in parts]
    assert (broken <= 60).all()


def test_the_rank_is_the_least_whose_sum_is_small_enough():
    for rows, coverage in ((28, 0.9), (29, 0.9), (60, 0.8), (200, 0.9)):
        tails = [
            sum(binomial(count, rows, coverage) for count in range(rank, rows + 1)) for rank in range(1, rows + 1)
        ]
        expected = next((rank for rank, tail in enumerate(tails, 1) if tail <= 0.05), None)
        assert needed_rank(rows, coverage) == expected
    assert needed_rank(28, 0.9) is None and needed_rank(29, 0.9) == 29


@pytest.mark.parametrize("kind", SETS)
def test_sets_by_a_plain_loop(population, kind):
    probabilities, labels = population[0][:200], population[1][:200]
    made = choose_sets(probabilities, labels, 0.93, kind)
    found = label_sets(probabilities, made.stored())
    for row, within in zip(probabilities, found, strict=True):
        expected = set()
        for label, own in enumerate(row):
            score = sum(other for other in row if other > own) if kind == "adaptive" else 1 - own
            if score <= made.bounds[label if kind == "class" else 0] or own == row.max():
                expected.add(label)
        assert set(np.flatnonzero(within)) == expected
    assert 1 < found.sum(1).mean() < 3


def test_too_few_rows_promise_nothing():
    probabilities = np.tile([0.8, 0.15, 0.05], (20, 1))
    rows = answers_of(probabilities, np.zeros(20, dtype=int))
    made = choose_threshold(rows, rows, 0.1)
    assert made.threshold is None and unanswered(probabilities, made.stored()).all()
    assert label_sets(probabilities, choose_sets(probabilities, np.zeros(20, dtype=int), 0.9, "split").stored()).all()
    of_classes = choose_sets(probabilities, np.repeat([0, 2], 10), 0.7, "class")
    assert [bound >= 1 for bound in of_classes.bounds] == [False, True, False]  # the second has no row


def test_intervals_of_shares():
    assert binomial_interval(0, 0) == (0.0, 1.0)
    low, high = binomial_interval(3, 20)
    assert sum(binomial(count, 20, low) for count in range(3, 21)) == pytest.approx(0.025)
    assert sum(binomial(count, 20, high) for count in range(4)) == pytest.approx(0.025)


@pytest.mark.parametrize(
    "config",
    [
        {"abstention": 3},
        {"abstention": {"max_error": 0.1}},
        {"abstention": {"threshold": "high"}},
        {"label_sets": {"kind": "split", "bounds": [0.5, 0.5]}},
        {"label_sets": {"kind": "split", "bounds": "all"}},
        {"label_sets": {"bounds": [0.5]}},
    ],
)
def test_a_promise_from_elsewhere_that_nobody_could_keep_is_refused(config):
    with pytest.raises(
        UserError, match=r"config.json promises what can't be read \(.*\); take abstention and label_s"
    ):
        promises_in(config, 3)
    good = {
        "abstention": {"threshold": None},
        "label_sets": {"kind": "class", "bounds": [0.1, 1, 0.3]},
        "thresholds": 1,
    }
    assert promises_in(good, 3) == {name: good[name] for name in ("abstention", "label_sets")}
    assert promises_in({"abstention": None}, 3) == {}
