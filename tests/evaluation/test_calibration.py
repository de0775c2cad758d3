"""The calibration error against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emo_hf.evaluation.calibration import reliability


def test_calibration_error_by_a_plain_loop() -> None:
    random = np.random.default_rng(6)
    logits, labels = 2 * random.normal(size=(80, 3)), random.integers(3, size=80)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(probabilities, labels, strict=True):
        bins.setdefault(math.ceil(row.max() * 15) - 1, []).append((row.max(), row.argmax() == label))
    expected = sum(
        len(rows) / 80 * abs(np.mean([r for _, r in rows]) - np.mean([c for c, _ in rows])) for rows in bins.values()
    )
    found = reliability(logits, labels)
    assert found.error == pytest.approx(expected, abs=1e-12)
    assert found.counts.sum() == 80 and np.isnan(found.accuracy[0])
    sure = reliability(np.array([[900.0, 0.0], [900.0, 0.0]]), np.array([0, 1]))
    assert sure.error == pytest.approx(0.5)
