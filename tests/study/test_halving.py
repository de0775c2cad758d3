"""Successive halving in a cell: who goes on, what is chosen, and that a stop changes nothing."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.errors import UserError
from emo_hf.storage.files import DiskFault
from emo_hf.storage.record import read_record
from emo_hf.study import draw as of_one
from emo_hf.study import halving
from emo_hf.study.draw import ended, scores_until
from emo_hf.study.grid import TUNING_SEED, Cell, GridArguments, Study
from emo_hf.study.halving import tune_cell
from emo_hf.study.local import execute_here
from emo_hf.study.tuning import choice, with_choices
from emo_hf.training.run import run

TIMES = ("started", "finished")
RATES = "learning_rate=1e-3..1e-1"


@pytest.fixture
def make(speck, tmp_path) -> Callable[..., Study]:
    """A study of a speck, with 6 rows a batch."""

    def build(folder: str = "study", data: str | None = None, training: dict[str, Any] | None = None, **grid) -> Study:
        usual = {"encoders": [speck[0]], "poolings": ["mean"], "aux": ["none"], "seeds": [1], "tune": 4}
        settings = {"num_train_epochs": 4, "per_device_train_batch_size": 6, "bf16": False, "learning_rate": 1e-2}
        return Study(
            GridArguments(**({"tune_space": [RATES]} | usual | grid), study_dir=str(tmp_path / folder)),
            ModelArguments(embedding_size=8),
            DataArguments(data=data or speck[1], max_length=16),
            given(MetricTrainingArguments(**(settings | (training or {})))),
        )

    return build


def cell_of(study: Study) -> Cell:
    return Cell.of(study.tasks()[0])


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    record = copy.deepcopy(record)
    for draw in record["draws"]:
        assert draw.pop("wall_seconds") >= 0 and draw.pop("cpu_seconds") >= 0
    return {name: value for name, value in record.items() if name not in TIMES}


@pytest.fixture
def instant(monkeypatch) -> Callable[[dict[int, list[Any]]], list[tuple[int, float]]]:
    """Trainings that take no time: the scores of each draw's epochs by number, an error for an epoch that fails."""

    def stand_in(scores: dict[int, list[Any]]) -> list[tuple[int, float]]:
        calls: list[tuple[int, float]] = []

        def until(reach: float, model: Any, data: Any, training: Any, callbacks: Any, keep: bool) -> list[float]:
            folder = Path(training.output_dir)
            number = int(folder.name.removeprefix("draw-"))
            calls.append((number, reach))
            found = scores[number][: int(reach)]
            for score in found:
                if isinstance(score, BaseException):
                    raise score
            if keep:
                (folder / "checkpoint-1").mkdir(parents=True, exist_ok=True)
            return found

        monkeypatch.setattr(halving, "scores_until", until)
        return calls

    return stand_in


def test_the_better_half_goes_on_and_a_stopped_draw_counts_with_its_best(make, instant):
    """The first draw goes on whatever its scores; of the others those of the best epoch until then."""
    study = make(tune=5)
    calls = instant({1: [0.2, 0.1, 0.1, 0.5], 2: [0.6, 0.1, 0.1, 0.9], 3: [0.3], 4: [0.5, 0.55], 5: [0.25]})
    record = tune_cell(study, cell_of(study))
    assert calls == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (1, 2), (2, 2), (4, 2), (1, 4), (2, 4)]
    assert [draw["reached"] for draw in record["draws"]] == [4, 4, 1, 2, 1]
    assert record["chosen"] == 2 and record["tuned"] == record["draws"][1]["settings"]
    assert [max(draw["validation_macro_f1"]) for draw in record["draws"]] == [0.5, 0.9, 0.3, 0.55, 0.25]
    assert record["rungs"] == [{"epochs": 1.0, "draws": 5}, {"epochs": 2.0, "draws": 3}, {"epochs": 4.0, "draws": 2}]
    assert choice(study, cell_of(study)) == tuple(record["tuned"].items())
    assert {path.name for path in (study.folder / cell_of(study).run_id).iterdir()} == {"record.json"}


def test_what_is_chosen_is_no_worse_than_the_settings_as_they_are(make, instant):
    """They begin slowly, and win at the end."""
    study = make(tune=8)
    instant({1: [0.1, 0.2, 0.3, 0.9], **{number: [0.6, 0.7, 0.7, 0.7] for number in range(2, 9)}})
    assert tune_cell(study, cell_of(study))["chosen"] == 1


def test_of_equal_draws_the_first_is_chosen(make, instant):
    study = make()
    instant(dict.fromkeys(range(1, 5), [0.5] * 4))
    assert tune_cell(study, cell_of(study))["chosen"] == 1


