"""What is written about a study of transfer: numbers that follow from the stored predictions, words that hold."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transfer_study import LABELS, SIZES, write_transfer

from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import holm
from emo_hf.report.transfer import Arm, TransferAnalysis
from emo_hf.report.transfer_report import write_transfer_report


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transfer") / "study"
    write_transfer(folder)
    return folder


def plain_macro_f1(predicted: list[int], actual: list[int]) -> float:
    scores = []
    for label in sorted(set(actual)):
        hits = sum(p == label == a for p, a in zip(predicted, actual, strict=True))
        scores.append(2 * hits / (predicted.count(label) + actual.count(label)))
    return sum(scores) / len(scores)


def stored(folder: Path, wanted: dict) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The predicted and the true classes of the runs with these settings, by seed."""
    found = {}
    for path in folder.glob("*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["model"].get("settings") == wanted:
            with np.load(path.parent / "predictions.npz") as arrays:
                found[record["seed"]] = arrays["logits"].argmax(1), arrays["labels"]
    return found


def test_scores_are_those_of_a_plain_loop_over_the_stored_predictions(study):
    analysis = TransferAnalysis.read(study)
    start = 0
    for target, size in SIZES.items():
        rows = slice(start, start := start + size)
        for source in SIZES:
            runs = stored(study, {"source": source}).values()
            mean = np.mean([plain_macro_f1(p[rows].tolist(), a[rows].tolist()) for p, a in runs])
            assert len(runs) == 3
            assert analysis.score(target, Arm(source)).estimate == pytest.approx(mean, abs=1e-6)
        for source in ("", *(name for name in SIZES if name != target)):
            settings = {**({"source": source} if source else {}), "target": target, "rows": 12}
            runs = stored(study, settings).values()
            mean = np.mean([plain_macro_f1(p.tolist(), a.tolist()) for p, a in runs])
            assert analysis.score(target, Arm(source, 12)).estimate == pytest.approx(mean, abs=1e-6)


def test_differences_and_their_families(study):
    analysis = TransferAnalysis.read(study)
    assert set(analysis.losses) == {("one", "둘"), ("둘", "one")}
    assert set(analysis.gains) == {("one", "둘", 12), ("둘", "one", 12)}
    assert set(analysis.over_linear) == {(source, target) for source in SIZES for target in SIZES}
    for (source, target), question in analysis.losses.items():
        own, other = (analysis.score(target, Arm(name)).estimate for name in (target, source))
        assert question.effect.estimate == pytest.approx(own - other)
        assert question.effect.low < own - other < question.effect.high
    corrected = holm([question.effect.p for question in analysis.losses.values()])
    assert [question.decision.p for question in analysis.losses.values()] == corrected
    assert analysis.losses["one", "둘"].decision.verdict.name == "DIFFERENT"  # 85 % of right answers and 50 %


def test_what_is_written(study):
    written = write_transfer_report(study)
    names = ["transfer.md", "transfer.csv", "transfer.png", "transfer_rows.png", "transfer.html"]
    assert [path.name for path in written] == names
    text = written[0].read_text(encoding="utf-8")
    analysis = TransferAnalysis.read(study)
    for target in SIZES:
        assert f"{100 * analysis.score(target, Arm('one')).estimate:.1f} [" in text
    assert "tiny-bert, mean, none, 3 seeds a model" in text
    assert "one has 7 of 둘" in text and "for 10 epochs" in text
    assert "**different**" in text
    rows = list(csv.DictReader(io.StringIO(written[1].read_text(encoding="utf-8-sig"))))
    [loss] = [row for row in rows if (row["source"], row["target"], row["less_than"]) == ("one", "둘", "own")]
    question = analysis.losses["one", "둘"]
    assert float(loss["difference"]) == pytest.approx(question.effect.estimate, abs=1e-6)
    assert float(loss["p"]) == pytest.approx(question.decision.p, rel=1e-4)
    assert (loss["verdict"], loss["seeds"], loss["test_rows"]) == ("different", "3", "90")
    [linear] = [row for row in rows if row["model"] == "TF-IDF" and row["source"] == row["target"] == "one"]
    assert linear["seeds"] == "1" and float(linear["low"]) < float(linear["macro_f1"]) < float(linear["high"])
    for path in written[2:4]:
        with Image.open(path) as picture:
            assert picture.width > 600 and len(picture.convert("RGB").getcolors(10**6)) > 20
    page = written[4].read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2 and LABELS[0] in page and "http://" not in page


def test_in_korean(study, tmp_path):
    written = write_transfer_report(study, lang="ko", equal_within=2.5)
    text = written[0].read_text(encoding="utf-8")
    assert "시드 3개" in text and "±2.5" in text and "자기 모델" in text
    with pytest.raises(UserError, match="allowed are en, ko"):
        write_transfer_report(study, lang="fr")


def test_one_run_a_model_has_no_interval_and_no_verdict(tmp_path):
    write_transfer(tmp_path, seeds=(1,))
    text = write_transfer_report(tmp_path)[0].read_text(encoding="utf-8")
    assert "**" not in text and "give three seeds or more" in text
    analysis = TransferAnalysis.read(tmp_path)
    assert f"| {100 * analysis.score('one', Arm('둘')).estimate:.1f} (TF-IDF" in text


def test_of_a_target_that_is_no_source_only_its_own_model_is_shown(tmp_path):
    write_transfer(tmp_path)
    told = json.loads((tmp_path / "transfer.json").read_text(encoding="utf-8"))
    (tmp_path / "transfer.json").write_text(json.dumps(told | {"sources": ["one"]}), encoding="utf-8")
    written = write_transfer_report(tmp_path)
    analysis = TransferAnalysis.read(tmp_path)
    assert analysis.cells == [("one", "one"), ("one", "둘"), ("둘", "둘")]
    assert f"| 둘 | – | {100 * analysis.score('둘', Arm('둘')).estimate:.1f} [" in written[0].read_text(
        encoding="utf-8"
    )
    lines = list(csv.DictReader(io.StringIO(written[1].read_text(encoding="utf-8-sig"))))
    assert not [line for line in lines if (line["source"], line["target"]) == ("둘", "one")]


def test_a_hostile_name_stays_a_name(tmp_path):
    write_transfer(tmp_path)
    told = (tmp_path / "transfer.json").read_text(encoding="utf-8")
    (tmp_path / "transfer.json").write_text(told.replace("불안", "<script>alert(1)</script>|x"), encoding="utf-8")
    written = write_transfer_report(tmp_path)
    assert "<script>alert" not in written[0].read_text(encoding="utf-8")
    assert "<script>alert" not in written[-1].read_text(encoding="utf-8")


def test_what_is_no_such_study(tmp_path, study):
    with pytest.raises(UserError, match="is no study of transfer"):
        TransferAnalysis.read(tmp_path)
    told = json.loads((study / "transfer.json").read_text(encoding="utf-8"))
    (tmp_path / "transfer.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(UserError, match="holds no completed run of a model"):
        TransferAnalysis.read(tmp_path)
    (tmp_path / "transfer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="does not go with the runs beside it"):
        TransferAnalysis.read(tmp_path)
    with pytest.raises(UserError, match="equal_within is 0; allowed"):
        TransferAnalysis.read(study, equal_within=0)
