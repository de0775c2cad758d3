"""Risk against coverage: how often a model errs where it answers only what it is surest of. Needs numpy alone.

For the risk-coverage curve and the area under it see El-Yaniv & Wiener (2010) and Geifman et al. (2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class RiskCoverage:
    """The errors of one run on N rows, by how sure it was of each, under several weightings of the rows at once.

    Rows of which it is equally sure are answered together or not at all: no threshold parts them.

    Args:
        errors: (N,) whether the run errs, N > 0.
        confidence: (N,) how sure it is of each row.
        weights: (B, N) how often each row counts, as in a bootstrap; each row of it has a sum above 0.
    """

    def __init__(self, errors: np.ndarray, confidence: np.ndarray, weights: np.ndarray):
        order = np.argsort(-confidence, kind="stable")
        ranked = confidence[order]
        # The last row as sure as each one: how far an answer to it reaches.
        last = np.searchsorted(-ranked, -ranked, side="right") - 1
        self._weights = weights[:, order].astype(np.float64)
        self._answered = self._weights.cumsum(1)[:, last]
        self._wrong = (self._weights * errors[order]).cumsum(1)[:, last]
        self._rows = self._answered[:, -1]

    @property
    def areas(self) -> np.ndarray:
        """(B,) the area under the curve from 0 to 1: the mean risk over all coverages."""
        risks = self._wrong / np.maximum(self._answered, 1e-12)
        found: np.ndarray = (risks * self._weights).sum(1) / self._rows
        return found

    def risks(self, coverages: Sequence[float]) -> np.ndarray:
        """(B, K) the share of errors where at least each of K shares of the rows, above 0 to 1, is answered."""
        wanted = np.asarray(coverages)[None] * self._rows[:, None] * (1 - 1e-12)
        places = np.stack([np.searchsorted(*one) for one in zip(self._answered, wanted, strict=True)])
        found: np.ndarray = np.take_along_axis(self._wrong, places, 1) / np.take_along_axis(self._answered, places, 1)
        return found


def least_risks(risk: float, coverages: Sequence[float]) -> np.ndarray:
    """(K,) the risks of a run that errs on a share `risk` of all rows, were it least sure of just these."""
    covered = np.asarray(coverages)
    return np.maximum(0.0, covered - (1 - risk)) / covered
