"""Checkpoints that a run can go on from: sealed when they are whole, and found again by their seal."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from pathlib import Path

from emo_hf.errors import UserError
from emo_hf.storage.files import settle, write_whole

logger = logging.getLogger(__name__)

SEAL_FILE = "sealed.json"
STATE_FILE = "trainer_state.json"


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
        wrong = fault(checkpoint)
        if wrong is None and (best := _best(checkpoint)) is not None and (of_best := fault(best)) is not None:
            wrong = f"the best checkpoint before it, {best.name}, is not sound: {of_best}"
        if wrong is None:
            return str(checkpoint)
        if not last:
            raise UserError(f"--resume_from_checkpoint {asked}: {wrong}; {_ways_out(run_dir)}")
        logger.warning("%s is passed over: %s", checkpoint, wrong)
    sound = "checkpoint-* that is sound" if by_step else "checkpoint-*"
    raise UserError(f"--resume_from_checkpoint {asked}: {run_dir} holds no {sound}; leave the argument out")


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
