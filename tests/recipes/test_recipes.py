"""The recipes as they are typed: what they write, and what they say about a mistake."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import huggingface_hub
import pytest
from aihub_files import download
from checked_records import check_record
from places import recipe
from synthetic import write_run

from emo_hf.models.modeling import EmotionModel
from emo_hf.training.checkpoints import seal

LABELS = ["불안", "슬픔", "기쁨"]


@pytest.fixture(scope="module")
def train() -> Callable[[list[str]], int]:
    return recipe("train").main


def test_train_writes_model_record_and_predictions(train, common, encoders, tmp_path, capsys):
    folder = tmp_path / "run"
    words = [
        "--encoder",
        encoders["roberta"],
        "--pooling",
        "attention",
        "--aux",
        "triplet",
        "--output_dir",
        str(folder),
    ]
    assert train([*common, *words]) == 0
    record = check_record(folder)
    assert record["model"] | {"parameters": 0} == {
        "encoder": encoders["roberta"],
        "name": "mini-roberta",
        "pooling": "attention",
        "aux": "triplet",
        "parameters": 0,
        "embedding_size": 16,
    }
    assert {"aux_loss", "active_share", "positive_distance"} <= set(record["history"][0])
    assert EmotionModel.from_pretrained(folder).config.labels == LABELS
    left = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "modeling.py"} <= left
    assert not [name for name in left if name.startswith("checkpoint-") or name.endswith((".bin", ".tmp"))]
    shown = capsys.readouterr().out
    assert shown.startswith("trained on cpu in fp32\n")
    assert f"accuracy {record['test']['accuracy']:.3f}, macro-F1 {record['test']['macro_f1']:.3f}" in shown
    assert all(label in shown for label in LABELS)


def test_what_a_new_run_replaces_and_what_a_stopped_one_goes_on_from_is_said(
    train, common, encoders, tmp_path, capsys, monkeypatch
):
    words = [*common, "--encoder", encoders["bert"], "--output_dir", str(tmp_path / "run"), "--max_steps", "1"]
    assert train(words) == 0
    said = capsys.readouterr()
    assert "finished run" not in said.out + said.err
    assert train(words) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / 'run'} holds a finished run, which this one replaces" in said.err
    assert said.out.splitlines()[-1] == f"the finished run that {tmp_path / 'run'} held is replaced by this one"

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emo_hf.training.run.run", stop)
    assert train(words) == 130
    assert "stopped before its first checkpoint; the same command begins anew" in capsys.readouterr().err
    checkpoint = tmp_path / "run" / "checkpoint-1"
    checkpoint.mkdir()
    assert train(words) == 130
    assert "stopped before its first checkpoint" in capsys.readouterr().err  # its writing was cut off
    (checkpoint / "trainer_state.json").write_text("{}")
    seal(checkpoint)
    for more in ([], ["--resume_from_checkpoint", str(checkpoint)], [f"--resume-from-checkpoint={checkpoint}"]):
        (tmp_path / "run" / "record.json").unlink(missing_ok=True)
        assert train([*words, *more]) == 130
        assert capsys.readouterr().err.endswith(
            f"stopped; {checkpoint} is its last checkpoint, and this goes on from it: "
            f"python recipes/train.py {shlex.join(words)} --resume_from_checkpoint last\n"
        )


def test_train_names_its_folder_after_the_run(train, common, encoders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "settings.yaml"
    config.write_text("pooling: max\nseed: 3\nper_device_train_batch_size: 16\n")
    assert train([*common, "--encoder", encoders["bert"], "--config", str(config)]) == 0
    record = check_record(tmp_path / "runs" / "train" / "mini-bert_max_none_seed3")
    assert record["arguments"]["training"]["per_device_train_batch_size"] == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pooling", "middle"], "--pooling is 'middle'; allowed: cls, mean, max, attention, last"),
        (["--aux", "quadruplet"], "quadruplet"),
        (["--aux", "contrastive", "--mining", "semi-hard"], "semi-hard"),
        (["--data", "missing.csv"], "missing.csv does not exist"),
        (["--encoder", "no/such/encoder"], "encoder 'no/such/encoder' can't be loaded"),
        (["--encoder", "no/such/encoder", "--data", "missing.csv"], "missing.csv does not exist"),
        (["--encoder", "me/tiny-bert"], "encoder 'me/tiny-bert' can't be loaded"),
        (["--encoder", "tiny-brt"], "there is no encoder 'tiny-brt'; did you mean tiny-bert?"),
        (["--poling", "mean"], "did you mean --pooling?"),
        (["--max_length", "100"], "--max_length is 100, but"),
        (["--max_length", "two"], "--max_length: invalid int value"),
        (["--labels", "기쁨", "분노"], "분노"),
        (["--text_column", "words"], "words"),
        (["--learning_rate", "1e30", "--max_grad_norm", "0"], "lower --learning_rate"),
        (["--resume_from_checkpoint", "last"], "holds no checkpoint-*"),
    ],
)
def test_mistakes_are_said_in_one_line(train, common, encoders, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "run"
    assert train([*common, "--encoder", encoders["bert"], "--output_dir", str(folder), *words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and message in lines[0]
    record = folder / "record.json"
    if record.exists():
        assert json.loads(record.read_text(encoding="utf-8"))["status"] == "failed"


def test_ai_hub_s_files_as_downloaded(train, tmp_path, capsys):
    """The folder goes in as it came: training part, validation part as test set, both JSON and zip."""
    folder = download(tmp_path / "감성대화")
    words = ["--data", str(folder), "--encoder", "tiny-bert", "--output_dir", str(tmp_path / "run")]
    assert (
        train(
            [*words, *["--num_train_epochs", "1", "--max_length", "32", "--bf16", "false", "--disable_tqdm", "true"]]
        )
        == 0
    )
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["data"]["report"]["kind"] and sum(record["data"]["counts"]["test"].values()) == 12
    assert list(record["test"]["per_class"]) == LABELS


def test_a_search_of_other_settings_is_refused_before_it_says_anything(speck, tmp_path, capsys):
    encoder, data = speck
    words = ["--encoder", encoder, "--data", data, "--max_length", "32", "--search_dir", str(tmp_path / "search")]
    words += ["--num_train_epochs", "1", "--bf16", "false", "--trials", "1", "--space", "learning_rate=1e-4..1e-3"]
    assert recipe("search").main(words) == 0
    assert capsys.readouterr().out.startswith("1 trials over learning_rate=1e-4..1e-3, 0 done, in ")
    assert recipe("search").main([*words, "--trials", "2", "--seed", "9"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "holds a search with another seed (42, now 9)" in said.err


def test_a_finished_run_is_neither_gone_on_with_nor_made_a_study(refused, tmp_path):
    run = tmp_path / write_run(tmp_path)["run_id"]
    said = refused("--output_dir", str(run), "--resume_from_checkpoint", "last")
    assert said == (  # without a model, which could be trained further
        f"--resume_from_checkpoint last: TMP/{run.name} is a finished run, which keeps no checkpoint and no optimizer "
        "to resume with; leave --resume_from_checkpoint out to train anew"
    )
    words = ["--study_dir", str(run), "--poolings", "cls", "--encoders", "tiny-bert"]
    assert "is the folder of a run" in refused(*words, recipe="compare")
    assert not (run / "study.json").exists()
