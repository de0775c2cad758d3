"""The commands of the guide to small models, as typed, on synthetic data."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from conftest import LABELS, sentences
from pages import TEXTS, commands_of
from places import recipe

from emo_hf.storage.record import read_record

SHORT = ["--num_train_epochs", "1", "--disable_tqdm", "true", "--bf16", "false"]


@pytest.mark.slow
@pytest.mark.parametrize(("guide", "heading"), [("distillation.md", None), ("ko.md", "작고 빠른 모델")])
def test_the_commands_as_typed(guide, heading, trained, csv_file, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "runs/train/tiny-bert_mean_none_seed42")
    texts = [text for label in LABELS for text in sentences(label)[100:160]]
    Path("comments.txt").write_text("\n".join(texts), encoding="utf-8")
    section = TEXTS[f"recipes/guides/{guide}"]
    if heading:
        section = section.split(f"## {heading}\n")[1].split("\n## ")[0]
    commands = [command for command in commands_of(section) if command.startswith("python recipes/")]
    measured = ("kote", "bench", "FOLDER", "chatbot.txt")  # on corpora that are not here
    commands = [command for command in commands if not any(word in command for word in measured)]
    names = []
    for command in commands:
        _, path, *words = shlex.split(command, comments=True)
        names.append(Path(path).stem)
        if names[-1] == "distill":
            words += [*SHORT, "--distill_epochs", "1"]
            words = [word.replace("layers=2", "layers=1") for word in words]  # the teacher here has two
        if names[-1] == "train":
            words += [*SHORT, "--data", csv_file]
        assert recipe(names[-1]).main(words) == 0, capsys.readouterr().err
    assert names[:3] == ["train", "export", "predict"] and names[-2:] == ["distill", "distill"]
    for student in ("static", "layers1"):
        record = read_record(Path(f"runs/distill/{student}_of_tiny-bert_mean_none_seed42"))
        assert record["status"] == "completed" and record["model"]["distilled_from"]
