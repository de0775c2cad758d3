"""What a report rests on, read and computed once: runs by model, their predictions, and the answered questions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.errors import UserError
from emo_hf.evaluation.selection import best_effect
from emo_hf.evaluation.statistics import Effect, MultiBootstrap
from emo_hf.evaluation.verdicts import Decision, Verdict, decide
from emo_hf.report.answered import Finding, Outlook, Unanswered, outlook_of
from emo_hf.report.contrasts import LINEAR_CELL, Cell, Contrast, baseline_contrasts, contrasts, sweep_contrasts
from emo_hf.report.grouping import ModelRuns, by_encoder, group_runs
from emo_hf.report.predictions import Arrays, LinearBaseline, answers, read_linear, read_predictions
from emo_hf.report.risk_curves import Risks
from emo_hf.storage.record import RECORD_FILE, read_record, read_records, study_arguments

logger = logging.getLogger(__name__)

EQUAL_WITHIN = 1.0  # points


@dataclass(frozen=True)
class Analysis:
    """A study, or a part of it, as every writer of the report takes it.

    Attributes:
        models, baselines: the rows of the table.
        predictions: of each run that has them, by its folder: logits (N, C), labels (N,), or sets of labels (N, C)
            with thresholds (C,), and, of the run that maps show, embeddings (N, D).
        arguments: what all runs of the study share, by name; the values of a sweep are compared with them.
        folder: of the study.
        equal_within: points of macro-F1 within which two models count as equal.
        map_label: the label by which maps are coloured, where rows may have several; None where they have one.
    """

    models: list[ModelRuns]
    baselines: list[ModelRuns]
    predictions: Mapping[Path, Arrays]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    equal_within: float = EQUAL_WITHIN
    map_label: str | None = None

    @classmethod
    def read(
        cls, study_dir: Path | str, *, equal_within: float = EQUAL_WITHIN, map_label: str | None = None
    ) -> Analysis:
        """Read a study's records and predictions.

        Raises UserError when the folder holds no completed run of a model, its runs do not belong together,
        `equal_within` is not above 0, or `map_label` is no label of rows with several.
        """
        if not 0 < equal_within <= 100:
            raise UserError(f"equal_within is {equal_within}; allowed: above 0 to 100, in points of macro-F1")
        folder = Path(study_dir)
        records = read_records(folder)
        if not records:
            raise UserError(_nothing(folder))
        models, baselines = group_runs(records)
        if not models:
            raise UserError(_nothing(folder))
        shown = label_of_maps(models[0], map_label)
        return cls(models, baselines, read_predictions(models), study_arguments(folder), folder, equal_within, shown)

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the logits."""
        return self.models[0].labels

    @property
    def multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return self.models[0].multi_label

    @property
    def rows(self) -> list[ModelRuns]:
        """The models and, below them, the baselines."""
        return self.models + self.baselines

    @property
    def swept(self) -> bool:
        """Whether the study varies an argument over several values."""
        return any(model.settings for model in self.models)

    def sheets(self) -> dict[str, Analysis]:
        """The part of each encoder, under the encoder's name as a part of a file name."""
        return {stem: self.of(models) for stem, models in by_encoder(self.models).items()}

    def of(self, models: list[ModelRuns]) -> Analysis:
        """The part of some of the models."""
        folders = {run["directory"] for model in models for run in model.runs}
        kept = {folder: arrays for folder, arrays in self.predictions.items() if folder in folders}
        return replace(self, models=models, baselines=[], predictions=kept)

    def readable(self, model: ModelRuns) -> list[Arrays]:
        """The predictions of a model's runs."""
        return [self.predictions[run["directory"]] for run in model.runs if run["directory"] in self.predictions]

    @cached_property
    def classes(self) -> dict[Cell, np.ndarray]:
        """Predicted classes (S, N), or sets (S, N, C), of each model, by its `cell`.

        Empty where runs were tested on different rows.
        """
        if not self.same_rows:
            logger.warning("the runs of this study were tested on different rows; nothing is compared")
            return {}
        found = {model.cell: [answers(arrays) for arrays in self.readable(model)] for model in self.models}
        return {cell: np.stack(classes) for cell, classes in found.items() if classes}

    @property
    def same_rows(self) -> bool:
        """Whether all runs were tested on the same rows."""
        labels = [arrays["labels"] for arrays in self.predictions.values()]
        return all(np.array_equal(labels[0], other) for other in labels[1:])

    @property
    def true_classes(self) -> np.ndarray:
        """The classes (N,), or sets of labels (N, C), of the test rows of all that is in `classes`."""
        return next(iter(self.predictions.values()))["labels"]

    @cached_property
    def linear(self) -> LinearBaseline:
        """What TF-IDF with logistic regression predicts on the rows of `true_classes`."""
        return read_linear(self.baselines, self.true_classes)

    @cached_property
    def bootstrap(self) -> MultiBootstrap | None:
        """Macro-F1 of every model in `classes` and of the linear baseline, resampled; None where there is none."""
        if not self.classes:
            return None
        runs = {**self.classes, **self.linear.classes}
        return MultiBootstrap(runs, self.true_classes, deterministic=self.linear.deterministic)

    @cached_property
    def risks(self) -> Risks | None:
        """Risk against coverage of every model in `classes` and of the linear baseline.

        None where a row may have several labels, nothing can be compared, or the study is a sweep.
        """
        if self.multi_label or self.swept or not self.classes:
            return None
        runs = {model.cell: found for model in self.models if (found := self.readable(model))}
        return Risks.of({**runs, **self.linear.arrays}, self.linear.deterministic)

    @property
    def questions(self) -> list[Contrast]:
        """All that the models of the study allow to ask about each other."""
        if self.swept:
            return sweep_contrasts(self.models, self.arguments)
        return contrasts([model.cell for model in self.models])

    @cached_property
    def repeated(self) -> set[Cell]:
        """Models with two seeds or more, which have intervals."""
        return {cell for cell, runs in self.classes.items() if len(runs) > 1}

    @cached_property
    def findings(self) -> list[Finding]:
        """Every question that can be answered, over the pairs of models with two seeds or more on either side."""
        return self._decided(self.questions, self.repeated)

    @property
    def unanswered(self) -> list[Unanswered]:
        """Every question of which no pair of models has two seeds or more on both sides."""
        return [Unanswered(asked, self.lacking(asked)) for asked in self.questions if not asked.within(self.repeated)]

    @cached_property
    def against_baseline(self) -> list[Finding] | list[Unanswered]:
        """Whether the models beat the linear baseline, and the best of them; or why nobody can say.

        Where a sweep draws few rows, each model against the baseline of as many rows, which are the same ones.

        Empty where the runs were tested on different rows.
        """
        if not self.classes:
            return []
        asked = baseline_contrasts([model.cell for model in self.models])
        having = self.repeated | self.linear.known
        return self._decided(asked, having) or [Unanswered(asked[0], self.lacking(asked[0]))]

    def _decided(self, questions: list[Contrast], having: set[Cell]) -> list[Finding]:
        """The questions that the models `having` what it takes can answer, each decided within its family."""
        if self.bootstrap is None:
            return []
        answers = [(asked, contrast) for asked in questions if (contrast := asked.within(having))]
        # The best of one is that one, which the question about the mean is about already.
        answers = [(asked, contrast) for asked, contrast in answers if asked.factor != "best" or contrast.cells > 1]
        effects = [self._effect(contrast) for _, contrast in answers]
        decisions: dict[int, Decision] = {}
        # Families: over the baseline, the questions themselves, how they depend on each other, and of a sweep each
        # setting.
        kinds = [
            (asked.under is not None, asked.factor if self.swept and not asked.about_baseline else None)
            for asked, _ in answers
        ]
        for kind in dict.fromkeys(kinds):
            family = [place for place, other in enumerate(kinds) if other == kind]
            decided = decide([effects[place][0] for place in family], self.equal_within / 100)
            decisions |= zip(family, decided, strict=True)
        return [
            Finding(asked, contrast, self.lacking(asked), effect, decisions[place], kinds.count(kinds[place]), chosen)
            for place, ((asked, contrast), (effect, chosen)) in enumerate(zip(answers, effects, strict=True))
        ]

    @cached_property
    def outlooks(self) -> dict[Contrast, Outlook]:
        """Of each undecided question what could have been shown, and what would show `equal_within`."""
        found = [one for one in [*self.against_baseline, *self.findings] if isinstance(one, Finding)]
        undecided = [one for one in found if one.verdict is Verdict.UNDECIDED]
        if self.bootstrap is None:
            return {}
        return {one.asked: outlook_of(one, self.bootstrap, self.equal_within / 100) for one in undecided}

    def _effect(self, contrast: Contrast) -> tuple[Effect, Cell | None]:
        """The answer in numbers, and of the question about the best model, which it is."""
        assert self.bootstrap is not None, "nothing is asked where nothing can be compared"
        if contrast.factor == "best":
            best = best_effect(self.bootstrap, [cell for cell, _ in contrast.pairs], LINEAR_CELL)
            return best.effect, best.name
        return self.bootstrap.effect(contrast.weights), None

    def lacking(self, asked: Contrast) -> dict[Cell, str]:
        """The models for which a pair of a question can not be compared, each with the reason; see `Finding`."""
        if asked.about_baseline and self.linear.reason:
            return {LINEAR_CELL: self.linear.reason}
        seeds = {model.cell: len(model.runs) for model in self.rows}
        reasons = {0: "no_run", 1: "single_seed"}
        lacking = asked.lacking(self.repeated | self.linear.known)
        return {cell: reasons.get(seeds.get(cell, 0), "unreadable") for cell in lacking}


def label_of_maps(model: ModelRuns, given: str | None = None) -> str | None:
    """The label that maps are coloured by, the one `given` or else the commonest of the test rows.

    None where rows have one label each: their maps show all.
    """
    if given is not None and not (model.multi_label and given in model.labels):
        has = f"allowed: {', '.join(model.labels)}" if model.multi_label else "the texts have one label each; leave it"
        raise UserError(f"map_label is {given!r}; {has}")
    if not model.multi_label:
        return None
    scores = model.runs[0]["test"]["per_class"]
    return given or max(model.labels, key=lambda label: scores[label]["support"])


def _nothing(folder: Path) -> str:
    """Why there is no report."""
    paths = sorted(folder.glob(f"*/{RECORD_FILE}"))
    failed = [record for path in paths if (record := read_record(path.parent)) and record.get("status") == "failed"]
    if not failed:
        return f"{folder} holds no completed run of a model (<run>/{RECORD_FILE}); run the study first"
    run, said = failed[0].get("run_id"), failed[0].get("error")
    return (
        f"{folder} holds no completed run of a model: {len(failed)} failed, {run} with: {said}; mend that and run the "
        "study again"
    )
