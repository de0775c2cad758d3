"""How often verdicts are wrong, and whether plans keep their word: simulated studies whose truth is known.

    python recipes/bench/verdicts.py
    python recipes/bench/verdicts.py --studies 200

Simulates studies of 2 and of 12 models: without a difference, with one of exactly ± 1 point, the border of "equal",
and with the seeds and sentences that the planner names for 80 % power. Every share has its simulation error, one
standard deviation. Writes runs/bench/verdicts.md; about 6 minutes on 2 cores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from worlds import GRID, PAIR, World, answers

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.evaluation.planning import Goal, requirement
from emo_hf.evaluation.selection import best_effect
from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.evaluation.verdicts import Verdict
from emo_hf.exit_codes import command
from emo_hf.storage.files import write_whole

WITHIN, ALPHA, POWER = 0.01, 0.05, 0.8
CLAIMS = {Verdict.DIFFERENT, Verdict.SMALL}
BOUNDED = {Verdict.EQUAL, Verdict.SMALL}
HEADER = ("studies of", "truth", "counted", "in studies", "of questions", "in studies, interactions", "wanted")


@dataclass(frozen=True)
class Row:
    """A line of the table: what is simulated, which verdicts are counted, and what is wanted.

    Counted are main effects, or that of one `level` alone, and where asked for `interactions`.
    """

    world: World
    seeds: int
    rows: int
    truth: str
    counted: frozenset[Verdict]
    wanted: str
    level: str | None = None
    interactions: bool = False

    def study(self, number: int) -> list[bool]:
        """Of each question whether the verdict counts."""
        found = answers(self.world.bootstrap(number, self.seeds, self.rows), self.world.questions, WITHIN)
        return [decision.verdict in self.counted for _, decision in found]

    def line(self, found: np.ndarray) -> list[str]:
        """Cells of the table, from what counts (studies, questions)."""
        questions = self.world.questions
        main = found[:, [c.under is None and self.level in (None, c.level) for c in questions]]
        others = found[:, [c.under is not None for c in questions]]
        return [
            f"{len(self.world.cells)} models, {self.seeds} seeds, {self.rows:,} sentences",
            self.truth,
            " or ".join(sorted(self.counted)),
            share(main.any(1)),
            share(main),
            share(others.any(1)) if self.interactions and others.size else "",
            self.wanted,
        ]


def share(found: np.ndarray) -> str:
    """ "3.2 % ± 0.6": of studies (B,) or questions (B, K); for the error the questions of a study are one."""
    per_study = found.reshape(len(found), -1).mean(1)
    return f"{100 * per_study.mean():.1f} % ± {100 * per_study.std() / len(found) ** 0.5:.1f}"


def false_claims() -> list[Row]:
    """Studies without a difference."""
    return [
        Row(
            World(cells, wider=wider), seeds, 500,
            "no difference" + (", triplet's seeds spread twice as far" if wider > 1 else ""),
            frozenset(CLAIMS), "≤ 5 %", interactions=True,
        )
        for cells in (PAIR, GRID) for seeds in (2, 3, 5) for wider in (1.0, 2.0)
    ]  # fmt: skip


def at_the_border() -> list[Row]:
    """Studies whose main differences all are ± `WITHIN`, as precise as it takes to call some equal."""
    all_four = {"triplet": 1.0, "contrastive": -1.0, "mean": 1.0, "roberta": -1.0}
    pair = World(PAIR, {"triplet": -1.0}, spread=0.4)
    grid = World(GRID, all_four, spread=0.4)
    cases = ((pair, 2, 4000), (pair, 5, 4000), (grid, 2, 4000), (grid, 3, 1000), (grid, 3, 4000))
    return [Row(world, seeds, rows, "± 1 point", frozenset(BOUNDED), "≤ 5 %") for world, seeds, rows in cases]


def planned() -> list[Row]:
    """Studies with what the planner names; the other questions of a family are such that they do not help."""
    far = {"contrastive": 6.0, "mean": 6.0, "roberta": 6.0}  # never equal: triplet is tested at a quarter of alpha
    equal, different = (0.0, WITHIN, BOUNDED), (0.02, None, CLAIMS)
    cases = [
        (World(PAIR, spread=0.3), 5, None, equal), (World(PAIR, spread=0.7), None, 5000, equal),
        (World(GRID, far, spread=0.4, base=70.0), 3, None, equal),
        (World(PAIR, {"triplet": 2.0}), 5, None, different),
        (World(PAIR, {"triplet": 2.0}, 1.5), None, 2000, different),
        (World(GRID, {"triplet": 2.0}), 2, None, different), (World(GRID, {"triplet": 2.0}), 3, None, different),
    ]  # fmt: skip
    rows = []
    for world, seeds, sentences, (difference, within, counted) in cases:
        asked = next(contrast for contrast in world.questions if contrast.level == "triplet")
        family = sum(contrast.under is None for contrast in world.questions)
        goal = Goal(difference, ALPHA / family, within, POWER)
        needed = requirement(world.variances(asked.weights), goal, seeds or 3, sentences or 500)
        plan = (seeds or needed.seeds, sentences or needed.sentences)
        if None in plan:
            raise UserError(f"no plan shows {difference} in this world; its parts are too large")
        truth = f"{100 * difference:g} points, planned: " + ("seeds" if seeds is None else "sentences")
        rows.append(Row(world, *plan, truth, frozenset(counted), "75 to 85 %", "triplet"))
    return rows


def best_study(number: int, ahead: float) -> tuple[bool, bool, float, float]:
    """Of 12 models and a baseline that all but one are as good as: claims of the best, plain and corrected.

    Then its estimate less what is true of it, and the same uncorrected, in points.
    """
    cells = (*GRID, ("tf-idf", "", ""))
    world = World(cells, {"triplet": 0.0})
    world.scores[5] += ahead / 100
    world.spreads[-1] = 1e-9
    runs, labels = world.draw(np.random.default_rng([number, 7]), 3, 500)
    runs[cells[-1]] = runs[cells[-1]][:1]
    bootstrap = MultiBootstrap(runs, labels, resamples=200, seed=number, deterministic={cells[-1]})
    best = best_effect(bootstrap, GRID, cells[-1], draws=1000, seed=number)
    plain = bootstrap.effect({best.name: 1.0, cells[-1]: -1.0})
    true = world.truth({best.name: 1.0, cells[-1]: -1.0})
    return (
        plain.p < ALPHA, best.effect.p < ALPHA, 100 * (best.effect.estimate - true), 100 * (plain.estimate - true),
    )  # fmt: skip


def best_lines(studies: int, run: Callable) -> list[str]:
    """Sentences on the best of 12 models over a baseline."""
    lines = []
    for ahead in (0.0, 3.0):
        found = np.array(run(joblib.delayed(best_study)(number, ahead) for number in range(studies)), dtype=float)
        plain, corrected, error, plain_error = found.T
        truth = f"one is ahead by {ahead:g} points" if ahead else "all as good as the baseline"
        lines.append(
            f"- best of 12 models, 3 seeds, 500 sentences, {truth}: shown to beat the baseline in {share(corrected)}, "
            f"uncorrected in {share(plain)}; estimated {error.mean():+.1f} points beside what is true of it, "
            f"uncorrected {plain_error.mean():+.1f}"
        )
    return lines


@command()
def main(argv: Sequence[str]) -> None:
    """Simulate, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--studies", type=positive, default=1000, help="of each line")
    parser.add_argument("--jobs", type=positive, default=joblib.cpu_count(only_physical_cores=True))
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    started = time.monotonic()
    lines = [f"| {' | '.join(HEADER)} |", "|---|---|---|---:|---:|---:|---:|"]
    print("\n".join(lines), flush=True)
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        run = joblib.Parallel(n_jobs=arguments.jobs)
        for row in [*false_claims(), *at_the_border(), *planned()]:
            found = np.array(run(joblib.delayed(row.study)(number) for number in range(arguments.studies)))
            lines.append(f"| {' | '.join(row.line(found))} |")
            print(lines[-1], flush=True)
        lines += ["", *best_lines(arguments.studies, run)]
    minutes = (time.monotonic() - started) / 60
    lines.append(f"\n{arguments.studies:,} studies a line, {minutes:.1f} minutes with {arguments.jobs} jobs.")
    print("\n".join(lines[-4:]))
    arguments.output.mkdir(parents=True, exist_ok=True)
    table = "\n".join(lines) + "\n"
    print(f"wrote {write_whole(arguments.output / 'verdicts.md', table.encode())}")


if __name__ == "__main__":
    sys.exit(main())
