"""The training sentences around a new one: in the embedding space, and on a plane where each has its place."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.loading import EmotionData
from emo_hf.errors import UserError
from emo_hf.inference.predictor import Predictor
from emo_hf.training.loaded import load_data

# A large model embeds so many in minutes, and a map of more is only darker.
MOST_SENTENCES = 5000
SEED = 42
NO_LABEL = -1

Labels = Sequence[Any] | np.ndarray  # an index a row, or a list of them


class Neighbours:
    """Training sentences with their embeddings, searched by Euclidean distance.

    The plane is that of their first two principal components, so that a new embedding has its exact place on it.

    Attributes: texts (N), sets (N) of their labels' indices, labels (N) as indices, the first of each set or
    `NO_LABEL`, embeddings (N, D), points (N, 2) on the plane, and shown, the share of the embeddings' variance that
    the plane shows.

    Args:
        texts: N sentences, N > 0.
        labels: (N,) their class indices, or lists of them.
        embeddings: (N, D).
    """

    def __init__(self, texts: Sequence[str], labels: Labels, embeddings: np.ndarray):
        self.texts, self.embeddings = list(texts), embeddings.astype(np.float32)
        self.sets = [[int(row)] if np.ndim(row) == 0 else list(row) for row in labels]
        self.labels = np.array([row[0] if row else NO_LABEL for row in self.sets])
        self._centre = self.embeddings.mean(axis=0)
        _, sizes, directions = np.linalg.svd(self.embeddings - self._centre, full_matrices=False)
        self._plane = np.zeros((2, self.embeddings.shape[1]), dtype=np.float32)
        self._plane[: len(directions)] = directions[:2]  # one row has one direction
        variance = sizes.astype(np.float64) ** 2
        self.shown = float(variance[:2].sum() / variance.sum()) if variance.any() else 1.0
        self.points = self.place(self.embeddings)

    @classmethod
    def embedded(cls, predictor: Predictor, texts: Sequence[str], labels: Labels) -> Neighbours:
        """The sentences embedded by a model, and several labels of one in its order, the likeliest first."""
        scores, embeddings = predictor.outputs(list(texts))
        if any(np.ndim(row) for row in labels):
            given = zip(labels, scores.tolist(), strict=True)
            labels = [sorted(row, key=lambda label: -found[label]) for row, found in given]
        return cls(texts, labels, embeddings.numpy())

    def nearest(self, embedding: np.ndarray, count: int) -> list[tuple[int, float]]:
        """The rows of the `count` sentences nearest to an embedding (D,), each with its distance, nearest first."""
        distances = np.linalg.norm(self.embeddings - embedding, axis=1)
        return [(int(row), float(distances[row])) for row in np.argsort(distances, kind="stable")[:count]]

    def place(self, embeddings: np.ndarray) -> np.ndarray:
        """(M, D) embeddings to their (M, 2) places on the plane."""
        return (embeddings - self._centre) @ self._plane.T


def stratified(texts: Sequence[str], labels: Labels) -> tuple[list[str], list[Any]]:
    """At most `MOST_SENTENCES` of the rows, each label by its share, in their order; the same ones every time.

    A row of several labels counts by the one that fewest rows have.
    """
    classes, place, generator = _rarest(labels), np.empty(len(labels)), np.random.default_rng(SEED)
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        place[generator.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    kept = np.sort(np.argsort(place, kind="stable")[:MOST_SENTENCES]).tolist()
    return [texts[row] for row in kept], [labels[row] for row in kept]


def _rarest(labels: Labels) -> np.ndarray:
    """The label of each row (N,), of several the one that fewest rows have; `NO_LABEL` without one."""
    if not any(np.ndim(row) for row in labels):
        return np.asarray(labels)
    rows = Counter(label for row in labels for label in row)
    return np.array([min(row, key=lambda label: (rows[label], label), default=NO_LABEL) for row in labels])


def training_data(record: dict[str, Any] | None) -> EmotionData:
    """The data that a run was trained on, by the arguments of its record.

    Raises:
        UserError: without a completed record, or if the data can't be read.
    """
    try:
        # Training rows alone are asked for, whichever rows were left out of the others.
        arguments = replace(DataArguments(**(record or {})["arguments"]["data"]), unseen_by=[])
    except (KeyError, TypeError):
        raise UserError("no record.json of the model can be read that says what it was trained on") from None
    return load_data(arguments)


def other_data(
    record: dict[str, Any] | None, source: str | Sequence[str], labels: Sequence[str], reading: Mapping[str, Any]
) -> EmotionData:
    """Data that are shown in place of a run's own, with the labels of its model.

    They are read as the run's own were, with its columns and its names of labels; what has nothing of that, by itself.

    Args:
        record: of the run, if there is one.
        source: what `load_emotion_data` takes.
        labels: of the model.
        reading: arguments of `DataArguments` that win over the record's.

    Raises:
        UserError: if the data can't be read.
    """
    wanted = {"data": source, "labels": list(labels)} | dict(reading)
    recorded = (record or {}).get("arguments", {}).get("data")
    if isinstance(recorded, dict):
        as_recorded = (
            recorded | {"data_revision": None, "train_fraction": 1.0, "shots": None, "unseen_by": []} | wanted
        )
        with contextlib.suppress(UserError, TypeError):
            return load_data(DataArguments(**as_recorded))
    return load_data(DataArguments(**wanted))
