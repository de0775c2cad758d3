"""Whether emo_hf bears the size of the real corpus and of large files: seconds and memory, each in its own process.

    python recipes/bench/scale.py
    python recipes/bench/scale.py --dialogues 51628 --rows 10000000 --csv_rows 1000000

Makes an AI Hub release of as many dialogues as the real one (synthetic: sentences of the bundled sample, each with a
number of its own), then loads, checks and tokenizes it; streams a Parquet file as recipes/predict.py reads it; and
reads a CSV file whole, as training does, and streams it. Writes runs/bench/scale.md.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.arguments.words import CommandParser
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.readers import read_file
from emo_hf.data.sources.streams import open_rows
from emo_hf.data.sources.tables import Layout
from emo_hf.data.taxonomy import emotions
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.exit_codes import command
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.storage.files import write_whole
from emo_hf.training.loaded import load_data
from emo_hf.training.progress import quiet_libraries

VALIDATION = 0.13  # of AI Hub's dialogues


def sample_texts() -> list[str]:
    """All sentences of the bundled sample."""
    splits = load_emotion_data("sample").splits
    return [text for split in splits.values() for text in split["text"][:]]


def write_release(folder: Path, dialogues: int) -> None:
    """A training and a validation part in AI Hub's JSON, three human turns a dialogue."""
    texts, codes = sample_texts(), [emotion.code for emotion in emotions()]
    records = []
    for number in range(dialogues):
        code = codes[number % len(codes)]
        said = {f"HS0{turn}": f"{texts[(number * turn) % len(texts)]} {number}" for turn in (1, 2, 3)}
        answered = {f"SS0{turn}": "그랬군요." for turn in (1, 2, 3)}
        persona = {"persona-id": f"A02_G02_C{number % 97}", "human": ["A02", "G02"], "computer": ["C01"]}
        emotion = {"emotion-id": f"S06_D02_{code}", "type": code, "situation": ["S06", "D02"]}
        talk = {"id": {"profile-id": f"Pro_{number}", "talk-id": f"Pro_{number}_1"}, "content": said | answered}
        records.append({"profile": {"persona-id": "Pro", "persona": persona, "emotion": emotion}, "talk": talk})
    cut = round(dialogues * VALIDATION)
    for part, rows in (("Validation", records[:cut]), ("Training", records[cut:])):
        path = folder / part / f"감성대화말뭉치(최종데이터)_{part}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def write_parquet(path: Path, rows: int) -> None:
    """One column `sentence`, a group of rows at a time."""
    texts = sample_texts()
    schema = pa.schema({"sentence": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 100_000):
            numbers = range(start, min(start + 100_000, rows))
            writer.write_table(pa.table({"sentence": [f"{texts[n % len(texts)]} {n}" for n in numbers]}, schema))


def write_csv(path: Path, rows: int) -> None:
    """Columns `id`, `sentence` and `label`."""
    texts = sample_texts()
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "sentence", "label"])
        table.writerows(
            (f"{n:08}", f"{texts[n % len(texts)]} {n}", ("불안", "슬픔", "기쁨")[n % 3]) for n in range(rows)
        )


def prepare(folder: str, turns: str) -> dict[str, float]:
    """Load and check a release, and tokenize it with an empty cache."""
    started = time.perf_counter()
    data = load_data(DataArguments(data=folder, labels=["six"], turns=turns))
    loaded = time.perf_counter()
    tokens = tokenize_splits(data, load_tokenizer(ModelArguments()), max_length=128, cache_dir=f"{folder}/cache")
    return {
        "rows": sum(map(len, tokens.values())),
        "load and check, s": loaded - started,
        "tokenize, s": time.perf_counter() - loaded,
    }


def stream(path: str, rows: int, only_text: bool) -> dict[str, float]:
    """Read all rows as predict.py does; the memory after a tenth of them, and at the end."""
    started, early, read = time.perf_counter(), 0.0, 0
    for block in open_rows(Path(path), Layout(), only_text=only_text).blocks:
        read += len(block.numbers)
        early = early or (_peak() if read >= rows // 10 else 0.0)
    return {
        "rows": read,
        "seconds": time.perf_counter() - started,
        "peak MiB after a tenth": early,
        "growth after it, MiB": _peak() - early,
    }


def whole(path: str) -> dict[str, float]:
    """Read a file as training does."""
    started = time.perf_counter()
    rows = sum(len(table.frame) for table in read_file(Path(path)))
    return {"rows": rows, "seconds": time.perf_counter() - started}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _serve(pipe: Connection, work: Callable[..., dict[str, float]], arguments: tuple) -> None:
    quiet_libraries()
    pipe.send(work(*arguments) | {"peak MiB": _peak()})


def measured(work: Callable[..., dict[str, float]], *arguments: str | int) -> dict[str, float]:
    """What a function says of itself, in a fresh process, with the peak of its memory."""
    fresh = multiprocessing.get_context("spawn")
    ours, theirs = fresh.Pipe()
    process = fresh.Process(target=_serve, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--dialogues", type=positive, default=51_628, help="of the release; so many AI Hub's has")
    parser.add_argument("--rows", type=positive, default=10_000_000, help="of the Parquet file")
    parser.add_argument("--csv_rows", type=int, default=1_000_000, help="of the CSV file; 0 leaves it out")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        release, table = Path(folder) / "release", Path(folder) / "rows.parquet"
        write_release(release, arguments.dialogues)
        for turns in ("first", "all"):
            name = f"{arguments.dialogues:,} dialogues, {turns} turn{'s' if turns == 'all' else ''}"
            found[name] = measured(prepare, str(release), turns)
        write_parquet(table, arguments.rows)
        found[f"{arguments.rows:,} rows of Parquet, streamed"] = measured(stream, str(table), arguments.rows, True)
        table.unlink()
        if arguments.csv_rows > 0:
            table, name = Path(folder) / "rows.csv", f"{arguments.csv_rows:,} rows of CSV"
            write_csv(table, arguments.csv_rows)
            found[f"{name}, read whole"] = measured(whole, str(table))
            found[f"{name}, streamed"] = measured(stream, str(table), arguments.csv_rows, False)
    lines = [
        f"- {name}: " + ", ".join(f"{key} {value:,.0f}" for key, value in row.items()) for name, row in found.items()
    ]
    said = "\n".join(lines) + "\n"
    print(said, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'scale.md', said.encode())}")


if __name__ == "__main__":
    sys.exit(main())
