"""Training on where a run has ended: what is refused, and the new run that does it."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.models.parents import DEFAULTS, OF_PARENT, settled
from emo_hf.models.pretrained import check_encoder
from emo_hf.storage.record import is_done, read_record


def check_folder(model: ModelArguments, run_dir: Path) -> None:
    """See that a run does not replace the one that it starts from.

    Raises:
        UserError: its folder is that run's.
    """
    source = Path(model.encoder)
    run = source.resolve().parent if source.name.startswith("checkpoint-") else source.resolve()
    if source.is_dir() and run_dir.resolve() == run:
        flag = "init_from" if model.init_from else "encoder"
        raise UserError(
            f"--output_dir is {run_dir}, the folder that --{flag} {source} starts from; give another --output_dir"
        )


def refuse_finished(
    model: ModelArguments, data: DataArguments, training: MetricTrainingArguments, run_dir: Path
) -> None:
    """Refuse to resume a run that has ended, and name the new run that goes on from its weights.

    Raises:
        UserError: `--resume_from_checkpoint` means a finished run.
    """
    asked = str(training.resume_from_checkpoint or "false")
    if asked.lower() == "false":
        return
    finished = run_dir if asked.lower() in ("last", "true") else Path(asked)
    if not is_done(finished):
        return
    words = trained_further(finished, model, data, training)
    way_out = f"train it further as a new run with {words}, or leave" if words else "leave"
    raise UserError(
        f"--resume_from_checkpoint {asked}: {finished} is a finished run, which keeps no checkpoint and no optimizer "
        f"to resume with; {way_out} --resume_from_checkpoint out to train anew"
    )


def trained_further(
    start: Path, asked: ModelArguments, data: DataArguments, training: MetricTrainingArguments
) -> str | None:
    """The arguments of a new run that begins with the weights of a run or of its checkpoint; None if it could not.

    Beside them stand those that were `asked` for, but for what the run itself decides.
    """
    try:
        model, data = settled(ModelArguments(init_from=str(start)), data)
        check_encoder(model, data)
    except UserError:
        return None
    run_dir = start.parent if start.name.startswith("checkpoint-") else start
    record = read_record(run_dir) or {}
    before = record.get("arguments", {}).get("training", {}).get("num_train_epochs")
    epochs = training.num_train_epochs
    if isinstance(before, int | float) and epochs > before:  # of all that were asked for, those that are left
        epochs -= before
    own = [training.output_dir] if Path(training.output_dir).resolve() != run_dir.resolve() else []
    names = itertools.chain(own, (f"{run_dir}-{number}" for number in itertools.count(2)))
    target = next(name for name in names if not Path(name).exists())
    words = shlex.join(["--init_from", str(start), "--num_train_epochs", f"{epochs:g}", "--output_dir", target])
    decided = [f"--{name}" for name in ("encoder", *OF_PARENT) if getattr(asked, name) != DEFAULTS[name]]
    return words + (f" in place of {' and '.join(decided)}" if decided else "")
