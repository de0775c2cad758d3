"""What a report rests on: read once, and no question lost because a model lacks seeds."""

from __future__ import annotations

import collections
import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import write_run, write_study

from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.evaluation.verdicts import decide
from emo_hf.report.analysis import Analysis
from emo_hf.report.clusters import cluster_sentences
from emo_hf.report.findings import findings_markdown, question
from emo_hf.report.report import write_report


def test_a_report_reads_each_file_of_predictions_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for aux, seed in (("none", 1), ("none", 2), ("triplet", 1), ("triplet", 2)):
        write_run(tmp_path, aux=aux, seed=seed)
    opened: collections.Counter[str] = collections.Counter()
    made = []
    load, make = np.load, MultiBootstrap.__init__

    def counted(path: Any, *arguments: Any, **options: Any) -> Any:
        opened[str(path)] += Path(path).name == "predictions.npz"
        return load(path, *arguments, **options)

    def noted(self: MultiBootstrap, *arguments: Any, **options: Any) -> None:
        made.append(self)
        make(self, *arguments, **options)

    monkeypatch.setattr(np, "load", counted)
    monkeypatch.setattr(MultiBootstrap, "__init__", noted)
    write_report(tmp_path)
    assert [count for count in opened.values() if count] == [1] * 4 and len(made) == 1


@pytest.fixture
def lacking(tmp_path: Path) -> Path:
    """A study of which one model has one of its three seeds left."""
    write_study(tmp_path)
    for seed in (2, 3):
        shutil.rmtree(tmp_path / f"tiny-bert_mean_triplet_seed{seed}")
    return tmp_path


def test_a_model_with_one_seed_takes_no_question_away(lacking: Path) -> None:
    analysis = Analysis.read(lacking)
    found = {question(finding.asked): finding for finding in analysis.findings}
    assert list(found)[:3] == ["contrastive over none", "triplet over none", "mean over cls"]
    triplet = found["triplet over none"]
    scores = {m.cell: np.mean([run["test"]["macro_f1"] for run in m.runs]) for m in analysis.models}
    expected = scores["tiny-bert", "cls", "triplet"] - scores["tiny-bert", "cls", "none"]
    assert triplet.effect.estimate == pytest.approx(expected, abs=1e-6) and not math.isnan(triplet.decision.p)
    family = [finding for finding in analysis.findings if not finding.asked.under]
    assert [f.decision for f in family] == decide([f.effect for f in family], 0.01) and len(family) == 3
    text = findings_markdown(analysis)
    assert "- triplet over none (over 1 of 2 pairs of models; tiny-bert mean triplet has one seed): " in text
    assert "- mean over cls (over 2 of 3 pairs of models; tiny-bert mean triplet has one seed): " in text
    assert "- contrastive over none: " in text
    never = "triplet over none, more under mean than under cls: no answer, because tiny-bert mean triplet has one seed"
    assert f"- {never}\n" in text
    assert "The printed interval is the one that decides" in text and "The variance over seeds is " in text
    korean = findings_markdown(analysis, lang="ko")
    assert "적힌 구간이 판단의 근거이며" in korean and "시드에 따른 분산은" in korean
    assert "- none 대비 triplet (모델 2쌍 중 1쌍으로 비교, tiny-bert mean triplet: 시드가 하나뿐임): " in korean
    assert "답할 수 없음, tiny-bert mean triplet: 시드가 하나뿐임" in korean


def test_a_model_that_is_missing_altogether_is_named(lacking: Path) -> None:
    shutil.rmtree(lacking / "tiny-bert_mean_triplet_seed1")
    text = findings_markdown(Analysis.read(lacking))
    assert "triplet over none (over 1 of 2 pairs of models; tiny-bert mean triplet has no completed run): " in text
    never = "no answer, because tiny-bert mean triplet has no completed run"
    assert f"- triplet over none, more under mean than under cls: {never}\n" in text


def test_a_model_that_a_sweep_lacks_is_named(tmp_path: Path) -> None:
    for aux, weight in (("none", None), ("triplet", 0.1), ("triplet", 1.0)):
        for pooling, seed in itertools.product(("cls", "mean"), (1, 2)):
            model = {"encoder": "tiny-bert", "name": "tiny-bert", "pooling": pooling, "aux": aux}
            settings = {} if weight is None else {"settings": {"aux_weight": weight}}
            if (pooling, weight) != ("mean", 1.0):
                write_run(tmp_path, aux=f"{pooling}_{aux}_{weight}", seed=seed, model=model | settings)
    text = findings_markdown(Analysis.read(tmp_path))
    lacking = "(over 1 of 2 pairs of models; tiny-bert mean triplet aux_weight=1 has no completed run): "
    assert f"- triplet, aux_weight=1 over aux_weight=0.1 {lacking}" in text


def test_models_with_unreadable_predictions_are_named_or_counted(lacking: Path) -> None:
    for path in lacking.glob("tiny-bert_cls_*_seed[12]"):
        (path / "predictions.npz").write_bytes(b"PK damaged")
    text = findings_markdown(Analysis.read(lacking))
    why = "tiny-bert cls triplet, tiny-bert cls none have predictions of fewer than two seeds each"
    assert f"triplet over none: no answer, because {why}; tiny-bert mean triplet has one seed\n" in text
    counted = "3 models have predictions of fewer than two seeds each; tiny-bert mean triplet has one seed"
    assert f"mean over cls: no answer, because {counted}\n" in text


def test_clusters_too_say_over_how_many_pairs(tmp_path: Path) -> None:
    for pooling, aux, seed in itertools.product(["cls", "mean"], ["none", "triplet"], [1, 2]):
        if (pooling, aux, seed) != ("mean", "triplet", 2):
            write_run(tmp_path, pooling=pooling, aux=aux, seed=seed, embeddings={"silhouette": seed / 10})
    why = "tiny-bert mean triplet has fewer than two seeds with this score"
    asked = f"triplet over none (over 1 of 2 pairs of models; {why}): Silhouette +0.000 ["
    assert cluster_sentences(Analysis.read(tmp_path))[0].startswith(asked)
