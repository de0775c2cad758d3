"""recipes/search.py: what it shows and writes goes into train.py and compare.py as it is, and mistakes take a line."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from places import recipe


@pytest.fixture
def words(encoders, csv_file, tmp_path) -> list[str]:
    common = "--max_length 32 --embedding_size 16 --num_train_epochs 2 --bf16 false --pooling mean --aux triplet"
    return ["--data", csv_file, "--encoder", encoders["bert"], *common.split(), "--search_dir", str(tmp_path / "s")]


def test_the_best_trial_goes_into_train_and_compare_as_it_is(words, encoders, tmp_path, capsys, monkeypatch) -> None:
    space = ["--space", "learning_rate=1e-3..1e-2", "margin=0.5,1.5", "--trials", "3", "--seed", "5"]
    assert recipe("search").main([*words, *space]) == 0
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "s" / "search.json").read_text(encoding="utf-8"))
    best = found["best"]
    assert [row["trial"] for row in found["trials"]] == [1, 2, 3]
    assert best["validation_macro_f1"] == max(row["validation_macro_f1"] for row in found["trials"])
    table = (tmp_path / "s" / "trials.md").read_text(encoding="utf-8")
    assert table in shown and "optimistic" in table and "`make compare`" in table
    first = next(line for line in table.splitlines() if line.startswith(f"| {best['trial']} |"))
    assert table.splitlines().index(first) == 2 and f"{100 * best['validation_macro_f1']:.1f}" in first
    config = str(tmp_path / "s" / "best.yaml")
    assert yaml.safe_load(Path(config).read_text(encoding="utf-8")).items() >= best["settings"].items()

    assert (
        recipe("train").main(["--config", config, "--output_dir", str(tmp_path / "run"), "--disable_tqdm", "true"])
        == 0
    )
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["best"]["validation_macro_f1"] == pytest.approx(best["validation_macro_f1"], abs=1e-6)
    assert record["best"]["epoch"] == best["epoch"] and record["seed"] == 5

    compare, studies = recipe("compare"), []
    monkeypatch.setattr(compare, "train", lambda study, console: studies.append(study) or ([], []))
    monkeypatch.setattr("emo_hf.report.report.write_report", lambda *_, **__: [])
    script, *typed = shlex.split(shown.strip().splitlines()[-1])[1:]
    assert script == "recipes/compare.py"
    assert compare.main(typed) == 0
    tasks = studies[0].tasks()
    arms = {(task.encoder, task.pooling, task.aux) for task in tasks}
    assert arms == {(encoders["bert"], "mean", "triplet")} and [task.seed for task in tasks] == [1, 2, 3, 4, 5]
    _, data, training = studies[0].arguments(tasks[0])
    assert {name: getattr(training, name) for name in best["settings"]} == best["settings"]
    assert (data.max_length, training.num_train_epochs) == (32, 2)
    assert compare.main([*typed, "--poolings", "cls", "max", "--encoder", "tiny-roberta"]) == 0
    assert {(task.encoder, task.pooling) for task in studies[1].tasks()} == {
        ("tiny-roberta", "cls"),
        ("tiny-roberta", "max"),
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--space", "seed=1,2"], "--space seed: a search does not vary it"),
        (["--space", "pooling=cls,middle"], "--pooling is 'middle'"),
        (["--space", "max_length=16..100"], "--max_length is 100, but"),
        (["--space", "margin=1..2", "--aux", "none"], "--space margin: it needs an auxiliary loss"),
        (["--space", "margin=1..2", "aux=none,supcon"], "--space margin: no loss takes it, of none, supcon"),
        (["--space", "aux=none,supcon", "--mining", "hard"], "--mining is hard, but none of the losses none, supcon"),
        (["--space", "mining=all,semi-hard", "aux=none,contrastive"], "mining of the contrastive loss is 'semi-hard'"),
        (["--trials", "0"], "--trials is 0; allowed: 1 to 1,000,000,000"),
        (["--metric_for_best_model", "loss"], "leave --metric_for_best_model"),
        (["--trails", "3"], "did you mean"),
        (["--data", "missing.csv"], "missing.csv does not exist"),
    ],
)
def test_mistakes_are_said_in_one_line(words, capsys, more, message) -> None:
    assert recipe("search").main([*words, *more]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error:") and message in lines[0]


def test_without_optuna_there_is_one_clear_line(words, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert recipe("search").main(words) == 2
    assert capsys.readouterr().err == "error: a search needs optuna; pip install 'emo-hf[search]'\n"
