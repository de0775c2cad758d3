"""Temperatures against a grid, what keeps them from being chance, and the calibration error with its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from emo_hf.evaluation.calibration import compared, reliability, reliability_of_sets
from emo_hf.evaluation.temperature import (
    at_temperature,
    calibrate,
    fit_temperature,
    fit_temperatures,
    loss_at,
    thresholds_at,
)
from emo_hf.evaluation.thresholds import decide, sigmoid

GRID = np.exp(np.linspace(math.log(0.06), math.log(18), 3_000))


def drawn(rows: int, scale: float, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `scale` times what the classes were drawn by."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(rows, classes))
    chances = special.softmax(logits, axis=1)
    labels = (chances.cumsum(1) > random.random((rows, 1))).argmax(1)
    return (scale * logits).astype(np.float32), labels


def drawn_sets(rows: int, scales: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(rows, len(scales))) - 1
    labels = (random.random(logits.shape) < special.expit(logits)).astype(np.uint8)
    return (logits * scales).astype(np.float32), labels


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_a_temperature_is_that_of_a_grid(scale, classes):
    logits, labels = drawn(200, scale, classes)
    losses = []
    for temperature in GRID:
        scaled = logits.astype(np.float64) / temperature
        of_rows = special.log_softmax(scaled, axis=1)
        own = of_rows[np.arange(200), labels].sum() + of_rows.mean(1).mean()  # one row more, of no class
        losses.append(-own / 201)
    assert fit_temperature(logits.astype(np.float64), labels) == pytest.approx(GRID[int(np.argmin(losses))], rel=3e-3)


def test_a_temperature_a_label_is_that_of_a_grid():
    logits, labels = drawn_sets(150, [0.4, 1.0, 2.5])
    found = fit_temperatures(logits.astype(np.float64), labels)
    for place in range(3):
        pair = np.stack([np.zeros(150), logits[:, place].astype(np.float64)], axis=1)
        assert found[place] == pytest.approx(fit_temperature(pair, labels[:, place].astype(int)), rel=1e-9)


def test_what_the_classes_were_drawn_by_is_found_again():
    for scale in (0.6, 2.0, 5.0):
        logits, labels = drawn(4000, scale)
        found = calibrate(logits, labels)
        assert found.temperatures == pytest.approx([scale], rel=0.08)
        assert found.after < found.before and found.after == pytest.approx(loss_at(logits / scale, labels), abs=2e-3)
    logits, sets = drawn_sets(4000, [0.5, 1.0, 3.0])
    assert calibrate(logits, sets).temperatures == pytest.approx([0.5, 1.0, 3.0], rel=0.1)


@pytest.mark.parametrize("rows", [1, 2, 12, 80])
def test_the_loss_of_the_rows_is_never_higher(rows):
    changed = 0
    for seed in range(8):
        for logits, labels in (drawn(rows, 1.2, seed=seed), drawn_sets(rows, [1.2, 0.8], seed=seed)):
            found = calibrate(logits, labels)
            assert found.after <= found.before
            assert np.isfinite(found.temperatures).all() and (found.temperatures > 0).all()
            changed += int((found.temperatures != 1).any())
    assert changed < 16  # of 16: chance is left alone


def test_rows_that_are_all_right_ask_for_no_certainty():
    logits = np.tile([2.0, 0.0, 0.0], (50, 1))
    found = calibrate(logits, np.zeros(50, dtype=int))
    sure = special.softmax(at_temperature(logits, found.temperatures), axis=1)[0, 0]
    assert sure == pytest.approx((50 + 1 / 3) / 51, abs=1e-6)  # as of one row more, whose class nobody knows
    wrong = calibrate(-logits, np.zeros(50, dtype=int))
    assert wrong.temperatures[0] == pytest.approx(20, rel=1e-6) and wrong.after < wrong.before


def test_a_label_that_no_row_has_or_all_have_is_left_alone():
    logits, labels = drawn_sets(100, [3.0, 3.0, 3.0])
    labels[:, 0], labels[:, 2] = 0, 1
    assert calibrate(logits, labels).temperatures[[0, 2]].tolist() == [1.0, 1.0]
    assert calibrate(logits, labels).temperatures[1] > 1.5


def test_thresholds_that_go_along_leave_every_decision():
    logits, _ = drawn_sets(500, [1.0, 2.0, 4.0], seed=3)
    thresholds, temperatures = np.array([0.1, 0.5, 0.83]), np.array([0.4, 1.7, 3.0])
    moved = thresholds_at(thresholds, temperatures)
    assert moved[1] == 0.5
    assert (decide(sigmoid(at_temperature(logits, temperatures)), moved) == decide(sigmoid(logits), thresholds)).all()


@pytest.mark.parametrize("several", [False, True])
def test_the_interval_of_the_error_is_that_of_a_plain_bootstrap(several):
    logits, labels = drawn_sets(90, [3.0, 3.0]) if several else drawn(90, 3.0)
    found = compared(logits, logits / 2, labels, resamples=200)
    draws = np.random.default_rng(0).multinomial(90, np.full(90, 1 / 90), size=200)

    def error(scores: np.ndarray, truth: np.ndarray) -> float:
        return (reliability_of_sets(sigmoid(scores), truth) if several else reliability(scores, truth)).error

    for name, scores in (("before", logits), ("after", logits / 2)):
        plain = [error(np.repeat(scores, times, axis=0), np.repeat(labels, times, axis=0)) for times in draws]
        own = error(scores, labels)
        low, high = 2 * own - np.quantile(plain, [0.975, 0.025])
        assert found[name]["ece"] == pytest.approx([own, max(low, 0), max(high, 0)], abs=1e-6)
        assert found[name]["loss"][0] == pytest.approx(loss_at(scores, labels))
    change = found["change"]["loss"]
    assert change[0] == pytest.approx(loss_at(logits / 2, labels) - loss_at(logits, labels)) and change[2] < 0


def test_the_interval_of_a_bin_holds_at_its_level():
    logits, labels = drawn(60, 1.0)
    found = reliability(logits, labels, 5)
    low, high = found.intervals()
    for place, count in enumerate(found.counts):
        if not count:
            assert np.isnan(low[place]) and np.isnan(high[place])
            continue
        right = round(found.accuracy[place] * count)
        if right:
            assert stats.binom.sf(right - 1, count, low[place]) == pytest.approx(0.025)
        if right < count:
            assert stats.binom.cdf(right, count, high[place]) == pytest.approx(0.025)
        assert low[place] <= found.accuracy[place] <= high[place]
