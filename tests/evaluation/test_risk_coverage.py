"""Risk against coverage, against plain loops over the rows."""

import numpy as np
import pytest

from emo_hf.evaluation.risk_coverage import RiskCoverage, least_risks
from emo_hf.evaluation.statistics import MultiBootstrap, row_weights

COVERAGES = (0.1, 0.25, 0.5, 0.8, 1.0)


def _looped(errors: np.ndarray, confidence: np.ndarray) -> tuple[float, list[float]]:
    """Area and risks by asking every row: who is as sure as this one, and how many of these are wrong?"""
    count, risks, shares = len(errors), [], []
    for row in range(count):
        answered = [other for other in range(count) if confidence[other] >= confidence[row]]
        risks.append(sum(errors[other] for other in answered) / len(answered))
        shares.append(len(answered) / count)
    at = [risks[min((row for row in range(count) if shares[row] >= least), key=lambda row: shares[row])]
          for least in COVERAGES]  # fmt: skip
    return sum(risks) / count, at


@pytest.mark.parametrize("levels", [3, 1000])
def test_every_weighting_is_as_rows_that_stand_there_so_often(levels: int) -> None:
    draws = np.random.default_rng(levels)
    errors, confidence = draws.random(40) < 0.3, draws.integers(0, levels, 40) / levels
    weights = np.concatenate([np.ones((1, 40)), draws.multinomial(40, np.full(40, 1 / 40), size=5)])
    found = RiskCoverage(errors, confidence, weights)
    for place, counts in enumerate(weights.astype(int)):
        area, risks = _looped(np.repeat(errors, counts), np.repeat(confidence, counts))
        assert found.areas[place] == pytest.approx(area, rel=1e-9)
        assert found.risks(COVERAGES)[place] == pytest.approx(risks, rel=1e-9)


def test_a_run_that_is_least_sure_of_its_errors_is_at_the_bound() -> None:
    errors = np.arange(100) >= 80
    found = RiskCoverage(errors, -np.arange(100.0), np.ones((1, 100)))
    assert found.risks(COVERAGES)[0] == pytest.approx(least_risks(0.2, COVERAGES))
    upside_down = RiskCoverage(errors, np.arange(100.0), np.ones((1, 100)))
    assert upside_down.areas[0] > 0.2 > found.areas[0]


def test_equal_confidence_is_no_order() -> None:
    """Whichever rows come first, a run that is equally sure of all errs as often at every coverage."""
    errors = np.arange(10) >= 7
    for order in (errors, errors[::-1]):
        found = RiskCoverage(order, np.ones(10), np.ones((1, 10)))
        assert found.areas[0] == pytest.approx(0.3)
        assert found.risks(COVERAGES)[0] == pytest.approx([0.3] * 5)


def test_the_area_differs_where_one_model_knows_what_it_does_not_know() -> None:
    """Two models that err alike; one is surer of what it gets right."""
    draws, rows = np.random.default_rng(0), 600
    weights = row_weights(rows, 300, 0)
    scored: dict[str, list[np.ndarray]] = {"knows": [], "guesses": []}
    for _ in range(3):
        errors = draws.random(rows) < 0.25
        for name, shift in (("knows", 1.5), ("guesses", 0.0)):
            confidence = draws.standard_normal(rows) - shift * errors
            scored[name].append(RiskCoverage(errors, confidence, weights).areas)
    bootstrap = MultiBootstrap.of_scores({name: np.stack(runs) for name, runs in scored.items()}, rows)
    effect = bootstrap.effect({"knows": 1.0, "guesses": -1.0})
    assert effect.high < 0 and effect.p < 0.01
    assert bootstrap.effect({"guesses": 1.0}).low < 0.25 < bootstrap.effect({"guesses": 1.0}).high
