"""A run that goes on from a checkpoint, whichever, ends as one that never stopped; a damaged one is passed over."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_distributed import launch
from test_training import Stop, run_until, weights

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.storage.record import read_record
from emo_hf.training.checkpoints import MAY_CHANGE, fault, seal
from emo_hf.training.run import run

STEPS = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 4, "eval_steps": 4}


@pytest.fixture
def start(encoders, csv_file, tmp_path):
    """One run of 9 steps an epoch, with a checkpoint every 4 steps: all but the last of an epoch stand in one."""

    def begin(name: str, stop: int = 0, **arguments: Any) -> Path:
        settings = {
            "output_dir": str(tmp_path / name),
            "num_train_epochs": 2,
            "per_device_train_batch_size": 16,
            "bf16": False,
            "disable_tqdm": True,
            "learning_rate": 2e-3,
            **STEPS,
        }
        words = (
            ModelArguments(encoder=encoders["roberta"], pooling="mean", embedding_size=16),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(**(settings | arguments)),
        )
        run_until(stop, *words)
        return tmp_path / name

    return begin


@pytest.mark.parametrize(
    "loss",
    [
        {"aux": "triplet", "mining": "sampled"},
        {"aux": "contrastive", "aux_memory": 64},
        {
            "aux": "triplet",
            "aux_pool": "accumulated",
            "per_device_train_batch_size": 8,
            "gradient_accumulation_steps": 2,
        },
        {"aux": "pml:ProxyAnchorLoss"},
        {"aux": "triplet", "tokens_per_batch": 112},
    ],
    ids=lambda loss: "-".join(map(str, loss.values())),
)
def test_a_run_stopped_in_an_epoch_ends_bit_equal(start, loss):
    straight = start("straight", **loss)
    stopped = start("stopped", stop=14, **loss)
    assert (stopped / "checkpoint-12").is_dir()
    start("stopped", resume_from_checkpoint="last", **loss)
    assert weights(stopped) == weights(straight)
    assert read_record(stopped)["test"] == read_record(straight)["test"]
    assert not list(stopped.glob("checkpoint-*"))


@pytest.mark.slow
def test_any_checkpoint_leads_to_the_same_end(start, tmp_path):
    straight = start("straight", aux="triplet")
    stopped = start("stopped", stop=18, aux="triplet", save_total_limit=20)
    checkpoints = sorted(stopped.glob("checkpoint-*"))
    assert {path.name for path in checkpoints} == {f"checkpoint-{step}" for step in (4, 8, 12, 16)}
    for checkpoint in checkpoints:
        copy = tmp_path / f"from-{checkpoint.name}"
        shutil.copytree(stopped, copy)
        start(copy.name, aux="triplet", resume_from_checkpoint=str(copy / checkpoint.name))
        assert weights(copy) == weights(straight), checkpoint.name


def test_a_damaged_checkpoint_is_passed_over_in_one_line(start, tmp_path, caplog):
    straight = start("straight", aux="triplet")
    stopped = start("stopped", stop=18, aux="triplet", save_total_limit=20)
    for step, name in ((16, "model.safetensors"), (12, "optimizer.pt")):
        path = stopped / f"checkpoint-{step}" / name
        path.write_bytes(path.read_bytes()[:-100])
    (stopped / "checkpoint-17").mkdir()  # a kill while it was written
    for step, said in ((16, "model.safetensors is not what was written"), (17, "its writing was cut off")):
        with pytest.raises(UserError, match=said) as caught:
            start("stopped", aux="triplet", resume_from_checkpoint=str(stopped / f"checkpoint-{step}"))
        assert "or `last` for the newest such" in str(caught.value) and "\n" not in str(caught.value)
    start("stopped", aux="triplet", resume_from_checkpoint="last")
    lines = [line for line in caplog.messages if "is passed over" in line]
    assert [Path(line.split()[0]).name for line in lines] == ["checkpoint-17", "checkpoint-16", "checkpoint-12"]
    assert weights(stopped) == weights(straight)


def test_without_the_best_checkpoint_a_later_one_is_no_use(start, tmp_path):
    stopped = start("stopped", stop=18, aux="triplet", save_total_limit=20)
    last = max(stopped.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    state = last / "trainer_state.json"
    best = Path(json.loads(state.read_text())["best_model_checkpoint"])
    for path in stopped.glob("checkpoint-*"):
        if path not in (last, best):
            shutil.rmtree(path)
    assert fault(last) is None
    (best / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds no checkpoint-\* that is sound"):
        start("stopped", aux="triplet", resume_from_checkpoint="last")


def test_older_checkpoints_go_only_after_a_newer_one_is_sealed(start, monkeypatch):
    """A kill between the two leaves one that is sound."""

    def stopped_seal(folder: Path) -> None:
        if folder.name == "checkpoint-12":
            raise KeyboardInterrupt
        seal(folder)

    monkeypatch.setattr("emo_hf.training.trainer.seal", stopped_seal)
    stopped = start("stopped", stop=18, save_total_limit=1)
    monkeypatch.undo()
    assert fault(stopped / "checkpoint-12") and fault(stopped / "checkpoint-8") is None
    straight = start("straight", save_total_limit=1)
    start("stopped", save_total_limit=1, resume_from_checkpoint="last")
    assert weights(stopped) == weights(straight)


@pytest.fixture
def stopped(speck, tmp_path):
    """A small run that was stopped after its first epoch, and how it is gone on with."""
    encoder, data = speck
    folder = tmp_path / "run"

    def begin(
        callbacks: tuple[Stop, ...] = (),
        pooling: str = "cls",
        max_length: int = 16,
        data: str = data,
        **arguments: Any,
    ) -> None:
        settings = {
            "output_dir": str(folder),
            "num_train_epochs": 2,
            "per_device_train_batch_size": 6,
            "bf16": False,
            "disable_tqdm": True,
            "aux": "triplet",
        }
        run(
            ModelArguments(encoder=encoder, pooling=pooling, embedding_size=8),
            DataArguments(data=data, max_length=max_length),
            MetricTrainingArguments(**(settings | arguments)),
            callbacks=callbacks,
        )

    with pytest.raises(KeyboardInterrupt):
        begin((Stop(3),))
    return begin, folder


def test_a_run_that_goes_on_with_other_arguments_is_refused(stopped):
    """Optimizer and schedule are the checkpoint's: the record would name arguments that nothing was trained with."""
    begin, folder = stopped
    record = (folder / "record.json").read_bytes()
    for arguments, said in (
        ({"learning_rate": 1e-5}, "--learning_rate was 3e-05, now 1e-05"),
        ({"weight_decay": 0.3, "aux": "supcon"}, "--weight_decay was 0.01, now 0.3; --aux was triplet, now supcon"),
        ({"num_train_epochs": 4}, "--num_train_epochs was 2, now 4"),
        ({"max_steps": 20}, "--max_steps was -1, now 20"),
        ({"seed": 7}, "--seed was 42, now 7"),
        ({"pooling": "mean", "max_length": 12}, "--pooling was cls, now mean; --max_length was 16, now 12"),
        ({"margin": 0.5}, "--margin was 1.0, now 0.5"),
        ({"per_device_train_batch_size": 4}, "--per_device_train_batch_size was 6, now 4"),
        ({"tokens_per_batch": 100}, "--tokens_per_batch was 0, now 100"),
        (
            {"aux_kwargs": {"soft": True}, "mining": "hard"},
            "--aux_kwargs was not given, now {'soft': True}; --mining was all, now hard",
        ),
        ({"early_stopping_patience": 3}, "--early_stopping_patience was not given, now 3"),
    ):
        with pytest.raises(UserError) as caught:
            begin(resume_from_checkpoint="last", **arguments)
        message = str(caught.value)
        assert said in message and "\n" not in message
        assert message.startswith(f"{folder}/checkpoint-2 is of a run with other arguments: ")
        decided = "--encoder and --pooling" if "pooling" in arguments else "--encoder"
        further = f"--init_from {folder}/checkpoint-2 --num_train_epochs 2 --output_dir {folder}-2"
        assert message.endswith(
            "; give those of then to go on, or leave --resume_from_checkpoint out to start anew, or train it further "
            f"as a new run with {further} in place of {decided} and --embedding_size"
        )
        assert fault(folder / "checkpoint-2") is None and (folder / "record.json").read_bytes() == record
    begin(resume_from_checkpoint="last")  # those of then
    assert read_record(folder)["status"] == "completed"


