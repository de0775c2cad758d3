"""What a report rests on, read and computed once: runs by model, their predictions, and the answered questions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import Effect, MultiBootstrap, holm
from emo_hf.report.contrasts import Cell, Contrast, contrasts, sweep_contrasts
from emo_hf.report.grouping import ModelRuns, by_encoder, group_runs
from emo_hf.storage.record import RECORD_FILE, read_record, read_records, readable_predictions, study_arguments

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """A question with its answer.

    Attributes:
        asked: the question over all pairs of models that it is about.
        contrast: the same over the pairs that can be compared.
        lacking: the models for which a pair can not be compared, each with the reason, a key of the report's words.
        effect, p: the answer; p is corrected over its family by Holm's method.
    """

    asked: Contrast
    contrast: Contrast
    lacking: dict[Cell, str]
    effect: Effect
    p: float


@dataclass(frozen=True)
class Unanswered:
    """A question of which no pair can be compared, and why; see `Finding`."""

    asked: Contrast
    lacking: dict[Cell, str]


@dataclass(frozen=True)
class Analysis:
    """A study, or a part of it, as every writer of the report takes it.

    Attributes:
        models, baselines: the rows of the table.
        predictions: of each run that has them, by its folder: logits (N, C), labels (N,) and, of the run that maps
            show, embeddings (N, D).
        arguments: what all runs of the study share, by name; the values of a sweep are compared with them.
        folder: of the study.
    """

    models: list[ModelRuns]
    baselines: list[ModelRuns]
    predictions: Mapping[Path, Arrays]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    @classmethod
    def read(cls, study_dir: Path | str) -> Analysis:
        """Read a study's records and predictions.

        Raises UserError when the folder holds no completed run of a model or its runs do not belong together.
        """
        folder = Path(study_dir)
        records = read_records(folder)
        if not records:
            raise UserError(_nothing(folder))
        models, baselines = group_runs(records)
        if not models:
            raise UserError(_nothing(folder))
        return cls(models, baselines, read_predictions(models), study_arguments(folder), folder)

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the logits."""
        return self.models[0].labels

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
        return Analysis(models, [], kept, self.arguments, self.folder)

    def readable(self, model: ModelRuns) -> list[Arrays]:
        """The predictions of a model's runs."""
        return [self.predictions[run["directory"]] for run in model.runs if run["directory"] in self.predictions]

    @cached_property
    def classes(self) -> dict[Cell, np.ndarray]:
        """Predicted classes (S, N) of each model, by its `cell`; empty where runs were tested on different rows."""
        if not self.same_rows:
            logger.warning("the runs of this study were tested on different rows; nothing is compared")
            return {}
        found = {model.cell: [arrays["logits"].argmax(-1) for arrays in self.readable(model)] for model in self.models}
        return {cell: np.stack(classes) for cell, classes in found.items() if classes}

    @property
    def same_rows(self) -> bool:
        """Whether all runs were tested on the same rows."""
        labels = [arrays["labels"] for arrays in self.predictions.values()]
        return all(np.array_equal(labels[0], other) for other in labels[1:])

    @property
    def true_classes(self) -> np.ndarray:
        """The classes (N,) of the test rows of all that is in `classes`."""
        return next(iter(self.predictions.values()))["labels"]

    @cached_property
    def bootstrap(self) -> MultiBootstrap | None:
        """Macro-F1 of every model in `classes`, resampled; None where there is none."""
        return MultiBootstrap(self.classes, self.true_classes) if self.classes else None

    @property
    def questions(self) -> list[Contrast]:
        """All that the models of the study allow to ask."""
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
        if self.bootstrap is None or not self.repeated:
            return []
        answers = [(asked, contrast) for asked in self.questions if (contrast := asked.within(self.repeated))]
        effects = [self.bootstrap.effect(contrast.weights) for _, contrast in answers]
        corrected = [math.nan] * len(answers)
        # Families: the questions themselves, how they depend on each other, and of a sweep each setting.
        kinds = [(asked.under is not None, asked.factor if self.swept else None) for asked, _ in answers]
        for kind in dict.fromkeys(kinds):
            family = [i for i, other in enumerate(kinds) if other == kind]
            for place, p in zip(family, holm([effects[i].p for i in family]), strict=True):
                corrected[place] = p
        return [
            Finding(asked, contrast, self._lacking(asked), effect, p)
            for (asked, contrast), effect, p in zip(answers, effects, corrected, strict=True)
        ]

    @property
    def unanswered(self) -> list[Unanswered]:
        """Every question of which no pair of models has two seeds or more on both sides."""
        return [Unanswered(asked, self._lacking(asked)) for asked in self.questions if not asked.within(self.repeated)]

    def _lacking(self, asked: Contrast) -> dict[Cell, str]:
        seeds = {model.cell: len(model.runs) for model in self.models}
        reasons = {0: "no_run", 1: "single_seed"}
        return {cell: reasons.get(seeds.get(cell, 0), "unreadable") for cell in asked.lacking(self.repeated)}


def read_predictions(models: Sequence[ModelRuns]) -> dict[Path, Arrays]:
    """Logits and labels of every run that has them, by its folder, and embeddings where a map shows them.

    One warning names a run without predictions, or whose embeddings a map should show and can not.
    """
    found = {}
    for model in models:
        shown = model.median_run()
        for run in model.runs:
            arrays = readable_predictions(run, "report")
            if arrays is None:
                continue
            found[run["directory"]] = {name: arrays[name] for name in ("logits", "labels")}
            if run is not shown:
                continue
            if "embeddings" in arrays and np.isfinite(arrays["embeddings"]).all():
                found[run["directory"]]["embeddings"] = arrays["embeddings"]
            else:
                logger.warning("no embedding map for %s: its embeddings are missing or not finite", run["run_id"])
    return found


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
