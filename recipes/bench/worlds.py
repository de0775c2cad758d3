"""Simulated studies whose truth is known exactly, for recipes/bench/verdicts.py and the tests of false claims."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy import special

from emo_hf.evaluation.planning import Variances
from emo_hf.evaluation.statistics import Effect, MultiBootstrap
from emo_hf.evaluation.verdicts import Decision, decide
from emo_hf.report.contrasts import Cell, Contrast, contrasts

GRID = tuple(itertools.product(["bert", "roberta"], ["cls", "mean"], ["none", "contrastive", "triplet"]))
PAIR = (GRID[0], GRID[2])  # none and triplet
CLASSES = 3
# What makes a row hard: for every model alike, for one model, for one run. So two seeds agree on 85 % of the rows, and
# two models on a little less, as those of the bundled encoders on the bundled sample.
COMMON, OWN, LUCK = 0.79, 0.03, 0.18


@dataclass(frozen=True)
class World:
    """Models of a study with their true scores.

    A run is right about a row where its skill is above the row's difficulty, which is normal and has a part for all
    models, for each model, and for each run. So the share of rows that a run is right about, over all rows that there
    could be, is known; and since classes are equally frequent and wrong answers fall on both others alike, macro-F1 is
    the same number. Over the seeds it varies normally around the model's true score.

    Attributes:
        cells: the models.
        gains: points that a level of a factor adds to `base`.
        spread: standard deviation over seeds, in points.
        wider: times as much in models with the triplet loss.
        base: true score, in points.
    """

    cells: tuple[Cell, ...] = GRID
    gains: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.8
    wider: float = 1.0
    base: float = 76.0

    @cached_property
    def scores(self) -> np.ndarray:
        """True scores (K,) of the models, fractions."""
        return np.array([self.base + sum(self.gains.get(level, 0.0) for level in cell) for cell in self.cells]) / 100

    @cached_property
    def spreads(self) -> np.ndarray:
        """Standard deviations (K,) over seeds, fractions."""
        return np.array([self.spread * (self.wider if cell[2] == "triplet" else 1.0) for cell in self.cells]) / 100

    @property
    def questions(self) -> list[Contrast]:
        """All that a study asks: main effects, then interactions."""
        return contrasts(list(self.cells))

    def truth(self, weights: Mapping[Cell, float]) -> float:
        """The true value of a weighted sum of scores."""
        return float(sum(weights.get(cell, 0.0) * score for cell, score in zip(self.cells, self.scores, strict=True)))

    def draw(self, random: np.random.Generator, seeds: int, rows: int) -> tuple[dict[Cell, np.ndarray], np.ndarray]:
        """Predictions (S, N) of the models, and the true classes (N,)."""
        models = len(self.cells)
        labels = random.integers(CLASSES, size=rows)
        skill = self.scores[:, None] + self.spreads[:, None] * random.normal(size=(models, seeds))
        hard = COMMON**0.5 * random.normal(size=rows) + OWN**0.5 * random.normal(size=(models, 1, rows))
        hard = hard + LUCK**0.5 * random.normal(size=(models, seeds, rows))
        right = hard < special.ndtri(np.clip(skill, 1e-6, 1 - 1e-6))[:, :, None]
        tempting = random.integers(1, CLASSES, size=rows)  # the wrong class that most runs fall for
        wrong = np.where(random.random(right.shape) < 0.8, tempting, CLASSES - tempting)
        return dict(zip(self.cells, (labels + np.where(right, 0, wrong)) % CLASSES, strict=True)), labels

    def bootstrap(self, number: int, seeds: int, rows: int, resamples: int = 200) -> MultiBootstrap:
        """The statistics of one study."""
        return MultiBootstrap(
            *self.draw(np.random.default_rng([number, seeds, rows]), seeds, rows), resamples=resamples, seed=number
        )

    def variances(self, weights: Mapping[Cell, float], pilots: int = 8) -> Variances:
        """The true parts of the variance of a weighted sum: seeds exactly, rows and chance from large studies."""
        world = replace(self, cells=tuple(weights))
        found = [Variances.of(world.bootstrap(number, 3, 3000, 800), weights) for number in range(pilots)]
        of_seeds = sum((weights[cell] * spread) ** 2 for cell, spread in zip(weights, world.spreads, strict=True))
        rows, chance = (float(np.mean([getattr(one, part) for one in found])) for part in ("rows", "chance"))
        return Variances(float(of_seeds), rows, chance, len(self.cells))


def answers(
    bootstrap: MultiBootstrap, questions: Sequence[Contrast], within: float | None
) -> list[tuple[Effect, Decision]]:
    """The answers of a study, main effects and interactions as families of their own."""
    effects = [bootstrap.effect(contrast.weights) for contrast in questions]
    decisions: dict[int, Decision] = {}
    for kind in (False, True):
        family = [i for i, contrast in enumerate(questions) if (contrast.under is not None) == kind]
        decisions |= zip(family, decide([effects[i] for i in family], within), strict=True)
    return [(effect, decisions[i]) for i, effect in enumerate(effects)]
