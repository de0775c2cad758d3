"""The page of models on each other's corpora: what is asked for it, how GoEmotions is read, that no text is in it."""

from __future__ import annotations

from pathlib import Path

import results_transfer
from transfer_study import write_transfer

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.report.transfer_report import write_transfer_report
from emo_hf.study.corpora import load_corpora, read_corpora

# Ids of the emotions below, the class that they are counted to, and how many training and test rows of each.
EMOTIONS = ["joy", "love", "grief", "fear", "anger"]
ROWS = {"0": "기쁨", "1": "기쁨", "2": "슬픔", "3": "불안", "4": None, "0,1": "기쁨", "0,2": None}


def publish(folder: Path) -> None:
    """A folder in the form of GoEmotions-Korean's."""
    names = [name for names in results_transfer.EKMAN.values() for name in names]
    names = [*EMOTIONS, *(name for name in names if name not in EMOTIONS)]
    more = {str(place): None for place in range(len(EMOTIONS), len(names))}
    for name, count in (("train.tsv", 20), ("dev.tsv", 4)):
        lines = [f"{name} {ids} {number}번째 말\t{ids}\n" for ids in {**ROWS, **more} for number in range(count)]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    (folder / "label.txt").write_text("\n".join(names), encoding="utf-8")


def test_goemotions_is_read_as_three_classes(tmp_path):
    publish(tmp_path)
    path = results_transfer.goemotions(tmp_path, tmp_path / "runs")
    found = read_corpora([f"goemotions3={path}", "sample"], DataArguments(), "--sources")
    data = load_corpora(found)[0]["goemotions3"]
    names = {text.split()[1]: data.labels[label] for text, label in zip(*data.splits["test"][:].values(), strict=True)}
    assert {ids: names.get(ids) for ids in ROWS} == ROWS
    classes = results_transfer.EKMAN
    kept = {label: 20 * len(names) for label, names in classes.items()}
    kept["기쁨"] += 20  # rows of joy and love are of one class
    whole = {label: round(0.9 * count) for label, count in kept.items()}  # a tenth is for choices
    assert data.counts()["train"] == {label: round(0.15 * whole[label]) for label in data.labels}


def test_the_page_has_the_sources_the_table_and_the_pictures(tmp_path, monkeypatch, capsys):
    asked = []

    def main(words: list[str]) -> int:
        asked.extend(words)
        folder = Path(words[words.index("--study_dir") + 1])
        write_transfer(folder)
        write_transfer_report(folder)
        return 0

    publish(tmp_path)
    monkeypatch.setattr(results_transfer.transfer, "main", main)
    pages, runs = tmp_path / "pages", tmp_path / "runs"
    words = ["--kote3", "kote3.csv", "--goemotions", str(tmp_path), "--runs", str(runs), "--pages", str(pages)]
    assert results_transfer.main([*words, "--rows", "0", "12"]) == 0
    corpora = ["sample", "kote3=kote3.csv", f"goemotions3={runs / 'goemotions3_data' / 'goemotions3.yaml'}"]
    assert asked[:8] == ["--sources", *corpora, "--targets", *corpora]
    assert asked[-7:] == ["--rows", "0", "12", "--seeds", "1", "2", "3"]
    page = (pages / "transfer.md").read_text(encoding="utf-8")
    assert (runs / "transfer" / "transfer.md").read_text(encoding="utf-8").strip() in page
    assert all(licence in page for licence in ("CC0", "MIT", "Apache-2.0"))
    assert "`python recipes/results_transfer.py --kote3 FILE --goemotions FOLDER --rows 0 12 --seeds 1 2 3`" in page
    for name in ("transfer.png", "transfer_rows.png"):
        assert f"]({name})" in page and (pages / name).read_bytes() == (runs / "transfer" / name).read_bytes()
    capsys.readouterr()
    monkeypatch.setattr(results_transfer.transfer, "main", lambda words: 130)
    assert results_transfer.main(words) == 130
