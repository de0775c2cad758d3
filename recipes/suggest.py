"""What to label next: rows of a pool that a model would learn most from, and a page on which to label them.

    python recipes/suggest.py RUN --pool comments.csv --n 100
    python recipes/suggest.py RUN --labelled ~/Downloads/labelled_1a2b3c4d.csv --output more.csv

The first writes labelling.html into --output: open it in any browser, label with the keys 1 to 9, save the CSV. What
is typed is kept in the browser at once. Beside it stand suggestions.csv, the rows with what the model says of them,
and suggestions.json. Texts that the run was trained or tested on, and those of --labelled, are not suggested.

The second writes one file of the run's rows, in their splits, and the labelled ones, to train on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo_hf.arguments.bounds import check_number, positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command

if TYPE_CHECKING:
    from emo_hf.data.loading import EmotionData

DEFAULT = "margin"
MANY = 8192  # texts, from which on it is said how many are done


@command()
def main(argv: Sequence[str]) -> None:
    """Pick rows and write the page, or put what was labelled beside the run's rows; say what to do then."""
    from emo_hf.suggesting.strategies import STRATEGIES

    parser = CommandParser(__doc__)
    parser.add_argument("model", metavar="RUN", help="folder of a run, or of its ONNX or static export; or a Hub id")
    parser.add_argument("--pool", nargs="+", metavar="FILE", help="texts without labels: files that predict.py reads")
    parser.add_argument("--n", type=positive, default=100, help="rows to pick; default 100")
    parser.add_argument("--strategy", choices=STRATEGIES, default=DEFAULT, help=f"how; default {DEFAULT}")
    parser.add_argument("--seed", type=int, default=42, help="of what is drawn; default 42")
    parser.add_argument("--text_column", help="column of the texts in --pool, if not a usual name")
    parser.add_argument("--labelled", nargs="+", metavar="FILE", help="files that the page has saved")
    parser.add_argument("--output", type=Path, help="folder of the page, or the file of --labelled")
    parser.add_argument("--lang", choices=["en", "ko"], default="en", help="of the page")
    arguments = parser.parse_words(argv)
    check_number("seed", arguments.seed)
    if not arguments.pool and not arguments.labelled:
        raise UserError("give --pool FILE to pick rows to label, or --labelled FILE to put labelled rows to the run's")
    check_output(arguments)
    # Only now: --help has no use for torch, nor for pandas.
    from emo_hf.training.progress import quiet_libraries

    quiet_libraries()
    (pick_rows if arguments.pool else join_rows)(arguments)


def check_output(arguments: argparse.Namespace) -> None:
    """Raises UserError for a file in place of a folder, or the reverse, before anything takes long."""
    output = arguments.output
    if arguments.pool:
        if output and (output.is_file() or output.suffix.lower() in (".csv", ".html")):
            raise UserError(f"--output {output} is a file; give a folder, into which the page and its table go")
        return
    from emo_hf.inference.prediction_files import check_output as check_file

    if output is None or output.suffix.lower() != ".csv":
        raise UserError(f"--output is {output}; give the file of all rows for --labelled, as --output more.csv")
    for path in map(Path, arguments.labelled):
        check_file(output, path if path.exists() else None)


def pick_rows(arguments: argparse.Namespace) -> None:
    """Write page, table and record, and say what was left out and what comes next."""
    from display.notes import say_notes

    from emo_hf.data.labelled import read_labelled
    from emo_hf.data.pool import columns_of, known_texts, read_pool
    from emo_hf.data.seen_texts import text_hashes
    from emo_hf.inference.predictor import Predictor
    from emo_hf.models.folders import check_model_folder
    from emo_hf.storage.files import said_plainly
    from emo_hf.storage.record import read_record
    from emo_hf.suggesting.suggesting import suggest, write_suggestions

    check_model_folder(arguments.model)
    run = Path(arguments.model)
    predictor, record = Predictor(arguments.model), read_record(run)
    several, columns = predictor.thresholds is not None, columns_of(record)
    data, notes = data_of(record, arguments.model)
    known = known_texts(run, data)
    if arguments.labelled:
        done = read_labelled(arguments.labelled, predictor.labels, several=several, columns=columns)
        known |= {"labelled": text_hashes(done.texts)}
    pool = read_pool(arguments.pool, arguments.text_column, known)
    found = suggest(predictor, pool, arguments.strategy, arguments.n, seed=arguments.seed, progress=progress)
    folder = arguments.output or Path("runs/suggest") / run.name
    details = {
        "model": {"name": str(arguments.model), "run_id": (record or {}).get("run_id")},
        "pool": {"files": arguments.pool, "texts": len(pool.texts), "left_out": pool.left_out},
        "strategy": arguments.strategy, "seed": arguments.seed,
    }  # fmt: skip
    with said_plainly(folder):
        written, name = write_suggestions(
            folder, found, predictor.labels, details, several=several, columns=columns, lang=arguments.lang
        )
    for path in written:
        print(f"wrote {path}")
    picked = len(found.texts)
    print(f"picked {picked:,} of {len(pool.texts):,} texts by {arguments.strategy}")
    if picked < arguments.n:
        print(f"--n is {arguments.n:,}, but there are no more texts than that")
    page = written[-1]
    print(f"open {page} in a browser, label, and save {name}; then, with its path:")
    if data is None:
        task = " --task multi" if several else ""
        print(f"  python recipes/train.py --data {name} --labels {' '.join(map(_word, predictor.labels))}{task}")
    else:
        more = folder / "more.csv"
        words = f"{_word(arguments.model)} --labelled {name} --output {_word(more)}"
        print(f"  python recipes/suggest.py {words}")
    say_notes([*notes, *pool.notes, *pool.said()])


