"""README and guides are true: their commands parse, their files and links exist, their words are plain."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import COMMANDS, GUIDES, NOTEBOOK, TEXTS
from places import ROOT
from test_house import GROUND, MAY_IMPORT

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.search.search import SearchArguments
from emo_hf.study.grid import GridArguments
from emo_hf.study.transfer import TransferArguments

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


class _Parsed(BaseException):
    """Ends a recipe as soon as it has read its words."""

    def __init__(self, left: list[str]) -> None:
        self.left = left


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], list[str]]:
    """Calls the `main` of a script, up to and with its argparse parser; returns the words that were left over."""
    parser = argparse.ArgumentParser
    own = {name: getattr(parser, name) for name in ("parse_known_args", "parse_known_intermixed_args")}

    def parse_by(name: str) -> Callable[..., Any]:
        def parse(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
            with pytest.MonkeyPatch.context() as patch:  # of which one calls the other
                patch.setattr(parser, "parse_known_args", own["parse_known_args"])
                left = own[name](self, *args, **kwargs)[1]
            raise _Parsed(left)

        return parse

    def call(name: str, given: list[str]) -> list[str]:
        module = importlib.import_module(name)
        with monkeypatch.context() as patch, pytest.raises(_Parsed) as found:
            for name in own:
                patch.setattr(parser, name, parse_by(name))
            module.main(given)
        return found.value.left

    return call


def of_comparison() -> list[type]:
    """What `recipes/compare.py` takes beside the arguments of its runs."""
    return [GridArguments, importlib.import_module("compare").ReportArguments]


def of_transfer() -> list[type]:
    """What `recipes/transfer.py` takes beside the arguments of its runs."""
    return [TransferArguments, importlib.import_module("transfer").ReportArguments]


OWN_ARGUMENTS: dict[str, Callable[[], list[type]]] = {
    "recipes/compare.py": of_comparison,
    "recipes/search.py": lambda: [SearchArguments],
    "recipes/transfer.py": of_transfer,
}


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
    elif script in OWN_ARGUMENTS:
        own = OWN_ARGUMENTS[script]()
        *_, left, settings = parse_arguments(own, given, partial=True)
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
        *_, left, _ = parse_arguments(of_comparison(), shlex.split(" ".join(given)), partial=True)
        parse_arguments([ModelArguments, DataArguments, MetricTrainingArguments], left)


def test_every_program_is_known_and_every_extra_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for command in COMMANDS:
        assert command.split()[0] in PROGRAMS, command
        for names in re.findall(r"\.\[([\w,-]+)\]", command):
            assert set(names.split(",")) <= set(extras), command
    for page in ("README.md", "recipes/guides/ko.md"):
        table = TEXTS[page].split("## Guides")[0]
        assert all(f"`{extra}`" in table for extra in extras), page


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
