"""The recipes as they are typed: what they write, and what they say about a mistake."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
from aihub_files import download
from places import recipe
from rich.console import Console
from synthetic import write_run

from emo_hf.models.modeling import EmotionModel
from emo_hf.study.grid import GridArguments, Task

LABELS = ["불안", "슬픔", "기쁨"]
TOP = {
    "schema", "run_id", "kind", "status", "error", "started", "finished", "wall_seconds", "model", "arguments", "seed",
    "data", "versions", "commit", "hardware", "history", "best", "test", "files",
}  # fmt: skip
EPOCH = {
    "epoch", "train_loss", "train_accuracy", "ce_loss",
    "validation_loss", "validation_accuracy", "validation_macro_f1",
}  # fmt: skip


@pytest.fixture(scope="module")
def train() -> Callable[[list[str]], int]:
    return recipe("train").main


@pytest.fixture(scope="module")
def compare() -> Callable[[list[str]], int]:
    return recipe("compare").main


@pytest.fixture
def common(csv_file) -> list[str]:
    """What makes a run short."""
    words = "--max_length 32 --embedding_size 16 --num_train_epochs 2 --bf16 false --disable_tqdm true"
    return ["--data", csv_file, *words.split()]


def check_record(folder: Path, baseline: bool = False) -> dict:
    """The record and its predictions, complete and of one piece."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert set(record) == TOP
    assert record["schema"] == 1
    assert record["run_id"] == folder.name
    assert (record["status"], record["error"]) == ("completed", None)
    assert record["started"] <= record["finished"] and record["started"].endswith("+00:00")
    assert set(record["model"]) == {"encoder", "name", "pooling", "aux", "parameters", "embedding_size"}
    assert record["data"]["labels"] == LABELS
    assert record["data"]["counts"] == {
        split: dict.fromkeys(LABELS, rows) for split, rows in (("train", 48), ("validation", 12), ("test", 20))
    }
    assert record["data"]["fingerprint"] and record["data"]["report"]
    assert {"emo_hf", "torch", "transformers", "datasets", "python"} <= set(record["versions"])
    assert record["hardware"]["cpus"] >= 1
    arrays = np.load(folder / record["files"]["predictions"], allow_pickle=False)
    assert arrays["logits"].shape == (60, 3) and arrays["logits"].dtype == np.float32
    assert arrays["labels"].shape == (60,) and arrays["labels"].dtype == np.int64
    test = record["test"]
    predicted = arrays["logits"].argmax(1)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (arrays["labels"], predicted), 1)
    assert test["confusion_matrix"] == confusion.tolist()
    assert test["accuracy"] == pytest.approx(np.trace(confusion) / 60)
    scores = []
    for i, label in enumerate(LABELS):
        precision = confusion[i, i] / max(confusion[:, i].sum(), 1)
        recall = confusion[i, i] / confusion[i].sum()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
        expected = {"precision": precision, "recall": recall, "f1": scores[-1], "support": 20}
        assert test["per_class"][label] == pytest.approx(expected)
    assert test["macro_f1"] == pytest.approx(np.mean(scores))
    if baseline:
        assert record["kind"] == "baseline" and record["history"] == []
        assert set(arrays.files) == {"logits", "labels"}
        return record
    assert record["kind"] == "model"
    assert arrays["embeddings"].shape == (60, 16) and arrays["embeddings"].dtype == np.float16
    assert record["model"]["embedding_size"] == 16 and record["model"]["parameters"] > 1000
    assert [row["epoch"] for row in record["history"]] == [1.0, 2.0]
    assert all(set(row) >= EPOCH for row in record["history"])
    assert set(record["best"]) == {"epoch", "validation_macro_f1"}
    assert set(record["arguments"]) == {"model", "data", "training"}
    assert record["seed"] == record["arguments"]["training"]["seed"]
    return record


