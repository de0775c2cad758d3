"""Sentences a second of a static export beside its own tokenizer and an ONNX int8 export of tiny-bert, in one run.

    python recipes/bench/static.py
    python recipes/bench/static.py --threads 1 2 4 --rows 8192

The texts are of mixed lengths, 1 to 8 sentences of the bundled sample each. Speed does not depend on what was learned:
all heads are fresh. Each number of threads has a process of its own, for tokenizers decides once how many it starts.
All arms take turns in every round, after a warm-up; the median is kept, of the clock's seconds and of the processor's,
which other programs disturb less. Writes runs/bench/static.md.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tokenizers
import torch
import transformers
from prediction import MAX_LENGTH, SEED, mixed_sentences
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.data.taxonomy import DEFAULT_LABELS
from emo_hf.encoders import encoder_path
from emo_hf.exit_codes import command
from emo_hf.export.export import export
from emo_hf.export.int8 import quantize
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries

STATIC, TOKENIZER, INT8 = "static export, texts to probabilities", "its tokenizer alone", "tiny-bert, ONNX int8"


def exports(folder: Path) -> tuple[Path, Path]:
    """A static export and an int8 one of tiny-bert, both with fresh heads, in `folder`."""
    torch.manual_seed(SEED)
    for encoder in ("static", "tiny-bert"):
        path = encoder_path(encoder)
        EmotionModel.from_encoder(path, labels=DEFAULT_LABELS, pooling="mean").save_pretrained(folder / encoder)
        AutoTokenizer.from_pretrained(path, trust_remote_code=False).save_pretrained(folder / encoder)
    (folder / "int8").mkdir()
    quantize(export(folder / "tiny-bert", "onnx", folder / "onnx"), folder / "int8", mixed_sentences(256), MAX_LENGTH)
    return export(folder / "static", "static", folder / "tables"), folder / "int8"


def measure(static: Path, int8: Path, texts: list[str], rounds: int, threads: int) -> dict[str, tuple[float, float]]:
    """Median sentences a second of each arm, of the clock and of the processor.

    To be called in a process whose environment says how many threads tokenizers may start.
    """
    torch.set_num_threads(threads)  # which onnxruntime takes too
    tables, layers = (Predictor(folder, max_length=MAX_LENGTH) for folder in (static, int8))
    tokenizer = Tokenizer.from_file(str(static / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH)
    arms: dict[str, Callable[[], object]] = {
        TOKENIZER: lambda: tokenizer.encode_batch(texts),
        STATIC: lambda: tables.scores(texts),
        INT8: lambda: layers.scores(texts),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, arm in arms.items():
            clock, processor = time.perf_counter(), time.process_time()
            arm()
            if turn:  # the first is the warm-up
                seconds[name].append((time.perf_counter() - clock, time.process_time() - processor))
    medians = {name: map(statistics.median, zip(*values, strict=True)) for name, values in seconds.items()}
    return {name: (len(texts) / next(both), len(texts) / next(both)) for name, both in medians.items()}


def with_threads(threads: int, *arguments: object) -> dict[str, tuple[float, float]]:
    """`measure` in a new process with so many threads."""
    named = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
    before = {name: os.environ.get(name) for name in named}
    os.environ |= named
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(measure, (*arguments, threads))
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def table(speeds: dict[int, dict[str, tuple[float, float]]]) -> str:
    """Markdown: sentences a second by threads, and what the static export's are as a multiple of the others."""
    lines = []
    for threads, found in speeds.items():
        for name, both in found.items():
            cells = [f"{speed:,.0f} | {of / speed:.2f}×" for of, speed in zip(found[STATIC], both, strict=True)]
            lines.append(f"| {threads} | {name} | {' | '.join(cells)} |")
    head = [
        "| threads | | sentences a second | the static export's, of these | a processor second | of these |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    return "\n".join([*head, *lines]) + "\n"


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=positive, default=4096)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    texts = mixed_sentences(arguments.rows)
    with tempfile.TemporaryDirectory() as folder:
        static, int8 = exports(Path(folder))
        speeds = {
            threads: with_threads(threads, static, int8, texts, arguments.rounds) for threads in arguments.threads
        }
    said = (
        f"{arguments.rows:,} sentences of mixed lengths (median {statistics.median(map(len, texts)):.0f} characters), "
        f"at most {MAX_LENGTH} tokens, on the CPU; median of {arguments.rounds} interleaved rounds; tokenizers "
        f"{tokenizers.__version__}, torch {torch.__version__}, transformers {transformers.__version__}.\n\n"
    )
    print(said + table(speeds), end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = write_whole(arguments.output / "static.md", (said + table(speeds)).encode())
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
