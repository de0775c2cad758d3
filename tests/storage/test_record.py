"""Records on disk: whole or not at all, and JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from emo_hf.storage.files import write_whole
from emo_hf.storage.record import classifier_loss, is_done, loss_name, write_record


def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


WRITER = """
import sys
from pathlib import Path
from emo_hf.storage.record import write_record
record = {"run_id": "run", "status": "completed", "filler": "x" * 200_000}
while True:
    for number in range(10**9):
        write_record(Path(sys.argv[1]), record | {"number": number})
"""


def test_a_reader_and_a_kill_meet_whole_records_only(tmp_path):
    folder = tmp_path / "run"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)])
    try:
        deadline = time.monotonic() + 60
        while not (folder / "record.json").exists():
            assert time.monotonic() < deadline and writer.poll() is None
            time.sleep(0.02)
        numbers = set()
        for _ in range(200):
            numbers.add(json.loads((folder / "record.json").read_text())["number"])
        assert len(numbers) > 1  # it was written to meanwhile
    finally:
        writer.kill()
        writer.wait()
    assert is_done(folder)


def test_a_record_holds_no_number_that_json_lacks(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_record(tmp_path, {"status": "completed", "loss": float("nan")})
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (None, "cross-entropy"),
        ({"class_weights": "sqrt"}, "cross-entropy (class_weights=sqrt)"),
        ({"classification_loss": "binary_cross_entropy"}, "binary cross-entropy"),
        (
            {"classification_loss": "binary_cross_entropy", "class_weights": "sqrt"},
            "binary cross-entropy (class_weights=sqrt)",
        ),
        ({"classification_loss": "logit_adjusted", "logit_adjustment": 2.0}, "logit-adjusted (logit_adjustment=2)"),
    ],
)
def test_a_classifier_s_loss_is_said_with_what_was_chosen(own, said):
    assert classifier_loss({} if own is None else {"classifier_loss": own}) == said


def test_the_plain_loss_of_several_labels_a_row_has_a_name_of_its_own():
    assert [loss_name("cross_entropy", several) for several in (False, True)] == [
        "cross-entropy",
        "binary cross-entropy",
    ]
    assert loss_name("asymmetric", several=True) == "asymmetric"
