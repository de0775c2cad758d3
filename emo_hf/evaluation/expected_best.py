"""What a tuning may be expected to find: the best of so many random draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def expected_best(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """The expected best score of 1, 2, … N random draws (N,), from the scores (N,) of N of them.

    The number of draws that it takes is a part of a result (Dodge et al. 2019). This is their estimator without its
    bias: the mean of the best over all subsets of so many draws (Dodge et al. 2021).
    """
    ordered = np.sort(np.asarray(scores, dtype=float))
    count = len(ordered)
    # The score at place i is the best of the subsets that take the others from the i below it.
    weights = [[math.comb(i, n - 1) / math.comb(count, n) for i in range(count)] for n in range(1, count + 1)]
    return np.array(weights).reshape(count, count) @ ordered


def expected_best_with(first: float, scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """The expected best of a score that is always among them and 0, 1, … N random draws (N + 1,)."""
    return np.append(first, expected_best(np.maximum(first, np.asarray(scores, dtype=float))))
