"""How well does a model trained on one corpus do on another? Table, heat map and learning curves of all pairs.

    python recipes/transfer.py --sources sample comments.csv --targets sample comments.csv --pooling mean
    python recipes/transfer.py --sources sample --targets comments.csv --rows 0 50 200 --study_dir runs/few_rows
    python recipes/transfer.py --sources sample news=2019/data.csv reviews.yaml --targets reviews.yaml

A corpus is what --data takes. One that needs columns, a label map or sizes of its own is a YAML file with `data` and
these arguments of train.py; those of the command line hold for all. With --rows N, the models are trained further on N
rows of each target too, beside a model that has these rows alone. What is done is skipped; a stopped study goes on.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import joblib
import torch
from display.notes import logged_once, say_notes
from display.study import StudyDisplay
from rich.console import Console

from emo_hf.arguments.bounds import check_numbers
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.arguments.parsing import named, parse_arguments
from emo_hf.errors import UserError
from emo_hf.models.parents import settled
from emo_hf.report.analysis import EQUAL_WITHIN
from emo_hf.report.transfer_report import write_transfer_report
from emo_hf.storage.files import remove_leftovers, said_plainly
from emo_hf.storage.lock import held
from emo_hf.storage.record import is_done
from emo_hf.study.corpora import joined, load_corpora, read_corpora
from emo_hf.study.grid import Task
from emo_hf.study.local import execute_here
from emo_hf.study.transfer import Leg, Transfer, TransferArguments, plain_study
from emo_hf.training.lost_words import check_texts_known
from emo_hf.training.progress import quiet_libraries

ALL = [ModelArguments, DataArguments, MetricTrainingArguments]


@dataclass
class ReportArguments:
    """What is written at the end."""

    lang: str = field(default="en", metadata={"help": "language of the tables and pictures: en or ko"})
    equal_within: float = field(
        default=EQUAL_WITHIN, metadata={"help": "points of macro-F1 within which two models count as equal"}
    )
    report_only: bool = field(default=False, metadata={"help": "train nothing; the report from the records alone"})

    def __post_init__(self) -> None:
        """Raises UserError for a number that is out of bounds."""
        check_numbers(self)


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Train what is due, write the report, show its tables; 1 if a run failed."""
    console = Console(highlight=False, soft_wrap=True)
    quiet_libraries()
    words, report, rest, settings = parse_arguments(
        [TransferArguments, ReportArguments], argv, partial=True, others=ALL, description=__doc__
    )
    with said_plainly(words.study_dir):
        failed: list[tuple[Task, str]] = []
        notes: list[str] = []
        if not report.report_only:
            with logged_once():
                study = read_study(words, parse_arguments(ALL, rest, settings=settings), named(argv))
                notes = [
                    f"{name}: {note}" for name, data in study.corpora.items() for note in data.report["notes"]
                ]  # fmt: skip
                failed = train(study, console)
        for task, error in failed:
            print(f"failed: {task.run_id}: {error}", file=sys.stderr)
        written = write_transfer_report(words.study_dir, lang=report.lang, equal_within=report.equal_within)
    for path in written:
        console.print(f"wrote {path}")
    console.print()
    console.print(written[0].read_text(encoding="utf-8"), markup=False)
    say_notes(notes)
    return 1 if failed else 0


def read_study(
    words: TransferArguments,
    arguments: tuple[ModelArguments, DataArguments, MetricTrainingArguments],
    names: set[str],
) -> Transfer:
    """The study that the words ask for, its corpora read and its arguments checked."""
    model, data, training = arguments
    for name in ("sources", "targets"):
        if not getattr(words, name):
            raise UserError(f"--{name} names no corpus; give one or more, as --{name} sample comments.csv")
    if wrong := {"data", "init_from"} & names:
        way = {"data": "name corpora with --sources and --targets", "init_from": "give its encoder, as --encoder RUN"}
        raise UserError(f"--{min(wrong)} is of no use to a study of transfer; {way[min(wrong)]}")
    _, data = settled(model, data)  # an encoder that is a run has seen texts, which nothing is scored on
    sources = read_corpora(words.sources, data, "--sources")
    targets = read_corpora(words.targets, data, "--targets")
    corpora, labels = load_corpora(joined(sources, targets))
    study = Transfer.of(words, (model, data, given(training)), corpora, (list(sources), list(targets)), labels)
    plain = plain_study(study)
    plain.check()
    plain.check_rows(multi_label=False)
    for one in corpora.values():
        check_texts_known(one.splits["train"]["text"], model)
    return study


def train(study: Transfer, console: Console) -> list[tuple[Task, str]]:
    """Run what is due; the runs that failed, with their errors. Sources come first, which the others start from."""
    with held(study.folder, "wait for it, or give another --study_dir"), ThreadPoolExecutor(1) as beside:
        remove_leftovers(study.folder)
        study.claim()
        tasks, due = study.tasks(), study.due()
        console.print(f"{len(tasks)} runs, {len(tasks) - len(due)} done, {len(due)} due, in {study.folder}")
        baselines = beside.submit(study.fit_baselines)
        failed = execute(study, [task for task in due if not of_rows(task)], console)
        after = [task for task in due if of_rows(task)]
        ready = [task for task in after if has_its_start(study, task)]
        failed += execute(study, ready, console)
        failed += [(task, "not started, as the run that it starts from failed") for task in after if task not in ready]
        baselines.result()
    return failed


def execute(study: Transfer, due: list[Task], console: Console) -> list[tuple[Task, str]]:
    """Run the tasks with progress; those that failed come back."""
    failed = []
    if due:
        sent = replace(study, corpora={})  # other processes read their rows from the study's files
        with StudyDisplay(study.folder, due, console) as display:
            for task, error in execute_here(sent, due, jobs_of(study)):
                display.run_ended(task, error)
                if error:
                    failed.append((task, error))
    return failed


def of_rows(task: Task) -> bool:
    """Whether a run is one on some rows of a target."""
    return isinstance(task, Leg) and task.rows > 0


def has_its_start(study: Transfer, task: Task) -> bool:
    """Whether the source's run that a run starts from has ended well, if it starts from one."""
    return not (isinstance(task, Leg) and task.source) or is_done(study.folder / f"{task.source}_seed{task.seed}")


def jobs_of(study: Transfer) -> int:
    """Runs side by side."""
    return study.grid.jobs or (torch.accelerator.device_count() or joblib.cpu_count(only_physical_cores=True))


if __name__ == "__main__":
    sys.exit(main())
