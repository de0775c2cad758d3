"""Progress of a study: a line for each run or tuning that ends and, on a terminal, a bar with those in work."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from emo_hf.storage.record import read_record
from emo_hf.study.grid import Cell, Task
from emo_hf.study.local import PROGRESS_FILE
from emo_hf.training.progress import read_progress

LOOK_EVERY = 1.0  # seconds between two looks at the progress files of the runs


class StudyDisplay:
    """Shows the runs of a study that are due, or the cells to tune, while they are done, as a context.

    Args:
        folder: of the study.
        due: the runs to come.
        console: where they are shown.
    """

    def __init__(self, folder: Path, due: Sequence[Task], console: Console):
        self.folder, self.due, self.console = folder, due, console
        self.ended: set[str] = set()
        self._doing, unit = ("tuning", "models") if isinstance(due[0], Cell) else ("training", "runs")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(f"{{task.completed:.1f}}/{{task.total:.0f}} {unit}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._shown = self._bar.add_task(self._doing, total=len(due), left="")
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._keep_looking, daemon=True)

    def __enter__(self) -> StudyDisplay:
        self._started = time.monotonic()
        self._bar.start()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._watch.join()
        self._bar.update(self._shown, completed=len(self.ended), description=self._doing, left="")
        if not self._bar.disable:  # as in `RunDisplay`
            self._bar.stop()

    def run_ended(self, task: Task, error: str | None) -> None:
        """Say how a run went, and how long the others will take."""
        self.ended.add(task.run_id)
        said = f"[{len(self.ended)}/{len(self.due)}] {task.run_id}"
        if error:
            self.console.print(f"{said} failed: {error}", markup=False)
            return
        record = read_record(self.folder / task.run_id)
        assert record is not None  # it ended well
        how = _tuned(record) if isinstance(task, Cell) else _scored(record)
        self.console.print(f"{said}: {how}; {self._left(len(self.ended))}", markup=False)

    def _left(self, done: float) -> str:
        seconds = (time.monotonic() - self._started) / done * (len(self.due) - done)
        return f"about {seconds / 60:.1f} min left"

    def _keep_looking(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            running = {}
            for task in self.due:
                if task.run_id not in self.ended:
                    progress = read_progress(self.folder / task.run_id / PROGRESS_FILE)
                    if progress:
                        running[task.run_id] = progress
            done = len(self.ended) + sum(p["step"] / max(p["steps"], 1) for p in running.values())
            names = ", ".join(f"{name} {_place(progress)}" for name, progress in running.items())
            left = self._left(done) if done else ""
            self._bar.update(self._shown, completed=done, description=names or self._doing, left=left)


def _scored(record: dict[str, Any]) -> str:
    return f"macro-F1 {100 * record['test']['macro_f1']:.1f}, {record['wall_seconds']:.0f} s"


def _tuned(record: dict[str, Any]) -> str:
    """What came of a tuning: the best draw, and the first one, which is the settings as they are."""
    draws = record["draws"]
    best, usual = (max(draw["validation_macro_f1"], default=0.0) for draw in (draws[record["chosen"] - 1], draws[0]))
    seconds = sum(draw["wall_seconds"] for draw in draws)
    return (
        f"draw {record['chosen']} of {len(draws)}, validation macro-F1 {100 * best:.1f} "
        f"(untuned {100 * usual:.1f}), {seconds:.0f} s"
    )


def _place(progress: dict[str, float]) -> str:
    draw = f"draw {progress['draw']:g} " if "draw" in progress else ""
    return f"{draw}epoch {int(progress['epoch']) + 1}/{progress['epochs']:g}"
