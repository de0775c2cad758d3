"""The report of a study whose rows have several labels each."""

from __future__ import annotations

import csv
import json
import logging
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from label_set_study import CUES, true_sets, write_set_run, write_set_study, write_set_texts
from PIL import Image
from synthetic import EVIL, write_run

from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.evaluation.thresholds import macro_f1
from emo_hf.report.analysis import Analysis
from emo_hf.report.findings import findings_markdown
from emo_hf.report.page import write_page
from emo_hf.report.plots import embeddings
from emo_hf.report.plots.labels import label_intervals
from emo_hf.report.report import map_encoder, write_report
from emo_hf.report.sentences import group_scores, read_runs, read_test_rows, sentences
from emo_hf.report.table import csv_table, latex_table, markdown_table
from emo_hf.storage.record import read_records

FILES = {
    "table.md", "table.csv", "table.tex", "findings.md", "history_tiny-bert.png", "embeddings_tiny-bert.png",
    "thresholds_tiny-bert.png", "calibration_tiny-bert.png", "labels.png", "cooccurrence.png", "report.html",
}  # fmt: skip


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A study of four models over three seeds with its report, drawn with no glyph missing."""
    study = tmp_path_factory.mktemp("sets")
    write_set_study(study)
    write_set_texts(study)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*")
        return study, write_report(study)


def heading(markdown: str) -> list[str]:
    return [cell.strip() for cell in markdown.splitlines()[0].strip("|").split("|")]


def test_what_is_of_one_class_a_row_is_left_out_with_a_line(reported: tuple[Path, list[Path]]) -> None:
    study, paths = reported
    assert {path.name for path in paths} == FILES
    for name in ("findings.md", "report.html"):
        assert "no confusion matrices" in (study / name).read_text(encoding="utf-8")


def test_the_table_has_the_scores_of_sets(reported: tuple[Path, list[Path]]) -> None:
    analysis = Analysis.read(reported[0])
    scores = ["Macro-F1", "Micro-F1", "Sample-F1", "mAP", "LRAP", "Coverage error"]
    expected = ["Model", "Encoder", "Pooling", "Loss", *scores, *(f"F1 {label}" for label in CUES)]
    table = markdown_table(analysis)
    assert heading(table) == [*expected, "Test loss", "ECE", "Seeds"]
    assert "Test set of 60 texts." in table and "| label priors |" in table
    first = next(csv.DictReader(csv_table(analysis).splitlines()))
    runs = [run for run in read_records(reported[0]) if run["run_id"].startswith("tiny-bert_cls_none")]
    for column in ("coverage_error", "mean_average_precision", "sample_f1"):
        mean = np.mean([run["test"][column] for run in runs])
        assert float(first[f"{column}_mean"]) == pytest.approx(mean, abs=1e-6)
    cells = [cell.strip() for cell in table.splitlines()[2].strip("|").split("|")]
    assert cells[9].strip("*").startswith(f"{float(first['coverage_error_mean']):.1f} ±")  # labels, no percent


def test_the_loss_of_all_classifiers_is_said_where_something_of_it_was_chosen(tmp_path: Path) -> None:
    for name, loss, said in (
        ("plain", {}, None),
        ("weighted", {"class_weights": "sqrt"}, "binary cross-entropy (class_weights=sqrt)"),
        ("asymmetric", {"classification_loss": "asymmetric"}, "asymmetric"),
    ):
        write_set_run(tmp_path / name, loss=loss)
        table = markdown_table(Analysis.read(tmp_path / name))
        assert ("Every classifier" in table) == (said is not None)
        assert said is None or table.rstrip().endswith(f"Every classifier is trained with {said}.")


def test_many_labels_stand_in_the_csv_alone(tmp_path: Path) -> None:
    labels = [f"라벨{place}" for place in range(20)]
    write_set_run(tmp_path, labels=labels)
    analysis = Analysis.read(tmp_path)
    for table in (markdown_table(analysis), latex_table(analysis)):
        assert "라벨7" not in table and "table.csv" in table
    assert "f1_라벨7_mean" in csv_table(analysis)
    assert "라벨 20개의 F1은 table.csv에 있다." in markdown_table(analysis, lang="ko")


def test_findings_are_of_the_stored_thresholds(reported: tuple[Path, list[Path]]) -> None:
    """Macro-F1 of what the records call right, resampled over rows and seeds; the baseline at its own thresholds."""
    analysis = Analysis.read(reported[0])
    means = {}
    for model in analysis.models:
        recorded = [run["test"]["macro_f1"] for run in model.runs]
        assert analysis.bootstrap.scores[model.cell] == pytest.approx(recorded, abs=1e-6)
        at_half = [macro_f1(arrays["logits"] > 0, arrays["labels"] > 0) for arrays in analysis.readable(model)]
        assert at_half != pytest.approx(recorded, abs=1e-2)  # so that these would be noticed
        means[model.pooling, model.aux] = 100 * np.mean(recorded)
    linear = next(one for one in analysis.baselines if "TF-IDF" in one.encoder).runs[0]["test"]["macro_f1"]
    assert analysis.bootstrap.scores["TF-IDF + logistic regression",] == pytest.approx([linear], abs=1e-6)
    effect = np.mean([means[pooling, "triplet"] - means[pooling, "none"] for pooling in ("cls", "mean")])
    assert f"- triplet over none: {effect:+.1f} points of macro-F1 [" in findings_markdown(analysis)


def test_single_seeds_have_differences_without_a_test(tmp_path: Path) -> None:
    write_set_study(tmp_path, seeds=(1,))
    found = findings_markdown(Analysis.read(tmp_path))
    scores = {run["run_id"]: run["test"]["macro_f1"] for run in read_records(tmp_path)}
    difference = scores["tiny-bert_cls_triplet_seed1"] - scores["tiny-bert_cls_none_seed1"]
    assert f"tiny-bert, cls: triplet over none: {100 * difference:+.1f} points of macro-F1\n" in found
    assert "McNemar p" not in found
    assert {path.name for path in write_report(tmp_path)} == FILES


def test_labels_have_the_intervals_of_their_f1(reported: tuple[Path, list[Path]]) -> None:
    analysis = Analysis.read(reported[0])
    model = analysis.models[2]
    low, high = label_intervals(analysis, model, np.array([3, 0]))
    for place, label in enumerate([3, 0]):
        alone = MultiBootstrap(analysis.classes, analysis.true_classes, metric=label).effect({model.cell: 1.0})
        assert [low[place], high[place]] == pytest.approx([100 * alone.low, 100 * alone.high])


def test_rows_are_ranked_by_their_f1_and_labels_that_lack_by_their_probability(
    reported: tuple[Path, list[Path]],
) -> None:
    analysis = Analysis.read(reported[0])
    rows = read_test_rows(analysis)
    assert rows is not None and (rows.label == true_sets(60, 4)).all()
    runs = read_runs(analysis, rows)
    assert runs is not None and runs.right.shape == (12, 60)
    found = sentences(rows, runs, analysis.labels)
    shown = [line["probability"] for line in found["hardest"]]
    assert shown == sorted(shown) and shown[0] == round(100 * float(runs.right.mean(0).min()), 1)
    first = found["suspected"][0]
    lacking = np.where(rows.label, 0, runs.mean)
    row, label = np.unravel_index(lacking.argmax(), lacking.shape)
    assert (first["row"], first["likely"]) == (row, analysis.labels[label])
    assert first["likely"] not in first["label"].split(", ")
    assert first["probability"] == round(100 * float(lacking.max()), 1)
    groups = group_scores(rows, runs)["situation"]
    assert sum(line["mean"] * line["rows"] for line in groups) / 60 == pytest.approx(100 * runs.right.mean())


def test_maps_are_coloured_by_a_label(reported: tuple[Path, list[Path]], tmp_path: Path) -> None:
    study = shutil.copytree(reported[0], tmp_path / "copy")
    commonest = (study / "embeddings_tiny-bert.png").read_bytes()

    def shown() -> tuple[list[str], list[int]]:
        page = (study / "report.html").read_text(encoding="utf-8")
        data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))
        assert data["text"][0] == EVIL
        return data["labels"], data["maps"][0]["label"]

    assert shown() == (["기쁨", "without 기쁨"], (1 - true_sets(60, 4)[:, 0]).tolist())
    write_report(study, map_label="분노")
    assert shown() == (["분노", "without 분노"], (1 - true_sets(60, 4)[:, 3]).tolist())
    assert (study / "embeddings_tiny-bert.png").read_bytes() != commonest
    with pytest.raises(UserError, match="map_label is '기븜'; allowed: 기쁨, 슬픔, 불안, 분노"):
        write_report(study, map_label="기븜")


def test_a_long_label_is_cut_alike_in_heading_and_legend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set_run(tmp_path, labels=["embarrassment or shame", "기쁨"])
    shown = []
    monkeypatch.setattr(embeddings, "set_heading", lambda figure, encoder, phrase: shown.extend([phrase, figure]))
    embeddings.draw_embeddings(Analysis.read(tmp_path), tmp_path / "embeddings.png")
    phrase, figure = shown
    assert phrase == "t-SNE of 60 test embeddings by embarrassment o…"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["embarrassment o…", "without embarrassment o…"]


def test_one_label_a_row_has_no_label_of_maps(tmp_path: Path) -> None:
    write_run(tmp_path)
    with pytest.raises(UserError, match="one label each"):
        Analysis.read(tmp_path, map_label="기쁨")


def test_maps_made_beside_training_are_those_of_the_report(tmp_path: Path) -> None:
    write_set_run(tmp_path)
    map_encoder(tmp_path, "tiny-bert")
    before = (tmp_path / "embeddings_tiny-bert.npz").read_bytes()
    write_report(tmp_path)
    assert (tmp_path / "embeddings_tiny-bert.npz").read_bytes() == before


def test_a_study_of_both_kinds_of_rows_is_refused(tmp_path: Path) -> None:
    write_set_run(tmp_path)
    write_run(tmp_path, aux="triplet", labels=list(CUES))
    with pytest.raises(UserError, match="rows with one label each"):
        Analysis.read(tmp_path)


def test_predictions_without_thresholds_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in (1, 2):
        write_set_run(tmp_path, seed=seed)
    path = tmp_path / "tiny-bert_cls_none_seed2" / "predictions.npz"
    arrays = dict(np.load(path))
    del arrays["thresholds"]
    np.savez(path, **arrays)
    with caplog.at_level(logging.WARNING):
        assert {path.name for path in write_report(tmp_path)} == FILES
    assert "tiny-bert_cls_none_seed2 is left out of the report: its predictions lack thresholds" in caplog.text


def test_a_label_without_test_rows_is_named_and_left_blank(tmp_path: Path) -> None:
    """A row without labels, a label that nobody has, and one that all have: nothing breaks."""
    for seed in (1, 2):
        write_set_run(tmp_path, seed=seed)
        folder = tmp_path / f"tiny-bert_cls_none_seed{seed}"
        arrays, record = dict(np.load(folder / "predictions.npz")), json.loads((folder / "record.json").read_text())
        arrays["labels"][:, 3], arrays["labels"][:, 0] = 0, 1
        arrays["labels"][0] = 0
        np.savez(folder / "predictions.npz", **arrays)
        scores = record["test"]["per_class"][list(CUES)[3]]
        scores |= {"precision": None, "recall": None, "f1": None, "average_precision": None, "support": 0}
        (folder / "record.json").write_text(json.dumps(record))
    assert {path.name for path in write_report(tmp_path)} == FILES
    assert "No test text has 분노: macro-F1 and mAP are means" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_of_hundreds_of_labels_the_commonest_are_drawn(tmp_path: Path) -> None:
    labels = [f"label{place}" for place in range(300)]
    write_set_run(tmp_path, labels=labels)
    write_set_texts(tmp_path, count=300)
    assert {path.name for path in write_report(tmp_path)} == FILES
    with Image.open(tmp_path / "labels.png") as picture:
        assert picture.height < 2400  # 60 of them


def test_a_korean_page_of_sets_has_no_english_words(reported: tuple[Path, list[Path]], tmp_path: Path) -> None:
    text = write_page(Analysis.read(reported[0]), tmp_path / "page.html", lang="ko").read_text(encoding="utf-8")
    seen = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", text, flags=re.S)
    names = "tiny bert cls mean none triplet emo SNE IDF ECE mAP LRAP Holm Sellam Northcutt Schuirmann McNemar csv"
    names += " document title taken script img src onerror map label table sets amp"
    assert set(re.findall(r"[A-Za-z]{3,}", seen)) <= set(names.split())