def test_train_writes_model_record_and_predictions(train, common, encoders, tmp_path, capsys):
    folder = tmp_path / "run"
    words = [
        "--encoder",
        encoders["roberta"],
        "--pooling",
        "attention",
        "--aux",
        "triplet",
        "--output_dir",
        str(folder),
    ]
    assert train([*common, *words]) == 0
    record = check_record(folder)
    assert record["model"] | {"parameters": 0} == {
        "encoder": encoders["roberta"],
        "name": "mini-roberta",
        "pooling": "attention",
        "aux": "triplet",
        "parameters": 0,
        "embedding_size": 16,
    }
    assert {"aux_loss", "active_share", "positive_distance"} <= set(record["history"][0])
    assert EmotionModel.from_pretrained(folder).config.labels == LABELS
    left = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "modeling.py"} <= left
    assert not [name for name in left if name.startswith("checkpoint-") or name.endswith((".bin", ".tmp"))]
    shown = capsys.readouterr().out
    assert shown.startswith("trained on cpu in fp32\n")
    assert f"accuracy {record['test']['accuracy']:.3f}, macro-F1 {record['test']['macro_f1']:.3f}" in shown
    assert all(label in shown for label in LABELS)


def test_what_a_new_run_replaces_and_what_a_stopped_one_goes_on_from_is_said(
    train, common, encoders, tmp_path, capsys, monkeypatch
):
    words = [*common, "--encoder", encoders["bert"], "--output_dir", str(tmp_path / "run"), "--max_steps", "1"]
    assert train(words) == 0
    said = capsys.readouterr()
    assert "finished run" not in said.out + said.err
    assert train(words) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / 'run'} holds a finished run, which this one replaces" in said.err
    assert said.out.splitlines()[-1] == f"the finished run that {tmp_path / 'run'} held is replaced by this one"

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emo_hf.training.run.run", stop)
    assert train(words) == 130
    assert "stopped before its first checkpoint; the same command begins anew" in capsys.readouterr().err
    (tmp_path / "run" / "checkpoint-1").mkdir()
    assert train(words) == 130
    assert "--resume_from_checkpoint last goes on from its last checkpoint" in capsys.readouterr().err


