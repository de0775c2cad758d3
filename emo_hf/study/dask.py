"""Runs of a study on the workers of a running Dask cluster; what a run leaves comes home as bytes."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import pickle
import tempfile
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emo_hf import __version__
from emo_hf.encoders import BUNDLED
from emo_hf.errors import UserError, first_line
from emo_hf.models.parents import own_name
from emo_hf.storage.files import write_folder_whole
from emo_hf.storage.record import RECORD_FILE
from emo_hf.study.grid import Study, Task
from emo_hf.study.local import TRACEBACK_FILE, run_in_worker
from emo_hf.training.loaded import forget_data, load_data

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
WORKER_SECONDS = 60.0  # how long a study waits while no worker is there
POLL_SECONDS = 0.5
ALLOWED_LOSSES = 3  # of workers that had the same run; Dask's own default for a task
_GOES_ON = "the same command goes on with the runs that are left"


@dataclass(frozen=True)
class Outcome:
    """What became of a task on a worker: the files of the finished run, or the line of its error and its record.

    `unfit` says why this worker can do no run of the study, so that another one has to.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    error: str | None = None
    unfit: str | None = None


def connect(address: str) -> Client:
    """A client of the scheduler at `address`.

    Raises:
        UserError: dask.distributed is not installed, or no scheduler answers.
    """
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise UserError("--backend dask needs dask.distributed; pip install 'emo-hf[dask]'") from error
    for name in ("distributed", "distributed.client"):  # they log a lost connection with its traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # A Client that can't connect prints tracebacks when it is thrown away, so look before.
        asyncio.run(_reach(address))
        return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"--scheduler {address}: no Dask scheduler answers ({first_line(error)}); give the address that "
            "`dask scheduler` shows when it starts, as tcp://host:8786"
        ) from error


def execute_on(client: Client, study: Study, tasks: Sequence[Task]) -> Iterator[tuple[Task, str | None]]:
    """Run the tasks on the workers; give each as it ends, with the line of its error if it failed.

    Each worker has one run at a time, whatever its number of threads. Workers may come and go: the run of a lost one
    is done again by another. A finished run's folder is written here, whole. Runs in work are called off when the
    iteration ends early.

    Raises:
        UserError: no worker for a minute, none that can do a run of this study, or the scheduler is lost.
    """
    crew = _Crew(client, study, tasks)
    try:
        while crew.waiting or crew.running:
            yield from crew.collect()
            yield from crew.assign()
            time.sleep(POLL_SECONDS)
    finally:
        if client.status == "running":
            client.cancel(list(crew.running))


