"""Processes that start at once: each is forked from an interpreter that has imported what the recipes import.

Python's own start is most of the time of a test whose process trains for a second. What stands in the environment when
a library is imported (`HF_HOME`, `PYTHONPATH`) reaches no such process: that takes an interpreter of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from places import ROOT

MODULES = (
    "torch.distributed", "transformers.trainer", "datasets", "matplotlib.pyplot", "sklearn.linear_model",
    "sklearn.manifold", "emo_hf.training.run", "emo_hf.study.local", "emo_hf.study.baselines", "emo_hf.report.report",
)  # fmt: skip


class Process:
    """A process that was forked: its number, its end, and what it has written, as `subprocess.Popen` has them."""

    def __init__(self, status: int, out: Path, err: Path):
        self._status, self._out, self._err = os.fdopen(status, "rb", buffering=0), out, err
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self.returncode if self.returncode is not None else self._ended(0)

    def wait(self, timeout: float = 300) -> int:
        """Its exit status; it is killed when the time, in seconds, is over."""
        code = self.returncode if self.returncode is not None else self._ended(timeout)
        if code is None:
            self.kill()
            raise subprocess.TimeoutExpired(str(self.pid), timeout, self.out(), self.err())
        return code

    def wait_for(self, condition: Callable[[], Any], seconds: float = 120) -> None:
        """Wait until something holds that the process brings about; fail when the time is over or it has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline and self.poll() is None, self.out() + self.err()
            time.sleep(0.02)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, and wait for its end."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def out(self) -> str:
        return self._out.read_text(encoding="utf-8", errors="replace")

    def err(self) -> str:
        return self._err.read_text(encoding="utf-8", errors="replace")

    def _ended(self, timeout: float) -> int | None:
        if select.select([self._status], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._status.readline()))
            self._status.close()
        return self.returncode


class Warm:
    """The interpreter that waits to be forked. It ends with the process that made it."""

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        self.link, other = socket.socketpair()
        with other:
            command = [sys.executable, __file__, str(other.fileno())]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # this checkout, whatever is installed
            self.server = subprocess.Popen(
                command, env=environment, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL
            )

    def start(
        self, words: Sequence[str], cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Process:
        """What `python *words` would do, with more in the environment. `words` begin with a script, `-c` or `-m`."""
        self.count += 1
        out, err = (self.folder / f"{self.count}.{name}" for name in ("out", "err"))
        read, write = os.pipe()
        with tempfile.TemporaryFile() as request, out.open("wb") as to_out, err.open("wb") as to_err:
            whole = {**os.environ, **(environment or {})}
            request.write(json.dumps([list(words), str(cwd or Path.cwd()), whole]).encode())
            request.seek(0)
            socket.send_fds(self.link, [b"!"], [request.fileno(), write, to_out.fileno(), to_err.fileno()])
        os.close(write)
        return Process(read, out, err)

    def close(self) -> None:
        self.link.close()
        self.server.wait(timeout=60)


def serve(link: socket.socket) -> list[str] | None:
    """Fork a process for each request until the other side is gone; in such a process, give what it is to run."""
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # else every process would walk through all of it, and copy it, at its end
    while True:
        message, files, _, _ = socket.recv_fds(link, 1, 4)
        with contextlib.suppress(ChildProcessError):  # there is none
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            return None
        if os.fork() == 0:
            link.close()
            return _forked(*files)
        for file in files:
            os.close(file)


def _forked(request: int, status: int, out: int, err: int) -> list[str]:
    """Fork once more and wait, so that the number of the process stays its own until its end was told."""
    if child := os.fork():
        for file in (request, out, err):
            os.close(file)
        os.write(status, f"{child}\n".encode())
        os.write(status, f"{os.waitpid(child, 0)[1]}\n".encode())
        os._exit(0)
    os.close(status)
    os.dup2(out, 1)
    os.dup2(err, 2)
    with os.fdopen(request, "rb") as file:
        words, folder, environment = json.load(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return words


def run(words: list[str]) -> None:
    """As the interpreter itself runs a script, `-c` or `-m`."""
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    elif words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, os.path.dirname(words[0]))
        runpy.run_path(words[0], run_name="__main__")


def main(link: socket.socket) -> None:
    status = 0

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    # Called after all other such functions, the first as it is: to take all modules apart would take seconds.
    atexit.register(end)
    try:
        if (words := serve(link)) is not None:
            run(words)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        status = 1
        traceback.print_exc()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
