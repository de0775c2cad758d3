"""Emotions of sentences, of a file or of standard input.

    python recipes/predict.py MODEL "드디어 합격했어" "내일 발표라 잠이 안 와"
    python recipes/predict.py MODEL "드디어 합격했어" --explain
    python recipes/predict.py MODEL comments.xlsx --output emotions.xlsx
    cat comments.txt | python recipes/predict.py MODEL - --format jsonl

MODEL is the folder of a run, a Hub id, or the folder of an ONNX or static export. A file is one of those that training
takes, or plain text, one sentence a line. Every row gets its prediction, in order, beside the other columns of the
file; a row without a text gets an empty one.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emo_hf.arguments.bounds import check_number
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError, few
from emo_hf.exit_codes import command

if TYPE_CHECKING:
    from emo_hf.data.sources.streams import Opened
    from emo_hf.inference.prediction_writers import Writer
    from emo_hf.inference.predictor import Predictor

MANY = 1000  # sentences, beyond which the speed is worth a line
NAMED = 5  # rows in a message
ROWS = 4096  # sentences of the command line at a time


@command()
def main(argv: Sequence[str]) -> None:
    """Read the words, open the input, load the model, write a row for each sentence."""
    parser = CommandParser(__doc__)
    parser.add_argument("model", help="folder of a run, a Hub id, or folder of an ONNX or static export")
    parser.add_argument("input", nargs="*", default=[], help="sentences, or one file; - or none: standard input")
    parser.add_argument(
        "--output", type=Path, help="a .csv, .tsv, .xlsx or .jsonl file for predictions: whole, or absent"
    )
    parser.add_argument("--format", choices=["text", "csv", "tsv", "jsonl"], help="of standard output; default text")
    parser.add_argument("--explain", action="store_true", help="say too which words carried the likeliest label")
    parser.add_argument("--text_column", help="column of the sentences, if not a usual name: its name, or its number")
    parser.add_argument("--header", help="row of the column names, from 1, or none; default: found out")
    parser.add_argument("--sheet", help="sheet of a workbook; default: found out")
    parser.add_argument("--batch_size", type=int, help="sentences at once; default 128, on a CPU by their length")
    parser.add_argument("--max_length", type=int, default=128, help="in tokens")
    arguments = parser.parse_words(argv)
    check_number("batch_size", arguments.batch_size)
    check_number("max_length", arguments.max_length)
    # Only now: --help has no use for torch, nor for pandas.
    from display.notes import say_notes

    from emo_hf.inference.prediction_files import check_output, format_of
    from emo_hf.inference.predictor import Predictor

    kind = format_of(arguments.output, arguments.format)
    source = source_of(arguments.input)
    if arguments.output:
        check_output(arguments.output, _on_disk(source))
    # Standard input may be typed: not before all else is known to be well.
    opened = None if source is None else open_input(source, arguments, kind)
    predictor = Predictor(
        arguments.model, batch_size=arguments.batch_size, max_length=arguments.max_length, prepare=quiet_transformers
    )
    opened = opened or open_input(source, arguments, kind)
    started = time.monotonic()
    with writer_of(arguments.output, kind, opened, predictor, explained=arguments.explain) as writer:
        count, empty = write(opened, predictor, writer, explained=arguments.explain)
    seconds = time.monotonic() - started
    if arguments.output:
        print(f"wrote {arguments.output}, {count:,} row{'s' * (count != 1)}")
    if count > MANY or sys.stderr.isatty():
        print(f"{count:,} sentences in {seconds:.1f} s, {count / seconds:,.0f} a second", file=sys.stderr)
    say_notes(opened.notes, aside=True)
    if said := empty.said():
        print(f"{opened.name}: {said}", file=sys.stderr)


def quiet_transformers() -> None:
    """Keep the bars and notices of transformers off the terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def source_of(given: Sequence[str]) -> Path | list[str] | None:
    """The file that the command line names, its sentences, or None for standard input."""
    if "" in map(str.strip, given):
        raise UserError("a sentence of the command line is empty; give text, or a file, or standard input")
    if "-" in given and len(given) > 1:
        raise UserError("- stands for standard input and takes nothing beside it; leave it or the sentences out")
    paths = [text for text in given if _is_path(text)]
    if paths and len(given) > 1:
        raise UserError(f"{paths[0]} is a file or folder beside other input; give one file at a time, or sentences")
    if list(given) in ([], ["-"]):
        return None
    return Path(given[0]) if paths else list(given)


