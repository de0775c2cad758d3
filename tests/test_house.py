"""The rules of the house: which room may import which, what never stands in the package, how long a module grows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import emo_hf

PACKAGE = Path(emo_hf.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TRAVELLING = {"configuration", "layouts", "pooling", "ngrams", "modeling", "static"}
# Data walks one way: a room may import the rooms that it names, and `GROUND`, which everybody stands on.
GROUND = {"errors", "exit_codes", "redaction", "escaping", "distributed", "registration", "__init__"}
MAY_IMPORT = {
    "storage": set(),
    "evaluation": set(),
    "data": {"storage"},
    "arguments": {"data.taxonomy"},  # the names of labels alone
    "encoders": {"storage"},
    "models": {"storage", "arguments", "encoders"},
    "losses": set(),
    "training": {"storage", "evaluation", "data", "arguments", "models", "encoders", "losses"},
    "pretraining": {"storage"},
    "study": {
        "storage", "evaluation", "data", "arguments", "encoders", "losses", "training", "models.pretrained",
        "models.parents",
    },
    "search": {
        "storage", "evaluation", "data", "arguments", "models", "encoders", "losses", "training", "study.space",
        "study.variations",
    },
    "report": {"storage", "evaluation"},
    "inference": {"storage", "evaluation.abstaining", "data", "arguments", "models", "training"},
    "suggesting": {"storage", "data", "inference", "report.page_font"},
    "distillation": {"storage", "data", "arguments", "models", "training", "inference"},
    "export": {"storage", "evaluation", "data", "arguments", "models", "training", "inference"},
    "hub": {"storage", "evaluation", "encoders", "report"},
}  # fmt: skip
GROUND_IMPORTS = {
    "errors": {"redaction"},
    "exit_codes": {"errors", "redaction"},
    "registration": {"models"},
    "__init__": {"registration"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """Every module that a file imports, inside functions too, by its full name."""
    package = ("emo_hf", *path.relative_to(PACKAGE).parent.parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path == PACKAGE / "__init__.py":  # public names for type checkers, which stand beside the rooms' order
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from emo_hf import x` may name a module; `from emo_hf.x import y` names x.
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "emo_hf" else {module}
    return found


def ours(path: Path) -> set[str]:
    """The imports of our own, without the package's name."""
    return {name.removeprefix("emo_hf.") for name in imported(path) if name.split(".")[0] == "emo_hf"}


def test_every_room_is_known():
    assert {room(path) for path in MODULES} == set(MAY_IMPORT) | GROUND


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    own = room(path)
    allowed = GROUND_IMPORTS.get(own, set()) if own in GROUND else MAY_IMPORT[own] | GROUND | {own, "__version__"}
    wrong = {
        name for name in ours(path) if not any(name == other or name.startswith(f"{other}.") for other in allowed)
    }
    assert not wrong, f"{path.name} must not import {', '.join(sorted(wrong))}"


def test_rooms_stand_in_the_order_in_which_they_import():
    """So there is no circle: each imports from those above it."""
    above: set[str] = set()
    for name, others in MAY_IMPORT.items():
        assert {other for other in others if other != "data.taxonomy"} <= above, name
        above |= {name, *(f"{name}.{path.stem}" for path in (PACKAGE / name).glob("*.py"))}


def test_modules_of_a_room_form_no_circle():
    waiting = {}
    for path in MODULES:
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        waiting[name] = ours(path) - {name}
    while waiting:
        free = [name for name, others in waiting.items() if not others & set(waiting)]
        assert free, f"a circle among {', '.join(waiting)}"
        for name in free:
            del waiting[name]


def test_closed_rooms_are_entered_by_their_door_alone():
    """Fast paths and pictures: nobody else needs to know how they are made."""
    doors = {
        "training.cpu": {"training/trainer.py", "distillation/lessons.py"},  # the two that train
        "data.sources": {"data/"},
        "report.plots": {"report/", "hub/"},
    }
    for closed, through in doors.items():
        inside = PACKAGE / closed.replace(".", "/")
        for path in MODULES:
            here = path.relative_to(PACKAGE).as_posix()
            if inside not in path.parents and any(name.startswith(f"{closed}.") for name in ours(path)):
                assert any(here.startswith(door) for door in through), f"{here} imports from {closed}"


def test_the_taxonomy_imports_no_other_room():
    assert ours(PACKAGE / "data" / "taxonomy.py") <= {"errors"}


@pytest.mark.parametrize("name", sorted(TRAVELLING))
def test_what_travels_to_the_hub_imports_its_own_kind_only_and_relatively(name):
    tree = ast.parse((PACKAGE / "models" / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("emo_hf") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            if node.level:
                assert node.level == 1 and node.module in TRAVELLING
            else:
                assert node.module.split(".")[0] in {"collections", "dataclasses", "typing", "torch", "transformers"}


WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import {}
"""


@pytest.mark.parametrize("module", ["emo_hf.report.report", "emo_hf.storage.record", "emo_hf.evaluation.statistics"])
def test_runs_without_torch(module):
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH.format(module)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_one_room_talks_to_other_processes():
    for path in MODULES:
        if room(path) != "distributed":
            assert not [name for name in imported(path) if name.startswith("torch.distributed")], path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_style(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    calls = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert "print" not in calls
    assert len(text.splitlines()) < 350
    assert path.stem not in {"utils", "util", "common", "helpers", "helper", "misc"}
    if text.strip():
        assert ast.get_docstring(tree), "a module says in a line what it is"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert not [base for base in node.bases if isinstance(base, ast.Name) and base.id == "object"]


def test_functions_fit_a_screen():
    long = {
        f"{path.name}: {node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > 90
    }
    assert not long


def test_every_library_that_is_imported_is_declared():
    """One that only comes with another would be gone with that one's next release."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[^\w.-]", word)[0].lower().replace("_", "-") for group in groups for word in group}
    owners = packages_distributions()
    for path in MODULES:
        top = {name.split(".")[0] for name in imported(path)} - {"emo_hf"} - sys.stdlib_module_names
        for name in top:
            assert {owner.lower().replace("_", "-") for owner in owners[name]} & declared, f"{path.name}: {name}"


def test_the_package_declares_its_types():
    assert (PACKAGE / "py.typed").exists()
