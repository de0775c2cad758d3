"""Speed of an epoch of training in this checkout and in another one, in turn.

    git worktree add ../before COMMIT
    python recipes/bench/epoch_beside.py --base ../before --batch_size 16 --threads 1
    python recipes/bench/epoch_beside.py --base ../before --data kote3.csv --repeats 9 --arm "emo_hf, fp32"

Both train the same rows as recipes/bench/training.py does, each in a process of its own, with its own package and its
own recipes/bench/arms.py. In every turn each of them trains one epoch, first the one, in the next turn first the
other; the first turn is a warm-up. A ratio is the median of those of the turns, with the least and the greatest in
brackets, by the wall and by seconds of the processor: on a machine that others use too, only the latter tells much.
MFU is the share of the best matrix product of as many threads, by either clock. Writes runs/bench/epoch_beside.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from arms import ARMS, OURS, Work
from training import gemm_peak, operations

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.arguments.precision import bf16_is_native
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries

HERE = Path(__file__).resolve().parents[2]
THIS, BASE = "this checkout", "the base"
Turn = dict[str, float]  # sentences of an epoch, and its seconds by the wall and of the processor

# What a checkout does in a process of its own: an epoch for every line that it is told.
SERVE = """
import json, os, sys
tree, folder, said = sys.argv[1:]
sys.path[:0] = [tree, os.path.join(tree, "recipes", "bench")]
told, sys.stdout = sys.stdout, sys.stderr
given = json.loads(said)
import torch
torch.set_num_threads(given["work"]["threads"])
from arms import ARMS, Work
from emo_hf.training.progress import quiet_libraries
quiet_libraries()
build, settings = ARMS[given["arm"]]
known = Work.__dataclass_fields__  # an earlier checkout knows fewer of them
epoch = build(Work(**{name: value for name, value in given["work"].items() if name in known}), folder, **settings)
for _ in sys.stdin:
    (wall, cpu), counted = epoch()
    print(json.dumps({"sentences": counted.sentences, "wall": wall, "cpu": cpu}), file=told, flush=True)
"""


class Checkout:
    """A process that trains an epoch of an arm with a checkout's code, as often as it is asked."""

    def __init__(self, tree: Path, arm: str, work: Work, folder: Path) -> None:
        self.tree = tree
        self.said = (folder / "said.txt").open("w+", encoding="utf-8")
        given = json.dumps({"arm": arm, "work": asdict(work)})
        threads = {"OMP_NUM_THREADS": str(work.threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tree), str(folder), given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            encoding="utf-8",
            cwd=tree,
            env=os.environ | threads | {"PYTHONPATH": str(tree)},
        )

    def epoch(self) -> Turn:
        """What one more epoch took.

        Raises:
            UserError: it fails, with what it said last.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which is told below
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.said.seek(0)
            lines = self.said.read().strip().splitlines() or ["nothing"]
            raise UserError(f"{self.tree}: training ended, and said: {lines[-1]}")
        turn: Turn = json.loads(line)
        return turn

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.said.close()


def measure(trees: dict[str, Path], arm: str, work: Work, repeats: int, folder: Path) -> dict[str, list[Turn]]:
    """The epochs of each checkout, turn by turn, without the warm-up."""
    with contextlib.ExitStack() as stack:
        served = {}
        for name, tree in trees.items():
            own = folder / name
            own.mkdir()
            served[name] = Checkout(tree, arm, work, own)
            stack.callback(served[name].close)
        found: dict[str, list[Turn]] = {name: [] for name in trees}
        for turn in range(1 + repeats):
            for name in list(trees) if turn % 2 else reversed(list(trees)):
                taken = served[name].epoch()
                found[name] += [taken] if turn else []
                speeds = f"{taken['sentences'] / taken['wall']:.1f} sentences/s"
                print(f"{f'turn {turn}' if turn else 'warm-up'}: {name}: {speeds}", flush=True)
    return found


def table(found: dict[str, list[Turn]], needed: float, peak: float, threads: int) -> str:
    """Markdown: speed and utilisation of each checkout, by the wall and by CPU, and the ratios to the base.

    Args:
        needed: floating-point operations of a sentence.
        peak: such operations a second of the machine's best product, of `threads` threads.
    """
    heads = ["", "sentences/s", "MFU", "a CPU second", "MFU by CPU", "of the base", "of the base by CPU"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for name, turns in found.items():
        wall, cpu = (statistics.median(turn["sentences"] / turn[clock] for turn in turns) for clock in ("wall", "cpu"))
        cells = [name, f"{wall:,.0f}", f"{wall * needed / peak:.1%}", f"{cpu:,.0f}"]
        cells.append(f"{cpu * needed / (peak / threads):.1%}")
        others = found.get(BASE, []) if name == THIS else []
        for clock in ("wall", "cpu"):
            ratios = [theirs[clock] / mine[clock] for mine, theirs in zip(turns, others, strict=False)]
            spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
            cells.append(f"{statistics.median(ratios):.2f}×{spread}" if ratios else "")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--base", type=Path, required=True, help="another checkout, to compare with")
    parser.add_argument("--arm", choices=list(ARMS), default=OURS, metavar="ARM", help="of recipes/bench/training.py")
    Work.add_arguments(parser)
    parser.add_argument("--repeats", type=positive, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    torch.set_num_threads(arguments.threads)
    base = arguments.base.resolve()
    if not (base / "recipes" / "bench" / "arms.py").is_file():
        raise UserError(f"--base {arguments.base} is no checkout: it has no recipes/bench/arms.py")
    if Path(arguments.data).exists():
        arguments.data = str(Path(arguments.data).resolve())
    work = Work.of(arguments)
    texts, _, _ = work.texts()
    tokens = load_tokenizer(ModelArguments(encoder=work.encoder))(texts, truncation=True, max_length=work.max_length)
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    reduced = ARMS[arguments.arm][1].get("bf16", True) and bf16_is_native(cpu=not torch.accelerator.is_available())
    kind = "bf16" if reduced else "fp32"
    with tempfile.TemporaryDirectory() as name:
        found = measure({THIS: HERE, BASE: base}, arguments.arm, work, arguments.repeats, Path(name))
    peak = gemm_peak(torch.bfloat16 if reduced else torch.float32)
    said = (
        f"{arguments.arm}: {work.encoder}, {len(texts):,} sentences of `{Path(work.data).name}` (mean "
        f"{lengths.mean():.0f} tokens), batch {work.batch_size}, {work.threads} threads; medians of "
        f"{arguments.repeats} turns. Best matrix product: {peak / 1e9:,.0f} GFLOP/s in {kind}.\n\n"
        + table(found, operations(work, lengths) / len(texts), peak, work.threads)
    )
    print("\n" + said, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'epoch_beside.md', said.encode())}")


if __name__ == "__main__":
    sys.exit(main())
