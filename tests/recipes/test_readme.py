"""README and guides are true: their commands parse, their files exist, their Python runs."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import hub_server
import pytest
import yaml
from places import ROOT
from synthetic import write_study
from test_house import GROUND, MAY_IMPORT
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss
from emo_hf.models.pretrained import build_model
from emo_hf.search.search import SearchArguments
from emo_hf.study.grid import GridArguments

GUIDES = ROOT / "recipes" / "guides"
NOTEBOOK = GUIDES / "study.ipynb"
PAGES = [
    ROOT / "README.md",
    *sorted(GUIDES.glob("*.md")),
    *sorted((ROOT / "recipes" / "results").glob("*.md")),
    *sorted((ROOT / ".github").glob("*.md")),
    ROOT / "emo_hf" / "data" / "sample" / "README.md",
    ROOT / "emo_hf" / "encoders" / "README.md",
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
BLOCKS = [
    (name, kind, block)
    for name, text in TEXTS.items()
    for kind, block in re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)
]
# What a newcomer doesn't know, each with the word that stands instead.
UNKNOWN_WORDS = {
    "yardstick": "baseline",
    "said in a line": "a one-line message",
    "said in one line": "a one-line message",
    "manner of the": "reference implementation",
    "notebooks' manner": "reference implementation",
    "metric head": "metric loss",
}
PROGRAMS = {
    "accelerate", "cat", "cd", "dask", "git", "hf", "make", "pip", "pip-audit", "python", "python3", "tensorboard",
    "torchrun", ".",
}  # fmt: skip


def commands_of(text: str) -> list[str]:
    """The commands of a page: lines of its bash blocks, one a `&&` or pipe, and those that stand in a sentence."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line := line.split("#")[0].strip():
                found += [part.strip() for part in re.split(r"&&|\|", line)]
    return found + re.findall(r"`((?:python|accelerate|make|torchrun|pip) [^`]+)`", text)


COMMANDS = sorted({command for text in TEXTS.values() for command in commands_of(text)})


class _Parsed(BaseException):
    """Ends a recipe as soon as it has read its words."""

    def __init__(self, left: list[str]) -> None:
        self.left = left


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], list[str]]:
    """Calls the `main` of a script, up to and with its argparse parser; returns the words that were left over."""
    own = argparse.ArgumentParser.parse_known_args

    def parse(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        raise _Parsed(own(self, *args, **kwargs)[1])

    def call(name: str, given: list[str]) -> list[str]:
        module = importlib.import_module(name)
        with monkeypatch.context() as patch, pytest.raises(_Parsed) as found:
            patch.setattr(argparse.ArgumentParser, "parse_known_args", parse)
            module.main(given)
        return found.value.left

    return call


@pytest.mark.parametrize("command", [c for c in COMMANDS if "recipes/" in c and ".py" in c])
def test_every_recipe_takes_its_arguments(command: str, parse_only: Callable, tmp_path: Path) -> None:
    words = shlex.split(command.split(">")[0])
    place, script = next((i, word) for i, word in enumerate(words) if word.endswith(".py"))
    assert (ROOT / script).is_file()
    for word in words[:place]:
        assert not word.startswith("recipes/") or (ROOT / word).is_file(), word
    given = [str(ROOT / w) if w.startswith("recipes/") else w for w in words[place + 1 :]]
    if "runs/search/best.yaml" in given:  # what a search writes, and a checkout has not
        best = tmp_path / "best.yaml"
        best.write_text("encoder: tiny-bert\npooling: mean\naux: triplet\nmargin: 0.5\n", encoding="utf-8")
        given[given.index("runs/search/best.yaml")] = str(best)
    run_arguments = [ModelArguments, DataArguments, MetricTrainingArguments]
    if script == "recipes/train.py":
        if "--from_record" in given:
            assert len(given) == 2
            return
        parse_arguments(run_arguments, given)
    elif script in ("recipes/compare.py", "recipes/search.py"):
        own = GridArguments if script == "recipes/compare.py" else SearchArguments
        _, left, settings = parse_arguments([own], given, partial=True)
        left = [word for word in left if word not in ("--lang", "ko", "en")]
        parse_arguments(run_arguments, left, settings=settings)
    else:
        assert parse_only(Path(script).stem, given) == []


def test_a_wrong_argument_is_noticed(parse_only: Callable) -> None:
    assert parse_only("predict", ["MODEL", "--formt", "csv"]) == ["--formt", "csv"]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_every_goal_exists_and_takes_its_arguments(command: str) -> None:
    words = shlex.split(command)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE)
    given = [word.removeprefix("ARGS=") for word in words[2:]]
    if words[1] in ("compare", "sweep", "report"):
        _, left, _ = parse_arguments([GridArguments], shlex.split(" ".join(given)), partial=True)
        left = [word for word in left if word not in ("--lang", "ko", "en")]
        parse_arguments([ModelArguments, DataArguments, MetricTrainingArguments], left)


