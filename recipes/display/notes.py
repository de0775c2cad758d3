"""What was left out of the data or read otherwise than it stands there: the last lines of a recipe."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence

from emo_hf.errors import one_line

MOST = 12  # lines; the record has them all


@contextlib.contextmanager
def logged_once() -> Iterator[None]:
    """Have each note of the data logged once, though a study may read its data for each of its runs."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        known = record.getMessage() in said
        said.add(record.getMessage())
        return not known

    loggers = [logging.getLogger(f"emo_hf.{name}") for name in ("data.loading", "data.seen_texts")]
    for logger in loggers:
        logger.addFilter(is_new)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_new)


def say_notes(notes: Sequence[str], *, aside: bool = False) -> None:
    """Print the notes of the data on standard output, below all that was printed before on either stream.

    `aside` has all of them on standard error, where standard output holds the result and there is no record.
    """
    sys.stderr.flush()
    if aside:
        sys.stdout.flush()
    for note in notes if aside else notes[:MOST]:
        print(f"data: {one_line(note)}", file=sys.stderr if aside else sys.stdout)
    if len(notes) > MOST and not aside:
        print(f"data: {len(notes) - MOST:,} notes more, in record.json under data, report, notes")
    sys.stdout.flush()
