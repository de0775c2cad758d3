"""The guides' commands for several labels a row, and for classes of 60 to 1, as typed, on data of their forms."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import sentences
from label_set_rows import set_rows
from pages import TEXTS, commands_of

from emo_hf.storage.record import read_record, read_records

SHORT = {
    "train": ["--num_train_epochs", "1"],
    "compare": ["--num_train_epochs", "1", "--encoders", "tiny-bert", "--poolings", "mean", "--seeds", "1"],
    "predict": [],
}


@pytest.fixture
def typed(mains, tmp_path: Path, monkeypatch, capsys) -> Callable[[str, str], str]:
    """Runs a recipe's command of a guide in a folder of its own, shortened; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> str:
        program, recipe, *words = shlex.split(command)
        assert program == "python"
        name = Path(recipe).stem
        own = [] if name != "compare" or "--aux" in words else ["--aux", "none"]
        assert mains[name]([*words, *SHORT[name], *own]) == 0
        return capsys.readouterr().out

    return run


def commands(guide: str, heading: str) -> list[str]:
    section = TEXTS[f"recipes/guides/{guide}"].split(f"## {heading}\n")[1].split("\n## ")[0]
    return [command for command in commands_of(section) if command.startswith("python recipes/")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guide", "heading"), [("several_labels.md", "KOTE in five minutes"), ("ko.md", "문장 하나에 라벨이 여럿일 때")]
)
def test_kote_in_five_minutes(typed, tmp_path: Path, guide: str, heading: str) -> None:
    """KOTE's form: no header, an id, a text and the ids of its labels, whose names stand in a file."""
    rows = [(text, labels) for text, labels in set_rows(140) if labels]
    for name, part in {"train": rows[:-60], "val": rows[-60:-30], "test": rows[-30:]}.items():
        lines = [f"{number}\t{text}\t{','.join(map(str, labels))}\n" for number, (text, labels) in enumerate(part)]
        (tmp_path / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "labels44.txt").write_text("불안\n슬픔\n기쁨\n", encoding="utf-8")
    train, predict, compare = commands(guide, heading)
    assert "mAP" in typed(train)
    record = read_record(tmp_path / "runs/train/tiny-bert_mean_none_seed42")
    assert record["data"]["labels"] == ["불안", "슬픔", "기쁨"] and record["data"]["report"]["rows"]["test"] == 30
    assert typed(predict).count("\n") == 2
    typed(compare)
    assert {one["kind"] for one in read_records(tmp_path / "runs/kote")} == {"model", "baseline"}
    assert (tmp_path / "runs/kote/labels.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guide", "heading"),
    [("losses.md", "Classes of very different size"), ("ko.md", "라벨마다 크기가 아주 다를 때")],
)
def test_classes_of_sixty_to_one(typed, tmp_path: Path, guide: str, heading: str) -> None:
    sizes = {"불안": 180, "슬픔": 30, "기쁨": 3}
    rows = [f"{text},{label}\n" for label, size in sizes.items() for text in sentences(label)[:size]]
    assert len(rows) > 150
    (tmp_path / "my.csv").write_text("sentence,label\n" + "".join(rows), encoding="utf-8")
    asked = [command for command in commands(guide, heading) if "my.csv" in command]
    assert len(asked) == 4
    for command in asked:
        typed(command)
    models = [one["model"] for one in read_records(tmp_path / "runs/imbalance") if one["kind"] == "model"]
    values = sorted(model["settings"]["classification_loss"] for model in models)
    assert values == ["cross_entropy", "focal", "logit_adjusted"]
    assert len(read_records(tmp_path / "runs/weights")) == 4 + 2
