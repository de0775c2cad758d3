"""Rows a second of recipes/predict.py on a file, of an earlier commit and of this one, in turn.

    git worktree add ../before COMMIT
    python recipes/bench/throughput.py RUN --base ../before --rows 100000

RUN is the folder of a run with its record. Each build exports it to ONNX and to int8, and predicts the file with the
run and with both exports, in processes of its own; the builds take turns in every round, and the median is kept. The
texts are of mixed lengths, 1 to 8 sentences of the bundled sample each, or those of --file. Beside the speed stand the
largest memory of a process, how far the first 512 texts' probabilities moved, how many of them change when a text is
predicted alone, and what int8 costs on the run's own test set. Writes runs/bench/throughput.md.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from prediction import mixed_sentences

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.export.export import EXPORT_FILE
from emo_hf.storage.files import write_whole

HERE = Path(__file__).resolve().parents[2]
MODELS = ("run", "onnx", "onnx-int8")
COMPARED = 512  # texts

Builds = list[tuple[Path, dict[str, Path]]]  # a checkout, and its models by name; the earlier one first

# What a build does in a process of its own. It stands in its folder, so that its package and its recipes are found.
_PREDICT = """
import json, re, resource, sys
from contextlib import redirect_stderr
from io import StringIO
sys.path[:0] = ["", "recipes"]
import predict
predict.MANY = 0
model, file, output = sys.argv[1:]
with redirect_stderr(StringIO()) as said:
    status = predict.main([model, file, "--output", output])
if status:
    sys.exit(said.getvalue())
rows, seconds = re.search(r"([\\d,]+) sentences? in ([\\d.]+) s", said.getvalue()).groups()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([int(rows.replace(",", "")), float(seconds), memory]))
"""
_SCORES = """
import json, sys
import numpy as np
sys.path[:0] = ["", "recipes"]
from emo_hf.inference.predictor import Predictor
model, file, output = sys.argv[1:]
texts, predictor = json.load(open(file, encoding="utf-8")), Predictor(model)
together = np.asarray(predictor.probabilities(texts))
alone = np.concatenate([np.asarray(predictor.probabilities([text])) for text in texts])
np.savez(output, together=together, alone=alone)
"""
_EXPORT = """
import sys
sys.path[:0] = ["", "recipes"]
import export
sys.exit(export.main(sys.argv[1:]))
"""


def in_build(build: Path, code: str, words: Sequence[str | Path], threads: int = 1) -> str:
    """What code prints in a process of a build, with so many threads.

    Raises:
        UserError: it fails.
    """
    given = {"OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads, "PYTHONPATH": build}
    parallel = {"TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=build,
        env=os.environ | {name: str(value) for name, value in given.items()} | parallel,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise UserError(f"{build} can't do it: {(done.stderr.strip() or 'no word why').splitlines()[-1]}")
    return done.stdout


def exported(build: Path, run: Path, folder: Path) -> dict[str, Path]:
    """The run, and its exports by a build in a folder, by name."""
    folder.mkdir()
    for to in MODELS[1:]:
        in_build(build, _EXPORT, [run, "--to", to, "--output", folder / to])
    return {"run": run} | {to: folder / to for to in MODELS[1:]}


def measure(builds: Builds, file: Path, threads: Sequence[int], rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Median rows a second (`speeds`) and largest memory in MB (`memory`) of every model, build by build."""
    found = []
    for count in threads:
        for name in MODELS:
            speeds: list[list[float]] = [[] for _ in builds]
            memory = [0.0] * len(builds)
            for _ in range(rounds):
                for place, (build, models) in enumerate(builds):
                    words = [models[name], file, folder / "out.csv"]
                    rows, seconds, peak = json.loads(in_build(build, _PREDICT, words, count).splitlines()[-1])
                    speeds[place].append(rows / max(seconds, 0.1))  # of which predict.py tells no more digits
                    # Linux counts in kilobytes, macOS in bytes.
                    memory[place] = max(memory[place], peak / (1e6 if platform.system() == "Darwin" else 1e3))
            medians = [*map(statistics.median, speeds)]
            found.append({"threads": count, "model": name, "speeds": medians, "memory": memory})
    return found