def _is_path(text: str) -> bool:
    from emo_hf.data.sources.files import KINDS

    try:
        return Path(text).suffix.lower() in (*KINDS, ".xls", ".zip") or Path(text).exists()
    except (OSError, ValueError):  # no name of a file, so a sentence
        return False


def _on_disk(source: Path | list[str] | None) -> Path | int | None:
    """What `check_output` may find to be the output too."""
    if source is None:
        with contextlib.suppress(OSError, ValueError):  # closed, or no stream of the system
            return sys.stdin.fileno()
    return source if isinstance(source, Path) and source.exists() else None


def open_input(source: Path | list[str] | None, arguments: argparse.Namespace, kind: str) -> Opened:
    """The input as blocks of rows."""
    from emo_hf.data.sources.streams import Block, Opened, open_rows
    from emo_hf.data.sources.tables import Layout, check_used, header_row

    layout = Layout(header_row(arguments.header), arguments.sheet, arguments.text_column)
    if isinstance(source, list):
        check_used(layout, "the command line", in_rows=False, sheets=False)
        parts = ((start + 1, source[start : start + ROWS]) for start in range(0, len(source), ROWS))
        blocks = (Block(range(first, first + len(part)), {"1": part}) for first, part in parts)
        return Opened("the command line", ["1"], "1", False, [], blocks)
    if source is None and sys.stdin.isatty():
        print("sentences, one a line; Ctrl-D ends", file=sys.stderr)
    opened = open_rows(sys.stdin.buffer if source is None else source, layout, only_text=kind == "text")
    # What can't be read says so before anything is written, in most cases before the model is loaded.
    opened.blocks = itertools.chain(list(itertools.islice(opened.blocks, 1)), opened.blocks)
    return opened


def writer_of(
    output: Path | None, kind: str, opened: Opened, predictor: Predictor, *, explained: bool
) -> contextlib.AbstractContextManager[Writer]:
    """What takes the predictions: the file, or standard output."""
    from emo_hf.inference.prediction_files import prediction_file, standard_output

    more = [*(["label_set"] if "label_sets" in predictor.promises else []), *(["why"] if explained else [])]
    if output:
        return prediction_file(output, opened.others, predictor.labels, more=more)
    return contextlib.nullcontext(standard_output(sys.stdout, kind, opened.others, predictor.labels, more=more))


@dataclass
class Empty:
    """The rows without a text: how many there are, and the numbers of the first ones."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Count a row."""
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(number)

    def said(self) -> str:
        """A line, or nothing where there are none."""
        if not self.count:
            return ""
        rows = "1 row has" if self.count == 1 else f"{self.count:,} rows have"
        return f"{rows} no text and an empty prediction: {few(map(str, self.first), count=self.count)}"


def write(opened: Opened, predictor: Predictor, writer: Writer, *, explained: bool = False) -> tuple[int, Empty]:
    """Write a row for each of the input; returns how many there were, and which had no text."""
    from emo_hf.inference.predictions import predictions

    count, empty = 0, Empty()
    for block in opened.blocks:
        beside = [block.columns[name] for name in opened.others]
        for row in predictions(predictor, block.numbers, beside, block.columns[opened.text], explained=explained):
            writer.write(row)
            count += 1
            if row.scores is None:
                empty.add(row.number)
    return count, empty


if __name__ == "__main__":
    sys.exit(main())
