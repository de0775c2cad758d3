"""Risk and coverage in the report: the numbers, the verdicts about them, and where there is nothing to say."""

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_run

from emo_hf.report.analysis import Analysis
from emo_hf.report.contrasts import LINEAR_CELL
from emo_hf.report.plots.risks import draw_risks
from emo_hf.report.report import write_report
from emo_hf.report.risk_curves import CURVE
from emo_hf.report.risks import risks_markdown

TFIDF = "TF-IDF + logistic regression"


def _surer_where_right(folder: Path, by: float, seed: int) -> None:
    """Scale the logits of a run so that it is surer, by so much, of the rows that it gets right."""
    path = next(folder.glob("predictions.npz"))
    with np.load(path) as found:
        arrays = dict(found)
    right = arrays["logits"].argmax(1) == arrays["labels"]
    sure = 2 + np.random.default_rng(seed).random(len(right)) + by * right
    np.savez(path, **arrays | {"logits": (arrays["logits"] * sure[:, None]).astype(np.float32)})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two losses that err equally often, of which only the triplet models know where."""
    folder = tmp_path_factory.mktemp("risks")
    for aux, by in (("none", 0.0), ("triplet", 1.0)):
        for seed in (1, 2, 3):
            run = write_run(folder, aux=aux, seed=seed, rows=300, correct=0.75)
            _surer_where_right(folder / run["run_id"], by, seed)
    run = write_run(folder, baseline=TFIDF, correct=0.75, rows=300)
    _surer_where_right(folder / run["run_id"], 0.0, 9)
    return folder


def test_table_and_verdict_say_which_model_knows_where_it_errs(study: Path) -> None:
    found = risks_markdown(Analysis.read(study))
    lines = [line.split(" | ") for line in found.splitlines() if line.startswith("| ")]
    areas = {line[3]: float(line[4].split()[0]) for line in lines[2:]}
    errors = {line[3]: float(line[7].split()[0]) for line in lines[2:]}
    assert abs(errors["triplet"] - errors["none"]) < 5 and areas["triplet"] < areas["none"] / 2
    [said] = [line for line in found.splitlines() if "triplet over none" in line]
    assert said.startswith("- Area under risk and coverage, triplet over none: -") and said.endswith("**different**")
    [over] = [line for line in found.splitlines() if "models over TF-IDF" in line]
    assert "(mean of 2): -" in over


def test_curves_are_what_the_predictions_of_the_runs_say(study: Path) -> None:
    analysis = Analysis.read(study)
    for model in analysis.models:
        halves = []
        for arrays in analysis.readable(model):
            probabilities = np.exp(arrays["logits"]) / np.exp(arrays["logits"]).sum(1, keepdims=True)
            surest = np.argsort(-probabilities.max(1), kind="stable")[:150]
            halves.append((probabilities.argmax(1) != arrays["labels"])[surest].mean())
        effect = analysis.risks.curves[model.cell][CURVE.index(0.5)]
        assert effect.estimate == pytest.approx(np.mean(halves), abs=1e-9)
        assert effect.low <= effect.estimate <= effect.high
    assert analysis.risks.curves[LINEAR_CELL][-1].high > analysis.risks.curves[LINEAR_CELL][-1].estimate


def test_it_stands_in_the_report_in_both_languages(study: Path) -> None:
    for lang, said in (("en", "Who knows what it does not know?"), ("ko", "모를 때 모른다는 것을 아는가?")):
        written = {path.name: path for path in write_report(study, lang=lang)}
        assert {"risks.md", "risks_tiny-bert.png"} <= written.keys()
        page = written["report.html"].read_text(encoding="utf-8")
        section = page[page.index('<section id="risks">') :]
        section = section[: section.index("</section>")]
        assert said in section and "data:image/png" in section and section.count("<li>") == 2


def test_a_promise_is_marked_where_it_came_to(study: Path, tmp_path: Path) -> None:
    analysis = Analysis.read(study)
    [sheet] = analysis.sheets().values()
    plain = draw_risks(sheet, tmp_path / "plain.png", risks=analysis.risks).read_bytes()
    for run in sheet.models[0].runs:
        run["promises"] = {"abstention": {"test": {"answered": [0.6, 0.5, 0.7], "errors": [0.05, 0.02, 0.1]}}}
    marked = draw_risks(sheet, tmp_path / "marked.png", risks=analysis.risks).read_bytes()
    sheet.models[0].runs[0]["promises"] = {"abstention": {"test": {"answered": [0.0, 0.0, 0.1], "errors": None}}}
    partly = draw_risks(sheet, tmp_path / "partly.png", risks=analysis.risks).read_bytes()
    assert len({plain, marked, partly}) == 3


def test_single_runs_have_numbers_and_no_verdict(tmp_path: Path) -> None:
    write_run(tmp_path, seed=1)
    write_run(tmp_path, aux="triplet", seed=1)
    found = risks_markdown(Analysis.read(tmp_path))
    table, note = found.split("\n\n")
    assert "[" not in table and table.count("| tiny-bert |") == 2
    assert note.startswith("Who answers only") and "\n- " not in found


def test_a_sweep_and_other_test_rows_have_none(tmp_path: Path) -> None:
    for weight in (0.1, 1.0):
        for seed in (1, 2):
            run = write_run(tmp_path / "sweep", seed=seed, aux=f"triplet{weight}")
            run["model"] |= {"aux": "triplet", "settings": {"aux_weight": weight}}
            path = tmp_path / "sweep" / run["run_id"] / "record.json"
            path.write_text(json.dumps(run), encoding="utf-8")
    write_run(tmp_path / "rows", seed=1)
    write_run(tmp_path / "rows", seed=2, rows=60)
    for name in ("sweep", "rows"):
        assert Analysis.read(tmp_path / name).risks is None
        assert not any("risks" in path.name for path in write_report(tmp_path / name))
        assert 'id="risks"' not in (tmp_path / name / "report.html").read_text(encoding="utf-8")
