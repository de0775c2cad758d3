"""What a report says in sentences: findings and clusters."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_run, write_study

from emo_hf.evaluation.verdicts import Verdict
from emo_hf.report.analysis import Analysis
from emo_hf.report.clusters import cluster_sentences, clusters_markdown, write_clusters, write_clusters_csv
from emo_hf.report.findings import findings_markdown


def test_findings_say_what_was_put_in(tmp_path: Path) -> None:
    for encoder, pooling in itertools.product(["tiny-bert", "tiny-roberta"], ["cls", "mean"]):
        for aux, seed in itertools.product(["none", "triplet"], (1, 2, 3)):
            correct = 0.9 if aux == "triplet" else 0.6
            write_run(tmp_path, encoder=encoder, pooling=pooling, aux=aux, seed=seed, correct=correct, rows=300)
    analysis = Analysis.read(tmp_path)
    [loss, pooling, encoder] = [finding for finding in analysis.findings if not finding.contrast.under]
    scores = {
        aux: np.mean([run["test"]["macro_f1"] for model in analysis.models if model.aux == aux for run in model.runs])
        for aux in ("none", "triplet")
    }
    assert loss.effect.estimate == pytest.approx(scores["triplet"] - scores["none"])
    assert loss.effect.low > 0.2 and loss.effect.high < 0.4 and loss.verdict is Verdict.DIFFERENT
    assert pooling.verdict is encoder.verdict is Verdict.UNDECIDED
    text = findings_markdown(analysis)
    assert f"triplet over none: {100 * loss.effect.estimate:+.1f} points of macro-F1 [" in text
    [line] = [line for line in text.splitlines() if line.startswith("- triplet over none: ")]
    assert "different p < 0.001, equal p = 1.00): **different**" in line and "could have shown" not in line
    for other, asked in ((pooling, "mean over cls"), (encoder, "tiny-roberta over tiny-bert")):
        could = f"{100 * analysis.outlooks[other.asked].detectable:.1f} points (80 % power)"
        [line] = [line for line in text.splitlines() if line.startswith(f"- {asked}: ")]
        assert f": **undecided**; this study could have shown {could}" in line
    korean = findings_markdown(analysis, lang="ko")
    assert "none 대비 triplet: 매크로 F1" in korean and korean.count("\n- ") == text.count("\n- ")


def test_cluster_scores_are_summarised_over_seeds(tmp_path: Path) -> None:
    for seed, value in ((1, 0.2), (2, 0.4)):
        record = write_run(tmp_path, seed=seed)
        record["test"]["embeddings"] = {"silhouette": value, "knn_accuracy": value, "alignment": None}
        folder = tmp_path / record["run_id"]
        (folder / "record.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    write_run(tmp_path, aux="triplet")  # a record from before there were such scores
    analysis = Analysis.read(tmp_path)
    write_clusters(analysis, tmp_path / "clusters.md")
    write_clusters_csv(analysis, tmp_path / "clusters.csv")
    rows = [line.strip("|").split(" | ") for line in (tmp_path / "clusters.md").read_text().splitlines()]
    scores = dict(zip([cell.strip() for cell in rows[0]], [cell.strip() for cell in rows[2]], strict=True))
    assert scores["Silhouette ↑"] == "0.300 ± 0.141" and scores["5-NN accuracy ↑"] == "30.0 ± 14.1"
    assert scores["Alignment ↓"] == "–" and rows[3][4:] == ["–"] * 7 + ["– "]
    [first, _] = csv.DictReader((tmp_path / "clusters.csv").read_text(encoding="utf-8-sig").splitlines())
    assert float(first["silhouette_mean"]) == pytest.approx(0.3) and first["alignment_mean"] == ""


def test_whether_a_loss_makes_clusters_is_said_with_an_interval(tmp_path: Path) -> None:
    for aux, seed in itertools.product(["none", "triplet"], [1, 2, 3]):
        silhouette = {"none": 0.1, "triplet": 0.5}[aux] + 0.01 * seed
        record = write_run(tmp_path, aux=aux, seed=seed)
        record["test"]["embeddings"] = {"silhouette": silhouette, "knn_accuracy": 0.7 + 0.02 * seed}
        path = tmp_path / record["run_id"] / "record.json"
        path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    analysis = Analysis.read(tmp_path)
    first, second = cluster_sentences(analysis)  # no run has a linear probe
    assert first == "triplet over none: Silhouette +0.400 [+0.377, +0.423] (95 % interval; p < 0.001): different"
    assert second.startswith("triplet over none: 5-NN accuracy +0.0 [") and second.endswith("): undecided")
    [_, same] = cluster_sentences(Analysis.read(tmp_path, equal_within=9.0))
    assert same.endswith("): equal (within ±9.0 points)"), "what is counted in points can be equal"
    write_clusters(analysis, tmp_path / "clusters.md")
    write_clusters_csv(analysis, tmp_path / "clusters.csv")
    assert f"- {first.replace('different', '**different**')}\n" in (tmp_path / "clusters.md").read_text(
        encoding="utf-8"
    )
    row = next(csv.DictReader((tmp_path / "clusters.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert float(row["silhouette_low"]) < 0.12 < float(row["silhouette_high"])


def test_findings_of_single_runs_are_mcnemar_s(tmp_path: Path) -> None:
    write_run(tmp_path, aux="none", correct=0.5, rows=200)
    write_run(tmp_path, aux="triplet", correct=0.9, rows=200)
    text = findings_markdown(Analysis.read(tmp_path))
    assert "tiny-bert, cls: triplet over none: +" in text and "McNemar p < 0.001" in text
    assert "give three seeds or more" in text and "[" not in text
    assert "interval" not in clusters_markdown(Analysis.read(tmp_path))


def test_runs_that_can_not_be_compared_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_study(tmp_path, seeds=(1, 2))
    (tmp_path / "tiny-bert_cls_none_seed1" / "predictions.npz").write_bytes(b"PK damaged")
    runs = Analysis.read(tmp_path).classes
    assert runs["tiny-bert", "cls", "none"].shape == (1, 45) and runs["tiny-bert", "cls", "triplet"].shape == (2, 45)
    assert "tiny-bert_cls_none_seed1 is left out" in caplog.text
    write_run(tmp_path, seed=3, rows=30)
    analysis = Analysis.read(tmp_path)
    assert analysis.findings == [] and "different rows" in caplog.text
    assert findings_markdown(analysis) == "The runs were tested on different rows, so nothing is compared.\n"


def test_single_runs_are_compared_where_a_grid_has_one_loss(tmp_path: Path) -> None:
    for pooling, correct in (("cls", 0.4), ("mean", 0.9)):
        write_run(tmp_path, pooling=pooling, correct=correct)
    [_, line, *_] = findings_markdown(Analysis.read(tmp_path)).splitlines()
    assert line.startswith("- tiny-bert, none: mean over cls: +") and line.endswith("McNemar p < 0.001")


def test_single_runs_of_a_sweep_are_compared_pair_by_pair(tmp_path: Path) -> None:
    for pooling, rate, correct in (("cls", 1, 0.5), ("cls", 2, 0.9), ("mean", 1, 0.9), ("mean", 2, 0.5)):
        model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": pooling, "aux": "triplet"}
        model |= {"settings": {"learning_rate": rate, "margin": 1.0}}
        write_run(tmp_path, pooling=pooling, aux=f"triplet_{rate}", correct=correct, rows=200, model=model)
    (tmp_path / "study.json").write_text(json.dumps({"model": {}, "data": {}, "training": {"learning_rate": 2}}))
    lines = findings_markdown(Analysis.read(tmp_path)).splitlines()[1:]  # the first is about the baseline
    assert len([line for line in lines if line.startswith("- ")]) == 2
    alike = "- tiny-bert, {}, triplet, margin=1: learning_rate=1 over learning_rate=2: {}"
    assert lines[0].startswith(alike.format("cls", "-")) and lines[1].startswith(alike.format("mean", "+"))
    assert "McNemar p < 0.001" in lines[0] and "give three seeds or more" in lines[-1]
