"""One study that most tests of the report share, with its report."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import write_sentences, write_study

from emo_hf.report.report import write_report


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A study of two encoders with six models each over two seeds, and the paths of its report: to read or copy.

    It is drawn with every warning of a missing glyph turned into an error.
    """
    study = tmp_path_factory.mktemp("study")
    write_study(study, encoders=("klue/bert-base", "tiny-roberta"), seeds=(1, 2))
    write_sentences(study)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*")
        return study, write_report(study)


@pytest.fixture
def copied(reported: tuple[Path, list[Path]], tmp_path: Path) -> Callable[[str], Path]:
    """Makes a copy of the shared study's runs, without its report."""

    def copy(name: str) -> Path:
        for run in reported[0].iterdir():
            if run.is_dir():
                shutil.copytree(run, tmp_path / name / run.name)
        shutil.copy(reported[0] / "test.json", tmp_path / name)
        return tmp_path / name

    return copy