def test_only_draws_that_may_go_on_keep_their_checkpoints(make, instant, monkeypatch):
    study, seen = make(tune=6), []
    calls = instant({number: [score] * 4 for number, score in enumerate([0.1, 0.6, 0.2, 0.5, 0.4, 0.3], start=1)})
    write = halving.write_record

    def noting(folder: Path, record: dict[str, Any]) -> Path:
        if calls:
            seen.append((calls[-1], sorted(int(path.name[5:]) for path in folder.glob("draw-*"))))
        return write(folder, record)

    monkeypatch.setattr(halving, "write_record", noting)
    tune_cell(study, cell_of(study))
    # Of five random draws three can be ahead at any time; the one that has just ended stands beside them.
    assert seen[:-1] == [
        ((1, 1), [1]), ((2, 1), [1, 2]), ((3, 1), [1, 2, 3]), ((4, 1), [1, 2, 3, 4]), ((5, 1), [1, 2, 3, 4, 5]),
        ((6, 1), [1, 2, 4, 5, 6]),
        ((1, 2), [1, 2, 4, 5]), ((2, 2), [1, 2, 4, 5]), ((4, 2), [1, 2, 4, 5]), ((5, 2), [1, 2, 4, 5]),
        ((1, 4), [1, 2, 4]), ((2, 4), [2, 4]), ((4, 4), [4]),
    ]  # fmt: skip
    assert seen[-1][1] == []


def test_a_draw_that_fails_is_lost_and_gives_nobody_its_place(make, instant):
    study = make(tune=5)
    diverged = UserError("ce_loss is nan at step 3")
    instant({1: [0.1], 2: [diverged], 3: [0.9, RuntimeError("boom\nmore")], 4: [0.4] * 4, 5: [0.3] * 4})
    record = tune_cell(study, cell_of(study))
    assert [draw["error"] for draw in record["draws"]] == [
        None, "ce_loss is nan at step 3", "RuntimeError: boom", None, None,
    ]  # fmt: skip
    assert [draw["reached"] for draw in record["draws"]] == [4, 0, 1, 4, 1]
    assert record["chosen"] == 4  # 0.9 was the best, but its draw is lost


def test_a_cell_of_which_all_fail_fails_with_its_runs(make, instant):
    study = make(aux=["none", "triplet"], seeds=[1, 2])
    instant({number: [UserError("ce_loss is nan")] for number in range(1, 5)})
    cells = list(dict.fromkeys(map(Cell.of, study.tasks())))
    errors = {cell: error for cell, error in execute_here(study, cells, jobs=1) if error}
    said = "UserError: no draw of its tuning went well; the first one: ce_loss is nan"
    assert errors == dict.fromkeys(cells, said)
    record = read_record(study.folder / cells[0].run_id)
    assert (record["status"], record["error"]) == ("failed", said.removeprefix("UserError: "))
    assert with_choices(study, study.tasks(), errors) == ([], [(task, said) for task in study.tasks()])
    # Tried again, it begins anew.
    calls = instant({number: [0.5] * 4 for number in range(1, 5)})
    assert [error for _, error in execute_here(study, cells, jobs=1)] == [None, None] and len(calls) == 2 * 9
    ready, lost = with_choices(study, study.tasks(), {})
    assert not lost and {dict(task.tuned)["learning_rate"] for task in ready} == {1e-2}


def test_a_full_disk_is_no_fault_of_a_draw(make, instant):
    study = make()
    scores: dict[int, list[Any]] = {1: [0.1], 2: [0.5] * 4, 3: [DiskFault("no room")], 4: [0.4] * 4}
    instant(scores)
    with pytest.raises(DiskFault):
        tune_cell(study, cell_of(study))
    record = read_record(study.folder / cell_of(study).run_id)
    assert record["status"] == "running" and {draw["error"] for draw in record["draws"]} == {None}
    scores[3] = [0.9] * 4
    assert tune_cell(study, cell_of(study))["chosen"] == 3