class _Crew:
    """Which worker has which run.

    The choice is made here and not by the scheduler, which knows threads and resources but no "one a process", and
    would hold the runs that queue behind a lost worker against them.
    """

    def __init__(self, client: Client, study: Study, tasks: Sequence[Task]):
        from distributed import as_completed

        self.client, self.study = client, study
        self.waiting = deque(tasks)
        self.running: dict[Future, tuple[Task, str]] = {}
        self._losses: Counter[Task] = Counter()
        self._unfit: dict[str, str] = {}
        self._results = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        self._manned = time.monotonic()

    def collect(self) -> Iterator[tuple[Task, str | None]]:
        """Take in what has ended since the last call."""
        for future, result in self._results.next_batch(block=False):
            if future not in self.running:
                continue  # its worker counted as lost
            task, address = self.running.pop(future)
            outcome = self._read(result)
            if outcome is None:
                yield from self._lose(task, address)
            elif outcome.unfit:
                self._unfit[address] = outcome.unfit
                self.waiting.appendleft(task)
                logger.warning("the worker at %s gets no runs: %s", address, outcome.unfit)
            else:
                files = dict(outcome.files)
                if RECORD_FILE in files:
                    files[RECORD_FILE] = _at_home(files[RECORD_FILE], self.study, task)
                    write_folder_whole(self.study.folder / task.run_id, files)
                yield task, outcome.error

    def assign(self) -> Iterator[tuple[Task, str | None]]:
        """Send runs to the workers that have none, and those of lost workers back into the queue."""
        present = self.client.scheduler_info(n_workers=-1)["workers"]
        if self.client.status != "running":
            raise self._disconnected()
        for future, (task, address) in list(self.running.items()):
            if address not in present:
                del self.running[future]
                future.cancel()
                yield from self._lose(task, address)
        fit = [name for name, worker in present.items() if name not in self._unfit and worker["status"] == "running"]
        busy = {address for _, address in self.running.values()}
        for address in fit:
            if self.waiting and address not in busy:
                self._send(self.waiting.popleft(), address)
        if fit or self.running or not self.waiting:
            self._manned = time.monotonic()
        elif unfit := [self._unfit[name] for name in present if name in self._unfit]:
            raise UserError(f"--scheduler {self.study.grid.scheduler}: no worker can do a run; {unfit[0]}")
        elif time.monotonic() - self._manned > WORKER_SECONDS:
            raise UserError(
                f"--scheduler {self.study.grid.scheduler}: no worker for {WORKER_SECONDS:.0f} s; start some with "
                f"`dask worker {self.study.grid.scheduler}`; {_GOES_ON}"
            )

    def _send(self, task: Task, address: str) -> None:
        data, start = self.study.data, self.study.model.init_from
        sent = replace(
            self.study,
            model=replace(self.study.model, init_from=start and _whole_path(start)),
            data=replace(data, data=[*map(_whole_path, data.data)], unseen_by=[*map(_whole_path, data.unseen_by)]),
        )
        fingerprint = load_data(self.study.model_and_data(task)[1]).fingerprint
        package = pickle.dumps((sent, replace(task, encoder=_whole_path(task.encoder)), fingerprint))
        future = self.client.submit(
            _unpacker(), package, key=f"{task.run_id}-{uuid.uuid4().hex}", workers=[address], pure=False
        )
        self.running[future] = task, address
        self._results.add(future)

    def _lose(self, task: Task, address: str) -> Iterator[tuple[Task, str]]:
        self._losses[task] += 1
        lost = f"the worker at {address} was lost while it had {task.run_id}"
        if self._losses[task] > ALLOWED_LOSSES:
            yield task, f"{self._losses[task]} workers were lost while they had this run; see their logs (memory?)"
            logger.warning("%s", lost)
        else:
            self.waiting.appendleft(task)
            logger.warning("%s, which is done again", lost)

    def _read(self, result: Any) -> Outcome | None:
        """What came back for a task; None if its worker was lost."""
        from distributed import CancelledError, KilledWorker

        if isinstance(result, Outcome):
            if strange := [
                name for name in result.files or () if ".." in Path(name).parts or Path(name).is_absolute()
            ]:
                return Outcome(error=f"its worker sent a file for another folder ({strange[0]})")
            return result
        error = result[1] if isinstance(result, tuple) else result
        if isinstance(error, KilledWorker):
            return None
        if isinstance(error, CancelledError):
            raise self._disconnected()
        if isinstance(error, ImportError):
            return Outcome(unfit=f"its emo_hf does not fit this one ({first_line(error)}); install the same version")
        return Outcome(error=f"{type(error).__name__}: {first_line(error)}")

    def _disconnected(self) -> UserError:
        return UserError(f"--scheduler {self.study.grid.scheduler}: it was lost, or dropped the runs; {_GOES_ON}")


_one_at_a_time = threading.Lock()  # seeds and threads belong to the process, and two studies may share a worker


