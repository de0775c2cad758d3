"""What a study of transfer has found, read and computed once: every model on every target, and questions of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import Effect, MultiBootstrap
from emo_hf.evaluation.verdicts import Decision, decide
from emo_hf.report.analysis import EQUAL_WITHIN
from emo_hf.report.predictions import LINEAR, answers
from emo_hf.storage.files import read_object
from emo_hf.storage.record import TRANSFER_FILE, read_records, readable_predictions

logger = logging.getLogger(__name__)


class Arm(NamedTuple):
    """What is scored on a target: the model of a source ("" for none), after `rows` rows of the target; or TF-IDF."""

    source: str
    rows: int = 0
    linear: bool = False


@dataclass(frozen=True)
class Question:
    """By how much `better` is better than `than` on a target, decided within its family."""

    target: str
    better: Arm
    than: Arm
    effect: Effect
    decision: Decision


@dataclass(frozen=True)
class TransferAnalysis:
    """A study of transfer as its writers take it.

    Attributes:
        told: what the study says of itself: sources, targets, rows, labels, corpora, model.
        predicted: of each target and arm the predicted classes of its runs (S, N).
        labels: of each target the true classes (N,).
        folder: of the study.
        equal_within: points of macro-F1 within which two models count as equal.
    """

    told: Mapping[str, Any]
    predicted: Mapping[str, Mapping[Arm, np.ndarray]]
    labels: Mapping[str, np.ndarray]
    folder: Path
    equal_within: float = EQUAL_WITHIN

    @classmethod
    def read(cls, study_dir: Path | str, *, equal_within: float = EQUAL_WITHIN) -> TransferAnalysis:
        """Read a study's records and predictions.

        Raises:
            UserError: a folder that is no study of transfer or holds no completed run; `equal_within` not above 0.
        """
        if not 0 < equal_within <= 100:
            raise UserError(f"equal_within is {equal_within}; allowed: above 0 to 100, in points of macro-F1")
        folder = Path(study_dir)
        told = read_object(folder / TRANSFER_FILE)
        if told is None:
            raise UserError(f"{folder} is no study of transfer ({TRANSFER_FILE} is missing or damaged); run it first")
        try:
            predicted, labels = _predictions(folder, told)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder / TRANSFER_FILE} does not go with the runs beside it ({error!r}); delete it and run the "
                "study again, done runs are kept"
            ) from None
        if not any(not arm.linear for arms in predicted.values() for arm in arms):
            raise UserError(f"{folder} holds no completed run of a model; run the study first")
        return cls(told, predicted, labels, folder, equal_within)

    @property
    def sources(self) -> list[str]:
        """The corpora that were trained on, in their order."""
        return list(self.told["sources"])

    @property
    def targets(self) -> list[str]:
        """The corpora that were tested on."""
        return list(self.told["targets"])

    @property
    def rows(self) -> list[int]:
        """How many rows of a target were trained on, without 0, ascending."""
        return sorted(rows for rows in self.told["rows"] if rows)

    @property
    def lines(self) -> list[str]:
        """The rows of the table: the sources, then targets that are none, whose own models alone are shown."""
        return list(dict.fromkeys([*self.sources, *self.targets]))

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Which corpus's model is shown on which target."""
        return [(s, t) for s in self.lines for t in self.targets if s in self.sources or s == t]

    @cached_property
    def bootstraps(self) -> dict[str, MultiBootstrap]:
        """Macro-F1 of all arms of a target, resampled over its test rows and the seeds."""
        return {
            target: MultiBootstrap(arms, self.labels[target], deterministic=[arm for arm in arms if arm.linear])
            for target, arms in self.predicted.items()
            if arms
        }

    def score(self, target: str, arm: Arm) -> Effect | None:
        """Macro-F1 of an arm; None where it has no run."""
        if arm not in self.predicted[target]:
            return None
        return self.bootstraps[target].effect({arm: 1.0})

    def seeds(self, target: str, arm: Arm) -> int:
        """How many runs an arm has."""
        return len(self.predicted[target].get(arm, ()))

    @cached_property
    def losses(self) -> dict[tuple[str, str], Question]:
        """The target's own model less that of each other source, by source and target; all are one family."""
        asked = [(t, Arm(t), Arm(s)) for s, t in self.cells if s != t]
        return {(one.than.source, one.target): one for one in self._decided(asked)}

    @cached_property
    def gains(self) -> dict[tuple[str, str, int], Question]:
        """A source's model after some rows of the target less the model of these rows alone; one family."""
        asked = [(t, Arm(s, rows), Arm("", rows)) for s, t in self.cells if s != t for rows in self.rows]
        return {(one.better.source, one.target, one.better.rows): one for one in self._decided(asked)}

    @cached_property
    def over_linear(self) -> dict[tuple[str, str], Question]:
        """Each model less TF-IDF with logistic regression of the same source; one family."""
        asked = [(t, Arm(s), Arm(s, linear=True)) for s, t in self.cells]
        return {(one.better.source, one.target): one for one in self._decided(asked)}

    def _decided(self, asked: list[tuple[str, Arm, Arm]]) -> list[Question]:
        """The questions whose both sides there are, decided as one family."""
        there = [one for one in asked if {one[1], one[2]} <= self.predicted[one[0]].keys()]
        effects = [self.bootstraps[target].effect({better: 1.0, than: -1.0}) for target, better, than in there]
        decisions = decide(effects, self.equal_within / 100)
        return [
            Question(target, better, than, effect, decision)
            for (target, better, than), effect, decision in zip(there, effects, decisions, strict=True)
        ]


def _predictions(
    folder: Path, told: Mapping[str, Any]
) -> tuple[dict[str, dict[Arm, np.ndarray]], dict[str, np.ndarray]]:
    """The predicted classes of each target's arms, by seed, and the target's true classes."""
    found: dict[str, dict[Arm, dict[Any, np.ndarray]]] = {target: {} for target in told["targets"]}
    truth: dict[str, np.ndarray] = {}

    def take(target: str, arm: Arm, seed: Any, classes: np.ndarray, labels: np.ndarray) -> None:
        if not np.array_equal(truth.setdefault(target, labels), labels):
            raise ValueError(f"runs were tested on other rows of {target}")
        found[target].setdefault(arm, {})[seed] = classes

    places = {target: slice(*stops) for target, stops in told["places"].items()}
    for record in read_records(folder):
        settings = record["model"].get("settings") or {}
        source, target, rows = settings.get("source", ""), settings.get("target"), settings.get("rows", 0)
        if rows and target in found and rows in told["rows"] and (not source or source in told["sources"]):
            if (arrays := readable_predictions(record, "report")) is not None:
                take(target, Arm(source, rows), record["seed"], answers(arrays), arrays["labels"])
        elif not rows and source in told["corpora"] and (arrays := readable_predictions(record, "report")) is not None:
            for target, place in places.items():
                take(target, Arm(source), record["seed"], answers(arrays)[place], arrays["labels"][place])
    for source, corpus in told["corpora"].items():
        for record in read_records(folder / str(corpus["baselines"])):
            if record["model"]["name"] != LINEAR or (arrays := readable_predictions(record, "report")) is None:
                continue
            for target, place in places.items():
                take(target, Arm(source, linear=True), None, answers(arrays)[place], arrays["labels"][place])
    stacked = {
        target: {arm: np.stack([runs[seed] for seed in sorted(runs)]) for arm, runs in arms.items()}
        for target, arms in found.items()
    }
    return stacked, truth
