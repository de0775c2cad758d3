from __future__ import annotations

import csv
import importlib
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic import LABELS, ORIGINAL, write_run, write_study

from emo_hf.errors import UserError
from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import by_encoder, group_runs, panel_places
from emo_hf.report.plots.history import curves, draw_history
from emo_hf.report.plots.layout import is_leftmost, panels
from emo_hf.report.report import write_report
from emo_hf.report.table import csv_table, latex_table, markdown_table, write_csv_table, write_table
from emo_hf.storage.files import file_stem, write_whole
from emo_hf.storage.record import read_records


def table_rows(study: Path, lang: str = "en") -> list[list[str]]:
    """The cells of the markdown table, heading first."""
    markdown = markdown_table(Analysis.read(study), lang=lang)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if not line.startswith("| ---")]


def test_models_carry_the_numbers_of_the_original(tmp_path: Path) -> None:
    write_study(tmp_path, encoders=("b-encoder", "a-encoder"), seeds=(1,))
    write_run(tmp_path, encoder="a-encoder", pooling="attention", aux="none")
    write_run(tmp_path, encoder="a-encoder", pooling="cls", aux="supcon")
    rows = [row[:4] for row in table_rows(tmp_path)[1:]]
    original = [[str(number), "a-encoder", *pair] for number, pair in enumerate(ORIGINAL, start=1)]
    further = [["8", "a-encoder", "attention", "none"], ["13", "a-encoder", "cls", "supcon"]]
    second = [[number, "b-encoder", *pair] for number, _, *pair in original]
    baselines = [["–", name, "–", "–"] for name in ("TF-IDF + logistic regression", "majority class")]
    assert rows == original + further + second + baselines


def test_what_the_original_lacks_is_numbered_on_by_one_rule(tmp_path: Path) -> None:
    """Loss by loss, within a loss by pooling; known pairs have their number whatever else a study holds."""
    found = {("max", "none"): 7, ("attention", "none"): 8, ("max", "contrastive"): 9, ("attention", "triplet"): 12}
    found |= {("cls", "supcon"): 13, ("attention", "supcon"): 16}
    for pooling, aux in found:
        write_run(tmp_path, pooling=pooling, aux=aux)

    def numbers() -> dict[tuple[str | None, str | None], int | None]:
        return {(m.pooling, m.aux): m.number for m in group_runs(read_records(tmp_path))[0]}

    assert numbers() == found and list(numbers().values()) == sorted(found.values())
    for aux in ("pml:MultiSimilarityLoss", "pml:ArcFaceLoss"):
        write_run(tmp_path, pooling="mean", aux=aux)
    found |= {("mean", "pml:ArcFaceLoss"): 18, ("mean", "pml:MultiSimilarityLoss"): 22}
    assert numbers() == found
    write_run(tmp_path, pooling="last", aux="contrastive")  # which came later, and takes nobody's number
    assert numbers() == found | {("last", "contrastive"): 26}


@pytest.mark.parametrize(
    ("pairs", "places"),
    [
        (ORIGINAL, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]),  # 1 2 / 3 4 / 5 6
        ([("mean", "none"), ("cls", "triplet"), ("mean", "triplet")], [(0, 1), (1, 0), (1, 1)]),
        ([("cls", "none"), ("max", "none"), ("cls", "supcon")], [(0, 0), (0, 1), (1, 0)]),
        ([("mean", aux) for aux in ("none", "contrastive", "triplet", "supcon")], [(0, 0), (0, 1), (0, 2), (1, 0)]),
    ],
)
def test_panels_stand_in_rows_of_losses_and_columns_of_poolings(
    tmp_path: Path, pairs: list[tuple[str, str]], places: list[tuple[int, int]]
) -> None:
    for pooling, aux in pairs:
        write_run(tmp_path, pooling=pooling, aux=aux)
    models, _ = group_runs(read_records(tmp_path))
    assert [(model.pooling, model.aux) for model in models] == pairs and panel_places(models) == places
    figure, axes = panels(places, width=2, height=2)
    assert len(figure.axes) == len(places) == len(axes), "a place without a model is empty"
    boxes = [ax.get_subplotspec() for (ax,) in axes]
    assert [(box.rowspan.start, box.colspan.start) for box in boxes] == places
    first = {row: min(column for other, column in places if other == row) for row, _ in places}
    assert [is_leftmost(ax) for (ax,) in axes] == [first[row] == column for row, column in places]