def run_away(study: Study, task: Task, fingerprint: str) -> Outcome:
    """Run a task inside a Dask worker, in a temporary folder, if the data there are those of the fingerprint."""
    from distributed import get_worker

    worker = get_worker()
    with _one_at_a_time, tempfile.TemporaryDirectory(prefix="emo_hf-", dir=worker.local_directory) as folder:
        if unfit := _other_data(study, task, fingerprint):
            return Outcome(unfit=unfit)
        own: dict[str, Any] = {}
        if multiprocessing.current_process().daemon:  # as under Dask's nanny: it may have no processes that load data
            own = {
                "dataloader_num_workers": 0,
                "dataloader_prefetch_factor": None,
                "dataloader_persistent_workers": False,
            }
        here = replace(study, grid=replace(study.grid, study_dir=folder))
        try:
            _, error = run_in_worker(here, task, worker.state.nthreads, callbacks=[_StopWhenUnwanted(worker)], **own)
        except KeyboardInterrupt:
            error = "called off"
        run_dir = here.folder / task.run_id
        if error:  # the record says what was tried; a half trained model is of no use
            left = [run_dir / name for name in (RECORD_FILE, TRACEBACK_FILE)]
            files = {path.name: path.read_bytes() for path in left if path.exists()}
            return Outcome(files, error.replace(str(run_dir), str(study.folder / task.run_id)))
        return Outcome({p.relative_to(run_dir).as_posix(): p.read_bytes() for p in run_dir.rglob("*") if p.is_file()})


class _StopWhenUnwanted(TrainerCallback):
    """Ends the training when its client has called it off, or is gone: Dask can't stop a thread."""

    def __init__(self, worker: Worker):
        self._worker, self._key = worker, worker.get_current_task()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        task = self._worker.state.tasks.get(self._key)
        if task is None or task.state == "cancelled":
            raise KeyboardInterrupt


def _other_data(study: Study, task: Task, fingerprint: str) -> str | None:
    """Why the data here are not the study's, or None if they are."""
    _, data = study.model_and_data(task)
    advice = "give --data as a path that leads to the same data on every worker, or as a Hub id"
    try:
        if load_data(data).fingerprint != fingerprint:
            forget_data()  # this process may have read them for an earlier study
        found = load_data(data).fingerprint
    except UserError as error:
        return f"its data can't be read ({first_line(error)}); {advice}"
    if found != fingerprint:
        return f"{data.source} holds other data there (fingerprint {found[:12]}, here {fingerprint[:12]}); {advice}"
    return None


def _unpacker() -> Any:
    """The function that a worker is sent. As a local one it goes by value, so that the scheduler needs no emo_hf."""
    version = __version__

    def unpack_and_run(package: bytes) -> Any:
        import pickle

        from emo_hf import __version__ as installed

        if installed != version:
            raise ImportError(f"{installed} there, {version} here")
        from emo_hf.study.dask import run_away

        return run_away(*pickle.loads(package))

    return unpack_and_run


def _whole_path(name: str) -> str:
    """A path as it is from any folder; other names, of what is bundled or on the Hub, as they are."""
    path = Path(name).expanduser()
    return str(path.absolute()) if name not in ("sample", *BUNDLED) and path.exists() else name


def _at_home(content: bytes, study: Study, task: Task) -> bytes:
    """A worker's record with the names that a run on this machine has in it."""
    record = json.loads(content)
    model, data = study.model_and_data(task)
    record["model"]["encoder"] = model.encoder
    if "parent" in record["model"]:
        record["model"]["parent"]["from"] = own_name(model)
    if "arguments" in record:  # a cell that was tuned has those of its draws
        record["arguments"]["model"] |= {"encoder": model.encoder, "init_from": model.init_from}
        record["arguments"]["data"] |= {"data": data.data, "unseen_by": data.unseen_by}
        record["arguments"]["training"]["output_dir"] = str(study.folder / task.run_id)
    if "data" in record:  # a run that failed has got no further than its arguments
        record["data"]["source"] = record["data"]["report"]["source"] = data.source
    return (json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode()


async def _reach(address: str) -> None:
    from distributed import Security, connect

    # Dask's own timeout ends no talk with a server of another kind that keeps the line open.
    async with asyncio.timeout(2 * CONNECT_SECONDS):
        comm = await connect(address, timeout=CONNECT_SECONDS, **Security().get_connection_args("client"))
    comm.abort()
