"""A grid of runs: what is due, running it, what is done."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import joblib
import torch
from filelock import FileLock, Timeout
from transformers import TrainerCallback

from emo_hf.arguments import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data import EmotionData
from emo_hf.errors import UserError
from emo_hf.files import said_plainly, write_whole
from emo_hf.limits import check_numbers
from emo_hf.lock import ORPHAN_SECONDS, held, is_lock
from emo_hf.record import STUDY_FILE, TEST_FILE, is_done
from emo_hf.redaction import redacted
from emo_hf.settings import Settings, applied, combinations, parse_over
from emo_hf.training import check_arguments, run, run_name
from emo_hf.worker import end_with, give_memory_back

logger = logging.getLogger(__name__)

PROGRESS_FILE = "progress.json"
BACKENDS = ("local", "dask")


@dataclass
class GridArguments:
    """The grid of a study: every encoder with every pooling, every loss and every seed."""

    encoders: list[str] = field(
        default_factory=lambda: ["tiny-bert", "tiny-roberta"], metadata={"help": "as --encoder of train.py, several"}
    )
    poolings: list[str] = field(
        default_factory=lambda: ["cls", "mean"], metadata={"help": "cls, mean, max, attention"}
    )
    aux: list[str] = field(
        default_factory=lambda: ["none", "contrastive", "triplet"], metadata={"help": "auxiliary losses"}
    )
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3], metadata={"help": "one run of each model a seed"})
    over: list[str] = field(
        default_factory=list,
        metadata={"help": "further arguments and their values: learning_rate=1e-4,3e-4 margin=0.5,1"},
    )
    study_dir: str = field(default="runs/compare", metadata={"help": "folder of the study"})
    jobs: int | None = field(
        default=None, metadata={"help": "runs side by side on this machine; default one a CPU core, or one a GPU"}
    )
    backend: str = field(
        default="local", metadata={"help": "where the runs go: local, or dask, one run a worker of --scheduler"}
    )
    scheduler: str | None = field(
        default=None, metadata={"help": "address of a running Dask scheduler, as tcp://host:8786"}
    )

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.backend not in BACKENDS:
            raise UserError(f"--backend is {self.backend!r}; allowed: {', '.join(BACKENDS)}")
        if self.backend == "dask" and not self.scheduler:
            raise UserError(
                "--backend dask needs the address of a running scheduler; give it as --scheduler tcp://host:8786"
            )
        if self.backend == "dask" and self.jobs is not None:
            raise UserError(f"--jobs is {self.jobs}, but --backend dask has one run a worker; leave --jobs out")
        if self.backend == "local" and self.scheduler:
            raise UserError(
                f"--scheduler is {self.scheduler!r}, but --backend is local; add --backend dask, or leave it out"
            )


@dataclass(frozen=True)
class Task:
    """One cell of the grid with one seed, and its values of what a sweep varies."""

    encoder: str
    pooling: str
    aux: str
    seed: int
    settings: Settings = ()

    @property
    def run_id(self) -> str:
        """The name of the run's folder in the study."""
        return run_name(self.encoder, self.pooling, self.aux, self.seed, self.settings)