def test_a_run_does_not_go_on_with_other_data(stopped, speck, tmp_path):
    begin, _ = stopped
    other = tmp_path / "other.csv"
    other.write_text(Path(speck[1]).read_text(encoding="utf-8").replace("오늘", "어제", 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"data fingerprint was [0-9a-f]{12}, now [0-9a-f]{12}; give those of then"):
        begin(resume_from_checkpoint="last", data=str(other))


def test_what_decides_nothing_may_change(stopped, speck, tmp_path):
    begin, folder = stopped
    moved = folder.rename(tmp_path / "moved")
    copy = tmp_path / "copy.csv"
    shutil.copy(speck[1], copy)
    begin(
        resume_from_checkpoint=str(moved / "checkpoint-2"),
        data=str(copy),
        save_total_limit=5,
        per_device_eval_batch_size=4,
        dataloader_num_workers=1,
        logging_strategy="no",
        run_name="another",
    )
    assert read_record(folder)["status"] == "completed"


def test_what_may_change_are_arguments():
    assert {field.name for field in dataclasses.fields(MetricTrainingArguments)} >= MAY_CHANGE


def test_a_checkpoint_that_does_not_say_how_it_was_made_is_refused(stopped):
    begin, folder = stopped
    state = folder / "checkpoint-2" / "trainer_state.json"
    content = json.loads(state.read_text())
    del content["stateful_callbacks"]["MadeWith"]
    state.write_text(json.dumps(content))
    seal(folder / "checkpoint-2")
    with pytest.raises(UserError, match="does not say which arguments its run was started with; leave --resume"):
        begin(resume_from_checkpoint="last")


TWO = """
import sys
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.distributed import leave, world_size
from emo_hf.training.run import run
from transformers import TrainerCallback

encoder, data, folder = sys.argv[1:]

class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 14:
            raise KeyboardInterrupt

def start(name, callbacks=(), **more):
    settings = dict(
        output_dir=f"{folder}/{name}", num_train_epochs=2, per_device_train_batch_size=8, bf16=False,
        disable_tqdm=True, learning_rate=2e-3, save_strategy="steps", eval_strategy="steps", save_steps=4,
        eval_steps=4, aux="triplet", mining="sampled", aux_memory=32,
    )
    return run(
        ModelArguments(encoder=encoder, pooling="mean", embedding_size=16),
        DataArguments(data=data, max_length=32),
        MetricTrainingArguments(**settings | more),
        callbacks=callbacks,
    )

start("straight")
assert world_size() == 2
try:
    start("stopped", [Stop()])
    raise SystemExit("it did not stop")
except KeyboardInterrupt:
    pass
start("stopped", resume_from_checkpoint="last")
leave(0)
"""


@pytest.mark.slow
def test_two_processes_go_on_as_they_were(warm, encoders, csv_file, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(TWO, encoding="utf-8")
    launch(warm, script, 2, encoders["roberta"], csv_file, str(tmp_path))
    assert read_record(tmp_path / "stopped")["hardware"]["processes"] == 2
    assert weights(tmp_path / "stopped") == weights(tmp_path / "straight")
    assert read_record(tmp_path / "stopped")["test"] == read_record(tmp_path / "straight")["test"]
