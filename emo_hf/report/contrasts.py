"""Which questions a study asks: comparisons of models that differ in one thing, as weights of their mean scores."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from emo_hf.report.grouping import ModelRuns, setting_text, varied

Cell = tuple[Any, ...]  # encoder, pooling, loss, and (name, value) of each setting that a sweep varies
FACTORS = ("encoder", "pooling", "aux")
# What a level is compared with; encoders have no natural first one, so every pair of them is a question.
BASELINES = {"pooling": "cls", "aux": "none"}


@dataclass(frozen=True)
class Contrast:
    """One question: is `level` better than `baseline`, or (`under`) is it more so under one level of a second factor?

    `weights` are those of the models' mean scores; `cells` says over how many pairs of models the difference is
    averaged.
    """

    factor: str
    level: str
    baseline: str
    weights: dict[Cell, float]
    under: tuple[str, str] | None = None

    @property
    def cells(self) -> int:
        """Models on either side."""
        return sum(weight > 0 for weight in self.weights.values())


def contrasts(cells: list[Cell]) -> list[Contrast]:
    """Main effects first, then every two-way interaction, over the pairs of models that differ in nothing else."""
    found = []
    pairs = {place: _pairs(place, cells) for place in range(len(FACTORS))}
    for place in (2, 1, 0):  # the loss is what the study is about
        for level, baseline in pairs[place]:
            if weights := _difference(place, level, baseline, cells):
                found.append(Contrast(FACTORS[place], level, baseline, weights))
    for place, other in ((2, 1), (2, 0), (1, 0)):
        for (level, baseline), (upper, lower) in itertools.product(pairs[place], pairs[other]):
            both = [
                _difference(place, level, baseline, [cell for cell in cells if cell[other] == under])
                for under in (upper, lower)
            ]
            if all(both):
                weights = both[0] | {cell: -weight for cell, weight in both[1].items()}
                found.append(Contrast(FACTORS[place], level, baseline, weights, (upper, lower)))
    return found


def sweep_contrasts(models: list[ModelRuns], own: Mapping[str, Any]) -> list[Contrast]:
    """Every value of a setting against the study's `own`, or else the first one, and every loss against none.

    A setting that models without auxiliary loss do not have is asked about under each loss. Differences are means
    over the pairs of models that differ in nothing else.
    """
    cells = {model.cell: dict(model.settings) for model in models}
    found = []
    for name in varied(models):
        values = list(dict.fromkeys(settings[name] for settings in cells.values() if name in settings))
        base = own[name] if own.get(name) in values else values[0]
        having = [cell for cell, settings in cells.items() if name in settings]
        losses = list(dict.fromkeys(cell[2] for cell in having))
        of_loss = any(cell[2] == "none" for cell in cells) and "none" not in losses
        for loss, value in itertools.product(losses if of_loss else [None], values):
            asked = [cell for cell in having if cells[cell][name] == value and loss in (None, cell[2])]
            level = setting_text([(name, value)], before=loss)
            against = {cell: _with_setting(cell, name, base) for cell in asked}
            if value != base and (weights := _mean_difference(against, cells)):
                found.append(Contrast(name, level, setting_text([(name, base)]), weights))
            if of_loss:
                against = {cell: (*cell[:2], "none", *_others(cell, cells)) for cell in asked}
                if weights := _mean_difference(against, cells):
                    found.append(Contrast("aux", level, "none", weights))
    return sorted(found, key=lambda contrast: contrast.factor == "aux")


def _with_setting(cell: Cell, name: str, value: Any) -> Cell:
    return (*cell[:3], *((name, value) if part[0] == name else part for part in cell[3:]))


def _others(cell: Cell, cells: Mapping[Cell, Any]) -> Cell:
    """The settings of a cell that models without auxiliary loss have too."""
    known = {part[0] for other in cells if other[2] == "none" for part in other[3:]}
    return tuple(part for part in cell[3:] if part[0] in known)


def _pairs(place: int, cells: list[Cell]) -> list[tuple[str, str]]:
    """Levels to compare, better one first as one would ask: each against the baseline, or every two."""
    levels = list(dict.fromkeys(cell[place] for cell in cells))
    baseline = BASELINES.get(FACTORS[place])
    if baseline in levels:
        return [(level, baseline) for level in levels if level != baseline]
    return [(second, first) for first, second in itertools.combinations(levels, 2)]


def _difference(place: int, level: str, baseline: str, cells: Collection[Cell]) -> dict[Cell, float]:
    """Weights of the mean difference over pairs of cells that differ in nothing else; empty without such a pair."""
    partners = {cell: (*cell[:place], baseline, *cell[place + 1 :]) for cell in cells if cell[place] == level}
    return _mean_difference(partners, cells)


def _mean_difference(partners: Mapping[Cell, Cell], cells: Collection[Cell]) -> dict[Cell, float]:
    """Weights of the mean difference between cells and their partners, of those that the study has."""
    pairs = [pair for pair in partners.items() if pair[1] in cells]
    weights: dict[Cell, float] = {}
    for cell, partner in pairs:
        weights[cell] = weights.get(cell, 0.0) + 1 / len(pairs)
        weights[partner] = weights.get(partner, 0.0) - 1 / len(pairs)
    return weights
