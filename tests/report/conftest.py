"""One study that most tests of the report share, with its report."""

from __future__ import annotations

import itertools
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import write_run, write_sentences

from emo_hf.report.report import write_report


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A study of two encoders with four models each over two seeds, and the paths of its report: to read or copy.

    It is drawn with every warning of a missing glyph turned into an error.
    """
    study = tmp_path_factory.mktemp("study")
    cells = itertools.product(["klue/bert-base", "tiny-roberta"], ["cls", "mean"], ["none", "triplet"], [1, 2])
    for encoder, pooling, aux, seed in cells:
        write_run(study, encoder=encoder, pooling=pooling, aux=aux, seed=seed)
    write_run(study, baseline="TF-IDF + logistic regression", correct=0.6)
    write_run(study, baseline="majority class", correct=0.3)
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
