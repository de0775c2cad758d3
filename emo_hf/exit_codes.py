"""How a recipe ends: one line for a mistake or a Ctrl-C, and one set of exit codes."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType

from emo_hf.errors import UserError
from emo_hf.redaction import start_logging

MISTAKE, STOPPED = 2, 130


def _say_of(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("\nstopped\n")
    else:
        _say_of_others(kind, error, trace)


# A recipe imports its libraries for seconds before `command` can catch a Ctrl-C. Only recipes import this module.
sys.excepthook, _say_of_others = _say_of, sys.excepthook


def command(stopped: str = "stopped") -> Callable[[Callable[[Sequence[str]], int | None]], Callable[..., int]]:
    """Let a function of the command line's words end as every recipe does, with an exit code.

    0 if all is well (or what the function returns), 2 for a mistake in the input, said in one line on standard error,
    130 after Ctrl-C with the line `stopped`, or the message of the KeyboardInterrupt that was raised. A reader that
    has enough, as `head`, is no mistake.
    """

    def decorate(main: Callable[[Sequence[str]], int | None]) -> Callable[..., int]:
        @functools.wraps(main)
        def run(argv: Sequence[str] | None = None) -> int:
            start_logging()
            try:
                code = main(sys.argv[1:] if argv is None else argv) or 0
                sys.stdout.flush()  # at the interpreter's end nobody could catch a closed pipe
            except UserError as error:
                sys.stderr.write(f"error: {error}\n")
                return MISTAKE
            except KeyboardInterrupt as error:
                sys.stderr.write(f"\n{error if error.args else stopped}\n")  # below the ^C, or a bar
                return STOPPED
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 0
            return code

        return run

    return decorate
