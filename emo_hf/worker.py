"""What a process of many runs owes: it ends with the process that it works for, and gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
import time

SECONDS = 0.5  # between two looks at the parent
_WATCH = "end with the parent"  # the name of a thread


def end_with(parent: int) -> None:
    """Have this process, a worker of `parent`, end soon after it: nobody would take what a worker does alone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        os._exit(1)

    known = any(thread.name == _WATCH for thread in threading.enumerate())
    if os.name == "posix" and os.getppid() == parent and not known:
        threading.Thread(target=watch, name=_WATCH, daemon=True).start()


def give_memory_back() -> None:
    """Free what a run left in cycles, and have the C library, where it is glibc, return the holes to the system.

    The tensors of each run fall between those of others in the heap, so that a process of many runs would grow by
    some megabytes a run. What outlives the first run was imported; the collections of later ones, of which Trainer
    makes several, need not walk through it again.
    """
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
