"""The tuning of one cell: its draws, trained rung by rung; of the random ones the better half goes on."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerState, TrainingArguments

from emo_hf.errors import UserError, first_line
from emo_hf.storage.files import DiskFault, remove_leftovers, said_plainly
from emo_hf.storage.record import SCHEMA, environment, now, read_record, write_record
from emo_hf.study.arguments import TUNING_SEED
from emo_hf.study.draw import ended, scores_until
from emo_hf.study.grid import Cell, Study
from emo_hf.study.tuning import cell_words, draws, matches, rungs
from emo_hf.training.diagnostics import explain
from emo_hf.training.progress import ProgressFile
from emo_hf.training.run_names import encoder_name

logger = logging.getLogger(__name__)

Draw = dict[str, Any]  # as the record has it


def tune_cell(
    study: Study, cell: Cell, progress: Path | None = None, callbacks: Sequence[TrainerCallback] = (), **own: Any
) -> dict[str, Any]:
    """Choose the settings of a cell by its best validation macro-F1; return the record of its tuning.

    Every draw is the run that its arguments make, with the schedule of all its epochs. It is stopped at a rung, and
    goes on from a checkpoint if it is the first draw or one of the better half of the others. A draw counts with its
    best score until then, one that fails is lost. Test rows are not used. The record in the cell's folder is written
    after each draw and rung, so that a tuning that was stopped goes on there, and ends as one that was not. `own` are
    further arguments of every training.

    Raises:
        UserError: no draw went well; a disk that can't be written.
    """
    folder = study.folder / cell.run_id
    if folder.is_dir():
        remove_leftovers(folder)
    record = _begun(study, cell, folder)
    with _without_advice():
        _climb(study, cell, record, progress, callbacks, own)
    return _end(record, folder)


def _climb(
    study: Study,
    cell: Cell,
    record: dict[str, Any],
    progress: Path | None,
    callbacks: Sequence[TrainerCallback],
    own: dict[str, Any],
) -> None:
    """Go through the rungs that are left; the record's draws hold what came of it."""
    folder = study.folder / cell.run_id
    going: list[Draw] = list(record["draws"])
    ladder = [(rung["epochs"], rung["draws"]) for rung in record["rungs"]]
    bar = _Bar(progress, sum(e * n for e, n in _lengths(ladder))) if progress else None
    before = 0.0
    for place, (reach, count) in enumerate(ladder):
        going = sorted(_going_on(going, before, count), key=lambda draw: draw["draw"])
        goes_on = ladder[place + 1][1] if place + 1 < len(ladder) else 0
        for draw in going:
            if draw["error"] is None and draw["reached"] < reach:
                if bar:
                    bar.begin(draw["draw"], before)
                _train(study, cell, draw, reach, [*callbacks, *([bar] if bar else [])], goes_on > 0, own)
                write_record(folder, record)
            if bar:
                bar.ended(reach - before)
            _keep(folder, going, reach, goes_on)
        going, before = [draw for draw in going if draw["reached"] >= reach], reach


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """What a training warns of, as of embeddings that fall together, is no news of a random draw."""
    training = logging.getLogger("emo_hf.training")
    before = training.level
    training.setLevel(logging.ERROR)
    try:
        yield
    finally:
        training.setLevel(before)


def _begun(study: Study, cell: Cell, folder: Path) -> dict[str, Any]:
    """The record to go on with, or that of a tuning that begins."""
    stored = read_record(folder)
    if stored is not None and stored.get("status") == "running" and matches(stored, study, cell):
        return stored
    for path in folder.glob("draw-*"):
        shutil.rmtree(path)
    tried = [study.arguments(replace(cell, tuned=settings)) for settings in draws(study, cell)]
    record = {
        "schema": SCHEMA,
        "run_id": folder.name,
        "kind": "tuning",
        "status": "running",
        "error": None,
        "started": now(),
        "finished": None,
        "model": {
            "encoder": cell.encoder,
            "name": encoder_name(cell.encoder),
            "pooling": cell.pooling,
            "aux": cell.aux,
            **({"settings": dict(cell.settings)} if cell.settings else {}),
        },
        "seed": TUNING_SEED,
        "space": cell_words(study, cell),
        "rungs": [
            {"epochs": epochs, "draws": count}
            for epochs, count in rungs(max(training.num_train_epochs for _, _, training in tried), len(tried))
        ],
        "draws": [
            {
                "draw": number,
                "settings": dict(settings),
                "validation_macro_f1": [],  # of each epoch
                "reached": 0.0,  # the last rung that it was trained to
                "wall_seconds": 0.0,
                "cpu_seconds": 0.0,
                "error": None,
            }
            for number, settings in enumerate(draws(study, cell), start=1)
        ],
        **environment(),
    }
    write_record(folder, record)
    return record


