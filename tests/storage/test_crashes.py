"""Studies that are killed, and folders that two processes want: nothing done is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import RECIPES

from emo_hf.errors import UserError
from emo_hf.storage.lock import LOCK_FILE, OWNER_FILE, held
from emo_hf.storage.record import is_done, read_record

KILLS = 30


@pytest.fixture
def words(speck) -> list[str]:
    encoder, data = speck
    return [
        *("--encoders", encoder, "--poolings", "mean", "--aux", "none", "triplet", "--seeds", "1", "2"),
        *("--data", data, "--max_length", "16", "--embedding_size", "8", "--bf16", "false"),
        *("--num_train_epochs", "2", "--per_device_train_batch_size", "6", "--learning_rate", "0.002"),
    ]


def completed(study: Path) -> dict[str, tuple[str, int]]:
    """When each finished run was started, and when its record was written."""
    return {
        folder.name: (read_record(folder)["started"], (folder / "record.json").stat().st_mtime_ns)
        for folder in study.glob("*_seed*")
        if is_done(folder)
    }


def results(study: Path) -> dict[str, bytes]:
    return {name: (study / name).read_bytes() for name in ("table.md", "table.csv", "table.tex", "findings.md")}


@pytest.mark.slow
def test_killed_at_random_moments_a_study_ends_as_one_that_was_not(warm, words, tmp_path):
    """Thirty kills; after each the same command goes on. What is done stays as it is, byte for byte."""
    words = [str(RECIPES / "compare.py"), *words, "--jobs", "1"]
    straight = tmp_path / "straight"
    process = warm.start([*words, "--study_dir", str(straight)])
    clock = time.monotonic()
    assert process.wait() == 0, process.err()
    longest = time.monotonic() - clock
    moments = random.Random(0)
    kills, studies, done = 0, 0, {}
    study = tmp_path / "study-0"
    while kills < KILLS or done:
        process = warm.start([*words, "--study_dir", str(study)])
        if kills < KILLS:
            time.sleep(moments.uniform(0, 0.3 * longest))
            process.send_signal(signal.SIGKILL)
        code = process.wait()
        assert code in (0, -signal.SIGKILL) and "Traceback" not in process.err(), process.err()
        now = completed(study)
        assert done.items() <= now.items()  # none is lost, and none is done twice
        done = now
        if code:
            kills += 1
            continue
        assert len(done) == 4 and results(study) == results(straight)
        assert {path.name for path in study.iterdir()} == {path.name for path in straight.iterdir()}
        for run in done:
            for name in ("model.safetensors", "predictions.npz"):
                assert (study / run / name).read_bytes() == (straight / run / name).read_bytes()
        studies, done = studies + 1, {}
        study = tmp_path / f"study-{studies}"
    assert kills == KILLS and studies >= 1


@pytest.mark.slow
def test_workers_of_a_killed_study_end_and_leave_the_next_one_alone(warm, words, tmp_path):
    words = [*words, "--jobs", "2", "--num_train_epochs", "15", "--study_dir", str(tmp_path / "study")]
    process = warm.start([str(RECIPES / "compare.py"), *words])
    process.wait_for(lambda: list(tmp_path.glob("study/*/checkpoint-*/sealed.json")))
    process.kill()
    owners = {json.loads(path.read_text())["pid"] for path in tmp_path.glob(f"study/*/{OWNER_FILE}")}
    assert owners and process.pid not in owners
    again = warm.start([str(RECIPES / "compare.py"), *words])
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in owners):
        assert time.monotonic() < deadline, "workers outlive their study"
        time.sleep(0.1)
    assert again.wait() == 0, again.err()
    shown = again.err()
    assert f"is taken over from process {process.pid}" in shown and "Traceback" not in shown
    assert len(completed(tmp_path / "study")) == 4


HOLD = """
import sys
from pathlib import Path
from emo_hf.storage.lock import held
with held(Path(sys.argv[1]), "wait"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds a folder."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], **pipes)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_process_at_a_time_has_a_folder(tmp_path, caplog):
    folder = tmp_path / "study"
    with holder(folder) as other:
        owner = json.loads((folder / OWNER_FILE).read_text())
        assert (owner["pid"], owner["host"]) == (other.pid, socket.gethostname())
        with pytest.raises(UserError) as caught, held(folder, "another?"):
            raise AssertionError("two processes hold it")
        assert str(caught.value) == (
            f"{folder} is in use by process {other.pid} on {owner['host']}, since {owner['since']}; another?"
        )
        (folder / "result").touch()
        other.kill()
        other.wait()
        with held(folder, "another?"):
            assert json.loads((folder / OWNER_FILE).read_text())["pid"] == os.getpid()
        assert f"{folder} is taken over from process {other.pid}" in caplog.text
    assert {path.name for path in folder.iterdir()} == {LOCK_FILE, "result"}


def test_a_folder_that_was_held_for_nothing_goes(tmp_path):
    with pytest.raises(UserError, match="a mistake"), held(tmp_path / "new", "wait"):
        raise UserError("a mistake")
    assert not (tmp_path / "new").exists()


def test_the_recipes_say_who_is_at_work(words, speck, tmp_path, capsys):
    from places import recipe

    encoder, data = speck
    with holder(tmp_path / "busy") as other:
        assert recipe("compare").main([*words, "--study_dir", str(tmp_path / "busy")]) == 2
        one = ["--encoder", encoder, "--data", data, "--max_length", "16", "--output_dir", str(tmp_path / "busy")]
        assert recipe("train").main(one) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.startswith(f"error: {tmp_path / 'busy'} is in use by process {other.pid}") for line in lines] == [
            True,
            True,
        ]
        assert lines[0].endswith("give another --study_dir") and lines[1].endswith("give another --output_dir")
    assert {path.name for path in (tmp_path / "busy").iterdir()} == {LOCK_FILE, OWNER_FILE}
