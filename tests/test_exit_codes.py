"""A recipe as a command: how it ends, and what it says of words that it can't read."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from places import RECIPES, ROOT, recipe

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.parsing import OWN_KEYS
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.search.search import SearchArguments
from emo_hf.study.grid import GridArguments

ENDS = {
    "well": (None, 0, ""),
    "with a code": (1, 1, ""),
    "with a mistake": (UserError("--x is 3\nallowed: 1"), 2, "error: --x is 3 allowed: 1\n"),
    "stopped": (KeyboardInterrupt(), 130, "\nstopped; go on\n"),
    "stopped, with a word of its own": (KeyboardInterrupt("stopped at last"), 130, "\nstopped at last\n"),
}


@pytest.mark.parametrize("case", ENDS)
def test_how_a_command_ends(capsys, case):
    outcome, code, said = ENDS[case]

    @command(stopped="stopped; go on")
    def main(argv: Sequence[str]) -> int | None:
        print(*argv)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    assert main(["one", "two"]) == code
    assert capsys.readouterr() == ("one two\n", said)


def test_what_is_no_mistake_of_the_user_keeps_its_traceback():
    @command()
    def main(argv: Sequence[str]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main([])


READ_BY_HEAD = """
import sys
from emo_hf.exit_codes import command

@command()
def main(argv):
    for _ in range(int(argv[0])):
        print("line")

sys.exit(main())
"""


@pytest.mark.parametrize("name", ["train", "compare", "search"])
def test_a_recipe_that_is_stopped_among_its_imports_says_so_in_a_line(name, tmp_path):
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt", encoding="utf-8")
    found = subprocess.run(
        [sys.executable, str(RECIPES / f"{name}.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert found.returncode != 0 and (found.stdout, found.stderr) == ("", "\nstopped\n")


@pytest.mark.parametrize("lines", [3, 100_000])
def test_a_reader_that_has_enough_is_no_mistake(lines):
    """Fewer lines than the pipe's buffer meet the closed pipe at the end only."""
    command = [sys.executable, "-c", READ_BY_HEAD, str(lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: model; see --help"),
        (["m", "--size", "two"], "argument --size: invalid int value: 'two'; see --help"),
        (["m", "--lang", "de"], "argument --lang: invalid choice: 'de'"),
        (["m", "--siez", "2"], "unknown argument '--siez'; did you mean --size?"),
        (["m", "--lan", "ko"], "unknown argument '--lan'; did you mean --lang?"),
        (["m", "--zzz"], "unknown argument '--zzz'; see --help"),
        (["m", "--size"], "argument --size: expected one argument; see --help"),
        (["a\udcff"], "is not UTF-8"),
    ],
)
def test_words_that_are_wrong_are_one_line(words, said):
    parser = CommandParser("A recipe.")
    parser.add_argument("model")
    parser.add_argument("--size", type=int)
    parser.add_argument("--lang", choices=["en", "ko"])
    with pytest.raises(UserError) as error:
        parser.parse_words(words)
    assert said in str(error.value) and "usage" not in str(error.value)


LIGHT = """
import runpy, sys
for name in sys.argv[1:]:
    try:
        runpy.run_path(name)["main"](["--help"])
    except SystemExit as ended:
        assert ended.code == 0
heavy = {"torch", "transformers", "datasets", "pandas", "gradio", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


def test_options_may_stand_before_the_last_words():
    parser = CommandParser("A recipe.")
    parser.add_argument("model")
    parser.add_argument("input", nargs="*")
    parser.add_argument("--output")
    for words in (
        ["m", "--output", "o", "a", "b"],
        ["--output", "o", "m", "a", "b"],
        ["m", "a", "b", "--output", "o"],
    ):
        assert vars(parser.parse_words(words)) == {"model": "m", "input": ["a", "b"], "output": "o"}


def test_help_of_the_recipes_that_train_nothing_is_there_at_once():
    paths = [str(RECIPES / f"{name}.py") for name in ("predict", "export", "push", "demo", "plan")]
    done = subprocess.run([sys.executable, "-c", LIGHT, *paths], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: ") == 5


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help of train.py, compare.py and search.py, and that with everything, by name."""
    found = {}
    for name in ("train", "compare", "search"):
        for words in (["--help"], ["--help", "all"]):
            with pytest.MonkeyPatch.context() as patch:
                written: list[str] = []
                patch.setattr("sys.stdout.write", written.append)
                with pytest.raises(SystemExit) as ended:
                    recipe(name).main(words)
            assert ended.value.code == 0
            found[" ".join([name, *words[1:]])] = "".join(written)
    return found


def test_help_begins_with_what_matters(helps):
    for name in ("train", "compare", "search"):
        lines = helps[name].splitlines()
        assert helps[name].count("usage: ") == 1 and len(lines) < 170
        titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
        assert titles[0] == "general:" and titles[-4:] == ["model:", "data:", "loss:", "training:"]
        assert "further arguments are Trainer's own" in lines[-1] and "`--help all`" in lines[-1]
        for flag in ("--config ", "--pooling ", "--aux ", "--aux_weight ", "--learning_rate ", "--seed ", "--data "):
            assert helps[name].count(f"  {flag}") == 1, flag
        assert "--adam_beta1" not in helps[name]
    assert "--from_record" in helps["train"] and "--seeds" in helps["compare"] and "--space" in helps["search"]


def test_help_all_has_every_argument(helps):
    for name, own in (("train", []), ("compare", [GridArguments]), ("search", [SearchArguments])):
        shown = helps[f"{name} all"]
        for cls in [*own, ModelArguments, DataArguments, MetricTrainingArguments]:
            assert not [f.name for f in dataclasses.fields(cls) if f.init and f"  --{f.name}" not in shown]


def test_what_one_recipe_alone_takes_is_known():
    every = (ModelArguments, DataArguments, MetricTrainingArguments)
    shared = {f.name for cls in every for f in dataclasses.fields(cls)}
    found = {
        "compare.py": [GridArguments, recipe("compare").ReportArguments],
        "search.py": [SearchArguments],
        "train.py": [recipe("train").RepetitionArguments],
    }
    for name, classes in found.items():
        assert OWN_KEYS[name] == {f.name for cls in classes for f in dataclasses.fields(cls)} - shared


@pytest.mark.parametrize("given", ["train", "search", "compare"])
def test_a_file_of_another_recipe_is_named_as_such(given, tmp_path, capsys):
    files = {"compare": RECIPES / "klue.yaml", "search": tmp_path / "search.yaml", "train": tmp_path / "again.yaml"}
    files["search"].write_text("aux: triplet\ntrials: 3\n")
    files["train"].write_text("from_record: record.json\n")
    for name, path in files.items():
        if name == given:
            continue
        assert recipe(given).main(["--config", str(path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {path} is for {name}.py (its key ") and said.count("\n") == 1
        assert said.endswith(f"; run: python recipes/{name}.py --config {path}\n")
    path = Path(tmp_path / "slip.yaml")
    path.write_text("lernng_rate: 3\n")
    assert recipe(given).main(["--config", str(path)]) == 2
    assert capsys.readouterr().err.endswith("unknown key 'lernng_rate'; did you mean learning_rate?\n")
