"""Seconds and memory until a first answer: predict.py on a run and its exports, transformers' pipeline, every --help.

    python recipes/bench/first_answer.py
    python recipes/bench/first_answer.py --run runs/train/mine --exports runs/export/mine_onnx runs/export/mine_int8
    git worktree add ../earlier COMMIT && python recipes/bench/first_answer.py --base ../earlier

Each measure is a process of its own, from its start to its end, with the largest memory that it held. All take turns
in every round, after a first one that fills the disk's cache; medians are kept. Without --run it is tiny-bert with a
fresh head, and a static model beside it: how long an answer takes does not depend on what was learned. `--base` is the
folder of another checkout, which is measured in the same rounds. Writes runs/bench/first_answer.md.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError, first_line
from emo_hf.exit_codes import command
from emo_hf.storage.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "드디어 합격했어"
PIPELINE, IMPORT = "transformers' pipeline, the run", "import of TrainingArguments"
RUN = "predict.py, the run"
# A process counts as its own what the one that started it held: so a small one stands between. And of children that
# have ended, `RUSAGE_CHILDREN` knows the largest alone.
_LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
sys.stderr.write(json.dumps([time.perf_counter() - started, usage.ru_maxrss]))
sys.stderr.flush()
os._exit(os.waitstatus_to_exitcode(status))
"""
_PIPELINE = """
import json, sys
from transformers import pipeline
import emo_hf
classify = pipeline("text-classification", model=sys.argv[1], top_k=None)
print(json.dumps({"scores": {row["label"]: row["score"] for row in classify([sys.argv[2]])[0]}}))
"""
_HELP = ("predict", "export", "push", "demo", "train", "compare", "search")
_FULL_HELP = ("train", "compare", "search")  # of Trainer's arguments too, which have to be imported for it


@dataclass(frozen=True)
class Arm:
    """A command, and whose modules it imports.

    Attributes:
        name: what the table calls it.
        words: of the command.
        package: folder of the checkout.
    """

    name: str
    words: tuple[str, ...]
    package: Path = ROOT

    def measure(self) -> tuple[float, float, str]:
        """Seconds of the clock, MB at the most, and what it printed.

        Raises:
            UserError: the command failed, with its last line.
        """
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *self.words],
            env=os.environ | {"PYTHONPATH": str(self.package), "HF_HUB_OFFLINE": "1"},
            cwd=self.package,
            capture_output=True,
            text=True,
        )
        *lines, found = done.stderr.strip().splitlines()
        if done.returncode:
            raise UserError(f"{self.name} in {self.package} ended with: {(lines or [f'code {done.returncode}'])[-1]}")
        seconds, held = json.loads(found)
        return seconds, held * (1 if sys.platform == "darwin" else 1024) / 1e6, done.stdout  # bytes there, else KiB


def arms(run: Path, exports: dict[str, Path], base: Path | None) -> list[Arm]:
    """Everything that is measured; what the checkout `base` has too stands there a second time."""
    models = {RUN: run, **{f"predict.py, {kind}": folder for kind, folder in exports.items()}}
    found = []
    for package in (ROOT, base) if base else (ROOT,):
        for name, folder in models.items():
            words = (_recipe(package, "predict"), str(folder), SENTENCE, "--format", "jsonl")
            found.append(Arm(name, (sys.executable, *words), package))
        for recipe in _HELP:
            found.append(Arm(f"{recipe}.py --help", (sys.executable, _recipe(package, recipe), "--help"), package))
    found.append(Arm(PIPELINE, (sys.executable, "-c", _PIPELINE, str(run), SENTENCE)))
    found.append(Arm(IMPORT, (sys.executable, "-c", "from transformers import TrainingArguments")))
    return found


def _recipe(package: Path, name: str) -> str:
    return str(package / "recipes" / f"{name}.py")


def measure(measured: Sequence[Arm], rounds: int) -> dict[Arm, tuple[float, float]]:
    """Median seconds and MB of each arm, all in turn in every round.

    Raises:
        UserError: a command that fails, or probabilities of one model that differ.
    """
    check_equal({arm: arm.measure()[2] for arm in measured})
    found: dict[Arm, list[tuple[float, float]]] = {arm: [] for arm in measured}
    for _ in range(rounds):
        for arm in measured:
            found[arm].append(arm.measure()[:2])
    medians = {arm: [statistics.median(values) for values in zip(*both, strict=True)] for arm, both in found.items()}
    return {arm: (seconds, memory) for arm, (seconds, memory) in medians.items()}


