"""A run on the Hub as the parent of another: pushed with its texts' hashes, an encoder, trained further."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import hub_server
import pandas as pd
import pytest
from conftest import LABELS, sentences
from places import RECIPES

from emo_hf.storage.record import read_record

SHORT = ["--max_length", "32", "--num_train_epochs", "1", "--bf16", "false", "--disable_tqdm", "true"]


@pytest.fixture
def own_rows(csv_file: str, tmp_path: Path) -> str:
    """New rows, with two test rows of each label that the run of the fixture `trained` was trained on."""
    rows = [
        {"sentence": text, "label": label, "split": split}
        for label in LABELS
        for text, split in [
            *((text, "test") for text in sentences(label)[:2]),
            *((text, "test") for text in sentences(label)[200:206]),
            *((text, "validation") for text in sentences(label)[206:212]),
            *((text, "train") for text in sentences(label)[212:220]),
        ]
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "own.csv", index=False)
    return str(tmp_path / "own.csv")


def test_a_run_on_the_hub_is_a_parent_as_one_in_a_folder(trained: Path, own_rows: str, tmp_path: Path) -> None:
    with hub_server.running() as server:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment = {**clean, "OMP_NUM_THREADS": "1", **hub_server.environment(server, str(tmp_path / "home"))}

        def done(recipe: str, *words: str) -> str:
            command = [sys.executable, str(RECIPES / recipe), *words]
            ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert ended.returncode == 0, ended.stderr[-3000:]
            return ended.stderr

        done("push.py", str(trained), "--hub_model_id", "base")
        base = server.repos["tester/base"]
        assert base.files["train_texts.npz"] == (trained / "train_texts.npz").read_bytes()
        words = ["--data", own_rows, *SHORT]
        own = "--encoder", "tester/base", "--pooling", "mean", "--embedding_size", "16"
        said = done("train.py", *words, *own, "--output_dir", "as_encoder")
        assert "6 of 24 test rows are left out: their texts stand in the training of tester/base" in said
        pushed = ["--push_to_hub", "true", "--hub_model_id", "further"]
        done("train.py", *words, "--init_from", "tester/base", "--output_dir", "further", *pushed)
        for name, kept in (("as_encoder", 1), ("further", 4)):
            record = read_record(tmp_path / name)
            parent = record["model"]["parent"]
            assert parent.pop("kept") == ["encoder", "pooling", "embedding", "classifier"][:kept]
            assert parent == {
                "from": "tester/base",
                "run_id": trained.name,
                "data_fingerprint": read_record(trained)["data"]["fingerprint"],
                "commit": base.sha,
            }
            assert record["model"]["name"] == "base" and record["model"]["encoder_commit"] == base.sha
            assert record["data"]["report"]["seen_before"] == {"test": 6}
        card = server.repos["tester/further"].files["README.md"].decode()
        assert (
            f"trained further from {trained.name}; 6 test rows whose texts that one had been trained on take no"
            in card
        )
        assert "Encoder base, mean pooling" in card and "base_model: tester/base" in card
        assert json.loads(server.repos["tester/further"].files["record.json"])["model"]["parent"]
        # A commit of it, and the record of what went on from there.
        done("train.py", "--from_record", "further/record.json")
        assert (
            read_record(tmp_path / "runs" / "again" / "further")["test"] == read_record(tmp_path / "further")["test"]
        )
