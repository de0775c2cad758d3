"""Compare encoders, poolings and auxiliary losses over several seeds; then table and pictures from the records alone.

    python recipes/compare.py
    python recipes/compare.py --config recipes/klue.yaml --data AIHUB_FOLDER
    python recipes/compare.py --encoders klue/bert-base --poolings cls mean --aux none triplet --seeds 1 2 3
    python recipes/compare.py --config recipes/sweep.yaml
    python recipes/compare.py --over train_fraction=0.1,0.25,0.5,1 --study_dir runs/learning_curve
    python recipes/compare.py --tune 8 --study_dir runs/tuned
    python recipes/compare.py --backend dask --scheduler tcp://host:8786

Every argument of train.py holds for all runs. What is done is skipped; a stopped study goes on where it was. With
--tune every model first chooses among equally many draws of its settings, on validation data alone.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emo_hf.arguments.bounds import check_numbers
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.arguments.parsing import named, parse_arguments
from emo_hf.errors import UserError
from emo_hf.report.analysis import EQUAL_WITHIN
from emo_hf.storage.files import remove_leftovers, said_plainly
from emo_hf.storage.record import is_done, read_record
from emo_hf.study.arguments import GridArguments

if TYPE_CHECKING:
    from distributed import Client
    from rich.console import Console

    from emo_hf.study.grid import Cell, Study, Task

ALL = [ModelArguments, DataArguments, MetricTrainingArguments]


@dataclass
class ReportArguments:
    """What is drawn at the end."""

    lang: str = field(default="en", metadata={"help": "language of the pictures: en or ko"})
    umap: bool = field(default=False, metadata={"help": "draw UMAP maps beside t-SNE"})
    equal_within: float = field(
        default=EQUAL_WITHIN, metadata={"help": "points of macro-F1 within which two models count as equal"}
    )
    map_label: str | None = field(
        default=None,
        metadata={"help": "of texts with several labels the one that maps are coloured by; default the commonest"},
    )
    report_only: bool = field(default=False, metadata={"help": "train nothing; table and pictures from the records"})

    def __post_init__(self) -> None:
        """Raises UserError for a number that is out of bounds."""
        check_numbers(self)


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Train what is due, write the report, show its tables; 1 if a run failed."""
    study, report = read_arguments(argv)
    # Only now, and so below: they take as long to import as all else, and --help has no use for them.
    from display.notes import logged_once, say_notes
    from rich.console import Console

    from emo_hf.report.report import write_report

    console = Console(highlight=False, soft_wrap=True)
    with said_plainly(study.folder):
        with logged_once():
            failed, notes = ([], []) if report.report_only else train(study, console)
        if failed and not any(is_done(study.folder / task.run_id) for task in study.tasks()):
            say_failed(failed)
            say_notes(notes)
            print(f"no run of {study.folder} has ended well, so there is nothing to report", file=sys.stderr)
            return 1
        written = write_report(
            study.folder,
            lang=report.lang,
            umap=report.umap,
            jobs=_cores(),
            equal_within=report.equal_within,
            map_label=report.map_label,
        )
    for path in written:
        console.print(f"wrote {path}")
    console.print()
    for path in written:
        if path.name in ("table.md", "findings.md", "sweep.md", "tuning.md"):
            console.print(path.read_text(encoding="utf-8"), markup=False)
    say_failed(failed)
    say_notes(notes)
    return 1 if failed else 0


def say_failed(failed: Sequence[tuple[Task, str]]) -> None:
    """Name the runs that failed, each with its error."""
    for task, error in failed:
        print(f"failed: {task.run_id}: {error}", file=sys.stderr)


def read_arguments(argv: Sequence[str]) -> tuple[Study, ReportArguments]:
    """The study that the words ask for, and its report."""
    grid, report, words, settings = parse_arguments(
        [GridArguments, ReportArguments], argv, partial=True, others=ALL, description=__doc__
    )
    from emo_hf.models.parents import settled
    from emo_hf.study.grid import Study
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()  # before Trainer's: a quiet process has no bars by default, and a study remembers that
    model, data, training = parse_arguments(ALL, words, settings=settings)
    # One encoder and one pooling, as a search's best.yaml names them, are a grid of one each.
    names = named(argv)
    if "encoder" in names and "encoders" not in names:
        grid.encoders = [model.encoder]
    if "pooling" in names and "poolings" not in names:
        grid.poolings = [model.pooling]
    if model.init_from:
        model = start_from(grid, model, data, names)
    _, data = settled(model, data, arms=grid.encoders)
    return Study(grid, model, data, given(training), frozenset(names)), report


def start_from(grid: GridArguments, model: ModelArguments, data: DataArguments, names: set[str]) -> ModelArguments:
    """Have all cells of a grid start from one run: its encoder and its pooling are the grid's."""
    from emo_hf.models.parents import settled

    source = str(model.init_from)
    if "encoders" in names and grid.encoders != [source]:
        raise UserError(
            f"--init_from {source} brings its own encoder, but --encoders is {' '.join(grid.encoders)}; leave one of "
            "them out"
        )
    model, _ = settled(model, data, names)
    if "poolings" in names and grid.poolings != [model.pooling]:
        raise UserError(
            f"--poolings is {' '.join(grid.poolings)}, but the model of --init_from {source} has {model.pooling}; "
            f"leave --poolings out, or take its encoder alone: --encoders {source}"
        )
    grid.encoders, grid.poolings = [model.encoder], [model.pooling]
    return model