@dataclass(frozen=True)
class Study:
    """A grid over settings that all its runs share: `training` holds the arguments of `MetricTrainingArguments`."""

    grid: GridArguments
    model: ModelArguments
    data: DataArguments
    training: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the runs and the report stand."""
        return Path(self.grid.study_dir)

    def tasks(self) -> list[Task]:
        """Every run of the grid, seed by seed, so that a stopped study is balanced."""
        grid, over = self.grid, parse_over(self.grid.over)
        # CLS pooling trains the fastest: with long runs first, the workers end at about the same time.
        poolings = sorted(grid.poolings, key=lambda pooling: pooling == "cls")
        arms = [arm for aux in grid.aux for arm in combinations(over, aux)]
        if over:  # a weight of 0 under two losses is one run
            arms = list(dict.fromkeys(arms))
        found = [
            Task(encoder, pooling, aux, seed, settings)
            for seed, encoder, pooling, (aux, settings) in itertools.product(grid.seeds, grid.encoders, poolings, arms)
        ]
        names = [task.run_id for task in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"the grid holds {twice[0]} twice; name each encoder, pooling, loss and seed once")
        return found

    def check(self) -> None:
        """Raise the `UserError` that some run of the grid would end with before it starts."""
        first, grid = self.tasks()[0], self.grid
        for task in (
            *(replace(first, encoder=encoder) for encoder in grid.encoders),
            *(replace(first, pooling=pooling) for pooling in grid.poolings),
            *{(task.aux, task.settings): task for task in self.tasks()}.values(),
        ):
            check_arguments(*self.arguments(task))

    def arguments(self, task: Task, **own: Any) -> tuple[ModelArguments, DataArguments, MetricTrainingArguments]:
        """What a task runs with; `own` are further arguments of its training."""
        model, data, training = self._applied(task)
        return model, data, MetricTrainingArguments(**training | own)

    def model_and_data(self, task: Task) -> tuple[ModelArguments, DataArguments]:
        """The first two of `arguments`, without the third, which sets up the device of the process."""
        return self._applied(task)[:2]

    def _applied(self, task: Task) -> tuple[ModelArguments, DataArguments, dict[str, Any]]:
        model = replace(self.model, encoder=task.encoder, pooling=task.pooling)
        return applied(task.settings, model, self.data, self.training | {"aux": task.aux, "seed": task.seed})

    def due(self) -> list[Task]:
        """The runs without a completed record; one that is damaged is named in a warning."""
        return [task for task in self.tasks() if not is_done(self.folder / task.run_id, warn=True)]

    def claim_folder(self, fingerprint: str) -> None:
        """Note the study's settings in its folder, or refuse a folder that holds a study of other settings."""
        training = vars(MetricTrainingArguments(**self.training))  # with what this machine's device decides
        settings = {
            "data_fingerprint": fingerprint,
            "model": {k: v for k, v in asdict(self.model).items() if k not in ("encoder", "pooling")},
            "data": asdict(self.data),
            "training": {k: training[k] for k in self.training if k not in ("aux", "seed", "output_dir")},
        }
        settings = redacted(json.loads(json.dumps(settings, ensure_ascii=False, default=str)))
        path = self.folder / STUDY_FILE
        if path.exists():
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise UserError(f"{path} can't be read; delete it and start again, done runs are kept") from None
            if stored != settings:
                raise UserError(
                    f"{self.folder} holds a study with another {_difference(stored, settings)}; "
                    "give another --study_dir, or delete that folder"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(settings, ensure_ascii=False, indent=2) + "\n").encode())

    def note_test_rows(self, data: EmotionData) -> None:
        """Write the test rows into the study's folder, in the order of all predictions, for the report to show."""
        test = data.splits["test"]
        content = {"fingerprint": data.fingerprint, **{name: test[name][:] for name in test.column_names}}
        write_whole(self.folder / TEST_FILE, (json.dumps(content, ensure_ascii=False) + "\n").encode())

    def execute(self, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, str | None]]:
        """Run the tasks, `jobs` at a time; give each as it ends, with the line of its error if it failed.

        With one job everything runs in this process; with several, in as many warm processes, which share out the
        GPUs that are visible. Each run has its share of the cores, the last one left too: the number of threads moves
        the last digits of a result.
        """
        threads = max(1, joblib.cpu_count() // jobs)
        if jobs == 1:
            for task in tasks:
                yield run_task(self, task, threads)
            return
        with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
            calls = (joblib.delayed(run_task)(self, task, threads, jobs, os.getpid()) for task in tasks)
            yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch=jobs)(calls)


def run_task(
    study: Study,
    task: Task,
    threads: int,
    workers: int = 1,
    parent: int | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    **own: Any,
) -> tuple[Task, str | None]:
    """Run one task of a study in this process; the line of the error comes back, so that the others go on.

    With several `workers` this process is one of them, and ends with its `parent`. `own` are further arguments of the
    training.
    """
    from emo_hf.progress import ProgressFile, quiet_libraries

    quiet_libraries()
    if parent is not None:
        end_with(parent)
    if workers > 1 and (devices := torch.cuda.device_count()) > 1:
        claim_device(study.folder, workers, devices)
    torch.set_num_threads(threads)
    run_dir = study.folder / task.run_id
    try:
        with said_plainly(run_dir), held(run_dir, "stop it, or wait for it", wait=ORPHAN_SECONDS):
            _clear(run_dir)
            run(
                *study.arguments(task, output_dir=str(run_dir), disable_tqdm=True, **own),
                callbacks=[ProgressFile(run_dir / PROGRESS_FILE), *callbacks],
                settings=task.settings,
            )
    except Exception as error:
        logger.warning("%s failed", task.run_id, exc_info=not isinstance(error, UserError))
        return task, f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        give_memory_back()
    return task, None


def _clear(run_dir: Path) -> None:
    """Remove what a stopped run left in a folder that is held."""
    for path in run_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not is_lock(path):
            path.unlink()


_claimed: list[FileLock] = []  # held for as long as this process lives


def claim_device(folder: Path, workers: int, devices: int) -> None:
    """Let this process, one of `workers` that share a study, see one of `devices` GPUs only; the first call decides.

    It has to come before CUDA starts in the process. A process that ends, however it ends, gives its place back.
    """
    if _claimed:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(devices)))).split(",")
    for place in range(workers):
        lock = FileLock(folder / f".worker-{place}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _claimed.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[place % devices]
        return


def _difference(stored: dict[str, Any], wanted: dict[str, Any]) -> str:
    for part in wanted:
        old, new = stored.get(part), wanted[part]
        if old != new:
            if isinstance(new, dict) and isinstance(old, dict):
                key = next(k for k in {**new, **old} if new.get(k) != old.get(k))
                return f"{key} ({old.get(key)!r}, now {new.get(key)!r})"
            return f"{part.replace('_', ' ')} (the files changed)" if part == "data_fingerprint" else part
    return "setting"
