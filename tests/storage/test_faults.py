"""Disks that are full or closed, and files that were damaged: one line, and what is sound is used."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import recipe

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.errors import UserError
from emo_hf.storage import files
from emo_hf.storage.files import move_whole, remove_leftovers, said_plainly, write_whole
from emo_hf.storage.record import is_done
from emo_hf.training.run import ModelArguments, load_tokenizer


@pytest.fixture(autouse=True)
def no_word_of_what_was_learned() -> Iterator[None]:
    """So small a model leaves classes out, which training says; here all lines are about disks and files."""
    said = logging.getLogger("emo_hf.training.diagnostics")
    said.setLevel(logging.ERROR)
    yield
    said.setLevel(logging.NOTSET)


@pytest.fixture
def common(speck) -> list[str]:
    return [
        *("--data", speck[1], "--max_length", "16", "--embedding_size", "8", "--bf16", "false", "--aux", "triplet"),
        *("--num_train_epochs", "1", "--per_device_train_batch_size", "6", "--learning_rate", "0.002"),
        *("--disable_tqdm", "true"),
    ]


@pytest.fixture
def one(common, speck, tmp_path) -> list[str]:
    return [*common, "--encoder", speck[0], "--output_dir", str(tmp_path / "run")]


@pytest.fixture
def several(common, speck, tmp_path) -> list[str]:
    grid = ["--encoders", speck[0], "--poolings", "mean", "--seeds", "1", "2", "--jobs", "1"]
    return [*common, *grid, "--study_dir", str(tmp_path / "study")]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """A disk that has room for so many bytes a file: writes really fail, in Python, Rust and C++ alike."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
        signal.signal(signal.SIGXFSZ, handler)


def only_line(text: str) -> str:
    [line] = [line for line in text.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in text
    return line


@pytest.mark.parametrize("size", [100, 1_500, 20_000, 60_000])
def test_a_full_disk_is_said_in_one_line_and_the_run_goes_when_there_is_room(one, tmp_path, capsys, caplog, size):
    recipe("train").main([*one[:-1], str(tmp_path / "warm")])  # the token cache has its own word
    capsys.readouterr()
    caplog.clear()
    with no_file_above(size):
        assert recipe("train").main(one) == 2
    line = only_line(capsys.readouterr().err)
    assert str(tmp_path / "run") in line and "can't be written (" in line and "what is done is kept" in line
    assert not is_done(tmp_path / "run") and not caplog.records
    assert recipe("train").main(one) == 0
    assert is_done(tmp_path / "run")
    for name in ("model.safetensors", "predictions.npz"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "warm" / name).read_bytes()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "(No space left on device); free some space, or give a folder on another disk"),
        (errno.EDQUOT, "(Disk quota exceeded); free some space"),
        (errno.EROFS, "(Read-only file system); give a folder that may be written to"),
        (errno.EACCES, "(Permission denied); give a folder that may be written to"),
        (errno.EIO, "(Input/output error); see that the disk has room and is sound"),
    ],
)
def test_each_fault_of_a_disk_has_its_way_out(one, tmp_path, capfd, monkeypatch, code, said):
    def fails(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", fails)
    assert recipe("train").main(one) == 2
    assert only_line(capfd.readouterr().err).startswith(f"error: {tmp_path / 'run'} can't be written {said}")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_study_survives_a_full_disk(several, tmp_path, capfd, caplog, monkeypatch, code):
    """Whenever it comes: before the first run, in one, or in the report."""
    write, broken = files.os.replace, []

    def fails(source: Path, target: Path) -> None:
        if any(name in str(target) for name in broken):
            raise OSError(code, os.strerror(code), str(source))
        write(source, target)

    monkeypatch.setattr(files.os, "replace", fails)
    broken.append("study.json")
    assert recipe("compare").main(several) == 2
    assert os.strerror(code) in only_line(capfd.readouterr().err)
    broken[:] = ["seed2/record.json"]
    assert recipe("compare").main(several) == 1
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("failed: speck_mean_triplet")]
    assert "seed2: UserError: " in line and os.strerror(code) in line
    done = tmp_path / "study" / "speck_mean_triplet_seed1" / "record.json"
    written = done.stat().st_mtime_ns
    broken[:] = ["table.md"]
    assert recipe("compare").main(several) == 2
    assert os.strerror(code) in only_line(capfd.readouterr().err)
    broken.clear()
    assert recipe("compare").main(several) == 0
    assert "2 runs, 2 done, 0 due" in capfd.readouterr().out and done.stat().st_mtime_ns == written
    assert not [record for record in caplog.records if record.exc_info]