def _end(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    whole = [draw for draw in record["draws"] if draw["error"] is None]
    for path in folder.glob("draw-*"):
        shutil.rmtree(path)
    record["finished"] = now()
    if not whole:
        said = record["draws"][0]["error"]
        record |= {"status": "failed", "error": f"no draw of its tuning went well; the first one: {said}"}
        write_record(folder, record)
        raise UserError(record["error"])
    best = _ranked(whole, math.inf)[0]
    record |= {"status": "completed", "chosen": best["draw"], "tuned": best["settings"]}
    write_record(folder, record)
    return record


def _going_on(found: Sequence[Draw], reach: float, count: int) -> list[Draw]:
    """Of the draws that have come to an epoch those that go on: the first one, if it has, and the best others."""
    first, others = ([draw for draw in found if (draw["draw"] == 1) is is_first] for is_first in (True, False))
    return [*first, *_ranked(others, reach)[: count - 1]]


def _ranked(found: Sequence[Draw], reach: float) -> list[Draw]:
    """Draws by their best score up to an epoch, the first of several; all as they are while there is none."""
    until = None if reach == math.inf else math.ceil(reach)
    return sorted(found, key=lambda draw: -max(draw["validation_macro_f1"][:until], default=0.0))


def _keep(folder: Path, going: Sequence[Draw], reach: float, count: int) -> None:
    """Remove the checkpoints of draws that can't be among the `count` that go on from a rung, whatever is to come."""
    kept = _going_on([draw for draw in going if draw["reached"] >= reach], reach, count) if count else []
    numbers = {draw["draw"] for draw in [*kept, *(draw for draw in going if draw["reached"] < reach)]}
    for path in folder.glob("draw-*"):
        if int(path.name.removeprefix("draw-")) not in numbers:
            shutil.rmtree(path, ignore_errors=True)


def _lengths(ladder: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Epochs that each rung adds, and the draws that go through them."""
    starts = [0.0, *(reach for reach, _ in ladder)]
    return [(reach - start, count) for (reach, count), start in zip(ladder, starts, strict=False)]


def _train(
    study: Study,
    cell: Cell,
    draw: Draw,
    reach: float,
    callbacks: Sequence[TrainerCallback],
    keep: bool,
    own: dict[str, Any],
) -> None:
    """Train a draw up to an epoch, from its last checkpoint; note its scores, or the error that it ends with."""
    folder = study.folder / cell.run_id / f"draw-{draw['draw']}"
    arguments = study.arguments(
        replace(cell, tuned=tuple(draw["settings"].items())),
        **own,
        output_dir=str(folder),
        save_strategy="no",  # one is written at the end of a rung
        save_total_limit=1,
        load_best_model_at_end=False,
        disable_tqdm=True,
        report_to="none",
        push_to_hub=False,
    )
    wall, cpu = time.monotonic(), time.process_time()
    try:
        if not ended(draw["validation_macro_f1"], arguments[2].early_stopping_patience):
            with said_plainly(folder):
                draw["validation_macro_f1"] = scores_until(reach, *arguments, callbacks, keep)
        draw["reached"] = reach
    except DiskFault:
        raise  # no fault of the draw
    except Exception as error:
        explained = explain(error, arguments[2])
        if not isinstance(explained, UserError):
            logger.warning("draw %d of %s failed", draw["draw"], cell.run_id, exc_info=True)
        said = first_line(explained)
        draw["error"] = said if isinstance(explained, UserError) else f"{type(explained).__name__}: {said}"
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        gc.collect()  # a model that fell into a cycle would stay beside the next
    draw["wall_seconds"] = round(draw["wall_seconds"] + time.monotonic() - wall, 2)
    draw["cpu_seconds"] = round(draw["cpu_seconds"] + time.process_time() - cpu, 2)


class _Bar(ProgressFile):
    """The progress of a cell: its epochs of all that its draws are trained for."""

    def __init__(self, path: Path, total: float):
        super().__init__(path)
        self._total, self._done, self._draw, self._start = total, 0.0, 0, 0.0

    def begin(self, draw: int, start: float) -> None:
        """A draw begins its part of a rung, from an epoch on."""
        self._draw, self._start = draw, start

    def ended(self, epochs: float) -> None:
        """A draw has ended it, or there was nothing to train."""
        self._done += epochs

    def content(self, args: TrainingArguments, state: TrainerState) -> dict[str, float]:
        """As the display of a study reads it."""
        epoch = state.epoch or 0.0
        done = self._done + max(epoch - self._start, 0.0)
        return super().content(args, state) | {"step": done, "steps": self._total, "draw": self._draw}
