"""One process at a time in a folder: a lock that opens by itself when its owner dies, and that says who holds it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from emo_hf.errors import UserError
from emo_hf.storage.files import read_object, write_whole
from emo_hf.storage.record import now

logger = logging.getLogger(__name__)

LOCK_FILE, OWNER_FILE = ".lock", ".owner.json"
ORPHAN_SECONDS = 60.0  # how long the children of a killed owner, which share its lock, may take to end


@contextlib.contextmanager
def held(folder: Path, way_out: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a folder, made if it is missing, while the block runs; for `wait` seconds others are waited for.

    The system gives the lock of a process back that ends, however it ends. A folder that is empty at the end goes.

    Raises:
        UserError: another process holds the folder; names it, and ends with the `way_out`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE)
    owner = _owner(folder)
    try:
        lock.acquire(timeout=max(wait, ORPHAN_SECONDS) if owner and _is_dead(owner) else wait)
    except Timeout:
        raise UserError(f"{folder} is in use by {_name(_owner(folder))}; {way_out}") from None
    try:
        if (left := _owner(folder)) is not None:
            logger.warning("%s is taken over from %s, which was killed or cut off", folder, _name(left))
        note = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        write_whole(folder / OWNER_FILE, json.dumps(note).encode())
        yield
    finally:
        with contextlib.suppress(OSError):  # of a disk that fails, which was said already
            (folder / OWNER_FILE).unlink(missing_ok=True)
            if {path.name for path in folder.iterdir()} == {LOCK_FILE}:
                (folder / LOCK_FILE).unlink()
                folder.rmdir()
        lock.release()


def is_lock(path: Path) -> bool:
    """Whether a file of a folder is there only because somebody holds, or held, the folder."""
    return path.name in (LOCK_FILE, OWNER_FILE)


def _owner(folder: Path) -> dict[str, Any] | None:
    return read_object(folder / OWNER_FILE)


def _is_dead(owner: dict[str, Any]) -> bool:
    """Whether the owner is known to have ended; of another machine nothing is known."""
    pid = owner.get("pid")
    return owner.get("host") == socket.gethostname() and isinstance(pid, int) and not psutil.pid_exists(pid)


def _name(owner: dict[str, Any] | None) -> str:
    if owner is None:
        return "another process"
    return f"process {owner.get('pid')} on {owner.get('host')}, since {owner.get('since')}"
