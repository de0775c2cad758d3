"""How unlike the training texts is a text? Scores of its embedding, the larger the less familiar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

NEIGHBOUR = 10  # the nearest training text but nine


class Familiar:
    """What training texts look like in the embedding of a model, by their classes.

    Args:
        embeddings: (N, D) of the training texts, N > 1.
        labels: (N,) their classes, from 0.
    """

    def __init__(self, embeddings: np.ndarray, labels: np.ndarray):
        from sklearn.covariance import ledoit_wolf  # takes a while to import

        known = embeddings.astype(np.float64)
        classes = np.unique(labels)
        self._means = np.stack([known[labels == label].mean(0) for label in classes])
        apart = known - self._means[np.searchsorted(classes, labels)]
        self._precision = np.linalg.inv(ledoit_wolf(apart, assume_centered=True)[0])
        self._lengths = _unit(known)

    def mahalanobis(self, embeddings: np.ndarray) -> np.ndarray:
        """(M,) squared Mahalanobis distances of (M, D) embeddings to the nearest class mean (Lee et al. 2018).

        By one covariance within classes, shrunken as by Ledoit & Wolf (2004).
        """
        apart = embeddings.astype(np.float64)[:, None] - self._means
        found: np.ndarray = np.einsum("mcd,de,mce->mc", apart, self._precision, apart, optimize=True).min(1)
        return found

    def class_mean(self, embeddings: np.ndarray) -> np.ndarray:
        """(M,) Euclidean distances of (M, D) embeddings to the nearest class mean."""
        apart = embeddings.astype(np.float64)[:, None] - self._means
        found: np.ndarray = np.linalg.norm(apart, axis=2).min(1)
        return found

    def neighbour(self, embeddings: np.ndarray) -> np.ndarray:
        """(M,) distances of (M, D) embeddings to their tenth nearest training text, at length 1 (Sun et al. 2022)."""
        likeness = _unit(embeddings.astype(np.float64)) @ self._lengths.T
        place = min(NEIGHBOUR, likeness.shape[1]) - 1
        nearest = -np.partition(-likeness, place, axis=1)[:, place]
        return np.sqrt(np.maximum(0.0, 2 - 2 * nearest))


def unsure(probabilities: np.ndarray) -> np.ndarray:
    """(M,) one less the probability of the likeliest of C labels, of (M, C) (Hendrycks & Gimpel 2017)."""
    found: np.ndarray = 1 - probabilities.max(1)
    return found


def scores(known: Familiar, embeddings: np.ndarray, probabilities: np.ndarray) -> Mapping[str, np.ndarray]:
    """Every score (M,) of texts with these embeddings (M, D) and probabilities (M, C), by its name."""
    of_embedding: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Mahalanobis": known.mahalanobis,
        "nearest neighbours": known.neighbour,
        "class means": known.class_mean,
    }
    return {"softmax": unsure(probabilities)} | {name: score(embeddings) for name, score in of_embedding.items()}


def auroc(
    familiar: np.ndarray, others: np.ndarray, familiar_weights: np.ndarray, other_weights: np.ndarray
) -> np.ndarray:
    """(B,) how often one of the other texts has the larger score of two drawn at random; ties count half.

    Args:
        familiar, others: scores (N,) and (M,).
        familiar_weights, other_weights: (B, N) and (B, M) how often each text counts, as in a bootstrap.
    """
    order = np.argsort(familiar, kind="stable")
    below = np.zeros((len(familiar_weights), len(familiar) + 1))
    np.cumsum(familiar_weights[:, order], axis=1, out=below[:, 1:])
    ranked = familiar[order]
    smaller, not_larger = (below[:, np.searchsorted(ranked, others, side=side)] for side in ("left", "right"))
    wins = ((smaller + not_larger) / 2 * other_weights).sum(1)
    found: np.ndarray = wins / (below[:, -1] * other_weights.sum(1))
    return found


def _unit(embeddings: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(lengths, 1e-12)