def test_numbers_stay_when_a_model_is_missing(tmp_path: Path) -> None:
    write_run(tmp_path, pooling="mean", aux="triplet")
    assert table_rows(tmp_path)[1][0] == "6"


def test_scores_are_mean_and_sample_sd_over_seeds(tmp_path: Path) -> None:
    records = [write_run(tmp_path, seed=seed, pooling="mean") for seed in (1, 2, 3)]
    accuracy = np.array([record["test"]["accuracy"] for record in records])
    joy = np.array([record["test"]["per_class"]["기쁨"]["f1"] for record in records])
    loss = np.array([record["test"]["loss"] for record in records])
    header, row = table_rows(tmp_path)
    cells = dict(zip(header, (cell.strip("*") for cell in row), strict=True))
    assert cells["Accuracy"] == f"{100 * accuracy.mean():.1f} ± {100 * accuracy.std(ddof=1):.1f}"
    assert cells["F1 기쁨"] == f"{100 * joy.mean():.1f} ± {100 * joy.std(ddof=1):.1f}"
    assert cells["Test loss"] == f"{loss.mean():.3f} ± {loss.std(ddof=1):.3f}"
    assert cells["Seeds"] == "3"
    [plain] = csv.DictReader(csv_table(Analysis.read(tmp_path)).splitlines())
    assert float(plain["accuracy_mean"]) == pytest.approx(accuracy.mean(), abs=1e-6)
    assert float(plain["f1_기쁨_sd"]) == pytest.approx(joy.std(ddof=1), abs=1e-6)


def test_one_seed_has_no_sd(tmp_path: Path) -> None:
    write_run(tmp_path)
    header, row = table_rows(tmp_path)
    assert re.fullmatch(r"\*\*\d+\.\d\*\*", row[header.index("Accuracy")])
    [plain] = csv.DictReader(csv_table(Analysis.read(tmp_path)).splitlines())
    assert plain["accuracy_sd"] == ""


def test_best_model_of_each_column_is_bold_and_baselines_never(tmp_path: Path) -> None:
    write_study(tmp_path)
    write_run(tmp_path, baseline="an oracle", correct=1.0)
    header, *rows = table_rows(tmp_path)
    for column in ("Accuracy", "Macro-F1", "F1 슬픔", "Test loss"):
        cells = [row[header.index(column)] for row in rows[:6]]
        means = [float(cell.strip("*").split(" ")[0]) for cell in cells]
        best = min(means) if column == "Test loss" else max(means)
        assert [cell.startswith("**") for cell in cells] == [mean == best for mean in means], column
    assert not any("**" in cell for row in rows[6:] for cell in row)


def test_latex_has_the_cells_of_the_markdown_and_reads_no_command(tmp_path: Path) -> None:
    write_study(tmp_path, encoders=("a_50%\\b", "tiny-bert"))
    header, *rows = table_rows(tmp_path)
    lines = latex_table(Analysis.read(tmp_path)).splitlines()
    body = [line.removesuffix(r" \\").split(" & ") for line in lines if " & " in line]
    assert body[0] == header and len(body) == 1 + 14 and lines.count(r"\midrule") == 3
    assert body[1][1] == r"b" or body[1][1] == r"a\_50\%\textbackslash{}b"
    for row, plain in zip(body[1:], rows, strict=True):
        numbers = [cell.replace(r"\textbf{", "**").replace("}", "**").replace(r" $\pm$ ", " ± ") for cell in row[4:]]
        assert numbers == [cell.replace("–", "--") for cell in plain[4:]]
    assert sum(r"\textbf{" in line for line in lines) >= 1


