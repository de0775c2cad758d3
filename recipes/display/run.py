"""Progress of one run: a line an epoch and, on a terminal, one bar."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emo_hf.storage.record import PLAIN_LOSSES, loss_name


class RunDisplay(TrainerCallback):
    """Says on standard error what each epoch came to, in plain lines where that is a file.

    Args:
        aux: name of the auxiliary loss, or none.
        bar: whether a terminal shows a bar below the lines.
    """

    def __init__(self, aux: str, *, bar: bool = True):
        self.aux = aux
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (bar and console.is_terminal),
        )
        self._training: dict[str, float] = {}  # logged, and not yet said
        self._several = False  # labels a row

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        self._several = getattr(getattr(kwargs.get("model"), "config", None), "multi_label", False)
        for earlier in self._bar.task_ids:  # of a batch size that was too large
            self._bar.remove_task(earlier)
        self._shown = self._bar.add_task("", total=state.max_steps, epoch=_of(state.epoch or 0, args, up=True))
        self._bar.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            epoch = _of((state.epoch or 0) - 1e-6, args, up=True)
            self._bar.update(self._shown, completed=state.global_step, epoch=epoch)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        if args.logging_strategy == args.eval_strategy:  # the scores of the same epoch follow
            self._training = logs
        else:
            self._say(args, state, self._losses(args, logs))

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not metrics or "eval_loss" not in metrics:
            return
        scores = f"validation loss {metrics['eval_loss']:.3f}, macro-F1 {metrics['eval_macro_f1']:.3f}"
        self._say(args, state, ", ".join([*([self._losses(args, self._training)] if self._training else []), scores]))
        self._training = {}

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away, also of a run that was stopped or has failed."""
        if not self._bar.disable:  # rich before 14.3 would write an empty line
            self._bar.stop()

    def _losses(self, args: TrainingArguments, logs: dict[str, float]) -> str:
        said = f"loss {logs['loss']:.3f}"
        if "aux_loss" not in logs:
            return said
        of_classifier = loss_name(getattr(args, "classification_loss", PLAIN_LOSSES[0]), self._several)
        return f"{said} ({of_classifier} {logs['ce_loss']:.3f}, {self.aux} {logs['aux_loss']:.3f})"

    def _say(self, args: TrainingArguments, state: TrainerState, text: str) -> None:
        self._bar.console.print(f"epoch {_of(state.epoch or 0, args)}: {text}", markup=False)


def _of(epoch: float, args: TrainingArguments, up: bool = False) -> str:
    """`2/4`, `0.5/4`; with `up`, the epoch that is under way."""
    return f"{int(epoch) + 1 if up else round(epoch, 2):g}/{args.num_train_epochs:g}"
