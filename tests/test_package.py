"""The package as others see it: its public names, their types, and its one version."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import yaml
from places import ROOT

import emo_hf


def test_public_names_are_there_and_type_checkers_see_the_same():
    """What `__getattr__` finds at run time is what `if TYPE_CHECKING` imports, name by name."""
    tree = ast.parse(Path(emo_hf.__file__).read_text(encoding="utf-8"))
    [checked] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(emo_hf.__all__) == set(dir(emo_hf)) == {*seen, "__version__"} == {*emo_hf._HOMES, "__version__"}
    for name, module in seen.items():
        assert getattr(emo_hf, name) is getattr(importlib.import_module(module), name)
        assert module == f"emo_hf.{emo_hf._HOMES[name]}"


def test_the_version_stands_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "emo_hf.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == emo_hf.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", emo_hf.__version__)
