"""Equal tuning for every cell of a grid: what varies in which cell, its draws, and what was chosen."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emo_hf.errors import UserError
from emo_hf.losses.capabilities import capability
from emo_hf.losses.classification import OF_ONE_VALUE, counts_under
from emo_hf.models.pretrained import check_encoder, default_learning_rate
from emo_hf.storage.record import is_done, read_record
from emo_hf.study.arguments import TUNING_SEED
from emo_hf.study.grid import Cell, Study, Task
from emo_hf.study.space import Dimension, at, default_tuning, ends, parse_space
from emo_hf.study.variations import OPTION, Settings, check_losses, counting, parse_over, takes
from emo_hf.training.classifier_loss import check_classification, check_labels_a_row
from emo_hf.training.objective import auxiliary_loss

_OF_THE_GRID = {"encoder": "encoders", "pooling": "poolings", "aux": "aux"}
_MEASURE = {
    "metric_for_best_model": "macro_f1",
    "eval_strategy": "epoch",
    "load_best_model_at_end": True,
    "max_steps": -1,
}


def check_tuning(study: Study) -> None:
    """Raise the `UserError` that the tuning of some cell would end with before it starts."""
    training = study.arguments(study.tasks()[0])[2]
    for name, needed in _MEASURE.items():
        if getattr(training, name) != needed:
            raise UserError(
                f"--{name} is {getattr(training, name)}, but --tune compares the validation macro_f1 of epochs; leave "
                "it out"
            )
    over, words = parse_over(study.grid.over), study.grid.tune_space
    found = _spaces(study)
    varied = list(dict.fromkeys(name for space in found.values() for name in space))
    if words:
        named = parse_space(words, "--tune_space")
        for name, axis in _OF_THE_GRID.items():
            if name in named:
                raise UserError(f"--tune_space {name}: the grid varies it; use --{axis}")
        check_losses(study.grid.aux, study.training, {**named, **over}, "--tune_space")
        varied = list(named)
    if twice := [name for name in varied if name in over]:
        way_out = "leave it out of one of them" if words else "give a --tune_space without it"
        raise UserError(f"--over {twice[0]}: it is in the space of --tune too; {way_out}")
    for cell, space in found.items():
        if not any(len(set(ends(dimension))) > 1 for dimension in space.values()):
            raise UserError(
                f"--tune has nothing to vary of {cell.pooling} + {cell.aux}, so tuning would not be equal for all; "
                "give --tune_space an argument that every model takes, as learning_rate=1e-4..1e-3"
            )
    for name, task in _ends_of_spaces(found):
        model, data, training = study.arguments(task)
        auxiliary_loss(training, num_classes=2, embedding_size=model.embedding_size)
        check_classification(vars(training))
        if name == "max_length":  # all else leaves the encoder alone, which may have to be asked for at the Hub
            check_encoder(model, data)


def check_tuned_rows(study: Study, multi_label: bool) -> None:
    """Raise the `UserError` that a draw of some cell would end with on rows of several labels each, or of one."""
    for _, task in _ends_of_spaces(_spaces(study)):
        check_labels_a_row(study.arguments(task)[2], multi_label)


def _spaces(study: Study) -> dict[Cell, dict[str, Dimension]]:
    """The space of every cell of the grid."""
    return {cell: cell_space(study, cell) for cell in map(Cell.of, study.tasks())}


def _ends_of_spaces(spaces: Mapping[Cell, Mapping[str, Dimension]]) -> Iterator[tuple[str, Task]]:
    """Of each loss with each of its settings a cell as every end of what is varied makes it, and what is varied."""
    for cell in {(cell.aux, cell.settings): cell for cell in spaces}.values():
        for name, dimension in spaces[cell].items():
            for value in ends(dimension):
                yield name, replace(cell, tuned=((name, value),))


def cell_words(study: Study, cell: Task) -> list[str]:
    """The space of a cell as it is typed: of what is given, what counts under its loss; else the usual one."""
    if study.grid.tune_space:
        return [word for word in study.grid.tune_space if _counts(word.partition("=")[0], study, cell)]
    options = study.training.get("aux_kwargs") or {}
    model = study.model_and_data(cell)[0]
    words = default_tuning(
        cell.encoder,
        cell.aux,
        study.training["distance"],
        options,
        study.model.encoder_revision,
        adapted=bool(model.lora),
    )
    return [word for word in words if word.partition("=")[0] not in _chosen_before(study)]


def cell_space(study: Study, cell: Task) -> dict[str, Dimension]:
    """The space of a cell by name."""
    return parse_space(cell_words(study, cell), "--tune_space")


def left_alone(study: Study) -> list[str]:
    """What the usual space has and the study does not vary, because somebody chose its value."""
    if study.grid.tune_space:
        return []
    cells = {(task.encoder, task.aux): task for task in study.tasks()}.values()
    shared = study.training["distance"], study.training["aux_kwargs"], study.model.encoder_revision
    usual = [word for cell in cells for word in default_tuning(cell.encoder, cell.aux, *shared)]
    names = dict.fromkeys(word.partition("=")[0] for word in usual)
    return [name for name in names if name in _chosen_before(study)]


def decides(study: Study) -> dict[str, Any]:
    """What decides about the tuning of a study, for its folder to be claimed with."""
    grid = study.grid
    return {"tune": grid.tune, "tune_space": grid.tune_space or None, "not_tuned": left_alone(study)}


def draws(study: Study, cell: Task) -> list[Settings]:
    """The settings that are tried in a cell: those it has anyway, then random ones.

    A draw of an argument depends on its number and the argument's name alone. So what two cells both vary is the same
    in each of their draws, at the same place of the range where the ranges differ.
    """
    space, count = cell_space(study, cell), study.grid.tune or 0
    together = {**study.training, **dict(cell.settings)}
    drawn = (
        [(name, at(dimension, _place(draw, name))) for name, dimension in space.items()]
        for draw in range(2, count + 1)
    )
    return [counting(settings, together) for settings in (_as_it_is(study, cell, space), *drawn)]


def rungs(epochs: float, count: int) -> list[tuple[float, int]]:
    """Successive halving (Jamieson & Talwalkar 2016): up to which epoch how many draws are trained.

    1, 2, 4, … epochs up to all. The first draw, the settings as they are, goes through all of them, so that what is
    chosen is no worse than that; of the random ones the better half, rounded up, goes on.
    """
    found, reach, left = [], 1.0, count - 1
    while reach < epochs:
        found.append((reach, 1 + left))
        reach, left = 2 * reach, math.ceil(left / 2)
    return [*found, (float(epochs), 1 + left)]


def matches(record: Mapping[str, Any], study: Study, cell: Task) -> bool:
    """Whether a record is of the tuning that the study asks for."""
    return (record.get("space"), len(record.get("draws", ()))) == (cell_words(study, cell), study.grid.tune)


def with_choices(
    study: Study, tasks: Sequence[Task], errors: Mapping[Cell, str]
) -> tuple[list[Task], list[tuple[Task, str]]]:
    """The tasks with what was chosen for them; those of cells that could not be tuned, each with the line why.

    Raises:
        UserError: a run that is done was trained with other settings.
    """
    choices = {cell: choice(study, cell) for cell in dict.fromkeys(map(Cell.of, study.tasks()))}
    for task in study.tasks():
        chosen, folder = choices[Cell.of(task)], study.folder / task.run_id
        record = read_record(folder) or {}
        if chosen and record.get("status") == "completed" and record.get("tuned") != dict(chosen):
            raise UserError(
                f"{folder} was trained with other settings than its tuning has chosen; delete it, and the same "
                "command trains it again"
            )
    ready = [replace(task, tuned=chosen) for task in tasks if (chosen := choices[Cell.of(task)])]
    unknown = "its tuning did not end"
    lost = [(task, errors.get(cell, unknown)) for task in tasks if not choices[cell := Cell.of(task)]]
    return ready, lost


def choice(study: Study, cell: Cell) -> Settings:
    """What tuning has chosen for a cell; empty while it has not ended.

    Raises:
        UserError: its folder holds a tuning of another space.
    """
    if not is_done(study.folder / cell.run_id):
        return ()
    record = read_record(study.folder / cell.run_id) or {}
    if not matches(record, study, cell):
        raise UserError(
            f"{study.folder / cell.run_id} holds a tuning of another space or of other draws; delete it, or give "
            "another --study_dir"
        )
    return tuple(record["tuned"].items())


def _counts(name: str, study: Study, cell: Task) -> bool:
    """Whether an argument may make a difference in a cell."""
    owner, _ = OF_ONE_VALUE.get(name, (name, None))
    drawn = owner in {word.partition("=")[0] for word in study.grid.tune_space}
    together = {**study.training, **dict(cell.settings)}
    return takes(name, cell.aux, study.training.get("aux_kwargs")) and (drawn or counts_under(name, together))


def _chosen_before(study: Study) -> set[str]:
    """The arguments that somebody gave a value, or that need none."""
    options = {f"{OPTION}{name}" for name in study.training.get("aux_kwargs") or ()}
    sized = {"per_device_train_batch_size"} if study.training.get("tokens_per_batch") else set()
    return {*study.given, *options, *sized}


def _place(draw: int, name: str) -> float:
    return float(np.random.default_rng([TUNING_SEED, draw, *name.encode()]).random())


def _as_it_is(study: Study, cell: Task, space: Mapping[str, Dimension]) -> Settings:
    """The values that a cell has of what is varied, when nothing is."""
    model, data, training = study.arguments(cell)
    values = {**vars(model), **vars(data), **vars(training)}
    if values["learning_rate"] is None:
        values["learning_rate"] = default_learning_rate(model)
    given = training.aux_kwargs if isinstance(training.aux_kwargs, dict) else {}
    loss = capability(cell.aux, given).loss_class
    usual = {} if loss is None else {p.name: p.default for p in inspect.signature(loss).parameters.values()}
    values |= {f"{OPTION}{name}": value for name, value in itertools.chain(usual.items(), given.items())}
    # Of a foreign loss the usual value is its library's own.
    return tuple((name, values[name]) for name in space if name in values)