def test_equal_models_are_both_bold(tmp_path: Path) -> None:
    first = write_run(tmp_path, aux="none")
    write_run(tmp_path, aux="triplet", test=first["test"])
    assert all("**" in row[4] for row in table_rows(tmp_path)[1:])


def test_baseline_without_loss_shows_a_dash(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=(1,))
    header, *rows = table_rows(tmp_path)
    assert rows[-1][header.index("Test loss")] == "–"


@pytest.fixture(scope="module")
def again(reported: tuple[Path, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The paths of a second report, by two processes, over a copy of the first that lacks one encoder's maps."""
    study = tmp_path_factory.mktemp("again") / "study"
    shutil.copytree(reported[0], study)
    for path in study.glob("embeddings_tiny-roberta.*"):
        path.unlink()
    return write_report(study, jobs=2)


def test_second_report_is_byte_identical_and_keeps_the_maps(
    reported: tuple[Path, list[Path]], again: list[Path]
) -> None:
    study, paths = reported
    assert [path.name for path in again] == [path.name for path in paths]
    assert {path.name: path.read_bytes() for path in again} == {path.name: path.read_bytes() for path in paths}
    drawn, kept = (folder / "embeddings_klue--bert-base.png" for folder in (study, again[0].parent))
    assert drawn.stat().st_mtime_ns == kept.stat().st_mtime_ns
    assert not list(again[0].parent.glob(".*")), "temporary files are left"


def test_pictures_drawn_side_by_side_are_the_same(reported: tuple[Path, list[Path]], again: list[Path]) -> None:
    one, two = ({p.name: p.read_bytes() for p in folder.glob("*.png")} for folder in (reported[0], again[0].parent))
    assert one == two and len(one) == 10
    assert [path.name for path in again if path.suffix == ".png"] == [
        f"{kind}_{encoder}.png"
        for encoder in ("klue--bert-base", "tiny-roberta")
        for kind in ("history", "embeddings", "confusion", "calibration", "risks")
    ]


def test_pictures_exist_for_each_encoder(reported: tuple[Path, list[Path]]) -> None:
    study, paths = reported
    kinds = ("history", "embeddings", "confusion", "calibration", "risks")
    names = [f"{kind}_{encoder}.png" for kind in kinds for encoder in ("klue--bert-base", "tiny-roberta")]
    assert sorted(path.name for path in paths) == sorted(
        [
            *("table.md", "table.csv", "table.tex", "findings.md", "clusters.md", "clusters.csv", "risks.md"),
            *("report.html", *names),
        ]
    )
    for name in names:
        with Image.open(study / name) as picture:
            width, height = picture.size
            colours = len(np.unique(np.asarray(picture.convert("RGB").resize((200, 200))).reshape(-1, 3), axis=0))
        assert 1000 < width < 2500 and 800 < height < 2500, name
        assert colours > 30, f"{name} is almost empty"


def test_csv_opens_in_excel_and_runs_no_formula(tmp_path: Path) -> None:
    write_run(tmp_path, encoder="=1+2|<b>")
    write_csv_table(Analysis.read(tmp_path), tmp_path / "table.csv")
    write_table(Analysis.read(tmp_path), tmp_path / "table.md")
    assert (tmp_path / "table.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    [row] = csv.DictReader((tmp_path / "table.csv").read_text(encoding="utf-8-sig").splitlines())
    assert row["encoder"] == "'=1+2|<b>"
    assert "| =1+2\\|&lt;b> |" in (tmp_path / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_incomplete_runs_are_not_counted(tmp_path: Path, status: str) -> None:
    write_run(tmp_path, seed=1)
    write_run(tmp_path, seed=2, status=status, test=None)
    header, row = table_rows(tmp_path)
    assert row[header.index("Seeds")] == "1"


def test_corrupt_record_is_left_out_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path, seed=1)
    write_run(tmp_path, seed=2)
    path = tmp_path / "tiny-bert_cls_none_seed2" / "record.json"
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert [record["seed"] for record in read_records(tmp_path)] == [1]
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]


def test_no_completed_run_is_a_user_error(tmp_path: Path) -> None:
    write_run(tmp_path, status="failed")
    with pytest.raises(UserError, match="no completed run"):
        write_report(tmp_path)


def test_a_study_of_which_all_runs_failed_says_why(tmp_path: Path) -> None:
    write_run(tmp_path, status="failed", error="out of memory")
    write_run(tmp_path, baseline="majority class")
    with pytest.raises(UserError, match=r"no completed run of a model: 1 failed, .*_seed42 with: out of memory"):
        write_report(tmp_path)


def test_unknown_language_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed are en, ko"):
        write_report(tmp_path, lang="fr")


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path, seed=1)
    write_run(tmp_path, seed=2, labels=LABELS[::-1])
    with pytest.raises(UserError, match="different labels"):
        group_runs(read_records(tmp_path))


def test_no_runs_are_no_models() -> None:
    assert group_runs([]) == ([], [])


def test_two_runs_of_one_seed_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path, seed=1)
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "record.json").write_bytes((tmp_path / "tiny-bert_cls_none_seed1" / "record.json").read_bytes())
    with pytest.raises(UserError, match="same model and seed 1"):
        group_runs(read_records(tmp_path))