def test_a_damaged_run_is_due_again(several, tmp_path, capfd, caplog):
    study = tmp_path / "study"
    assert recipe("compare").main(several) == 0
    table = (study / "table.md").read_bytes()
    for name, damage, said in (
        ("record.json", b'{"status": "comp', "record.json is no readable record, so the run is due again"),
        ("record.json", b"\x00" * 100, "record.json is no readable record"),
        ("predictions.npz", b"PK\x03\x04", "predictions.npz is missing or damaged, so the run is due again"),
        ("predictions.npz", None, "predictions.npz is missing or damaged"),
    ):
        path = study / "speck_mean_triplet_seed2" / name
        path.unlink() if damage is None else path.write_bytes(damage)
        caplog.clear()
        capfd.readouterr()
        assert recipe("compare").main(several) == 0
        assert "2 runs, 1 done, 1 due" in capfd.readouterr().out
        warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        [line] = [line for line in warned if "the model gives all" not in line]
        assert line.startswith(str(path)) and said in line
        assert (study / "table.md").read_bytes() == table


def test_a_damaged_token_cache_is_made_again(speck, tmp_path, caplog):
    data, tokenizer = load_emotion_data(speck[1]), load_tokenizer(ModelArguments(encoder=speck[0]))
    right = tokenize_splits(data, tokenizer, cache_dir=tmp_path)
    wanted = {name: split["input_ids"][:] for name, split in right.items()}
    del right
    first = wanted["train"][0]
    [path] = [p for p in tmp_path.rglob("*.arrow") if _holds(p, first)]
    sound = path.read_bytes()
    place = sound.index(_bytes(first))
    for damaged in (
        sound[:place] + b"\x07" + sound[place + 1 :],  # one token is another
        sound[: len(sound) // 2],
        b"",
        os.urandom(500),
    ):
        path.unlink()
        path.write_bytes(damaged)
        caplog.clear()
        again = tokenize_splits(data, tokenizer, cache_dir=tmp_path)
        assert {name: split["input_ids"][:] for name, split in again.items()} == wanted
        [line] = caplog.messages
        assert line == f"the token cache {path} is broken and is made again"
        del again
    caplog.clear()
    tokenize_splits(data, tokenizer, cache_dir=tmp_path)
    assert not caplog.messages


def _bytes(ids: list[int]) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in ids)


def _holds(path: Path, ids: list[int]) -> bool:
    return _bytes(ids) in path.read_bytes()


def test_other_errors_stay_what_they_are(tmp_path):
    unreadable = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/data.csv")
    gone = FileNotFoundError(errno.ENOENT, "gone", str(tmp_path / "x"))
    for error in (ValueError("no"), OSError("of another kind"), gone, unreadable):
        with pytest.raises(type(error)) as caught, said_plainly(tmp_path):
            raise error
        assert caught.value is error
    for said in ("I/O error: No space left on device (os error 28)", "[enforce fail] . PytorchStreamWriter failed"):
        with pytest.raises(UserError, match=f"{tmp_path} can't be written"), said_plainly(tmp_path):
            raise RuntimeError(said)


def test_folders_move_whole_and_leftovers_go(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, content in ((source, "new"), (target, "old")):
        (folder / "in").mkdir(parents=True)
        (folder / "in" / "file").write_text(content)
    (target / "own").write_text("kept")
    move_whole(source, target)
    assert not source.exists()
    assert (target / "in" / "file").read_text() == "new" and (target / "own").read_text() == "kept"
    (target / ".table.md.17.tmp").write_text("half")
    write_whole(target / "table.md", b"whole")
    remove_leftovers(target)
    assert {path.name for path in target.iterdir()} == {"in", "own", "table.md"}
