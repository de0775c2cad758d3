"""Which questions a study asks: comparisons of models that differ in one thing, as weights of their mean scores."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emo_hf.report.grouping import ModelRuns, setting_text, varied
from emo_hf.report.predictions import LINEAR

Cell = tuple[Any, ...]  # encoder, pooling, loss, and (name, value) of each setting that a sweep varies
Pair = tuple[Cell, Cell]  # two models that differ in one thing, the baseline second
FACTORS = ("encoder", "pooling", "aux")
LINEAR_CELL: Cell = (LINEAR,)  # the place of TF-IDF with logistic regression among the models
SHOTS = "shots"  # the setting by which a sweep draws few rows for models and linear baseline alike
# What a level is compared with; encoders have no natural first one, so every pair of them is a question.
BASELINES = {"pooling": "cls", "aux": "none"}


@dataclass(frozen=True)
class Contrast:
    """One question: is `level` better than `baseline`, or (`under`) is it more so under one level of a second factor?

    Attributes:
        factor, level, baseline, under: what is asked. The factor `models` stands for all models over the linear
            baseline, `best` for the best of them, whose answer is corrected for its having been chosen.
        sides: the pairs of models over which the difference is averaged; of an interaction those under either level.
        absent: models that the study lacks, without which `incomplete` further pairs can not be compared.
    """

    factor: str
    level: str
    baseline: str
    sides: tuple[tuple[Pair, ...], ...]
    under: tuple[str, str] | None = None
    absent: tuple[Cell, ...] = ()

    @property
    def about_baseline(self) -> bool:
        """Whether it is asked about the linear baseline."""
        return self.factor in ("models", "best")

    @property
    def incomplete(self) -> int:
        """Pairs that the study has only one model of."""
        return len(self.absent)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs that are compared."""
        return tuple(itertools.chain(*self.sides))

    @property
    def weights(self) -> dict[Cell, float]:
        """Weights of the models' mean scores."""
        first, *second = map(_weights, self.sides)
        return first | {cell: -weight for weights in second for cell, weight in weights.items()}

    @property
    def cells(self) -> int:
        """Models on either side."""
        return sum(weight > 0 for weight in self.weights.values())

    def within(self, cells: Collection[Cell]) -> Contrast | None:
        """The question over those pairs of which both models are among `cells`; None where a side has none."""
        sides = tuple(tuple(pair for pair in side if set(pair) <= set(cells)) for side in self.sides)
        return replace(self, sides=sides, absent=()) if all(sides) else None

    def lacking(self, cells: Collection[Cell]) -> list[Cell]:
        """The models that would be needed and are not among `cells`."""
        needed = dict.fromkeys([*itertools.chain(*self.pairs), *self.absent])
        return [cell for cell in needed if cell not in cells]


def contrasts(cells: list[Cell]) -> list[Contrast]:
    """Main effects first, then every two-way interaction, over the pairs of models that differ in nothing else."""
    found = []
    levels = {place: _levels(place, cells) for place in range(len(FACTORS))}
    for place in (2, 1, 0):  # the loss is what the study is about
        for level, baseline in levels[place]:
            pairs, absent = _partners(place, level, baseline, cells)
            if pairs:
                found.append(Contrast(FACTORS[place], level, baseline, (pairs,), absent=absent))
    for place, other in ((2, 1), (2, 0), (1, 0)):
        for (level, baseline), under in itertools.product(levels[place], levels[other]):
            (first, lack), (second, lack_too) = (
                _partners(place, level, baseline, [cell for cell in cells if cell[other] == one]) for one in under
            )
            # A side of which no pair is complete lacks a model: the question is asked, and has no answer.
            if (first or second) and all((first or lack, second or lack_too)):
                found.append(Contrast(FACTORS[place], level, baseline, (first, second), under, (*lack, *lack_too)))
    return found


def baseline_contrasts(cells: Sequence[Cell]) -> list[Contrast]:
    """The models over the linear baseline, on average and the best of them; of a single model the one question.

    Where a sweep draws few rows, each model over the baseline on as many.
    """
    if any(_shots(cell) for cell in cells):
        return [Contrast("models", "", LINEAR, (((cell, (*LINEAR_CELL, *_shots(cell))),),)) for cell in cells]
    pairs = tuple((cell, LINEAR_CELL) for cell in cells)
    return [Contrast(factor, "", LINEAR, (pairs,)) for factor in ("models", "best")[: len(cells)]]


