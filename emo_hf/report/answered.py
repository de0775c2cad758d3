"""The questions of a study with their answers, and what it would take to answer those that are open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emo_hf.evaluation.planning import Goal, Requirement, Variances, detectable, requirement
from emo_hf.evaluation.statistics import Effect, MultiBootstrap
from emo_hf.evaluation.verdicts import Decision, Verdict
from emo_hf.report.contrasts import LINEAR_CELL, Cell, Contrast


@dataclass(frozen=True)
class Finding:
    """A question with its answer.

    Attributes:
        asked: the question over all pairs of models that it is about.
        contrast: the same over the pairs that can be compared.
        lacking: the models for which a pair can not be compared, each with the reason, a key of the report's words.
        effect: the answer in numbers.
        decision: the answer in a word, with what it rests on, corrected over the family of the question.
        family: how many questions were corrected together, this one among them.
        chosen: of the question about the best model, which it is.
    """

    asked: Contrast
    contrast: Contrast
    lacking: dict[Cell, str]
    effect: Effect
    decision: Decision
    family: int
    chosen: Cell | None = None

    @property
    def weights(self) -> dict[Cell, float]:
        """Weights of the models' mean scores: of the best model it is the one that was chosen."""
        return {self.chosen: 1.0, LINEAR_CELL: -1.0} if self.chosen else self.contrast.weights

    @property
    def verdict(self) -> Verdict:
        """The answer in a word."""
        return self.decision.verdict


@dataclass(frozen=True)
class Unanswered:
    """A question of which no pair can be compared, and why; see `Finding`."""

    asked: Contrast
    lacking: dict[Cell, str]


@dataclass(frozen=True)
class Outlook:
    """What a question could have been answered with, each with 80 % power at the level that it was tested at.

    Attributes:
        detectable: the smallest true difference that a study of this size shows, a fraction; None where there can be
            none so large.
        requirement: what would show the difference that was asked for.
    """

    detectable: float | None
    requirement: Requirement


def seeds_of(finding: Finding, bootstrap: MultiBootstrap) -> int:
    """The seeds of the models that a question is about, the fewest where they differ."""
    return min(len(bootstrap.scores[cell]) for cell in finding.weights if cell in bootstrap.chance)


def variances_of(finding: Finding, bootstrap: MultiBootstrap) -> Variances:
    """The parts of the variance of a question's answer.

    That the best model was chosen adds to its error, as if all parts were larger.
    """
    parts = Variances.of(bootstrap, finding.weights)
    more = (finding.effect.standard_error / bootstrap.effect(finding.weights).standard_error) ** 2
    return replace(parts, seeds=more * parts.seeds, rows=more * parts.rows, chance=more * parts.chance)


def outlook_of(finding: Finding, bootstrap: MultiBootstrap, difference: float) -> Outlook:
    """What the study could have shown of a question, and what would show a true `difference` (a fraction)."""
    parts, level = variances_of(finding, bootstrap), finding.decision.level
    size = seeds_of(finding, bootstrap), bootstrap.rows
    shown = detectable(parts, *size, level)
    needed = requirement(parts, Goal(difference, level), *size)
    return Outlook(shown if shown <= finding.effect.bounds[1] else None, needed)
