"""The README is true: its commands parse, its files exist, its Python runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import hub_server
import pytest
import yaml
from places import ROOT
from synthetic import write_study

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.study.grid import GridArguments

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for kind, block in BLOCKS
    if kind == "bash"
    for line in block.splitlines()
    if line.split("#")[0].strip()
] + re.findall(r"`((?:python|accelerate|make) [^`]+)`", README)


def words_of(command: str) -> list[str]:
    return shlex.split(command.replace("…", ""))


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if "recipes/" in c}))
def test_every_recipe_takes_its_arguments(command: str) -> None:
    words = words_of(command)
    script = next(word for word in words if word.startswith("recipes/"))
    given = words[words.index(script) + 1 :]
    given = [str(ROOT / w) if w.startswith("recipes/") else w for w in given]
    assert (ROOT / script).is_file()
    if script == "recipes/train.py":
        parse_arguments([ModelArguments, DataArguments, MetricTrainingArguments], given)
    elif script == "recipes/compare.py":
        _, left, settings = parse_arguments([GridArguments], given, partial=True)
        left = [word for word in left if word not in ("--lang", "ko", "en")]
        parse_arguments([ModelArguments, DataArguments, MetricTrainingArguments], left, settings=settings)
    else:
        shown = subprocess.run([sys.executable, ROOT / script, "--help"], capture_output=True, text=True, check=True)
        assert all(word.split("=")[0] in shown.stdout for word in given if word.startswith("--"))


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if c.startswith("make ")}))
def test_every_goal_exists(command: str) -> None:
    goal = words_of(command)[1]
    assert re.search(rf"^{goal}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_every_room_that_is_named_exists() -> None:
    for name in re.findall(r"`(emo_hf/[\w/]+)`", README):
        assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), name


def test_klue_settings_name_the_published_study() -> None:
    settings = yaml.safe_load((ROOT / "recipes" / "klue.yaml").read_text(encoding="utf-8"))
    assert settings["encoders"] == ["klue/bert-base", "klue/roberta-base"]
    assert (settings["max_length"], settings["embedding_size"], settings["aux_weight"]) == (128, 256, 0.1)
    assert settings["labels"] == ["불안", "슬픔", "기쁨"]


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path) -> None:
    [example] = [block for kind, block in BLOCKS if kind == "python" and "emo_hf import" in block]
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "기쁨" in done.stdout
    assert (tmp_path / "runs" / "mine" / "record.json").exists()


@pytest.mark.slow
def test_training_and_predicting_as_typed(tmp_path: Path) -> None:
    """The commands of the section on one model, on one epoch, from the checkout's folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    folder = tmp_path / "run"
    train = next(c for c in COMMANDS if c.startswith("accelerate launch"))
    command = [*shlex.split(train), "--num_train_epochs", "1", "--output_dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "macro-F1" in done.stdout
    predict = [sys.executable, "recipes/predict.py", str(folder), "드디어 합격했어"]
    done = subprocess.run(predict, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_to_the_hub_and_out_again_as_typed(tmp_path: Path) -> None:
    """Train, push, push again, export, predict, serve, make a Space, use without emo_hf: the section, one epoch."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    write_study(tmp_path / "runs" / "compare")
    for record in (tmp_path / "runs" / "compare").glob("tiny-bert*/record.json"):
        (record.parent / "model.safetensors").write_bytes(b"")
    section = README.split("## To the Hub and out again")[1].split("\n## ")[0]
    commands = [c for c in COMMANDS if c in section and c.startswith("python recipes/")]
    assert [words_of(c)[1].removeprefix("recipes/") for c in commands if "bench" not in c] == [
        "train.py", "push.py", "push.py", "export.py", "predict.py", "demo.py", "demo.py",
    ]  # fmt: skip
    [example] = [block for kind, block in BLOCKS if kind == "python" and "me/emotions" in block]
    with hub_server.running() as server:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        clean |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment = clean | hub_server.environment(server, str(tmp_path / "home"))

        def done(words: list[str], **given: str) -> str:
            ended = subprocess.run(words, cwd=tmp_path, env=environment | given, capture_output=True, text=True)
            assert ended.returncode == 0, f"{words}: {ended.stderr[-2000:]}"
            return ended.stdout

        for command in commands[:5]:
            words = [sys.executable, *words_of(command.replace("me/", "tester/"))[1:]]
            if "recipes/train.py" in command:
                folder = "runs/train/tiny-bert_mean_triplet_seed42"
                words += ["--num_train_epochs", "1", "--train_fraction", "0.2", "--output_dir", folder]
            said = done(words)
            if "recipes/push.py runs/train" in command:
                assert server.repos["tester/emotions"].commits == 1  # train.py has pushed it already
        assert said.count("\t") >= 2  # of predict.py
        assert len(server.collections["tester/emotions-compare-0123"]) == 6
        serve, space = (
            [sys.executable, *words_of(c.replace("me/", "tester/"))[1:]] for c in commands if "demo.py" in c
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
