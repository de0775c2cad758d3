"""Plan a study: how many seeds and test sentences show a difference, or that there is none.

    python recipes/plan.py runs/compare
    python recipes/plan.py runs/compare --equal_within 0.5 --power 0.9
    python recipes/plan.py --seed_sd 1.0 --agreement 84 --seed_agreement 85 --sentences 720 --models 4 --questions 4

For every question of STUDY, a table of seeds by test sentences: the smallest true difference, in points of macro-F1,
that such a study shows with --power, and "=" where it also shows that there is none beyond ± --equal_within. A study
of two or three seeds knows its variances roughly: take plans for orders of magnitude. Without STUDY the variances are
stated: how far the score of a model spreads over seeds, and on how many test sentences runs are right or wrong alike.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from emo_hf.arguments.bounds import Limits, positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.evaluation.planning import Goal, Requirement, Variances, detectable, requirement
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding, seeds_of, variances_of
from emo_hf.report.findings import asked_over

ALPHA = 0.05
SEEDS, TIMES = (2, 3, 5, 8, 12, 20), (1, 2, 4, 8)  # rows of a table, and columns: so many times the sentences
STATED = ("seed_sd", "agreement", "seed_agreement", "seeds", "sentences", "models", "questions")
LIMITS = {
    "equal_within": Limits(0, 100, open_low=True),
    "power": Limits(0.5, 1, open_high=True),
    "seed_sd": Limits(0, 50, open_low=True),
    "agreement": Limits(0, 100),
    "seed_agreement": Limits(0, 100),
}


@dataclass(frozen=True)
class Plan:
    """A question with what a plan for it starts from: its variances, and the study as it is."""

    asked: str
    variances: Variances
    seeds: int
    sentences: int
    family: int  # questions that are corrected together


@command()
def main(argv: Sequence[str]) -> None:
    """Read a study or the stated variances, and print a table for every question."""
    parser = CommandParser(__doc__)
    parser.add_argument("study", nargs="?", metavar="STUDY", help="folder of a study of two seeds or more")
    parser.add_argument("--equal_within", type=float, default=1.0, help="points within which models count as equal")
    parser.add_argument("--power", type=float, default=0.8, help="probability with which it is to be shown")
    stated = parser.add_argument_group("without STUDY")
    stated.add_argument(
        "--seed_sd", type=float, help="points by which one model's score spreads over seeds (± of tables)"
    )
    stated.add_argument(
        "--agreement", type=float, help="%% of sentences that two models are both right or wrong about"
    )
    stated.add_argument("--seed_agreement", type=float, help="the same of two seeds of one model; default --agreement")
    stated.add_argument("--seeds", type=positive, help="of each model; default 3")
    stated.add_argument("--sentences", type=positive, help="of the test set; default 1000")
    stated.add_argument("--models", type=positive, help="on either side of the comparison; default 1")
    stated.add_argument("--questions", type=positive, help="that are corrected together; default 1")
    arguments = parser.parse_words(argv)
    check(arguments)
    plans = of_study(arguments.study) if arguments.study else [stated_plan(arguments)]
    console = Console(highlight=False, soft_wrap=True)
    for plan in plans:
        console.print(table(plan, arguments.equal_within / 100, arguments.power))
        for line in sentences(plan, arguments.equal_within / 100, arguments.power):
            console.print(line, markup=False)
        console.print()


def check(arguments: argparse.Namespace) -> None:
    """Raise UserError for numbers out of bounds, and for a study beside stated variances or neither."""
    for name, limits in LIMITS.items():
        value = getattr(arguments, name)
        if value is not None and value not in limits:
            raise UserError(f"--{name} is {value}; allowed: {limits}")
    given = [f"--{name}" for name in STATED if getattr(arguments, name) is not None]
    if arguments.study and given:
        raise UserError(f"{', '.join(given)} beside a study, which has its own; leave them or {arguments.study} out")
    if not arguments.study and not {"--seed_sd", "--agreement"} <= {*given}:
        raise UserError("nothing to plan from; give the folder of a study, or --seed_sd and --agreement")
    if arguments.seed_agreement is not None and arguments.seed_agreement < arguments.agreement:
        raise UserError(
            f"--seed_agreement is {arguments.seed_agreement:g}, below --agreement {arguments.agreement:g}; two seeds "
            "of one model agree at least as often as two models"
        )
    if arguments.seeds == 1:
        raise UserError("--seeds is 1; allowed: 2 or more, for one seed says nothing about another")


def of_study(folder: str) -> list[Plan]:
    """A plan for every question that the study can answer."""
    if not Path(folder).is_dir():
        raise UserError(f"{folder} does not exist; give the folder of a study (--study_dir of recipes/compare.py)")
    analysis = Analysis.read(folder)
    if analysis.bootstrap is None:
        raise UserError(f"{folder}: nothing can be compared; its runs lack predictions, or were tested on other rows")
    if not analysis.repeated:
        raise UserError(
            f"{folder} has one seed of each model, which says nothing about another; run it with --seeds 1 2 3, or "
            "state --seed_sd and --agreement instead of the folder"
        )
    found = [one for one in [*analysis.against_baseline, *analysis.findings] if isinstance(one, Finding)]
    if not found:
        raise UserError(f"{folder} asks nothing: it has no two models of two seeds that differ in one thing")
    return [
        Plan(
            asked_over(one.asked, one.contrast, one.lacking, chosen=one.chosen),
            variances_of(one, analysis.bootstrap),
            seeds_of(one, analysis.bootstrap),
            analysis.bootstrap.rows,
            one.family,
        )
        for one in found
    ]


def stated_plan(arguments: argparse.Namespace) -> Plan:
    """A plan from what was stated.

    Two runs of one model that disagree on a share d of the sentences each get d / 2 of variance a sentence by chance;
    what two models disagree on beyond that is between the models. The spread over seeds holds the chance too.
    """
    seeds, count, models = arguments.seeds or 3, arguments.sentences or 1000, arguments.models or 1
    alike = arguments.agreement if arguments.seed_agreement is None else arguments.seed_agreement
    chance = (100 - alike) / 100 / 2
    of_seeds = max(0.0, (arguments.seed_sd / 100) ** 2 - chance / count)
    between = (alike - arguments.agreement) / 100
    variances = Variances(2 / models * of_seeds, between, 2 / models * chance, 2 * models)
    asked = f"{models} model{'s' * (models > 1)} over {models}"
    return Plan(asked, variances, seeds, count, arguments.questions or 1)


def table(plan: Plan, within: float, power: float) -> Table:
    """Seeds by sentences: the smallest difference shown, and = where equality is."""
    level = ALPHA / plan.family
    one_of = f", one of {plan.family} questions" if plan.family > 1 else ""
    found = Table(title=f"{plan.asked} (tested at {100 * level:.3g} %{one_of})", title_justify="left")
    found.add_column("seeds", justify="right")
    columns = [plan.sentences * times for times in TIMES]
    for count in columns:
        found.add_column(f"{count:,} sentences", justify="right")
    equal = Goal(0.0, level, within, power)
    for seeds in sorted({*SEEDS, plan.seeds}):
        cells = []
        for count in columns:
            shown = f"{100 * detectable(plan.variances, seeds, count, level, power):.1f}"
            cells.append(shown + " =" * (equal.chance_of(plan.variances, seeds, count) >= power))
        found.add_row(f"{seeds}", *cells, style="bold" if seeds == plan.seeds else None)
    return found


def sentences(plan: Plan, within: float, power: float) -> Iterator[str]:
    """What the study shows as it is, and what it would take."""
    level, points = ALPHA / plan.family, f"{100 * within:.3g}"
    now = detectable(plan.variances, plan.seeds, plan.sentences, level, power)
    yield f"now: {plan.seeds} seeds of {plan.sentences:,} sentences show a difference of {100 * now:.1f} points"
    for said, goal in (
        (f"a difference of {points}", Goal(within, level, None, power)),
        (f"that there is none beyond ± {points}", Goal(0.0, level, within, power)),
    ):
        yield f"{said} would take {takes(requirement(plan.variances, goal, plan.seeds, plan.sentences), plan)}"


def takes(needed: Requirement, plan: Plan) -> str:
    """ "9 seeds of 720 sentences, or 3 seeds of 2,504"."""
    ways = [(needed.seeds, plan.sentences), (plan.seeds, needed.sentences), needed.both or (None, None)]
    said = [f"{seeds} seeds of {count:,} sentences" for seeds, count in ways if seeds and count]
    return ", or ".join(said) or "more than 200 seeds and a million sentences"


if __name__ == "__main__":
    sys.exit(main())
