"""The curves over labelled rows: who is labelled when, and what the table says of scores that are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import suggesting
from sklearn.metrics import f1_score

ROWS = 200


class Plain:
    """A corpus whose model says of each row what the row's number is, and that remembers what it was trained on."""

    rows = ROWS

    def __init__(self) -> None:
        self.labelled: list[list[int]] = []

    def trained(self, rows: np.ndarray, seed: int, folder: str) -> Any:
        self.labelled.append(rows.tolist())
        return len(rows)

    def asked(self, trainer: Any, rows: np.ndarray) -> Any:
        """Unsure of the rows with the largest numbers."""
        logits = np.stack([np.zeros(len(rows)), ROWS - rows.astype(float)], axis=1) / ROWS
        return SimpleNamespace(logits=logits, embeddings=np.eye(ROWS)[rows])

    def tested(self, trainer: Any) -> np.ndarray:
        return np.full(7, trainer)


def test_rows_are_labelled_step_by_step_as_the_strategy_picks_them():
    found = {}
    for strategy in ("margin", "diverse"):
        corpus = Plain()
        curve = suggesting.curve(corpus, strategy, [10, 30, 60], 4, 1000)
        assert curve.tolist() == [[10] * 7, [30] * 7, [60] * 7]
        found[strategy] = [set(rows) for rows in corpus.labelled]
        assert [len(rows) for rows in found[strategy]] == [10, 30, 60]
        assert found[strategy][0] < found[strategy][1] < found[strategy][2]
    corpus = Plain()
    assert [suggesting.of_random(corpus, size, 4)[0] for size in (10, 30, 60)] == [10, 30, 60]
    found["random"] = [set(rows) for rows in corpus.labelled]
    assert found["random"][0] < found["random"][1] < found["random"][2]
    first = found["random"][0]
    assert all(rows[0] == first for rows in found.values())
    left = sorted(set(range(ROWS)) - first, reverse=True)
    assert found["margin"][1] - first == set(left[:20]) and found["margin"][2] - first == set(left[:50])
    assert found["random"][1] - first != set(left[:20])


def test_random_rows_are_drawn_up_to_twice_as_many():
    assert suggesting.doubled([60, 120, 180], 1000) == [60, 120, 180, 240, 360]
    assert suggesting.doubled([60, 120, 180], 300) == [60, 120, 180, 240]


def test_only_rows_of_the_pool_are_asked_about():
    corpus = Plain()
    suggesting.curve(corpus, "margin", [10, 30], 4, 40)
    order = np.random.default_rng(4).permutation(ROWS)
    assert set(corpus.labelled[1]) - set(corpus.labelled[0]) == set(sorted(order[10:50])[-20:])


def test_the_table_has_the_scores_and_their_differences():
    random = np.random.default_rng(0)
    labels = random.integers(3, size=300)
    rates = {("random", 60): 0.5, ("random", 120): 0.6, ("random", 240): 0.7, ("random", 480): 0.75}
    rates |= {("margin", 60): 0.5, ("margin", 120): 0.69, ("margin", 240): 0.8}
    curves = {
        key: np.where(random.random((3, 300)) < rate, labels, random.integers(3, size=(3, 300)))
        for key, rate in rates.items()
    }
    lines = suggesting.table(curves, labels)

    def score(key):
        return np.mean([f1_score(labels, run, average="macro") for run in curves[key]])

    assert lines[0] == "| rows | random | margin |"
    assert lines[3].startswith(f"| 120 | {100 * score(('random', 120)):.1f} [")
    gains = [line for line in lines if line.startswith("| 120 | +")]
    assert len(gains) == 1
    assert gains[0].startswith(f"| 120 | {100 * (score(('margin', 120)) - score(('random', 120))):+.1f} [")
    half = 100 * (score(("margin", 240)) - score(("random", 480)))
    assert lines[-1].startswith(f"| 240, 480 | {half:+.1f} [") and lines[-1].endswith("; > 480 |")
    assert lines[-2].startswith("| 120, 240 | ")


def test_random_rows_that_reach_a_score_lie_on_straight_lines():
    assert suggesting.needed([60, 120, 240], [0.5, 0.6, 0.7], 0.65) == "180"
    assert suggesting.needed([60, 120, 240], [0.5, 0.6, 0.7], 0.5) == "≤ 60"
    assert suggesting.needed([60, 120, 240], [0.5, 0.6, 0.7], 0.71) == "> 240"


def test_a_curve_of_other_settings_is_drawn_anew(tmp_path):
    path, drawn = tmp_path / "curve.npz", []

    def made(value):
        drawn.append(value)
        return np.array([[value]])

    assert suggesting.kept(path, {"epochs": 1}, lambda: made(1)).tolist() == [[1]]
    assert suggesting.kept(path, {"epochs": 1}, lambda: made(2)).tolist() == [[1]]
    assert suggesting.kept(path, {"epochs": 2}, lambda: made(3)).tolist() == [[3]]
    assert drawn == [1, 3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sizes", "60"], "give two sizes or more"),
        (["--sizes", "60", "60"], "must rise"),
        (["--sizes", "6", "6000"], "may be up to 144"),
        (["--sizes", "6", "60", "--random", "6"], "--random lacks 60, which --sizes has"),
        (["--sizes", "6", "60", "--pool", "10"], "fewer rows than a step"),
        (["--seeds", "-1"], "--seeds is -1; allowed: 0 to"),
        (["--strategies", "random"], "invalid choice: 'random'"),
    ],
)
def test_mistakes_are_one_line(words, said, csv_file, tmp_path, capsys):
    assert suggesting.main([csv_file, "--runs", str(tmp_path), *words]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said in line


def test_a_short_curve_of_real_models(csv_file, tmp_path, capsys):
    words = [csv_file, "--sizes", "6", "12", "--strategies", "diverse", "--seeds", "1", "2", "--epochs", "1"]
    assert suggesting.main([*words, "--runs", str(tmp_path), "--max_length", "16"]) == 0
    said = capsys.readouterr().out
    assert "144 training rows, 60 test rows, 2 seeds" in said and "| 12 | " in said
    assert len(list(tmp_path.glob("mini/*.npz"))) == 8
    assert (tmp_path / "mini.md").read_text(encoding="utf-8") in said
