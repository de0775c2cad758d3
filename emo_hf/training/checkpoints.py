"""Checkpoints that a run can go on from: sealed when they are whole, and found again by their seal."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from emo_hf.errors import UserError
from emo_hf.redaction import redacted
from emo_hf.storage.files import settle, write_whole

logger = logging.getLogger(__name__)

SEAL_FILE = "sealed.json"
STATE_FILE = "trainer_state.json"
# What may be otherwise when a run goes on: where it stands, what it shows, how rows are loaded. All else decides about
# the training, or is taken from the checkpoint whatever is asked.
MAY_CHANGE = frozenset(
    (
        *("output_dir", "run_name", "local_rank", "use_cpu", "debug", "ddp_timeout", "skip_memory_metrics"),
        *("resume_from_checkpoint", "restore_callback_states_from_checkpoint", "ignore_data_skip"),
        *("report_to", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id", "disable_tqdm"),
        *("log_level", "log_level_replica", "log_on_each_node", "logging_strategy", "logging_first_step"),
        *("push_to_hub", "hub_model_id", "hub_strategy", "hub_private_repo", "hub_always_push", "hub_revision"),
        *("save_total_limit", "save_on_each_node", "torch_empty_cache_steps"),
        *("dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers"),
        *("dataloader_prefetch_factor", "dataloader_multiprocessing_context"),
        *("per_device_eval_batch_size", "eval_accumulation_steps", "eval_on_start", "do_train", "do_eval"),
        "do_predict",
        *("calibration", "coverage_sets"),  # which come after the training
    )
)
_NO_FLAGS = ("data_fingerprint", "processes")  # they decide as well


class MadeWith(TrainerCallback, ExportableState):
    """Has Trainer store in each checkpoint, in its JSON, the arguments that the run was started with."""

    def __init__(self, arguments: Mapping[str, Any]):
        self.arguments = json.loads(json.dumps(redacted(dict(arguments)), default=str))

    def state(self) -> dict[str, dict[str, Any]]:
        """As Trainer stores it."""
        return {"args": {}, "attributes": self.arguments}


def check_same_arguments(
    checkpoint: Path, made_with: MadeWith, way_on: Callable[[], str | None] = lambda: None
) -> None:
    """See that a run goes on with the arguments that it was started with.

    Optimizer and schedule come from the checkpoint whatever is asked, and more epochs would begin at a rate of 0 and
    jump: neither is a run that any record describes.

    `way_on` gives the arguments that train it further as a new run, if it can be.

    Raises:
        UserError: arguments that differ, with both values; or a checkpoint that does not say.
    """
    stored = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8")).get("stateful_callbacks", {})
    way_out = "leave --resume_from_checkpoint out to start anew"
    if MadeWith.__name__ not in stored:
        raise UserError(f"{checkpoint} does not say which arguments its run was started with; {way_out}")
    old, new = stored[MadeWith.__name__]["attributes"], made_with.arguments
    differ = [
        f"{_flag(name)} was {_value(old, name)}, now {_value(new, name)}"
        for name in dict.fromkeys([*new, *old])
        if name not in MAY_CHANGE and new.get(name) != old.get(name)
    ]
    if differ:
        further = (words := way_on()) and f", or train it further as a new run with {words}"
        raise UserError(
            f"{checkpoint} is of a run with other arguments: {'; '.join(differ)}; give those of then to go on, or "
            f"{way_out}{further or ''}"
        )


def _flag(name: str) -> str:
    return name.replace("_", " ") if name in _NO_FLAGS else f"--{name}"


def _value(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    return "not given" if value is None else str(value)[:12] if name == "data_fingerprint" else str(value)


def seal(folder: Path) -> None:
    """Note the files of a checkpoint, which is whole, with size and SHA-256, once they are all on the disk."""
    settle(folder)
    (folder / SEAL_FILE).unlink(missing_ok=True)
    files = {p.relative_to(folder).as_posix(): _digest(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    write_whole(folder / SEAL_FILE, json.dumps(files, indent=2).encode())


def fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, in a few words, or None: its files are those of its seal."""
    try:
        files = json.loads((checkpoint / SEAL_FILE).read_text(encoding="utf-8"))
        names = list(files)
    except FileNotFoundError:
        return f"it has no {SEAL_FILE}, so its writing was cut off"
    except (OSError, ValueError, TypeError):
        return f"its {SEAL_FILE} can't be read"
    for name in names:
        try:
            if _digest(checkpoint / name) != files[name]:
                return f"{name} is not what was written"
        except OSError:
            return f"{name} is missing or can't be read"
    return None