def train(study: Study, console: Console) -> tuple[list[tuple[Task, str]], list[str]]:
    """Run what is due, here or on a cluster; the runs that failed, with their errors, and the notes of the data."""
    from emo_hf.storage.lock import held
    from emo_hf.study.baselines import run_study_baselines
    from emo_hf.study.dask import connect
    from emo_hf.study.tuning import check_tuned_rows, check_tuning
    from emo_hf.training.loaded import load_data

    study.check()
    if study.grid.tune:
        check_tuning(study)
    data = load_data(study.data)  # a mistake in them is said before there is a folder
    study.check_rows(data.multi_label)
    if study.grid.tune:
        check_tuned_rows(study, data.multi_label)
    notes = data.report["notes"]
    with (
        connect(study.grid.scheduler) if study.grid.backend == "dask" else contextlib.nullcontext() as client,
        held(study.folder, "wait for it, or give another --study_dir"),
    ):
        remove_leftovers(study.folder)
        due = prepare(study, console)
        with ThreadPoolExecutor(1) as beside:  # this process has little else to do while its workers train
            baselines = beside.submit(run_study_baselines, study, data)
            due, failed = tune(study, due, client, console) if study.grid.tune else (due, [])
            failed += execute(study, due, beside, client, console) if due else []
            baselines.result()
        return failed, list(dict.fromkeys([*notes, *notes_of_runs(study)]))


def notes_of_runs(study: Study) -> Iterator[str]:
    """What the records say of the data, and of what each tokenizer makes of them."""
    for task in study.tasks():
        record = read_record(study.folder / task.run_id) or {}
        yield from record.get("data", {}).get("report", {}).get("notes", [])


def prepare(study: Study, console: Console) -> list[Task]:
    """Write what a study has beside its runs; return the runs that are due."""
    from emo_hf.study.tuning import decides
    from emo_hf.training.loaded import load_data
    from emo_hf.training.lost_words import check_texts_known

    data = load_data(study.data)
    for encoder in study.grid.encoders:
        found = ModelArguments(encoder=encoder, encoder_revision=study.model.encoder_revision)
        check_texts_known(data.splits["train"]["text"], found)
    seen = data.report.get("seen_before")
    study.claim_folder(data.fingerprint, decides(study) if study.grid.tune else None, seen)
    study.note_test_rows(data)
    tasks, due = study.tasks(), study.due()
    console.print(f"{len(tasks)} runs, {len(tasks) - len(due)} done, {len(due)} due, in {study.folder}")
    return due


def tune(
    study: Study, due: list[Task], client: Client | None, console: Console
) -> tuple[list[Task], list[tuple[Task, str]]]:
    """Tune the cells of the tasks; the tasks with what was chosen, and those of cells that failed, with the error."""
    from display.study import StudyDisplay

    from emo_hf.study.grid import Cell
    from emo_hf.study.tuning import choice, left_alone, with_choices

    if given := left_alone(study):
        console.print(
            f"not tuned, for a value is given: {', '.join(given)} (--tune_space can name them)", markup=False
        )
    cells = list(dict.fromkeys(map(Cell.of, due)))
    waiting = [cell for cell in cells if not choice(study, cell)]
    console.print(f"{len(cells)} models to tune, {len(cells) - len(waiting)} done, {study.grid.tune} draws each")
    errors: dict[Cell, str] = {}
    if waiting:
        with StudyDisplay(study.folder, waiting, console) as display:
            for cell, error in _work(study, waiting, client):
                display.run_ended(cell, error)
                if error:
                    errors[cell] = error
    return with_choices(study, due, errors)


def execute(
    study: Study, due: list[Task], beside: Executor, client: Client | None, console: Console
) -> list[tuple[Task, str]]:
    """Run the tasks, on the cluster if there is one, with progress; the runs that failed come back.

    Maps of an encoder that is done are made `beside` the runs of the next, if those are in other processes: a map
    holds the BLAS of its process to one thread.
    """
    from display.study import StudyDisplay

    from emo_hf.report.report import map_encoder

    elsewhere = client is not None or _jobs(study) > 1
    failed, to_come = [], Counter(task.encoder for task in due)
    with StudyDisplay(study.folder, due, console) as display:
        for task, error in _work(study, due, client):
            display.run_ended(task, error)
            if error:
                failed.append((task, error))
                continue
            to_come[task.encoder] -= 1
            more = len(display.ended) < len(due)
            if elsewhere and not to_come[task.encoder] and more and not study.grid.over:
                beside.submit(map_encoder, study.folder, task.encoder)  # what it can't read, the report will say
    return failed


def _work(study: Study, tasks: Sequence[Task], client: Client | None) -> Iterator[tuple[Task, str | None]]:
    from emo_hf.study.dask import execute_on
    from emo_hf.study.local import execute_here

    return execute_on(client, study, tasks) if client else execute_here(study, tasks, _jobs(study))


def _jobs(study: Study) -> int:
    import torch

    return study.grid.jobs or (torch.accelerator.device_count() or _cores())


def _cores() -> int:
    import joblib

    return joblib.cpu_count(only_physical_cores=True)


if __name__ == "__main__":
    sys.exit(main())