def test_train_names_its_folder_after_the_run(train, common, encoders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "settings.yaml"
    config.write_text("pooling: max\nseed: 3\nper_device_train_batch_size: 16\n")
    assert train([*common, "--encoder", encoders["bert"], "--config", str(config)]) == 0
    record = check_record(tmp_path / "runs" / "train" / "mini-bert_max_none_seed3")
    assert record["arguments"]["training"]["per_device_train_batch_size"] == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pooling", "middle"], "--pooling is 'middle'; allowed: cls, mean, max, attention"),
        (["--aux", "quadruplet"], "quadruplet"),
        (["--aux", "contrastive", "--mining", "semi-hard"], "semi-hard"),
        (["--data", "missing.csv"], "missing.csv does not exist"),
        (["--encoder", "no/such/encoder"], "encoder 'no/such/encoder' can't be loaded"),
        (["--encoder", "no/such/encoder", "--data", "missing.csv"], "missing.csv does not exist"),
        (["--encoder", "me/tiny-bert"], "encoder 'me/tiny-bert' can't be loaded"),
        (["--encoder", "tiny-brt"], "there is no encoder 'tiny-brt'; did you mean tiny-bert?"),
        (["--poling", "mean"], "did you mean --pooling?"),
        (["--max_length", "100"], "--max_length is 100, but"),
        (["--max_length", "two"], "--max_length: invalid int value"),
        (["--labels", "기쁨", "분노"], "분노"),
        (["--text_column", "words"], "words"),
        (["--learning_rate", "1e30", "--max_grad_norm", "0"], "lower --learning_rate"),
        (["--resume_from_checkpoint", "last"], "holds no checkpoint-*"),
    ],
)
def test_mistakes_are_said_in_one_line(train, common, encoders, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "run"
    assert train([*common, "--encoder", encoders["bert"], "--output_dir", str(folder), *words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and message in lines[0]
    record = folder / "record.json"
    if record.exists():
        assert json.loads(record.read_text(encoding="utf-8"))["status"] == "failed"


@pytest.fixture
def grid(common, encoders, tmp_path) -> list[str]:
    words = ["--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "--jobs", "1"]
    return [*common, "--encoders", *encoders.values(), *words, "--study_dir", str(tmp_path / "study")]


def test_compare_writes_records_table_and_pictures(compare, grid, tmp_path, capsys):
    study = tmp_path / "study"
    assert compare(grid) == 0
    runs = [f"mini-{layout}_mean_{aux}_seed1" for layout in ("bert", "roberta") for aux in ("none", "triplet")]
    for name in runs:
        check_record(study / name)
    for name in ("TF-IDF-logistic-regression", "majority-class"):
        check_record(study / name, baseline=True)
    files = {path.name for path in study.iterdir() if path.is_file()}
    pictures = {
        f"{kind}_mini-{layout}.png"
        for kind in ("history", "embeddings", "confusion")
        for layout in ("bert", "roberta")
    }
    assert {"table.md", "table.csv", "study.json", *pictures} <= files
    shown = capsys.readouterr().out
    assert "4 runs, 0 done, 4 due" in shown
    table = (study / "table.md").read_text(encoding="utf-8")
    assert table.strip() in shown
    assert all(name in table for name in ("mini-bert", "mini-roberta", "TF-IDF", "majority class"))

    written = {name: (study / name / "record.json").stat().st_mtime_ns for name in runs}
    assert compare(grid) == 0  # everything is done
    assert "4 runs, 4 done, 0 due" in capsys.readouterr().out
    assert written == {name: (study / name / "record.json").stat().st_mtime_ns for name in runs}
    assert (study / "table.md").read_text(encoding="utf-8") == table

    (study / "table.md").unlink()
    assert compare([*grid, "--report_only", "true"]) == 0
    assert (study / "table.md").read_text(encoding="utf-8") == table

    assert compare([*grid, "--learning_rate", "1e-3"]) == 2
    assert "holds a study with another learning_rate" in capsys.readouterr().err


def test_a_report_takes_what_counts_as_equal(compare, tmp_path, capsys):
    for aux, seed in itertools.product(("none", "triplet"), (1, 2)):
        write_run(tmp_path, aux=aux, seed=seed)
    words = ["--report_only", "true", "--study_dir", str(tmp_path)]
    assert compare([*words, "--equal_within", "2.5"]) == 0
    assert "±2.5 points" in capsys.readouterr().out


@pytest.mark.parametrize(("jobs", "early"), [(1, []), (2, [("one", 4), ("two", 8)])])
def test_maps_of_an_encoder_are_made_when_its_last_run_ends(tmp_path, jobs, early):
    due = [
        Task(name, "mean", aux, seed)
        for name in ("one", "two", "six")
        for aux in ("none", "triplet")
        for seed in (1, 2)
    ]
    for task in due:
        write_run(tmp_path, encoder=task.encoder, pooling="mean", aux=task.aux, seed=task.seed)
    ended, made = [], []

    def run_all(study, due, jobs):
        for task in due:
            ended.append(task)
            yield task, None

    class Beside:
        def submit(self, work, folder, encoder):
            assert work.__name__ == "map_encoder" and folder == tmp_path
            made.append((encoder, len(ended)))

    study = SimpleNamespace(grid=GridArguments(jobs=jobs), folder=tmp_path)
    module = recipe("compare")
    module.execute_here = run_all
    assert module.execute(study, due, Beside(), None, Console(quiet=True)) == []
    assert made == early


def test_a_failing_run_does_not_stop_the_others(compare, grid, encoders, speck, tmp_path, capsys):
    broken = tmp_path / "broken-bert"
    shutil.copytree(encoders["bert"], broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    words = [str(broken) if word == encoders["bert"] else word for word in grid]
    words += ["--data", speck[1], "--num_train_epochs", "1"]
    assert compare(words) == 1
    study = tmp_path / "study"
    for aux in ("none", "triplet"):
        assert (
            json.loads((study / f"mini-roberta_mean_{aux}_seed1" / "record.json").read_text())["status"] == "completed"
        )
        assert not (study / f"broken-bert_mean_{aux}_seed1" / "model.safetensors").exists()
    shown = capsys.readouterr().err
    failed = [line for line in shown.splitlines() if line.startswith("failed: broken-bert")]
    assert len(failed) == 2
    table = (study / "table.md").read_text(encoding="utf-8")
    assert "mini-roberta" in table and "broken-bert" not in table
    shutil.copy(Path(encoders["bert"]) / "model.safetensors", broken)
    assert compare(words) == 0  # only what failed is due
    assert "4 runs, 2 done, 2 due" in capsys.readouterr().out
    assert "broken-bert" in (study / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--poolings", "mean", "middle"], "--pooling is 'middle'"),
        (["--aux", "none", "quadruplet"], "quadruplet"),
        (["--data", "missing.csv"], "missing.csv does not exist"),
        (["--encoders", "no/such/encoder"], "encoder 'no/such/encoder' can't be loaded"),
        (["--seed_list", "1"], "did you mean"),
        (["--max_length", "100"], "--max_length is 100, but"),
        (["--seeds", "1", "1"], "twice"),
        (["--seeds", "one"], "--seeds: invalid int value"),
        (["--report_only", "true"], "study"),
        (["--equal_within", "0"], "--equal_within is 0.0; allowed: above 0 to 100"),
        (["--equal_within", "-1"], "--equal_within is -1.0; allowed: above 0 to 100"),
        (["--equal_within", "nan"], "--equal_within is nan; allowed: above 0 to 100"),
    ],
)
def test_mistakes_of_a_comparison_are_said_before_anything_runs(
    compare, grid, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert compare([*grid, *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error:") and message in lines[0]
    assert not list(tmp_path.glob("study/*/record.json"))


def test_ai_hub_s_files_as_downloaded(train, encoders, tmp_path, capsys):
    """The folder goes in as it came: training part, validation part as test set, both JSON and zip."""
    folder = download(tmp_path / "감성대화")
    words = ["--data", str(folder), "--encoder", encoders["bert"], "--output_dir", str(tmp_path / "run")]
    assert (
        train(
            [*words, *["--num_train_epochs", "1", "--max_length", "32", "--bf16", "false", "--disable_tqdm", "true"]]
        )
        == 0
    )
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["data"]["report"]["kind"] and sum(record["data"]["counts"]["test"].values()) == 12
    assert list(record["test"]["per_class"]) == LABELS


def test_a_search_of_other_settings_is_refused_before_it_says_anything(speck, tmp_path, capsys):
    encoder, data = speck
    words = ["--encoder", encoder, "--data", data, "--max_length", "32", "--search_dir", str(tmp_path / "search")]
    words += ["--num_train_epochs", "1", "--bf16", "false", "--trials", "1", "--space", "learning_rate=1e-4..1e-3"]
    assert recipe("search").main(words) == 0
    assert capsys.readouterr().out.startswith("1 trials over learning_rate=1e-4..1e-3, 0 done, in ")
    assert recipe("search").main([*words, "--trials", "2", "--seed", "9"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "holds a search with another seed (42, now 9)" in said.err


def test_a_finished_run_is_neither_gone_on_with_nor_made_a_study(refused, tmp_path):
    run = tmp_path / write_run(tmp_path)["run_id"]
    said = refused("--output_dir", str(run), "--resume_from_checkpoint", "last")
    assert said.startswith(f"TMP/{run.name} holds a finished run, which keeps no checkpoint to go on from")
    assert "is the folder of a run" in refused("--study_dir", str(run), "--poolings", "cls", recipe="compare")
    assert not (run / "study.json").exists()
