"""Seconds from the start of recipes/train.py to its first step, with an empty cache of tokens and with a full one.

    python recipes/bench/first_step.py
    python recipes/bench/first_step.py --base ../older --data train.tsv --labels all --repeats 5

Every run is a process of its own, stopped after its first step; all take turns, and the medians are kept. A ratio to
the checkout of `--base` is the median of those of each turn. Beside them stands what no run of ours can do without:
the import of torch and of transformers' Trainer alone. Seconds are those of the wall and, in brackets, of the
processor. Without `--data` a CSV file of `--rows` rows is made of the bundled sample, each sentence with a number of
its own. Writes runs/bench/first_step.md.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scale import write_csv

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries

HERE = Path(__file__).parents[2]
STEPPED = 77  # how a run says that it came to its first step
RUN = f"""
import os, runpy, sys
from torch.optim.optimizer import register_optimizer_step_post_hook
register_optimizer_step_post_hook(lambda *_: os._exit({STEPPED}))
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
IMPORTS = f"""
import os, torch
from transformers import Trainer
os._exit({STEPPED})
"""
THIS, BASE, ALONE = "this checkout", "the base", "torch and Trainer imported, no more"
COLD, WARM = "cache empty", "cache full"
Seconds = tuple[float, float]


def timed(program: str, words: Sequence[str], tree: Path, cache: Path) -> Seconds:
    """Seconds by the wall and of the processor that a program of a checkout took.

    Raises:
        UserError: it ended before its first step, with what it said last.
    """
    variables = os.environ | {"PYTHONPATH": str(tree), "EMO_HF_CACHE": str(cache)}
    used = _used()
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tree, env=variables, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != STEPPED:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise UserError(f"{tree}: a run ended before its first step, and said: {said}")
    return seconds, _used() - used


def _used() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def measure(trees: dict[str, Path], words: Sequence[str], repeats: int, folder: Path) -> dict[str, list[Seconds]]:
    """The seconds of each tree with either cache, and of the imports alone, turn by turn; the first one warms up."""
    found: dict[str, list[Seconds]] = {}
    for turn in range(1 + repeats):
        taken = {ALONE: timed(IMPORTS, [], HERE, folder)}
        for name, tree in trees.items():
            cache = folder / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            for state in (COLD, WARM):
                output = folder / "run"
                shutil.rmtree(output, ignore_errors=True)
                recipe = str(tree / "recipes" / "train.py")
                taken[f"{name}, {state}"] = timed(RUN, [recipe, *words, "--output_dir", str(output)], tree, cache)
        print(f"{f'turn {turn}' if turn else 'warm-up'}: " + _said(taken), flush=True)
        for name, seconds in taken.items() if turn else ():
            found.setdefault(name, []).append(seconds)
    return found


def _said(taken: dict[str, Seconds]) -> str:
    return "; ".join(f"{name} {wall:.1f} s ({cpu:.1f})" for name, (wall, cpu) in taken.items())


def table(found: dict[str, list[Seconds]]) -> str:
    """Markdown: seconds of everything, their part beyond the imports, and the ratios of both to the base."""
    lines = [["to the first step", "s (CPU s)", "without imports", "of the base", "without imports"]]
    lines.append(["---", *["---:"] * 4])
    alone = np.array(found[ALONE])  # (turns, 2), of the wall and of the processor
    for name, turns in found.items():
        mine = np.array(turns)
        cells = [name, _medians(mine), "" if name == ALONE else _medians(mine - alone), "", ""]
        if name.startswith(THIS) and (other := found.get(name.replace(THIS, BASE))):
            theirs = np.array(other)
            cells[3:] = _medians(mine / theirs), _medians((mine - alone) / (theirs - alone))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _medians(turns: np.ndarray) -> str:
    wall, cpu = np.median(turns, axis=0)
    return f"{wall:.2f} ({cpu:.2f})"


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--base", type=Path, help="another checkout, to compare with")
    parser.add_argument("--data", nargs="+", help="as --data of train.py")
    parser.add_argument("--labels", nargs="+", help="as --labels of train.py")
    parser.add_argument("--rows", type=positive, default=36_308, help="of the CSV file that is made without --data")
    parser.add_argument("--repeats", type=positive, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    trees = {THIS: HERE}
    if arguments.base:
        trees[BASE] = arguments.base.resolve()
        if not (trees[BASE] / "recipes" / "train.py").is_file():
            raise UserError(f"--base {arguments.base} is no checkout: it has no recipes/train.py")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.data:
            data = [str(path.resolve()) if (path := Path(source)).exists() else source for source in arguments.data]
        else:
            data = [str(folder / "rows.csv")]
            write_csv(Path(data[0]), arguments.rows)
        words = ["--data", *data, "--pooling", "mean", "--aux", "triplet"]
        words += ["--labels", *arguments.labels] if arguments.labels else []
        found = measure(trees, words, arguments.repeats, folder)
    what = " ".join(arguments.data) if arguments.data else f"{arguments.rows:,} rows of CSV"
    said = f"{what}, {os.cpu_count()} cores; medians of {arguments.repeats} turns.\n\n{table(found)}"
    print("\n" + said, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'first_step.md', said.encode())}")


if __name__ == "__main__":
    sys.exit(main())