@pytest.mark.parametrize("stop", range(1, 11))
def test_stopped_anywhere_it_ends_as_one_that_was_not(make, instant, stop, monkeypatch):
    """The second time around it does what was left, and nothing twice but what was in work."""
    scores = {1: [0.5, 0.7, 0.4, 0.4], 2: [0.6, 0.5, 0.5, 0.9], 3: [0.3], 4: [0.7, UserError("lost")], 5: [0.2]}
    study, straight = make("stopped", tune=5), make("straight", tune=5)
    calls = instant(scores)
    expected = tune_cell(straight, cell_of(straight))
    whole = list(calls)
    assert len(whole) == 10
    calls = instant(scores)
    until = halving.scores_until

    def stopped(*arguments: Any) -> list[float]:
        if len(calls) + 1 == stop:
            raise KeyboardInterrupt
        return until(*arguments)

    monkeypatch.setattr(halving, "scores_until", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune_cell(study, cell_of(study))
    assert choice(study, cell_of(study)) == ()
    monkeypatch.setattr(halving, "scores_until", until)
    assert without_times(tune_cell(study, cell_of(study))) == without_times(expected)
    assert calls == whole


def test_a_tuning_of_another_space_is_refused(make, instant):
    study = make()
    instant(dict.fromkeys(range(1, 5), [0.5] * 4))
    tune_cell(study, cell_of(study))
    with pytest.raises(UserError, match="holds a tuning of another space or of other draws; delete it"):
        choice(make(tune_space=["learning_rate=1e-3..1e-2"]), cell_of(study))


def test_runs_of_other_settings_are_not_mixed_in(make, instant):
    study = make()
    instant(dict.fromkeys(range(1, 5), [0.5] * 4))
    tune_cell(study, cell_of(study))
    [task] = study.tasks()
    folder = study.folder / task.run_id
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps({"status": "completed", "tuned": {"learning_rate": 0.5}}))
    with pytest.raises(UserError, match="was trained with other settings than its tuning has chosen; delete it"):
        with_choices(study, [], {})


@pytest.mark.parametrize(
    "more",
    [
        {"aux": "triplet", "mining": "sampled", "margin": 0.3},
        {"aux": "supcon", "aux_kwargs": {"temperature": 0.2}, "num_train_epochs": 2.5},
        {"early_stopping_patience": 1, "learning_rate": 0.3},
    ],
    ids=lambda more: next(iter(more.values())),
)
def test_a_draw_is_the_run_that_its_arguments_make(make, tmp_path, more):
    """Trained rung by rung, from checkpoints, it has the scores of the run in one go, to the last digit."""
    study = make(training={**more, "aux": "none"}, aux=[more.get("aux", "none")])
    cell = cell_of(study)
    record = run(*study.arguments(cell, output_dir=str(tmp_path / "run"), disable_tqdm=True))
    straight = [row["validation_macro_f1"] for row in record["history"]]
    own = {"output_dir": str(tmp_path / "draw-1"), "save_strategy": "no", "load_best_model_at_end": False}
    own |= {"save_total_limit": 1, "disable_tqdm": True}
    for reach in (1, 2, 4):
        found = scores_until(reach, *study.arguments(cell, **own), [], keep=True)
        assert found == pytest.approx(straight[:reach], abs=1e-6)
    assert len(found) == len(straight)
    assert ("early_stopping_patience" in more) == (len(straight) < 3)


def test_patience_is_counted_over_all_rungs():
    assert [ended(scores, 2) for scores in ([], [0.5], [0.5, 0.4], [0.5, 0.4, 0.5], [0.5, 0.4, 0.6])] == [
        False, False, False, True, False,
    ]  # fmt: skip
    assert not ended([0.5, 0.4, 0.3], None)


def test_test_rows_are_not_seen(make, speck, tmp_path, monkeypatch):
    """Other test rows change nothing, and the trainer holds none."""
    table = pd.read_csv(speck[1])
    of_test = table["split"] == "test"
    table.loc[of_test, "label"] = table.loc[of_test, "label"].to_numpy()[::-1]
    table.loc[of_test, "sentence"] += " 그리고"
    other = tmp_path / "other.csv"
    table.to_csv(other, index=False)
    space = [RATES, "per_device_train_batch_size=4,6"]
    one, two = make("one", tune_space=space, tune=3), make("two", str(other), tune_space=space, tune=3)
    held = []

    def noting(model: Any, given: Any, training: Any, data: Any, callbacks: Any) -> Any:
        held.append(set(data.splits))
        return made(model, given, training, data, callbacks)

    made = of_one.make_trainer
    monkeypatch.setattr(of_one, "make_trainer", noting)
    first, second = (without_times(tune_cell(study, cell_of(study))) for study in (one, two))
    assert first == second and first["seed"] == TUNING_SEED
    assert len(held) == 2 * (3 + 2 + 2) and set().union(*held) == {"train", "validation"}
    assert len({tuple(draw["validation_macro_f1"]) for draw in first["draws"]}) > 1


def test_warnings_of_a_draw_are_no_news(make, monkeypatch, caplog):
    """That embeddings fall together is told of a run, not of settings that were drawn."""
    diagnostics = logging.getLogger("emo_hf.training.diagnostics")

    def until(*arguments: Any) -> list[float]:
        diagnostics.warning("the embeddings have collapsed")
        return [0.5] * 4

    monkeypatch.setattr(halving, "scores_until", until)
    study = make()
    assert tune_cell(study, cell_of(study))["status"] == "completed"
    assert not caplog.messages
    diagnostics.warning("of a run")
    assert caplog.messages == ["of a run"]
