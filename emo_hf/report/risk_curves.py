"""Risk against coverage of every model of a study, over its seeds and test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo_hf.evaluation.calibration import softmax
from emo_hf.evaluation.risk_coverage import RiskCoverage
from emo_hf.evaluation.statistics import Effect, MultiBootstrap, row_weights
from emo_hf.report.predictions import Arrays

CURVE = tuple(round(0.05 * step, 2) for step in range(1, 21))  # coverages
RESAMPLES = 500  # of the rows; they give a standard error to about 3 %


@dataclass(frozen=True)
class Risks:
    """How often models err where they answer only what they are surest of.

    Attributes:
        areas: the area under the curve of each model, by its cell: the mean share of errors over all coverages.
        curves: of each model the share of errors at each coverage of `CURVE`, with its uncertainty.
    """

    areas: MultiBootstrap
    curves: Mapping[Any, Sequence[Effect]]

    @classmethod
    def of(cls, runs: Mapping[Any, Sequence[Arrays]], deterministic: frozenset[Any] = frozenset()) -> Risks:
        """Of each model's runs (logits (N, C) and labels (N,), the same rows in all), by its cell.

        A run is as sure of a row as the probability of its likeliest label says. `deterministic`: models that no seed
        changes.
        """
        rows = len(next(iter(runs.values()))[0]["labels"])
        weights = row_weights(rows, RESAMPLES, 0)
        areas: dict[Any, np.ndarray] = {}
        curves: dict[Any, np.ndarray] = {}
        for cell, found in runs.items():
            curved = [_curve(arrays, weights) for arrays in found]
            areas[cell] = np.stack([curve.areas for curve in curved])
            curves[cell] = np.stack([curve.risks(CURVE) for curve in curved])
        whole = MultiBootstrap.of_scores(areas, rows, deterministic=deterministic)
        at = [
            MultiBootstrap.of_scores(
                {cell: found[..., place] for cell, found in curves.items()},
                rows,
                deterministic=deterministic,
                pooled=whole.pooled,  # or 20 tests of equal variances would find one that forbids it by chance
            )
            for place in range(len(CURVE))
        ]
        return cls(whole, {cell: [one.effect({cell: 1.0}) for one in at] for cell in runs})


def _curve(arrays: Arrays, weights: np.ndarray) -> RiskCoverage:
    probabilities = softmax(arrays["logits"])
    return RiskCoverage(probabilities.argmax(1) != arrays["labels"], probabilities.max(1), weights)
