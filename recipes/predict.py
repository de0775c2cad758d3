"""Emotions of sentences, of a file or of standard input.

    python recipes/predict.py MODEL "드디어 합격했어" "내일 발표라 잠이 안 와"
    python recipes/predict.py MODEL comments.csv --format csv > emotions.csv
    cat comments.txt | python recipes/predict.py MODEL - --format jsonl

MODEL is the folder of a run, a Hub id, or the folder of an ONNX export. A file is CSV or TSV (with a header; the text
column is found or named), JSONL, Parquet, or plain text, one sentence a line. It is read piece by piece, however long
it is, and the order is kept.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from emo_hf.arguments.bounds import check_number
from emo_hf.arguments.words import CommandParser
from emo_hf.data.sources.streams import FILES, read_file
from emo_hf.errors import UserError
from emo_hf.escaping import csv_name
from emo_hf.exit_codes import command

if TYPE_CHECKING:
    from emo_hf.inference.predictor import Predictor

MANY = 1000  # sentences, beyond which the speed is worth a line


@command()
def main(argv: Sequence[str]) -> None:
    """Read the words, load the model, write a line for each sentence."""
    parser = CommandParser(__doc__)
    parser.add_argument("model", help="folder of a run, a Hub id, or folder of an ONNX export")
    parser.add_argument("input", nargs="*", default=[], help="sentences, or one file; - or none: standard input")
    parser.add_argument("--format", choices=["text", "csv", "jsonl"], default="text", help="of the output")
    parser.add_argument("--text_column", help="column of the sentences in a CSV, TSV, JSONL or Parquet file")
    parser.add_argument("--batch_size", type=int, help="sentences at once; default 32 on a CPU, else 128")
    parser.add_argument("--max_length", type=int, default=128, help="in tokens")
    arguments = parser.parse_words(argv)
    check_number("batch_size", arguments.batch_size)
    check_number("max_length", arguments.max_length)
    # Only now: --help has no use for torch.
    from emo_hf.inference.predictor import Predictor
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()
    predictor = Predictor(arguments.model, batch_size=arguments.batch_size, max_length=arguments.max_length)
    started = time.monotonic()
    count = write(sentences(arguments.input, arguments.text_column), predictor, arguments.format, sys.stdout)
    if count > MANY or sys.stderr.isatty():
        seconds = time.monotonic() - started
        print(f"{count:,} sentences in {seconds:.1f} s, {count / seconds:,.0f} a second", file=sys.stderr)


def sentences(given: Sequence[str], text_column: str | None) -> Iterator[str]:
    """The sentences of the command line, of the one file that it names, or of standard input."""
    if "" in map(str.strip, given):
        raise UserError("a sentence of the command line is empty; give text, or a file, or standard input")
    if "-" in given and len(given) > 1:
        raise UserError("- stands for standard input and takes nothing beside it; leave it or the sentences out")
    paths = [text for text in given if _is_path(text)]
    if paths and len(given) > 1:
        raise UserError(f"{paths[0]} is a file or folder beside other input; give one file at a time, or sentences")
    if list(given) in ([], ["-"]):
        if sys.stdin.isatty():
            print("sentences, one a line; Ctrl-D ends", file=sys.stderr)
        found = (line.rstrip("\n") for line in sys.stdin)
        where = "standard input"
    elif paths:
        found, where = read_file(Path(given[0]), text_column), given[0]
    else:
        found, where = iter(given), "the command line"
    number = 0
    try:
        for number, sentence in enumerate(found, 1):  # noqa: B007
            sentence.encode()  # halves of characters, which no tokenizer takes
            yield sentence
    except UnicodeError:
        raise UserError(
            f"{where}, after sentence {number}: bytes that are neither utf-8 nor cp949; save it again as UTF-8"
        ) from None


def _is_path(text: str) -> bool:
    try:
        return Path(text).suffix.lower() in FILES or Path(text).exists()
    except (OSError, ValueError):  # no name of a file, so a sentence
        return False


def write(texts: Iterable[str], predictor: Predictor, kind: str, out: TextIO) -> int:
    """One line a sentence: its label and the probability of every label; returns how many there were.

    In CSV, a sentence that a spreadsheet would take for a formula has an apostrophe before it.
    """
    waiting: deque[str] = deque()  # read and not yet written: at most one chunk of the predictor

    def remembered() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    count = 0
    table = csv.writer(out, lineterminator="\n")
    predicted = predictor(remembered())
    first = list(itertools.islice(predicted, 1))  # what can't be read says so before anything is written
    if kind == "csv":
        table.writerow(["sentence", "label", *map(csv_name, predictor.labels)])
    for scores in itertools.chain(first, predicted):
        text, label = waiting.popleft(), max(scores, key=scores.get)
        count += 1
        if kind == "csv":
            table.writerow([csv_name(text), csv_name(label), *(f"{value:.4f}" for value in scores.values())])
        elif kind == "jsonl":
            row = {"sentence": text, "label": label, "scores": {k: round(v, 4) for k, v in scores.items()}}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            shown = "  ".join(f"{name} {value:.2f}" for name, value in scores.items())
            out.write(f"{label}\t{shown}\t{text}\n")
    return count


if __name__ == "__main__":
    sys.exit(main())
