"""Which rows of a pool to label next: by how unsure a model is of them, and how much they differ from each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emo_hf.errors import UserError

LEAST = 1e-9  # weight of a row of which the model is sure, so that there are always enough rows with any


def entropy(shares: np.ndarray) -> np.ndarray:
    """Entropy of distributions (..., K), in nats."""
    return -(shares * np.log(np.clip(shares, np.finfo(np.float64).tiny, None))).sum(-1)


def margin(shares: np.ndarray) -> np.ndarray:
    """1 less the lead of the likeliest of distributions (..., K) over the next."""
    ranked = np.sort(shares, axis=-1)
    return 1 - (ranked[..., -1] - ranked[..., -2])


def least_confidence(shares: np.ndarray) -> np.ndarray:
    """1 less the probability of the likeliest of distributions (..., K)."""
    return 1 - shares.max(-1)


UNCERTAINTIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "entropy": entropy,
    "margin": margin,
    "least_confidence": least_confidence,
}
OF_DIVERSE = "margin"  # the uncertainty by which `diverse` weighs
STRATEGIES = ("random", *UNCERTAINTIES, "diverse", "badge")


def uncertainty(scores: np.ndarray, by: str, *, several: bool) -> np.ndarray:
    """How unsure a model is of each of N rows (N,), the surest first at 0 (Settles 2009).

    Args:
        scores: probabilities (N, C).
        by: `entropy`, `margin` or `least_confidence`.
        several: whether each label is a decision of its own; the mean over the labels is taken then.
    """
    scores = scores.astype(np.float64)
    shares = np.stack([scores, 1 - scores], axis=-1) if several else scores[:, None]
    return UNCERTAINTIES[by](shares).mean(-1)


def pick(
    strategy: str, scores: np.ndarray, embeddings: np.ndarray, count: int, *, seed: int, several: bool = False
) -> np.ndarray:
    """The places of `count` of N rows, or of all where there are no more, in the order in which they are picked.

    - `random`: each as likely as any other.
    - `entropy`, `margin`, `least_confidence`: those that the model is least sure of.
    - `diverse`: k-means++ in the embedding, in which a row weighs as much as the model is unsure of it, by its margin;
      as the weighted k-means of Zhdanov (2019).
    - `badge`: k-means++ over the gradients that the likeliest labels would give the classifier (Ash et al. 2020): long
      where the model is unsure, and alike where rows are alike.

    Args:
        scores: probabilities (N, C).
        embeddings: (N, D).
        count: of the rows wanted.
        seed: of what is drawn.
        several: whether each label is a decision of its own.

    Raises:
        UserError: no such strategy.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"--strategy is {strategy!r}; allowed: {', '.join(STRATEGIES)}")
    count = min(count, len(scores))
    if strategy == "random":
        return np.random.default_rng(seed).permutation(len(scores))[:count]
    if strategy in UNCERTAINTIES:
        return np.argsort(-uncertainty(scores, strategy, several=several), kind="stable")[:count]
    unsure = uncertainty(scores, OF_DIVERSE, several=several)
    if strategy == "diverse":
        drawn = _diverse(embeddings, unsure, count, seed)
    else:
        drawn = _badge(scores, embeddings, count, np.random.default_rng(seed), several=several)
    # Of rows that lie in one place k-means++ may draw one twice: the least sure of the others take its place.
    found = dict.fromkeys([*drawn, *np.argsort(-unsure, kind="stable").tolist()])
    return np.array(list(found)[:count], dtype=np.int64)


def _diverse(embeddings: np.ndarray, unsure: np.ndarray, count: int, seed: int) -> list[int]:
    from sklearn.cluster import kmeans_plusplus

    given = embeddings.astype(np.float64)
    _, places = kmeans_plusplus(given, count, sample_weight=unsure + LEAST, random_state=seed)
    return list(map(int, places))


def _badge(
    scores: np.ndarray, embeddings: np.ndarray, count: int, random: np.random.Generator, *, several: bool
) -> list[int]:
    """k-means++ over the gradients of the classifier's weights, which are outer products and are never multiplied out.

    Of g = a ⊗ h is |g - g'|² = |a|²|h|² + |a'|²|h'|² - 2 (a·a')(h·h'). The longest is the first, as in the paper.
    """
    scores, hidden = scores.astype(np.float64), embeddings.astype(np.float64)
    likeliest = scores >= 0.5 if several else np.arange(scores.shape[1]) == scores.argmax(1)[:, None]
    errors = scores - likeliest
    lengths = (errors**2).sum(1) * (hidden**2).sum(1)
    found = [int(lengths.argmax())]
    nearest = np.full(len(scores), np.inf)
    while True:
        last = found[-1]
        products = (errors @ errors[last]) * (hidden @ hidden[last])
        nearest = np.minimum(nearest, np.maximum(lengths + lengths[last] - 2 * products, 0))
        nearest[last] = 0
        if len(found) == count or not nearest.any():
            return found
        found.append(int(random.choice(len(nearest), p=nearest / nearest.sum())))