def compared(builds: Builds, texts: list[str], folder: Path) -> list[dict[str, Any]]:
    """Of every model: labels and probabilities that the builds differ in, and rows that change when they are alone."""
    given = folder / "texts.json"
    given.write_text(json.dumps(texts), encoding="utf-8")
    found = []
    for name in MODELS:
        scores = []
        for build, models in builds:
            in_build(build, _SCORES, [models[name], given, folder / "scores.npz"])
            with np.load(folder / "scores.npz") as both:
                scores.append((both["together"], both["alone"]))
        (before, _), (now, _) = scores
        found.append(
            {
                "model": name,
                "labels": int((before.argmax(-1) != now.argmax(-1)).sum()),
                "difference": float(np.abs(before - now).max()),
                "alone": [int((together != alone).any(-1).sum()) for together, alone in scores],
            }
        )
    return found


def losses(builds: Builds) -> list[tuple[float, int, int]]:
    """What int8 costs by each build: points of macro-F1, texts with other labels, and of how many."""
    found = []
    for _, models in builds:
        rows = json.loads((models["onnx-int8"] / EXPORT_FILE).read_text(encoding="utf-8"))["measured"]
        by_name = {row["name"]: row for row in rows}
        int8 = by_name["onnx-int8"]
        lost = 100 * (by_name["torch"]["macro_f1"] - int8["macro_f1"])
        found.append((lost, int8["changed"], int8["sentences"]))
    return found


def page(
    speeds: list[dict[str, Any]], differences: list[dict[str, Any]], lost: list[tuple[float, int, int]], count: int
) -> str:
    """Markdown: the three tables; `count` texts were compared."""
    lines = ["| threads | model | before, rows/s | now | ratio | before, MB | now |", "|---:|---|" + "---:|" * 5]
    for row in speeds:
        (before, now), (was, is_) = row["speeds"], row["memory"]
        cells = f"{before:,.0f} | {now:,.0f} | {now / before:.2f}× | {was:,.0f} | {is_:,.0f}"
        lines.append(f"| {row['threads']} | {row['model']} | {cells} |")
    lines += [
        "",
        f"Of the first {count} texts:",
        "",
        "| model | other labels | largest difference | rows that differ alone, before | now |",
        "|---|" + "---:|" * 4,
    ]
    for row in differences:
        cells = f"{row['labels']} | {row['difference']:.1e} | {row['alone'][0]} | {row['alone'][1]}"
        lines.append(f"| {row['model']} | {cells} |")
    lines += ["", "int8 on the run's own test set:", "", "| | macro-F1 lost, points | other labels |"]
    lines.append("|---|---:|---:|")
    for name, (points, changed, rows) in zip(("before", "now"), lost, strict=True):
        lines.append(f"| {name} | {points:+.2f} | {changed} of {rows:,} |")
    return "\n".join(lines) + "\n"


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, with its record")
    parser.add_argument("--base", type=Path, required=True, help="checkout of an earlier commit")
    parser.add_argument("--file", type=Path, help="a .csv with a column text; default: made of the sample")
    parser.add_argument("--rows", type=positive, default=8192, help="of the file that is made")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--threads", type=positive, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    base = arguments.base.resolve()
    if not (base / "recipes" / "predict.py").is_file():
        raise UserError(f"--base {base} is no checkout of this project; make one with git worktree add")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = (arguments.file or folder / "texts.csv").resolve()
        if not arguments.file:
            with file.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out).writerows([("id", "text"), *enumerate(mixed_sentences(arguments.rows))])
        with file.open(encoding="utf-8-sig", newline="") as rows:
            read = csv.DictReader(rows)
            if "text" not in (read.fieldnames or ()):
                raise UserError(f"--file {file} has no column text; give a .csv that has one")
            texts = [row["text"] for row in read]
        run = arguments.run.resolve()
        builds = [(build, exported(build, run, folder / name)) for name, build in (("before", base), ("now", HERE))]
        first = texts[:COMPARED]
        tables = page(
            measure(builds, file, arguments.threads, arguments.rounds, folder),
            compared(builds, first, folder),
            losses(builds),
            len(first),
        )
    said = (
        f"{arguments.run}, {len(texts):,} texts of mixed lengths (median {statistics.median(map(len, texts)):.0f} "
        f"characters), through recipes/predict.py on a CPU; median of {arguments.rounds} rounds in turn.\n\n"
    )
    print(said + tables, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = write_whole(arguments.output / "throughput.md", (said + tables).encode())
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