def test_every_program_is_known_and_every_extra_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for command in COMMANDS:
        assert command.split()[0] in PROGRAMS, command
        for names in re.findall(r"\.\[([\w,-]+)\]", command):
            assert set(names.split(",")) <= set(extras), command
    for page in ("README.md", "recipes/guides/ko.md"):
        table = TEXTS[page].split("## Guides")[0]
        assert all(f"| `{extra}` |" in table for extra in extras), page


def anchors(text: str) -> set[str]:
    """The places of a page that a link can name, as GitHub makes them of headings."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", plain, flags=re.MULTILINE)
    }


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[name]):
        if target.startswith("http"):
            continue
        path, _, place = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), target
        if place:
            assert place in anchors(found.read_text(encoding="utf-8")), target


def test_every_file_that_is_named_exists() -> None:
    for name, text in TEXTS.items():
        for path in re.findall(r"`((?:emo_hf|tests|recipes)/[\w/.-]*\w)/?`", text):
            assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists(), f"{name}: {path}"


def test_every_guide_is_listed() -> None:
    for path in [*GUIDES.glob("*.md"), NOTEBOOK]:
        assert f"(recipes/guides/{path.name})" in TEXTS["README.md"], path.name


def test_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("name", [*TEXTS, "recipes/guides/study.ipynb"])
def test_words_are_known_to_a_newcomer(name: str) -> None:
    text = unicodedata.normalize("NFC", " ".join((ROOT / name).read_text(encoding="utf-8").lower().split()))
    assert [word for word in UNKNOWN_WORDS if word in text] == []


def test_rooms_stand_in_the_guide_on_design_in_their_order() -> None:
    named = re.findall(r"^\| `emo_hf/(\w+)`", TEXTS["recipes/guides/design.md"], flags=re.MULTILINE)
    assert [name for name in named if name not in GROUND] == list(MAY_IMPORT)


def test_the_workflow_runs_goals_that_exist_on_pythons_that_are_claimed() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    goals = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {goal.removeprefix("make ") for goal in goals} == {"lint", "test", "test-lowest"}
    assert all(re.search(rf"^{goal.removeprefix('make ')}:", makefile, flags=re.MULTILINE) for goal in goals)
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    assert project["requires-python"] == f">={versions[0]}" and all(isinstance(version, str) for version in versions)
    tests = re.search(r"^LOWEST_TESTS \?= (.*?)\n\n", makefile, flags=re.MULTILINE | re.DOTALL)[1]
    assert all((ROOT / path).exists() for path in tests.replace("\\", "").split())


def test_the_bug_form_asks_for_the_record() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    fields = {field["id"]: field for field in form["body"]}
    assert fields["record"]["attributes"]["label"] == "record.json" and fields["record"]["validations"]["required"]


def test_klue_settings_name_the_published_study() -> None:
    settings = yaml.safe_load((ROOT / "recipes" / "klue.yaml").read_text(encoding="utf-8"))
    assert settings["encoders"] == ["klue/bert-base", "klue/roberta-base"]
    assert (settings["max_length"], settings["embedding_size"], settings["aux_weight"]) == (128, 256, 0.1)
    assert settings["labels"] == ["불안", "슬픔", "기쁨"]


PYTHON = [(name, block) for name, kind, block in BLOCKS if kind == "python"]


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


@pytest.mark.parametrize("loss", [ContrastiveLoss, SupConLoss, TripletLoss])
def test_the_table_of_losses_names_what_each_takes(loss: type) -> None:
    table = TEXTS["recipes/guides/losses.md"].split("<!-- table of losses -->")[1]
    name = loss.__name__.removesuffix("Loss").lower()
    [row] = re.findall(rf"^\| `{name}` \|(.*)\|$", table, flags=re.MULTILINE)
    flags, options = row.split("|")[:2]
    minings = re.findall(r"`--mining` \((.*?)\)", flags)
    takes = set(inspect.signature(loss).parameters)
    assert [tuple(names.split(", ")) for names in minings] == ([loss.minings] if "mining" in takes else [])
    assert set(re.findall(r"`--(\w+)`", flags)) == takes & {"mining", "margin", "distance"}
    assert set(re.findall(r"`(\w+)`", options)) == takes - {"mining", "margin", "distance"}


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
    (study / "findings.md").write_text("- mean over cls: no difference shown\n", encoding="utf-8")
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
    assert "no difference shown" in said and "기쁨" in said
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
