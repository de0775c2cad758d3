"""What a metric loss takes of a training step: steps with it and without it in turn, on the same batches, in one run.

    python recipes/bench/metric_loss.py
    python recipes/bench/metric_loss.py --aux triplet --batch_size 64 --rows 1024

Arms that train one after the other, as in recipes/bench/training.py, differ by more than a loss takes when the machine
is busy; two neighbouring steps hardly do. A warm-up of two epochs is left out. Writes runs/bench/aux.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import Work, our_trainer
from transformers import TrainerCallback

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.storage.files import write_whole
from emo_hf.training.diagnostics import Means
from emo_hf.training.progress import quiet_libraries
from emo_hf.training.trainer import MetricTrainer

WARM_UP = 2  # epochs


class SameBatches(MetricTrainer):
    """The batches of the first epoch in every epoch."""

    def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
        return list(super()._get_train_sampler(train_dataset))


class InTurn(TrainerCallback):
    """Switches the metric loss on and off from step to step and from epoch to epoch, and times the steps."""

    def __init__(self, trainer: MetricTrainer):
        self.trainer, self.auxiliary = trainer, trainer.auxiliary
        self.means = {True: Means(), False: Means()}  # one takes the same scalars every time
        self.seconds: dict[tuple[int, bool], list[float]] = {}  # by the step's place in its epoch, and with or without

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        epoch, self.step = divmod(state.global_step, state.max_steps // state.num_train_epochs)
        self.on, self.warm = (epoch + self.step) % 2 == 0, epoch >= WARM_UP
        self.trainer.auxiliary = self.auxiliary if self.on else None
        self.trainer._means = self.means[self.on]
        self.started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if self.warm:
            self.seconds.setdefault((self.step, self.on), []).append(time.perf_counter() - self.started)


def measure(work: Work, aux: str, epochs: int) -> tuple[float, float]:
    """Seconds of a step without the loss, and those that it adds: means of the steps' medians over the epochs."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = our_trainer(work, folder, aux=aux, trainer=SameBatches, num_train_epochs=WARM_UP + epochs)()
        timed = InTurn(trainer)
        trainer.add_callback(timed)
        trainer.train()
    on, off = (
        float(np.mean([np.median(seconds) for (_, on), seconds in timed.seconds.items() if on == used]))
        for used in (True, False)
    )
    return off, on - off


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--aux", nargs="+", default=["triplet", "contrastive"], help="losses, as --aux of train.py")
    Work.add_arguments(parser)
    parser.add_argument("--epochs", type=positive, default=20, help="at least 2: half of them a step is without it")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    torch.set_num_threads(arguments.threads)
    work = Work.of(arguments)
    lines = ["| loss | of a step | a step without it |", "| --- | ---: | ---: |"]
    if arguments.epochs < 2:
        raise UserError(f"--epochs is {arguments.epochs}; it must be at least 2, one with the loss, one without")
    rows = len(work.texts()[0])
    for aux in arguments.aux:
        without, added = measure(work, aux, arguments.epochs)
        lines.append(f"| {aux} | {added / (without + added):.1%} | {1000 * without:.1f} ms |")
    said = (
        f"{work.encoder} with mean pooling, {rows:,} sentences of `{work.data}`, batches of {work.batch_size}, "
        f"{work.threads} threads: what a metric loss takes of a training step; each step with and without it in turn "
        f"over {arguments.epochs} epochs.\n\n"
    )
    text = said + "\n".join(lines) + "\n"
    print(text, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'aux.md', text.encode())}")


if __name__ == "__main__":
    sys.exit(main())