def checkpoint_to_resume(asked: str | None, run_dir: Path) -> str | None:
    """The checkpoint that `--resume_from_checkpoint` means; None if it is not given, or says no.

    For `last` (or `true`) it is the newest of the run that is sound, and so is the best one before it, which the end
    of the training may need; those that are not are named in a warning.

    Raises:
        UserError: there is none.
    """
    if not asked or str(asked).lower() == "false":
        return None
    by_step = sorted(run_dir.glob("checkpoint-*"), key=_step, reverse=True)
    last = str(asked).lower() in ("true", "last")
    for checkpoint in by_step if last else [Path(asked)]:
        if not (last or checkpoint.is_dir()):
            raise UserError(f"--resume_from_checkpoint {asked}: there is no such folder; {_ways_out(run_dir)}")
        if not last and not (checkpoint / STATE_FILE).exists() and not checkpoint.name.startswith("checkpoint-"):
            newest = newest_sound(checkpoint)
            way_out = f"give {newest}, its newest" if newest else _ways_out(run_dir)
            raise UserError(
                f"--resume_from_checkpoint {asked}: it is no checkpoint, as it has no {STATE_FILE}; {way_out}"
            )
        wrong = _wrong(checkpoint)
        if wrong is None:
            return str(checkpoint)
        if not last:
            raise UserError(f"--resume_from_checkpoint {asked}: {wrong}; {_ways_out(run_dir)}")
        logger.warning("%s is passed over: %s", checkpoint, wrong)
    sound = "checkpoint-* that is sound" if by_step else "checkpoint-*"
    raise UserError(f"--resume_from_checkpoint {asked}: {run_dir} holds no {sound}; leave the argument out")


def newest_sound(run_dir: Path) -> Path | None:
    """The newest checkpoint of a run that it can go on from, if there is one."""
    by_step = sorted(run_dir.glob("checkpoint-*"), key=_step, reverse=True)
    return next((checkpoint for checkpoint in by_step if _wrong(checkpoint) is None), None)


def _wrong(checkpoint: Path) -> str | None:
    """What keeps a run from going on from a checkpoint, the best one before it included."""
    wrong = fault(checkpoint)
    if wrong is None and (best := _best(checkpoint)) is not None and (of_best := fault(best)) is not None:
        wrong = f"the best checkpoint before it, {best.name}, is not sound: {of_best}"
    return wrong


def remove_checkpoints(run_dir: Path, *, but_sound: bool = False) -> None:
    """Remove the checkpoints of a run; with `but_sound`, those that it could not go on from."""
    for checkpoint in run_dir.glob("checkpoint-*"):
        if not but_sound or fault(checkpoint) is not None:
            shutil.rmtree(checkpoint, ignore_errors=True)


def _ways_out(run_dir: Path) -> str:
    return f"give a checkpoint that is whole, or `last` for the newest such in {run_dir}"


def _best(checkpoint: Path) -> Path | None:
    """The best checkpoint up to a sound one, beside it, where the training kept one."""
    best = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8")).get("best_model_checkpoint")
    return checkpoint.with_name(Path(best).name) if best else None


def _step(checkpoint: Path) -> int:
    number = re.search(r"\d+$", checkpoint.name)
    return int(number.group()) if number else -1


def _digest(path: Path) -> list[int | str]:
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]
