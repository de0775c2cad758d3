"""The recipe that suggests what to label: what it picks and leaves out, the way back into training, its mistakes."""

from __future__ import annotations

import csv
import json
import shlex
import time
from pathlib import Path

import pandas as pd
import pytest
import suggest
import train
from browser import CHROMIUM, browser
from conftest import CUES, LABELS, PLACES, TIMES, sentences

from emo_hf.export.export import export
from emo_hf.inference.predictor import Predictor
from emo_hf.storage.record import read_record
from emo_hf.suggesting.strategies import STRATEGIES, pick

NEW = [f"{time} 공원에서 {cue}" for time in TIMES for label in LABELS for cue in CUES[label][:2]]
SHORT = ["--num_train_epochs", "1", "--disable_tqdm", "true"]


def write(path: Path, rows: list[dict]) -> str:
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def pool(tmp_path: Path) -> str:
    """30 new texts, one of them twice, beside six that the small run was trained or tested on."""
    texts = [*NEW, NEW[0], *(sentences(label)[place] for label in LABELS for place in (0, 79))]
    return write(tmp_path / "pool.csv", [{"text": text} for text in texts])


def called(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What the recipe prints."""
    capsys.readouterr()
    status = suggest.main([str(word) for word in words])
    said = capsys.readouterr()
    assert status == 0, said.err
    return said.out


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "suggestions.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_are_picked_as_the_strategy_has_it(strategy, trained, pool, tmp_path, capsys):
    out = tmp_path / "out"
    said = called(capsys, trained, "--pool", pool, "--n", 7, "--strategy", strategy, "--seed", 5, "--output", out)
    scores, embeddings = Predictor(trained).scores_and_embeddings(NEW)
    rows = table_of(out)
    assert [row["sentence"] for row in rows] == [NEW[i] for i in pick(strategy, scores, embeddings, 7, seed=5)]
    for row in rows:
        place = NEW.index(row["sentence"])
        assert row["row"] == str(place + 2) and row["file"] == "pool.csv"
        assert [float(row[label]) for label in LABELS] == pytest.approx(scores[place], abs=1e-4)
        assert row["prediction"] == LABELS[scores[place].argmax()]
    assert f"picked 7 of 30 texts by {strategy}" in said
    assert said.splitlines()[-3:] == [
        "data: 1 row left out whose text stood there before",
        "data: 3 rows left out whose text the model was trained on",
        "data: 3 rows left out whose text is a validation or test row of the run",
    ]
    record = json.loads((out / "suggestions.json").read_text(encoding="utf-8"))
    assert record["strategy"] == strategy and record["picked"] == 7 and record["model"]["run_id"] == "mini"
    assert record["pool"]["left_out"] == {"twice": 1, "train": 3, "scored": 3}


def test_from_the_page_back_into_training(trained, pool, tmp_path, capsys, monkeypatch):
    """The commands that are printed, as they are printed."""
    monkeypatch.chdir(tmp_path)
    said = called(capsys, trained, "--pool", pool, "--n", 9)
    assert (tmp_path / "runs/suggest/mini/labelling.html").exists()
    [line] = [line for line in said.splitlines() if "--labelled" in line]
    name = shlex.split(line)[4]
    picked = [row["sentence"] for row in table_of(tmp_path / "runs/suggest/mini")]
    label_of = {text: next(label for label in LABELS for cue in CUES[label] if cue in text) for text in picked}
    write(tmp_path / name, [{"sentence": text, "label": label} for text, label in label_of.items()])
    again = called(capsys, trained, "--pool", pool, "--labelled", name, "--output", "next")
    assert "picked 21 of 21 texts by margin\n--n is 100, but there are no more texts than that" in again
    rows = 9 + (NEW[0] in picked)  # which stands there twice
    assert f"data: {rows} rows left out whose text is labelled in --labelled" in again
    assert not {row["sentence"] for row in table_of(tmp_path / "next")} & set(picked)
    said = called(capsys, *shlex.split(line)[2:])
    assert "9 labelled rows beside 240 of" in said
    [line] = [line for line in said.splitlines() if "recipes/train.py" in line]
    words = shlex.split(line)
    assert words[:2] == ["python", "recipes/train.py"]
    assert train.main([*words[2:], *SHORT]) == 0
    before, after = read_record(trained), read_record(Path(words[words.index("--output_dir") + 1]))
    assert after["data"]["report"]["rows"] == before["data"]["report"]["rows"] | {"train": 153}
    for split in ("validation", "test"):
        assert after["data"]["counts"][split] == before["data"]["counts"][split]
    for name in ("encoder", "pooling", "embedding_size"):
        assert after["arguments"]["model"][name] == before["arguments"]["model"][name]
    for name in ("aux", "seed", "learning_rate", "bf16"):
        assert after["arguments"]["training"][name] == before["arguments"]["training"][name]
    assert after["arguments"]["data"]["max_length"] == 32


def test_label_sets_go_the_same_way(trained_sets, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = write(tmp_path / "pool.csv", [{"text": f"{text} {PLACES[0]}"} for text in NEW])
    said = called(capsys, trained_sets, "--pool", pool, "--n", 4, "--strategy", "badge", "--lang", "ko")
    page = (tmp_path / "runs/suggest/sets/labelling.html").read_text(encoding="utf-8")
    assert '"several":true' in page and '<html lang="ko">' in page
    [line] = [line for line in said.splitlines() if "--labelled" in line]
    picked = [row["sentence"] for row in table_of(tmp_path / "runs/suggest/sets")]
    names = read_record(trained_sets)["data"]["labels"]
    cells = [names[:2], [], names[2:3], names[:1]]
    rows = [
        {"sentence": text, "label": json.dumps(cell, ensure_ascii=False)}
        for text, cell in zip(picked, cells, strict=True)
    ]
    write(tmp_path / shlex.split(line)[4], rows)
    said = called(capsys, *shlex.split(line)[2:])
    words = shlex.split(next(line for line in said.splitlines() if "recipes/train.py" in line))
    assert train.main([*words[2:], *SHORT]) == 0
    before, after = read_record(trained_sets), read_record(Path(words[words.index("--output_dir") + 1]))
    assert after["data"]["report"]["task"] == "multi" and after["data"]["labels"] == names
    assert after["data"]["report"]["rows"]["train"] == before["data"]["report"]["rows"]["train"] + 4
    assert after["data"]["counts"]["test"] == before["data"]["counts"]["test"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
@pytest.mark.parametrize("several", [False, True])
def test_a_person_labels_in_a_browser_and_the_model_is_trained_again(
    several, trained, trained_sets, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run = trained_sets if several else trained
    pool = write(tmp_path / "pool.csv", [{"text": f"{text} {PLACES[0]}"} for text in NEW])
    said = called(capsys, run, "--pool", pool, "--n", 5, "--strategy", "diverse")
    page_file = next(tmp_path.glob("runs/suggest/*/labelling.html"))
    words = shlex.split(next(line for line in said.splitlines() if "--labelled" in line))
    file = tmp_path / words[words.index("--labelled") + 1]
    with browser(tmp_path / "profile") as page:
        page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        page.call("Page.navigate", url=page_file.as_uri())
        page.wait("document.querySelectorAll('#labels button').length > 0")
        for digits in ("1", "3", "2"):
            for digit in (digits, str(int(digits) + 1)) if several else digits:
                page.press(digit, f"Digit{digit}")
            if several:
                page.press("Enter", "Enter")
        page.press("s", "KeyS", ctrl=True)
        end = time.monotonic() + 30
        while not file.exists() or not file.stat().st_size:
            assert time.monotonic() < end, "no file was saved"
            time.sleep(0.1)
    said = called(capsys, *words[2:])
    words = shlex.split(next(line for line in said.splitlines() if "recipes/train.py" in line))
    assert train.main([*words[2:], *SHORT]) == 0
    before, after = read_record(run), read_record(Path(words[words.index("--output_dir") + 1]))
    places = [{0, 1}, {2, 3}, {1, 2}] if several else [{0}, {2}, {1}]
    for place, name in enumerate(before["data"]["labels"]):
        more = after["data"]["counts"]["train"][name] - before["data"]["counts"]["train"][name]
        assert more == sum(place in found for found in places), name


def test_one_file_of_texts_and_labels_is_read_together_with_the_saved_one(rows, speck, tmp_path):
    labelled = write(tmp_path / "labelled_1.csv", [{"sentence": text, "label": LABELS[0]} for text in NEW[:4]])
    folder = tmp_path / "run"
    words = ["--encoder", speck[0], "--embedding_size", "8", "--max_length", "16", "--output_dir", str(folder)]
    assert train.main(["--data", rows, labelled, *words, *SHORT]) == 0
    assert sum(read_record(folder)["data"]["report"]["rows"].values()) == 90 + 4


@pytest.mark.parametrize("kind", ["static", "onnx"])
def test_an_export_suggests_too_and_says_what_it_can_not_know(
    kind, trained, static_encoder, rows, pool, tmp_path, capsys
):
    run = trained
    if kind == "static":
        run = tmp_path / "run"
        words = ["--encoder", static_encoder, "--pooling", "mean", "--data", rows, "--output_dir", str(run)]
        assert train.main([*words, *SHORT]) == 0
    else:
        pytest.importorskip("onnxruntime")
    made = export(run, kind, tmp_path / "export")
    said = called(capsys, made, "--pool", pool, "--n", 5, "--strategy", "diverse", "--output", tmp_path / "out")
    assert len(table_of(tmp_path / "out")) == 5
    assert f"data: texts of the rows that {made} is tested on may be among those suggested: no record.json" in said
    assert "python recipes/train.py --data labelled_" in said


def test_mistakes_are_one_line(trained, pool, csv_file, tmp_path, capsys):
    empty, other = tmp_path / "empty.csv", tmp_path / "other.csv"
    empty.write_text("text\n\n", encoding="utf-8")
    write(other, [{"sentence": NEW[0], "label": "분노"}])
    known = write(tmp_path / "known.csv", [{"sentence": sentences(LABELS[0])[0], "label": LABELS[0]}])
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in trained.iterdir():
        if path.is_file() and path.name != "record.json":
            (moved / path.name).write_bytes(path.read_bytes())
    cases = {
        "give --pool FILE to pick rows to label": [trained],
        "--pool: expected at least one argument": [trained, "--pool"],
        "no is no whole number from 1 on": [trained, "--pool", pool, "--n", "no"],
        "--seed is -1; allowed: 0 to": [trained, "--pool", pool, "--seed", "-1"],
        "invalid choice: 'best'": [trained, "--pool", pool, "--strategy", "best"],
        "absent.csv: no such file": [trained, "--pool", tmp_path / "absent.csv"],
        "empty.csv": [trained, "--pool", empty],
        "no text is left to label (144 whose text the model was trained on, 96 whose": [trained, "--pool", csv_file],
        "--text_column 'body' is missing": [trained, "--pool", pool, "--text_column", "body"],
        "is a file; give a folder": [trained, "--pool", pool, "--output", tmp_path / "page.html"],
        "--output is None; give the file of all rows": [trained, "--labelled", other],
        "other.csv, row 2: the model has no label '분노'": [trained, "--labelled", other, "--output", "more.csv"],
        "all 1 labelled texts are in the run's data already": [trained, "--labelled", known, "--output", "more.csv"],
        "is the file that is read; give another name": [trained, "--labelled", other, "--output", other],
        "can't be put beside others: no record.json": [moved, "--labelled", other, "--output", "more.csv"],
        "absent": [tmp_path / "absent", "--pool", pool],
        "is a study, a folder of runs": [trained.parent, "--pool", pool],
    }  # fmt: skip
    for said, words in cases.items():
        capsys.readouterr()
        assert suggest.main([str(word) for word in words]) == 2, said
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0], (said, lines)
    assert not Path("more.csv").exists()
