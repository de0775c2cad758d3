"""A run that goes on from a checkpoint, whichever, ends as one that never stopped; a damaged one is passed over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_distributed import launch
from test_training import Stop, weights

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.storage.record import read_record
from emo_hf.training.checkpoints import fault, seal
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
        if stop:
            with pytest.raises(KeyboardInterrupt):
                run(*words, callbacks=[Stop(stop)])
        else:
            run(*words)
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
