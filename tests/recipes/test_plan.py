"""recipes/plan.py: its tables say what the planner says, and bad input is told in a line."""

from __future__ import annotations

import itertools
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from places import recipe
from synthetic import write_run
from worlds import GRID, World

from emo_hf.evaluation.planning import Goal, Variances, detectable, requirement
from emo_hf.report.analysis import Analysis
from emo_hf.report.predictions import LINEAR

STATED = ["--seed_sd", "1", "--agreement", "84"]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return recipe("plan")


@pytest.fixture(scope="module")
def plan(module) -> Callable[[list[str]], int]:
    return module.main


@pytest.fixture
def study(tmp_path: Path) -> Callable[[int], str]:
    """Two poolings, with and without a loss, of some seeds."""

    def write(seeds: int) -> str:
        for pooling, aux, seed in itertools.product(["cls", "mean"], ["none", "triplet"], range(seeds)):
            write_run(tmp_path, pooling=pooling, aux=aux, seed=seed, correct=0.8 + 0.01 * seed, rows=300)
        return str(tmp_path)

    return write


def rows_of(printed: str) -> list[list[str]]:
    """The cells of all tables."""
    return [re.split(r"\s*│\s*", line)[1:-1] for line in printed.splitlines() if line.startswith("│")]


def test_every_question_of_a_study_has_its_table(plan, study, capsys) -> None:
    folder = study(3)
    assert plan([folder, "--equal_within", "2"]) == 0
    printed = capsys.readouterr().out
    analysis = Analysis.read(folder)
    main, interaction = "triplet over none (tested at 2.5 %, one of 2 questions)", "triplet over none, more under mean"
    assert main in printed and interaction in printed
    assert printed.count("now: 3 seeds of 300 sentences show") == len(analysis.findings) == 3
    variances = Variances.of(analysis.bootstrap, analysis.findings[0].contrast.weights)
    for (seeds, *cells), count in itertools.product(rows_of(printed)[:6], range(4)):
        sentences = 300 * 2**count
        shown = f"{100 * detectable(variances, int(seeds), sentences, 0.025):.1f}"
        equal = Goal(0.0, 0.025, 0.02).chance_of(variances, int(seeds), sentences) >= 0.8
        assert cells[count] == shown + " =" * equal
    needed = requirement(variances, Goal(0.02, 0.025), 3, 300)
    assert needed.sentences and f"a difference of 2 would take {needed.seeds} seeds of 300" in printed
    assert f"3 seeds of {needed.sentences:,} sentences" in printed


def test_the_questions_about_the_baseline_have_theirs(plan, study, capsys, tmp_path: Path) -> None:
    write_run(tmp_path, baseline=LINEAR, correct=0.8, rows=300)
    assert plan([study(3)]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if "tested at" in line]
    assert titles[0] == f"models over {LINEAR} (mean of 4) (tested at 2.5 %, one of 2 questions)"
    assert titles[1].startswith(f"best model over {LINEAR} (") and len(titles) == 5


def test_more_power_takes_more(plan, capsys) -> None:
    printed = []
    for power in ("0.8", "0.95"):
        assert plan([*STATED, "--seed_agreement", "86", "--models", "4", "--power", power]) == 0
        printed.append(capsys.readouterr().out)
    low, high = (
        [float(cell) for row in rows_of(text) for cell in re.findall(r"\d\.\d", str(row))] for text in printed
    )
    assert len(low) == len(high) == 24 and all(more > less for less, more in zip(low, high, strict=True))
    assert "4 models over 4 (tested at 5 %)" in printed[0]


def test_stated_variances_are_those_of_a_study_with_such_runs(module) -> None:
    """Simulated runs, of which only the spread over seeds and the agreement of their answers is stated."""
    world = World(GRID[:4], spread=1.0)
    runs, labels = world.draw(np.random.default_rng(0), 2, 40_000)
    right = {cell: found == labels for cell, found in runs.items()}
    seeds = 100 * np.mean([(first == second).mean() for first, second in right.values()])
    models = 100 * np.mean([(a[0] == b[1]).mean() for a, b in itertools.combinations(right.values(), 2)])
    sd = 100 * (world.spreads[0] ** 2 + (100 - seeds) / 200 / 1000) ** 0.5  # as seen on 1,000 sentences
    stated = Namespace(seed_sd=sd, agreement=models, seed_agreement=seeds, seeds=3, sentences=1000, models=1)
    found = module.stated_plan(Namespace(**vars(stated), questions=1)).variances
    true = world.variances({GRID[0]: 1.0, GRID[1]: -1.0}, pilots=3)
    assert found.seeds == pytest.approx(true.seeds) and found.cells == 2
    assert found.chance == pytest.approx(true.chance, rel=0.05) and found.rows == pytest.approx(true.rows, rel=0.3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to plan from"),
        (["--seed_sd", "1"], "nothing to plan from"),
        (["nowhere"], "nowhere does not exist"),
        ([*STATED, "--equal_within", "-1"], "--equal_within is -1.0; allowed: above 0 to 100"),
        ([*STATED, "--equal_within", "nan"], "--equal_within is nan"),
        ([*STATED, "--power", "1"], "--power is 1.0; allowed: 0.5 to below 1"),
        (["--seed_sd", "-1", "--agreement", "84"], "--seed_sd is -1.0; allowed: above 0 to 50"),
        ([*STATED, "--seed_agreement", "80"], "--seed_agreement is 80, below --agreement 84"),
        ([*STATED, "--seeds", "1"], "--seeds is 1; allowed: 2 or more"),
        ([*STATED, "--sentences", "0"], "argument --sentences: 0 is no whole number from 1 on"),
        (["runs", *STATED], "--seed_sd, --agreement beside a study"),
    ],
)
def test_a_mistake_is_one_line(plan, capsys, words: list[str], said: str) -> None:
    assert plan(words) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"error: {said}") and told.err.count("\n") == 1 and not told.out


def test_a_study_that_can_tell_nothing_says_why(plan, study, capsys, tmp_path: Path) -> None:
    assert plan([study(1)]) == 2
    said = capsys.readouterr().err
    assert "has one seed of each model" in said and "--seeds 1 2 3" in said and said.count("\n") == 1
    lone = tmp_path / "lone"
    for seed in (1, 2):
        write_run(lone, seed=seed)
    assert plan([str(lone)]) == 2 and "asks nothing" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert plan([str(tmp_path / "empty")]) == 2 and "holds no completed run" in capsys.readouterr().err