def sweep_contrasts(models: list[ModelRuns], own: Mapping[str, Any]) -> list[Contrast]:
    """Every value of a setting against the study's `own`, or else the first one, and every loss against none.

    A setting that models without auxiliary loss do not have is asked about under each loss. Differences are means
    over the pairs of models that differ in nothing else. How few rows are trained on is such a setting, and there each
    loss is asked about against none for each number of rows.
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
            base_side = [cell for cell in having if cells[cell][name] == base and loss in (None, cell[2])]
            against = [(cell, _with_setting(cell, name, base)) for cell in asked]
            against += [(_with_setting(cell, name, value), cell) for cell in base_side]
            pairs, absent = _complete(against, cells)
            if value != base and pairs:
                found.append(Contrast(name, level, setting_text([(name, base)]), (pairs,), absent=absent))
            if of_loss:
                against = [(cell, (*cell[:2], "none", *_others(cell, cells))) for cell in asked]
                pairs, absent = _complete(against, cells)
                if pairs:
                    found.append(Contrast("aux", level, "none", (pairs,), absent=absent))
        if name == SHOTS and "none" in losses:
            for value, loss in itertools.product(values, [loss for loss in losses if loss != "none"]):
                asked = [cell for cell in having if cells[cell][name] == value and cell[2] == loss]
                against = [(cell, (*cell[:2], "none", *_others(cell, cells))) for cell in asked]
                pairs, absent = _complete(against, cells)
                if pairs:
                    level = setting_text([(name, value)], before=loss)
                    found.append(Contrast("aux", level, "none", (pairs,), absent=absent))
    return sorted(found, key=lambda contrast: contrast.factor == "aux")


def _shots(cell: Cell) -> Cell:
    """How few rows of each label a model of a sweep was trained on, as the end of a cell."""
    return tuple(part for part in cell[3:] if part[0] == SHOTS)


def _with_setting(cell: Cell, name: str, value: Any) -> Cell:
    return (*cell[:3], *((name, value) if part[0] == name else part for part in cell[3:]))


def _others(cell: Cell, cells: Mapping[Cell, Any]) -> Cell:
    """The settings of a cell that models without auxiliary loss have too."""
    known = {part[0] for other in cells if other[2] == "none" for part in other[3:]}
    return tuple(part for part in cell[3:] if part[0] in known)


def _levels(place: int, cells: list[Cell]) -> list[tuple[str, str]]:
    """Levels to compare, better one first as one would ask: each against the baseline, or every two."""
    levels = list(dict.fromkeys(cell[place] for cell in cells))
    baseline = BASELINES.get(FACTORS[place])
    if baseline is not None and baseline in levels:
        return [(level, baseline) for level in levels if level != baseline]
    return [(second, first) for first, second in itertools.combinations(levels, 2)]


def _partners(
    place: int, level: str, baseline: str, cells: Collection[Cell]
) -> tuple[tuple[Pair, ...], tuple[Cell, ...]]:
    """Pairs of cells that differ in nothing else, and what is absent where a cell has no partner."""
    sides = [[cell for cell in cells if cell[place] == one] for one in (level, baseline)]
    alike = dict.fromkeys((cell[:place], cell[place + 1 :]) for side in sides for cell in side)
    pairs = [((*before, level, *after), (*before, baseline, *after)) for before, after in alike]
    return _complete(pairs, cells)


def _complete(pairs: Iterable[Pair], cells: Collection[Cell]) -> tuple[tuple[Pair, ...], tuple[Cell, ...]]:
    """Of pairs with one model in the study at least, those that are complete, and of each other one what is absent."""
    different = dict.fromkeys(pairs)
    complete = tuple(pair for pair in different if set(pair) <= set(cells))
    return complete, tuple(cell for pair in different if pair not in complete for cell in pair if cell not in cells)


def _weights(pairs: Sequence[Pair]) -> dict[Cell, float]:
    """Weights of the mean difference within pairs of cells."""
    weights: dict[Cell, float] = {}
    for cell, partner in pairs:
        weights[cell] = weights.get(cell, 0.0) + 1 / len(pairs)
        weights[partner] = weights.get(partner, 0.0) - 1 / len(pairs)
    return weights