def test_encoders_of_one_short_name_stay_apart(tmp_path: Path) -> None:
    for encoder in ("first/best", "second/best"):
        model = {"encoder": encoder, "name": "best", "pooling": "cls", "aux": "none"}
        write_run(tmp_path, encoder=encoder, model=model)
    models, _ = group_runs(read_records(tmp_path))
    assert list(by_encoder(models)) == ["first--best", "second--best"]


def test_file_stems_never_collide_and_are_safe(tmp_path: Path) -> None:
    for encoder in ("a/b", "a--b"):
        write_run(tmp_path, encoder=encoder, run_id=encoder, seed=len(encoder))
    models, _ = group_runs(read_records(tmp_path))
    assert len(by_encoder(models)) == 2
    assert file_stem("../../my model:1?") == "my-model-1"
    assert file_stem("내/모델") == "내--모델"
    assert len(file_stem("x" * 500).encode()) < 200


def test_median_seed_is_shown(tmp_path: Path) -> None:
    for seed, correct in ((1, 0.95), (2, 0.4), (3, 0.7)):
        write_run(tmp_path, seed=seed, correct=correct, rows=300)
    [model], _ = group_runs(read_records(tmp_path))
    assert model.median_run()["seed"] == 3


def test_history_keeps_seeds_that_stopped_early_apart(tmp_path: Path) -> None:
    write_run(tmp_path, seed=1, epochs=2)
    write_run(tmp_path, seed=2, epochs=4)
    [model], _ = group_runs(read_records(tmp_path))
    epochs, values = curves(model, "train_loss")
    assert epochs.tolist() == [1, 2, 3, 4]
    assert np.isfinite(values).tolist() == [[True, True, False, False], [True] * 4]
    assert draw_history(Analysis([model], [], {}), tmp_path / "history.png").stat().st_size > 10_000


def test_training_curve_is_cross_entropy_without_the_metric_term(tmp_path: Path) -> None:
    history = [{"epoch": 1.0, "train_loss": 0.9, "ce_loss": 0.7}, {"epoch": 2.0, "train_loss": 0.5, "ce_loss": None}]
    write_run(tmp_path, history=history)
    [model], _ = group_runs(read_records(tmp_path))
    assert curves(model, "ce_loss", "train_loss")[1].tolist() == [[0.7, 0.5]]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_whole(tmp_path / "table.md", b"old")

    def refuse(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_report_needs_neither_torch_nor_global_plot_state() -> None:
    heavy = "{'torch', 'transformers', 'matplotlib.pyplot', 'sklearn', 'umap', 'koreanize_matplotlib'}"
    code = f"import sys, emo_hf.report; print(sorted({heavy} & set(sys.modules)))"
    root = Path(importlib.import_module("emo_hf").__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert result.stdout.strip() == "[]"
