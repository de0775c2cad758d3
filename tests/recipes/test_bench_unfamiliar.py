"""The benchmark of unfamiliar texts: what it takes, and what it finds of two models that were trained."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import unfamiliar

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.training.run import run


@pytest.fixture(scope="module")
def studies(encoders, csv_file, tmp_path_factory) -> tuple[Path, Path]:
    """A study of the usual sentences with two losses over two seeds, and one of sentences of one word said often."""
    folder = tmp_path_factory.mktemp("unfamiliar")
    with open(csv_file, encoding="utf-8") as file:
        rows = list(csv.reader(file))
    words = [[f"{row[0].split()[-1]} " * (3 + place % 9), *row[1:]] for place, row in enumerate(rows[1:])]
    with (folder / "other.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([rows[0], *words])
    arguments = MetricTrainingArguments(
        output_dir="", num_train_epochs=2, learning_rate=2e-3, bf16=False, disable_tqdm=True
    )
    model = ModelArguments(encoder=encoders["bert"], pooling="mean", embedding_size=16)
    for name, data in (("usual", csv_file), ("other", str(folder / "other.csv"))):
        for aux, seed in ((a, s) for a in (("none", "triplet") if name == "usual" else ("none",)) for s in (1, 2)):
            there = str(folder / name / f"{aux}_{seed}")
            run(
                model,
                DataArguments(data=data, max_length=32),
                replace(arguments, output_dir=there, aux=aux, seed=seed),
            )
    return folder / "usual", folder / "other"


def test_each_corpus_is_scored_by_the_models_of_the_other(studies, tmp_path, capsys) -> None:
    usual, other = studies
    assert unfamiliar.main([f"usual={usual}", f"other={other}", "--output", str(tmp_path)]) == 0
    table = (tmp_path / "unfamiliar.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    rows = [row for row in cells if len(row) == 8][2:]
    assert [row[:2] for row in rows] == [["usual", "other"]] * 2 + [["other", "usual"]]
    for row in rows:
        for cell in row[3:7]:
            estimate, low, high = (float(part.strip("[],")) for part in cell.split())
            assert 0 <= low <= estimate <= high <= 100
        assert float(row[7].split()[0]) == pytest.approx(float(row[4].split()[0]) - float(row[3].split()[0]), abs=0.11)
    assert any(float(row[4].split()[0]) > 60 for row in rows), "texts of one word, said often, look like any other"
    [change] = [row for row in cells if len(row) == 4][2:]
    assert change[:3] == ["usual", "other", "triplet"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs"], "'runs' is no NAME=STUDY; give one such as kote3=runs/kote3"),
        (
            ["a=x", "a=y"],
            "one corpus has no texts from elsewhere; give two studies or more, each with a name of its own",
        ),
    ],
)
def test_what_is_no_pair_of_studies_is_refused(words, said, capsys) -> None:
    assert unfamiliar.main(words) == 2
    assert capsys.readouterr().err == f"error: {said}\n"