def check_equal(printed: dict[Arm, str]) -> None:
    """Raise a `UserError` where two arms with one model do not give the same probabilities.

    Those are the run and its ONNX export, and everything beside an earlier build of itself.
    """
    expected: dict[str, dict[str, float]] = {}
    for arm, said in printed.items():
        if not said.startswith("{"):
            continue
        scores = json.loads(said)["scores"]
        model = "the run" if arm.name in (RUN, PIPELINE, "predict.py, onnx") else arm.name
        first = expected.setdefault(model, scores)
        if set(first) != set(scores) or any(abs(first[label] - scores[label]) > 2e-4 for label in first):
            raise UserError(f"{arm.name} in {arm.package} gives {scores}, but {model} gave {first}")


def table(medians: dict[Arm, tuple[float, float]], base: Path | None) -> str:
    """Markdown: seconds and MB of each arm, and of the other checkout, with their ratios; what they say together."""
    here = {arm.name: both for arm, both in medians.items() if arm.package == ROOT}
    there = {arm.name: both for arm, both in medians.items() if arm.package == base}
    head = ["", "seconds", "MB", *(["seconds there", "MB there", "time", "memory"] if base else [])]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name, (seconds, memory) in here.items():
        cells = [name, f"{seconds:.2f}", f"{memory:.0f}"]
        if base and name in there:
            before, held = there[name]
            cells += [f"{before:.2f}", f"{held:.0f}", f"1/{before / seconds:.1f}", f"1/{held / memory:.1f}"]
        elif base:
            cells += [""] * 4
        lines.append(f"| {' | '.join(cells)} |")
    (seconds, memory), (others, held) = here[RUN], here[PIPELINE]
    over = [f"{name}.py {100 * (here[f'{name}.py --help'][0] / here[IMPORT][0] - 1):+.0f} %" for name in _FULL_HELP]
    said = (
        f"On the run, predict.py takes 1/{others / seconds:.1f} of the time and 1/{held / memory:.1f} of the memory "
        f"of transformers' pipeline. Beside the import of TrainingArguments, --help takes: {', '.join(over)}."
    )
    return "\n".join([*lines, "", said]) + "\n"


def fresh(folder: Path) -> tuple[Path, dict[str, Path]]:
    """A run on tiny-bert and its exports by kind, with fresh heads; the static one is of a model of its own."""
    from static import exports as with_fresh_heads

    tables, int8 = with_fresh_heads(folder)
    return folder / "tiny-bert", {"onnx": folder / "onnx", "onnx-int8": int8, "static": tables}


def given_exports(folders: Sequence[Path]) -> dict[str, Path]:
    """The exports by kind, as their export.json says."""
    found = {}
    for folder in folders:
        try:
            found[json.loads((folder / "export.json").read_text(encoding="utf-8"))["format"]] = folder.resolve()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"--exports {folder}: no export ({first_line(error)}); make one with export.py --to onnx"
            ) from error
    return found


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--run", type=Path, help="folder of a run; default: tiny-bert with a fresh head")
    parser.add_argument("--exports", type=Path, nargs="*", default=[], help="folders of exports of --run")
    parser.add_argument("--base", type=Path, help="another checkout, which is measured too")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    base = arguments.base and arguments.base.resolve()
    if base and not Path(_recipe(base, "predict")).is_file():
        raise UserError(f"--base {arguments.base} holds no recipes/predict.py; give the folder of a checkout")
    if arguments.exports and not arguments.run:
        raise UserError("--exports are those of a run; name it with --run")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.run:
            run, exports = arguments.run.resolve(), given_exports(arguments.exports)
        else:
            run, exports = fresh(Path(folder))
        medians = measure(arms(run, exports, base), arguments.rounds)
    said = (
        f"{arguments.run or 'tiny-bert, fresh head'}; one sentence, each time a new process; {os.cpu_count()} cores; "
        f"median of {arguments.rounds} interleaved rounds{', beside another checkout' if base else ''}.\n\n"
    )
    said += table(medians, base)
    print(said, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'first_answer.md', said.encode())}")


if __name__ == "__main__":
    sys.exit(main())
