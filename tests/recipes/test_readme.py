"""README and guides run as they are typed: their Python, the notebook, the commands of a model's way."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import datasets
import hub_server
import pytest
from pages import NOTEBOOK, PYTHON, TEXTS, commands_of
from places import ROOT
from synthetic import write_study
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.encoders import encoder_path
from emo_hf.models.pretrained import build_model


@pytest.mark.parametrize(("name", "code"), PYTHON, ids=[name for name, _ in PYTHON])
def test_python_names_what_there_is(name: str, code: str) -> None:
    """Every example compiles, and what it imports of ours is there and takes the arguments that are given."""
    calls = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("emo_hf"):
            module = importlib.import_module(node.module)
            calls |= {alias.name: getattr(module, alias.name) for alias in node.names}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Arguments"):
            fields = calls[node.func.id].__dataclass_fields__
            assert {keyword.arg for keyword in node.keywords} <= set(fields), name


def test_the_losses_stand_alone() -> None:
    [code] = [code for _, code in PYTHON if "from emo_hf.losses" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["embeddings"].grad.norm() > 0


def test_a_trainer_by_hand_learns_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of README as it is, with an encoder that needs no network."""
    [code] = [code for name, code in PYTHON if name == "README.md" and "MetricTrainer(" in code]
    texts = ["내일이 떨려", "자꾸 초조해", "많이 울었어", "너무 서러워", "정말 신나", "크게 웃었어"] * 16
    rows = datasets.Dataset.from_list([{"sentence": t, "label": k % 6 // 2} for k, t in enumerate(texts)])
    monkeypatch.chdir(tmp_path)
    exec(code.replace("klue/bert-base", encoder_path("tiny-bert")), {"rows": rows})
    [best] = (tmp_path / "runs" / "by_hand").glob("checkpoint-*/tokenizer.json")
    state = json.loads((best.parent / "trainer_state.json").read_text())
    assert state["best_metric"] > 0.9


@pytest.mark.slow
def test_the_five_lines_print_what_the_readme_shows(tmp_path: Path) -> None:
    """The same sentences get the same labels with probabilities that sum to one; digits are the processor's."""
    code, shown = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", TEXTS["README.md"], flags=re.DOTALL).groups()
    assert len([line for line in code.splitlines() if line]) <= 5
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = [ast.literal_eval(line) for line in shown.splitlines()]
    printed = [ast.literal_eval(line) for line in done.stdout.splitlines()[-len(expected) :]]
    for found, row in zip(printed, expected, strict=True):
        assert list(found) == list(row)
        assert sum(found.values()) == pytest.approx(1, abs=0.02)
    assert max(printed[0], key=printed[0].get) == max(expected[0], key=expected[0].get) == "기쁨"
    assert (tmp_path / "runs" / "mine" / "record.json").exists()


def test_the_notebook_runs(
    tmp_path: Path, speck: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All code cells in order in one namespace, beside a study whose models are small and untrained."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code") and cell["id"]
        assert "/home/" not in json.dumps(cell) and "/root/" not in json.dumps(cell)
    study = tmp_path / "runs" / "compare"
    write_study(study)
    (study / "findings.md").write_text("- mean over cls: **undecided**\n", encoding="utf-8")
    for folder in study.glob("tiny-bert_mean_triplet_seed*"):
        build_model(ModelArguments(encoder=speck[0], pooling="mean"), ("불안", "슬픔", "기쁨")).save_pretrained(folder)
        AutoTokenizer.from_pretrained(speck[0]).save_pretrained(folder)
    (tmp_path / "recipes" / "guides").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "recipes" / "guides")
    names: dict[str, Any] = {"display": print}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    said = capsys.readouterr().out
    assert "undecided" in said and "기쁨" in said
    assert names["table"].loc[("tiny-bert", "mean", "triplet"), "runs"] == 3
    assert len(names["predicted"]) == 3


@pytest.mark.slow
def test_training_and_predicting_as_typed(tmp_path: Path) -> None:
    """The commands of README on one model, on one epoch, from the checkout's folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    folder = tmp_path / "run"
    train = next(c for c in commands_of(TEXTS["README.md"]) if c.startswith("accelerate launch"))
    command = [*shlex.split(train), "--num_train_epochs", "1", "--output_dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "macro-F1" in done.stdout
    predict = [sys.executable, "recipes/predict.py", str(folder), "드디어 합격했어"]
    done = subprocess.run(predict, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_to_the_hub_and_out_again_as_typed(tmp_path: Path) -> None:
    """Train, push, push again, export, predict, serve, make a Space, use without emo_hf: the guide, one epoch."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    write_study(tmp_path / "runs" / "compare")
    for record in (tmp_path / "runs" / "compare").glob("tiny-bert*/record.json"):
        (record.parent / "model.safetensors").write_bytes(b"")
    guide = TEXTS["recipes/guides/hub_and_export.md"]
    commands = [c for c in commands_of(guide) if c.startswith("python recipes/") and "bench" not in c]
    assert [shlex.split(c)[1].removeprefix("recipes/") for c in commands] == [
        "train.py", "push.py", "push.py", "export.py", "predict.py", "demo.py", "demo.py",
    ]  # fmt: skip
    [example] = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    with hub_server.running() as server:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        clean |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment = clean | hub_server.environment(server, str(tmp_path / "home"))

        def done(words: list[str], **given: str) -> str:
            ended = subprocess.run(words, cwd=tmp_path, env=environment | given, capture_output=True, text=True)
            assert ended.returncode == 0, f"{words}: {ended.stderr[-2000:]}"
            return ended.stdout

        for command in commands[:5]:
            words = [sys.executable, *shlex.split(command.replace("me/", "tester/"))[1:]]
            if "recipes/train.py" in command:
                folder = "runs/train/tiny-bert_mean_triplet_seed42"
                words += ["--num_train_epochs", "1", "--train_fraction", "0.2", "--output_dir", folder]
            said = done(words)
            if "recipes/push.py runs/train" in command:
                assert server.repos["tester/emotions"].commits == 1  # train.py has pushed it already
        assert said.count("\t") >= 2  # of predict.py
        assert len(server.collections["tester/emotions-compare-0123"]) == 6
        serve, space = (
            [sys.executable, *shlex.split(c.replace("me/", "tester/"))[1:]] for c in commands if "demo.py" in c
        )
        with subprocess.Popen(
            serve, cwd=tmp_path, env=environment | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                address = next(line for line in process.stdout if "http://" in line).split()[-1]
                assert "Which emotion" in urlopen(address).read().decode()
            finally:
                process.terminate()
        done(space)
        assert "app.py" in server.repos["spaces/tester/emotions-demo"].files
        blocked = "import sys; sys.modules['emo_hf'] = None\n" + example.replace("me/", "tester/")
        assert "기쁨" in done([sys.executable, "-c", blocked], HF_HOME=str(tmp_path / "bare"))
