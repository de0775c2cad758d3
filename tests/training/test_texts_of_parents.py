"""Texts that a run or its parents were trained on score no run that starts from it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lineage import of, start

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.data.seen_texts import text_hashes
from emo_hf.errors import UserError
from emo_hf.storage.record import read_record, read_texts
from emo_hf.training.loaded import load_data


@pytest.mark.parametrize("way", ["encoder", "init_from"])
def test_what_the_parent_was_trained_on_scores_nothing(parent, rows, half, tmp_path, way):
    record = start(tmp_path / "on", ModelArguments(**{way: str(parent)}, embedding_size=8), half)
    trained = set(of(DataArguments(data=rows, max_length=16), "train"))
    whole = load_data(half)
    expected = {
        split: [text for text in whole.splits[split]["text"] if text not in trained]
        for split in ("validation", "test")
    }
    gone = {split: len(whole.splits[split]) - len(texts) for split, texts in expected.items()}
    assert gone == {"validation": 3, "test": 3}
    scored = load_data(DataArguments(**record["arguments"]["data"]))
    assert {split: scored.splits[split]["text"][:] for split in expected} == expected
    assert record["data"]["report"]["seen_before"] == gone
    assert sum(row["support"] for row in record["test"]["per_class"].values()) == len(expected["test"])
    assert len(np.load(tmp_path / "on" / "predictions.npz")["labels"]) == len(expected["test"])
    note = f"3 of {len(whole.splits['test'])} test rows are left out: their texts stand in the training of {parent}"
    assert note in record["data"]["report"]["notes"]
    # The child's list holds its parent's.
    hashes, known = read_texts(tmp_path / "on" / "train_texts.npz")
    assert known and set(hashes.tolist()) == set(text_hashes([*trained, *of(half, "train")]).tolist())


def test_two_models_are_scored_on_rows_that_neither_has_seen(parent, speck, half, tmp_path):
    """By `--unseen_by`, where nothing starts from the run."""
    data = replace(half, unseen_by=[str(parent)])
    record = start(tmp_path / "apart", ModelArguments(encoder=speck[0], pooling="mean", embedding_size=8), data)
    assert record["data"]["report"]["seen_before"] == {"validation": 3, "test": 3} and "parent" not in record["model"]
    child = start(tmp_path / "child", ModelArguments(init_from=str(parent)), half)
    assert child["data"]["fingerprint"] == record["data"]["fingerprint"] != load_data(half).fingerprint


def test_the_grandparents_texts_are_known_too(parent, half, rows, tmp_path):
    """A child that was trained on other rows, with the parent's seen ones in its own child's test."""
    found = pd.read_csv(rows).assign(sentence=lambda table: "또 " + table["sentence"])
    found.to_csv(tmp_path / "other.csv", index=False)
    start(
        tmp_path / "child",
        ModelArguments(init_from=str(parent)),
        DataArguments(data=str(tmp_path / "other.csv"), max_length=16),
    )
    record = start(tmp_path / "grandchild", ModelArguments(init_from=str(tmp_path / "child")), half)
    assert record["data"]["report"]["seen_before"] == {"validation": 3, "test": 3}


def test_the_same_split_shares_nothing_and_another_is_refused_with_the_way_out(parent, rows, tmp_path):
    record = start(
        tmp_path / "on", ModelArguments(encoder=str(parent), pooling="mean"), DataArguments(data=rows, max_length=16)
    )
    assert (
        "seen_before" not in record["data"]["report"]
        and record["data"]["fingerprint"] == read_record(parent)["data"]["fingerprint"]
    )
    with pytest.raises(UserError) as caught:
        start(
            tmp_path / "off",
            ModelArguments(encoder=str(parent), pooling="mean"),
            DataArguments(data=rows, max_length=16, split_seed=7),
        )
    assert str(caught.value).endswith(
        "rows that it has not seen, as --split_seed 42 leaves them, by which its own data were cut"
    )
    assert not (tmp_path / "off").exists()


def test_a_run_that_keeps_no_list_is_said(parent, rows, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(parent, old)
    (old / "train_texts.npz").unlink()
    data = DataArguments(data=rows, max_length=16)
    record = start(tmp_path / "on", ModelArguments(encoder=str(old), pooling="mean"), data)
    assert any(note.startswith(f"whether {old} was trained on texts of") for note in record["data"]["report"]["notes"])
    assert read_texts(tmp_path / "on" / "train_texts.npz")[1] is False
    third = start(tmp_path / "third", ModelArguments(init_from=str(tmp_path / "on")), data)
    assert third["model"]["parent"]["run_id"] == "on"