def progress(done: int, count: int) -> None:
    """Say how much of a large pool is read."""
    if count > MANY:
        print(f"asked the model about {done:,} of {count:,} texts", file=sys.stderr, flush=True)


def data_of(record: dict[str, Any] | None, model: str) -> tuple[EmotionData | None, list[str]]:
    """The data of a run as they were when it was trained, or None and a note why its rows can't be told."""
    from emo_hf.arguments.dataclasses import DataArguments
    from emo_hf.inference.neighbours import training_data
    from emo_hf.training.loaded import load_data

    try:
        data = training_data(record)
        if record and record["arguments"]["data"].get("unseen_by"):  # without the rows that a run before it has seen
            data = load_data(DataArguments(**record["arguments"]["data"]))
        if data.fingerprint == ((record or {}).get("data") or {}).get("fingerprint"):
            return data, []
        why = "its data have changed since"
    except UserError as error:
        why = str(error)
    return None, [f"texts of the rows that {model} is tested on may be among those suggested: {why}"]


def join_rows(arguments: argparse.Namespace) -> None:
    """Write the run's rows and the labelled ones as one file, and the command that trains on it."""
    from emo_hf.data.labelled import joined, read_labelled
    from emo_hf.data.pool import columns_of
    from emo_hf.models.folders import check_model_folder
    from emo_hf.storage.files import said_plainly, write_whole
    from emo_hf.storage.record import read_record

    check_model_folder(arguments.model)
    record = read_record(Path(arguments.model))
    data, notes = data_of(record, arguments.model)
    if data is None or record is None:
        raise UserError(
            f"the rows of {arguments.model} can't be put beside others: {notes[0].partition(': ')[2]}; train on "
            "--labelled alone, or give both files to train.py --data"
        )
    columns = columns_of(record)
    labelled = read_labelled(arguments.labelled, data.labels, several=data.multi_label, columns=columns)
    content, counts = joined(data, labelled, columns)
    if not counts["added"]:
        raise UserError(f"all {counts['known']:,} labelled texts are in the run's data already; label others")
    with said_plainly(arguments.output.parent):
        write_whole(arguments.output, content)
    rows = sum(data.report["rows"].values())
    print(f"wrote {arguments.output}, {counts['added']:,} labelled rows beside {rows:,} of {arguments.model}")
    print("validation and test rows are those of before, so that the scores can be compared; train with:")
    print(f"  {training_command(record, data, arguments.output, columns)}")
    if counts["known"]:
        print(f"data: {counts['known']:,} labelled rows left out, as their texts are in the run's data already")


def training_command(record: dict[str, Any], data: EmotionData, source: Path, columns: tuple[str, str]) -> str:
    """The command that trains a run as before on another file: its arguments that are not the defaults."""
    from dataclasses import fields

    from emo_hf.arguments.dataclasses import DataArguments
    from emo_hf.data.sources.names import LABEL_COLUMNS, TEXT_COLUMNS
    from emo_hf.study.rerun import settings_of

    folder = Path("runs/train") / f"{record['run_id']}_more"
    settings: dict[str, Any] = {"data": source, "labels": list(data.labels)}
    if data.multi_label:
        settings["task"] = "multi"
    usual = {"text_column": TEXT_COLUMNS, "label_column": LABEL_COLUMNS}
    for given, (name, names) in zip(columns, usual.items(), strict=True):
        if given.lower() not in names:
            settings[name] = given
    reading = {field.name for field in fields(DataArguments)} - {"max_length"}
    settings |= {name: value for name, value in settings_of(record).items() if name not in reading}
    settings["output_dir"] = folder
    words = ["python", "recipes/train.py"]
    for name, value in settings.items():
        if value is not None:
            words += [f"--{name}", *map(_word, value if isinstance(value, list) else [value])]
    return " ".join(words)


def _word(value: Any) -> str:
    from emo_hf.escaping import shell_word

    return shell_word(str(value).lower() if isinstance(value, bool) else str(value))


if __name__ == "__main__":
    sys.exit(main())
