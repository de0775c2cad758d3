"""Runs that differ only by seed are one model; models carry the numbers of the original study."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from emo_hf.errors import UserError
from emo_hf.storage.files import file_stem
from emo_hf.storage.model_numbers import ORIGINAL
from emo_hf.storage.record import adapters

logger = logging.getLogger(__name__)

Record = dict[str, Any]

POOLINGS = ("cls", "mean", "max", "attention", "last")
LOSSES = ("none", "contrastive", "triplet", "supcon")
FLOWING_COLUMNS = 3


@dataclass(frozen=True)
class ModelRuns:
    """One row of the table: all runs of one model or baseline, sorted by seed."""

    runs: list[Record]
    number: int | None
    encoder: str
    pooling: str | None = None
    aux: str | None = None
    settings: tuple[tuple[str, Any], ...] = ()  # what a sweep varies

    @property
    def cell(self) -> tuple[Any, ...]:
        """What tells this model from the others of a study."""
        named = (self.encoder,) if self.number is None else (self.encoder, self.pooling, self.aux)
        return (*named, *self.settings)

    def setting_text(self, without: str | None = None) -> str:
        """ "aux_weight=0.3, margin=1"."""
        return setting_text([(name, value) for name, value in self.settings if name != without])

    @property
    def tuned(self) -> dict[str, Any]:
        """What tuning has chosen, by name; empty where nothing was tuned."""
        return self.runs[0].get("tuned") or {}

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the logits."""
        return self.runs[0]["data"]["labels"]

    @property
    def multi_label(self) -> bool:
        """Whether a row may have several labels."""
        return _multi_label(self.runs[0])

    def title(self, word: str = "Model") -> str:
        """What stands above a panel: "Model 6 · mean + triplet"."""
        return f"{word} {self.number} · {self.pooling} + {self.aux}"

    def median_run(self) -> Record:
        """The run whose macro-F1 is the median; of an even number the lower one, so that no panel is flattered."""
        ranked = sorted(self.runs, key=lambda run: (run["test"]["macro_f1"], run["seed"]))
        return ranked[(len(ranked) - 1) // 2]


def group_runs(records: list[Record]) -> tuple[list[ModelRuns], list[ModelRuns]]:
    """Sort completed records into models (by encoder, then number) and baselines (by name), which need no encoder.

    Raises UserError when labels differ between runs or one model has two runs of one seed; test sets that differ
    otherwise are warned about.
    """
    _check_comparable(records)
    numbers = _numbers(records)
    names = _encoder_names(records)
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        model = record["model"]
        settings = tuple((model.get("settings") or {}).items())
        key = (
            (_with_adapters(names[model["encoder"]], model), model["pooling"], model["aux"], settings)
            if _is_model(record)
            else (model["name"], None, None, settings)
        )
        groups[_is_model(record), *key].append(record)
    models, baselines = [], []
    for (is_model, *name), members in groups.items():
        runs = _one_run_a_seed(members)
        if is_model:
            models.append(ModelRuns(runs, numbers[name[1], name[2]], *name))
        else:
            baselines.append(ModelRuns(runs, None, *name))
    models.sort(key=lambda model: (model.encoder, model.number, [_rank(value) for _, value in model.settings]))
    baselines.sort(key=lambda baseline: (baseline.encoder, [_rank(value) for _, value in baseline.settings]))
    return models, baselines


def setting_text(settings: Iterable[tuple[str, Any]], *, before: str | None = None) -> str:
    """ "aux_weight=0.3, margin=1", with `before` in front, if given."""
    texts = [f"{name}={f'{value:g}' if isinstance(value, float) else value}" for name, value in settings]
    return ", ".join([*([before] if before else []), *texts])


def varied(models: list[ModelRuns]) -> list[str]:
    """The settings with several values, in their order."""
    values: dict[str, list[Any]] = {}
    for model in models:
        for name, value in model.settings:
            values.setdefault(name, []).append(value)
    return [name for name, found in values.items() if len(set(map(str, found))) > 1]


def by_encoder(models: list[ModelRuns]) -> dict[str, list[ModelRuns]]:
    """The models of each encoder, under the encoder's name as a file name part."""
    stems: dict[str, str] = {}
    sheets: dict[str, list[ModelRuns]] = {}
    for model in models:
        if model.encoder not in stems:
            stem = file_stem(model.encoder)
            # Two names may become one file name ("a/b" and "a--b"); no sheet may overwrite another.
            while stem.casefold() in {taken.casefold() for taken in sheets}:
                stem += "-2"
            stems[model.encoder] = stem
        sheets.setdefault(stems[model.encoder], []).append(model)
    return sheets


def panel_places(models: list[ModelRuns]) -> list[tuple[int, int]]:
    """Row and column of each model's panel on a sheet: a row each loss, a column each pooling.

    So 1 to 6 read 1 2 / 3 4 / 5 6, and a model that a study lacks leaves its place empty. Models of one loss or of one
    pooling follow one another.
    """
    # A sweep has several models of one pooling and loss.
    rows = list(dict.fromkeys((m.aux, m.settings) for m in sorted(models, key=lambda m: _place(m.aux, LOSSES))))
    columns = sorted({model.pooling for model in models}, key=lambda pooling: _place(pooling, POOLINGS))
    if len(rows) == 1 or len(columns) == 1:
        return flowing(len(models))
    return [(rows.index((model.aux, model.settings)), columns.index(model.pooling)) for model in models]


def flowing(count: int) -> list[tuple[int, int]]:
    """Row and column of panels that follow one another, three to a row."""
    return [divmod(place, FLOWING_COLUMNS) for place in range(count)]


def _place(name: str | None, known: tuple[str, ...]) -> tuple[int, str]:
    """Known names in their order, then the others by name."""
    return (known.index(name) if name in known else len(known), str(name))


def _rank(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, and before words."""
    numeric = isinstance(value, int | float)
    return (not numeric, float(value) if numeric else 0.0, str(value))


def shots_seed(record: Record) -> int | None:
    """The seed that drew the few rows that a run was trained on; None where it had all of them."""
    return (record["data"].get("report") or {}).get("shots_seed")


def _multi_label(record: Record) -> bool:
    return (record["data"].get("report") or {}).get("task") == "multi"


def _is_model(record: Record) -> bool:
    return record["kind"] == "model"


def _numbers(records: list[Record]) -> dict[tuple[str, str], int]:
    """Numbers by (pooling, loss).

    The original's six come first. What it lacks follows loss by loss (none, contrastive, triplet, supcon, then pml
    losses by name) and, within a loss, by pooling (cls, mean, max, attention): 7 is max and 8 attention without metric
    loss, 13 is cls with supcon. `last`, of which earlier studies know nothing, is numbered after all of these. So only
    the numbers of pml losses, and of `last`, hang on what else a study holds.
    """
    present = {(record["model"]["pooling"], record["model"]["aux"]) for record in records if _is_model(record)}
    losses = [*LOSSES, *sorted({aux for _, aux in present} - set(LOSSES))]
    pairs = [(pooling, aux) for group in (POOLINGS[:-1], POOLINGS[-1:]) for aux in losses for pooling in group]
    unknown = sorted(present - set(pairs))  # somebody else's record may name any pooling
    return {pair: number for number, pair in enumerate(dict.fromkeys([*ORIGINAL, *pairs, *unknown]), start=1)}


def _encoder_names(records: list[Record]) -> dict[str, str]:
    """Short names of the encoders; the full one where two encoders share a short name."""
    short = {record["model"]["encoder"]: record["model"]["name"] for record in records if _is_model(record)}
    names = list(short.values())
    return {encoder: name if names.count(name) == 1 else encoder.strip("/") for encoder, name in short.items()}


def _with_adapters(name: str, model: dict[str, Any]) -> str:
    """The name of an encoder that is trained by adapters: "bert-base, LoRA r=16"; a sweep names them itself."""
    return name if "lora" in (model.get("settings") or {}) else ", ".join([name, *adapters(model)])


def _check_comparable(records: list[Record]) -> None:
    for first, record in pairwise(records):
        if record["data"]["labels"] != first["data"]["labels"]:
            raise UserError(
                f"the runs {first['run_id']} and {record['run_id']} have different labels "
                f"({', '.join(first['data']['labels'])} and {', '.join(record['data']['labels'])}); "
                "one table needs one label set: give each its own study folder"
            )
        if _multi_label(record) != _multi_label(first):
            one, several = (first, record) if _multi_label(record) else (record, first)
            raise UserError(
                f"the run {one['run_id']} is of rows with one label each, {several['run_id']} of rows with several; "
                "give each its own study folder"
            )
    # A sweep may vary the training data; with the same settings, and seed where that draws few rows, they have to be
    # the same.
    kinds = {
        (
            str(record["model"].get("settings")),
            shots_seed(record),
            record["data"]["fingerprint"],
        )
        for record in records
    }
    if len(kinds) > len({(settings, seed) for settings, seed, _ in kinds}):
        logger.warning("the runs of this study were made from different data; their rows may not be comparable")


def _one_run_a_seed(runs: list[Record]) -> list[Record]:
    runs = sorted(runs, key=lambda run: run["seed"])
    for one, other in pairwise(runs):
        if one["seed"] == other["seed"]:
            raise UserError(
                f"the runs {one['run_id']} and {other['run_id']} are the same model and seed {one['seed']}; "
                "move one of them out of the study folder"
            )
    return runs
