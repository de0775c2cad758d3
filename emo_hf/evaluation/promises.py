"""What is promised of answers, from rows that chose nothing else: a rate of errors, and sets that hold the label.

Both promises are of one kind. Rows that come as the validation rows came, whatever their number, are answered with at
most so many errors, or have their label in so many of the sets; and if validation rows were drawn again and again and
the promise made from each draw, it would be true in 95 of 100.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special  # its stats take long to import

from emo_hf.evaluation.abstaining import set_scores, sureness

CONFIDENCE = 0.95
_STEPS = 50  # thresholds that are looked at
_ROUNDING = 1e-6  # of probabilities in fp32


@dataclass(frozen=True)
class Abstention:
    """From which probability on a model answers.

    Attributes:
        max_error: the promised share of errors among the answers, at most.
        confidence: with which it is promised.
        threshold: the least probability of an answer; None where none holds, and nothing is answered.
        rows, answered, errors: of the rows that the promise rests on.
    """

    max_error: float
    confidence: float
    threshold: float | None
    rows: int
    answered: int
    errors: int

    def stored(self) -> dict[str, Any]:
        """As a configuration and a record have it."""
        return asdict(self)


@dataclass(frozen=True)
class LabelSets:
    """How sets of labels are made.

    Attributes:
        coverage: the promised share of rows whose set holds their label, at least; of kind `class`, of each class.
        confidence: with which it is promised, of kind `class` for each class by itself.
        kind: as `set_scores` has it.
        bounds: up to which score a label is in the set, one or one a label; 1 and more: every label is.
        rows: that the promise rests on.
    """

    coverage: float
    confidence: float
    kind: str
    bounds: list[float]
    rows: int

    def stored(self) -> dict[str, Any]:
        """As a configuration and a record have it."""
        return asdict(self)


def p_value(errors: np.ndarray | int, rows: np.ndarray | int, max_error: float) -> Any:
    """The probability of so few errors, or fewer, among rows (each a trial of its own) that err at `max_error`."""
    return special.bdtr(errors, rows, max_error)


def choose_threshold(
    chosen_by: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    max_error: float,
    confidence: float = CONFIDENCE,
) -> Abstention:
    """The lowest threshold whose answers err at most at `max_error`, with confidence: "learn then test".

    Each threshold is a hypothesis, that its answers err more often; the exact binomial p-value of the held rows that
    it answers rejects it below 1 - confidence. Hypotheses are tested from strict to lax until one stays, so that all
    of those before may be rejected without a correction (fixed-sequence testing; Angelopoulos et al. 2021, "Learn then
    Test"). The other rows say which thresholds are tested and where the sequence begins: where they themselves reject
    most clearly. Very strict ones answer too few rows to be rejected, and would end it at once. The order is theirs
    alone, so that the held rows test what they did not choose.

    Args:
        chosen_by: probability of the answer (M,), and whether it is right (M,), of the rows that chose the model.
        held: the same (N,) of rows that chose nothing.
        max_error: share of errors among the answers, in (0, 1).
        confidence: in (0, 1).
    """
    thresholds = _thresholds(chosen_by[0])
    errors, answered = _counts(*chosen_by, thresholds)
    start = int(np.argmin(p_value(errors, answered, max_error)))
    errors, answered = _counts(*held, thresholds)
    holds = p_value(errors, answered, max_error) <= 1 - confidence
    holds[:start] = True
    last = int(np.argmin(holds)) - 1 if not holds.all() else len(holds) - 1
    if last < start:
        return Abstention(max_error, confidence, None, len(held[0]), 0, 0)
    return Abstention(
        max_error, confidence, float(thresholds[last]), len(held[0]), int(answered[last]), int(errors[last])
    )


def _thresholds(sure: np.ndarray) -> np.ndarray:
    """From strict to lax: such that 2 %, 4 %, … of the rows are answered, the last that all are."""
    ranked = np.sort(sure)[::-1]
    places = np.unique(np.ceil(np.arange(1, _STEPS) / _STEPS * len(ranked)).astype(int))
    places = places[places < len(ranked)]
    # Half-way to the next row: nothing depends on how a probability is rounded.
    return np.append((ranked[places - 1] + ranked[places]) / 2, 0.0)


def _counts(sure: np.ndarray, right: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors and answers at each threshold."""
    order = np.argsort(-sure, kind="stable")
    answered = np.searchsorted(-sure[order], -thresholds, side="right")
    errors = np.append(0, (~right[order].astype(bool)).cumsum())
    return errors[answered], answered


def choose_sets(
    probabilities: np.ndarray, labels: np.ndarray, coverage: float, kind: str, confidence: float = CONFIDENCE
) -> LabelSets:
    """The bounds with which sets hold the labels of other rows, by held rows: probabilities (N, C), labels (N,).

    The bound is one of the scores of the labels of the rows, in order (split conformal prediction, Vovk et al. 2005;
    Lei et al. 2018). Of N rows, the share of others below the k-th is Beta(k, N + 1 - k). The usual k, of which the
    mean is `coverage`, holds in about half of all draws of the rows; this one is the least with which the share is
    `coverage` or more with confidence (Vovk 2012). Kind `class` takes the rows of each class alone.

    Where there are too few rows for any, the bound lets every label in.
    """
    scores = set_scores(probabilities, kind)
    own = scores[np.arange(len(labels)), labels]
    parts = [own[labels == c] for c in range(scores.shape[1])] if kind == "class" else [own]
    return LabelSets(coverage, confidence, kind, [_bound(part, coverage, confidence) for part in parts], len(labels))


def _bound(scores: np.ndarray, coverage: float, confidence: float) -> float:
    rank = needed_rank(len(scores), coverage, confidence)
    return float((1.0 if rank is None else np.sort(scores)[rank - 1]) + _ROUNDING)


def needed_rank(rows: int, coverage: float, confidence: float = CONFIDENCE) -> int | None:
    """The least k such that the k-th of so many scores is above `coverage` of all, with confidence; None: none is."""
    ranks = np.arange(1, rows + 1)
    enough = special.betainc(ranks, rows + 1 - ranks, coverage) <= 1 - confidence
    return int(ranks[enough][0]) if enough.any() else None


def answers_of(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure each answer is (N,), and whether it is right (N,)."""
    return sureness(probabilities), probabilities.argmax(1) == labels


def binomial_interval(count: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Of a share, exact (Clopper & Pearson 1934); from 0 to 1 where there are no rows."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(count, rows - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, rows - count, 1 - tail)) if count < rows else 1.0
    return low, high
