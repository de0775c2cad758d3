"""The pages of corpora with several labels a row: how they are cut, and that a page holds what was found."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import results_sets
from conftest import LABELS
from label_set_rows import set_rows
from places import RECIPES, ROOT
from scipy import special
from sklearn.metrics import f1_score

from emo_hf.storage.record import load_predictions, read_records


def publish(folder: Path) -> list[str]:
    """A folder in the form of GoEmotions-Korean's; returns the texts of its dev.tsv."""
    rows = [(text, labels) for text, labels in set_rows(180) if labels]
    parts = {"train.tsv": [*rows[:-40], rows[-1]], "dev.tsv": rows[-40:]}
    for name, part in parts.items():
        lines = [f"{text}\t{','.join(map(str, labels))}\n" for text, labels in part]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    (folder / "label.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return [text for text, _ in parts["dev.tsv"]]


@pytest.mark.slow
def test_a_page_has_the_scores_and_verdicts_of_its_studies(speck, tmp_path: Path, monkeypatch, capsys) -> None:
    texts = publish(tmp_path)
    small = ("--encoders", speck[0], "--poolings", "mean", "--seeds", "1", "2", "--max_length", "32")
    monkeypatch.setattr(results_sets, "ONE_MODEL", small)
    monkeypatch.setattr(results_sets, "epochs", lambda number: ("--num_train_epochs", "1"))
    words = ["--goemotions", str(tmp_path), "--runs", str(tmp_path / "runs"), "--pages", str(tmp_path / "pages")]
    assert results_sets.main(words) == 0
    page = (tmp_path / "pages/goemotions.md").read_text(encoding="utf-8")
    studies = ["best", "aux", "losses"]
    assert re.findall("^## (.*)$", page, re.MULTILINE) == [results_sets.STUDIES[study][0] for study in studies]
    for study in studies:
        assert (tmp_path / "runs/goemotions" / study / "table.md").read_text(encoding="utf-8").strip() in page
    assert page.count(" – none |") == 3 and page.count(" – cross_entropy |") == 3
    records = [one for one in read_records(tmp_path / "runs/goemotions/best") if one["kind"] == "model"]
    chosen, fixed = [], []
    for record in records:
        arrays = load_predictions(record)
        scores, truth = special.expit(arrays["logits"]), arrays["labels"]
        assert len(truth) == 40
        chosen.append(f1_score(truth, scores >= arrays["thresholds"], average="macro", zero_division=0))
        fixed.append(f1_score(truth, scores >= 0.3, average="macro", zero_division=0))
    for values, name in ((chosen, "chosen on validation rows |"), (fixed, "threshold 0.3 for all |")):
        (line,) = [line for line in page.splitlines() if name in line]
        assert line.split("|")[2].split()[0] == f"{100 * np.mean(values):.1f}"
    assert page.count("without 1 test rows whose text stands in `train.tsv` |") == 2
    assert not any(text in page for text in texts)  # a corpus stays where it is
    capsys.readouterr()
    assert results_sets.main(words) == 0
    assert capsys.readouterr().out.count("0 due") == len(studies)
    assert (tmp_path / "pages/goemotions.md").read_text(encoding="utf-8") == page
    # the three models of the first section teach others, which a section of their own has
    (tmp_path / "comments.txt").write_text("\n".join(f"{text} {n}" for n, text in enumerate(texts)), encoding="utf-8")
    monkeypatch.setattr(results_sets, "STUDENT", ("--student", "static", "--distill_epochs", "1"))
    wanted = ["--studies", "distilled", "--texts", str(tmp_path / "comments.txt")]
    for _ in range(2):  # what is done there is not done again
        assert results_sets.main([*words, *wanted]) == 0
        capsys.readouterr()
    more = (tmp_path / "pages/goemotions.md").read_text(encoding="utf-8")
    assert more.startswith(page.rstrip("\n")) and f"## {results_sets.DISTILLED}" in more and "comments.txt" in more
    students = [load_predictions(one) for one in read_records(tmp_path / "runs/goemotions/distilled")]
    at_fixed = [
        f1_score(one["labels"], special.expit(one["logits"]) >= 0.3, average="macro", zero_division=0)
        for one in students
    ]
    line = [line for line in more.splitlines() if "threshold 0.3 for all |" in line][-1]
    assert len(students) == 2 and line.split("|")[2].split()[0] == f"{100 * np.mean(at_fixed):.1f}"
    (tmp_path / "pages/goemotions.md").write_text(page, encoding="utf-8")
    # one section is made anew, from its study alone; the others stand as they were
    shutil.rmtree(tmp_path / "runs/goemotions/best")
    (tmp_path / "pages/goemotions.md").write_text(page.replace(" – none |", " – NONE |"), encoding="utf-8")
    assert results_sets.main([*words, "--studies", "aux"]) == 0
    assert (tmp_path / "pages/goemotions.md").read_text(encoding="utf-8") == page
    assert not (tmp_path / "runs/goemotions/best").exists()


def test_what_is_missing_is_said_in_a_line(tmp_path: Path, capsys) -> None:
    place = ["--runs", str(tmp_path / "runs")]
    for words, said in (
        ([], "nothing to do; give --goemotions FOLDER, --kote FILE or both"),
        (["--goemotions", str(tmp_path)], f"{tmp_path / 'train.tsv'} can't be read"),
        (["--kote", str(tmp_path / "val.tsv")], f"{tmp_path / 'val.tsv'} can't be read"),
    ):
        assert results_sets.main([*words, *place]) == 2
        error = capsys.readouterr().err
        assert said in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize("corpus", ["goemotions", "kote"])
def test_what_is_committed_is_what_the_recipe_writes(corpus: str) -> None:
    page = (RECIPES / "results" / f"{corpus}.md").read_text(encoding="utf-8")
    asked = [question for question, _ in results_sets.STUDIES.values()]
    wanted = [*(asked if corpus == "kote" else asked[:3]), results_sets.DISTILLED]
    assert re.findall("^## (.*)$", page, re.MULTILINE) == wanted


@pytest.mark.parametrize("corpus", ["goemotions", "kote"])
def test_the_readme_quotes_the_pages(corpus: str) -> None:
    page = (RECIPES / "results" / f"{corpus}.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = "(?:chosen on validation rows|threshold 0.3 for all) [|](.*)[|].*[|](.*)[|]$"
    chosen, fixed, taught_chosen, taught_fixed = re.findall(row, page, re.MULTILINE)
    for cells in ([*chosen, *fixed], [*taught_chosen, *taught_fixed]):
        assert f"|{'|'.join(cells)}|" in readme
