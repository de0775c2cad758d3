"""Rows with several labels each: read from every form, named, left out, parted and cut into tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
from tables import error_of
from transformers import AutoTokenizer

from emo_hf.data.loading import EmotionData, load_emotion_data
from emo_hf.data.seen_texts import TooManySeen, text_hashes, without_seen
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.errors import UserError

NAMES = ("joy", "sad", "calm")
SETS: list[tuple[int, ...]] = [(0,), (0, 1), (1,), (1, 2), (), (0, 1, 2), (2,), (0, 2)]
COUNT = 80


def wanted(count: int = COUNT) -> dict[str, list[str]]:
    """The labels of each text."""
    return {f"{n}번째 문장": sorted(NAMES[place] for place in SETS[n % len(SETS)]) for n in range(count)}


def found(data: EmotionData) -> dict[str, list[str]]:
    return {
        text: sorted(data.labels[place] for place in labels)
        for split in data.splits.values()
        for text, labels in zip(split["text"], split["label"], strict=True)
    }


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def csv(path: Path, rows: list[dict[str, Any]]) -> str:
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def pairs(count: int = COUNT) -> list[tuple[str, tuple[int, ...]]]:
    return [(text, SETS[n % len(SETS)]) for n, text in enumerate(wanted(count))]


def names_of(labels: tuple[int, ...]) -> list[str]:
    return [NAMES[place] for place in labels]


def ones(labels: tuple[int, ...]) -> dict[str, int]:
    return {name: int(place in labels) for place, name in enumerate(NAMES)}


def saved(folder: Path, split: bool) -> str:
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=list(NAMES)))}
    )
    content = {"text": [text for text, _ in pairs()], "labels": [list(labels) for _, labels in pairs()]}
    made = datasets.Dataset.from_dict(content, features=features)
    if split:
        datasets.DatasetDict({"train": made.select(range(60)), "test": made.select(range(60, COUNT))}).save_to_disk(
            str(folder)
        )
    else:
        made.to_parquet(str(folder))
    return str(folder)


FORMS = {
    "lists of names": lambda p: jsonl(p / "a.jsonl", [{"text": t, "labels": names_of(s)} for t, s in pairs()]),
    "printed lists": lambda p: csv(p / "a.csv", [{"text": t, "labels": str(names_of(s))} for t, s in pairs()]),
    "a bar": lambda p: csv(
        p / "a.csv", [{"text": t, "labels": "|".join(NAMES[i] for i in s) or "[]"} for t, s in pairs()]
    ),
    "a comma": lambda p: csv(
        p / "a.csv", [{"text": t, "labels": ", ".join(NAMES[i] for i in s) or "[]"} for t, s in pairs()]
    ),
    "columns behind": lambda p: csv(p / "a.csv", [{"text": t, **ones(s)} for t, s in pairs()]),
    "columns before": lambda p: csv(p / "a.csv", [{**ones(s), "text": t} for t, s in pairs()]),
    "columns of truth": lambda p: csv(
        p / "a.csv", [{"text": t, **{k: bool(v) for k, v in ones(s).items()}} for t, s in pairs()]
    ),
    "columns of a workbook": lambda p: [
        pd.DataFrame([{"text": t, **ones(s)} for t, s in pairs()]).to_excel(p / "a.xlsx", index=False),
        str(p / "a.xlsx"),
    ][1],
    "a saved data set": lambda p: saved(p / "saved", split=True),
    "parquet": lambda p: saved(p / "a.parquet", split=False),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_sets(tmp_path, form):
    """An empty list, or 0 in all columns, is a row without labels, which stays."""
    data = load_emotion_data(FORMS[form](tmp_path), labels="all")
    assert data.multi_label and data.labels == tuple(sorted(NAMES))
    assert found(data) == wanted()
    assert any("10 of 80 rows have no label: they stay" in note for note in data.report["notes"])
    assert any("have several labels each" in note for note in data.report["notes"])
    for split in data.splits:
        counted = Counter(data.labels[place] for labels in data.splits[split]["label"] for place in labels)
        assert data.counts()[split] == {name: counted[name] for name in data.labels}
        assert data.report["rows"][split] == len(data.splits[split])


IDS = {
    "lists": lambda p: jsonl(p / "a.jsonl", [{"text": t, "labels": list(s)} for t, s in pairs()]),
    "one cell": lambda p: csv(p / "a.csv", [{"text": t, "labels": ",".join(map(str, s)) or "[]"} for t, s in pairs()]),
    "vectors": lambda p: jsonl(p / "a.jsonl", [{"text": t, "labels": list(ones(s).values())} for t, s in pairs()]),
    "vectors of fractions": lambda p: jsonl(
        p / "a.jsonl", [{"text": t, "labels": [float(v) for v in ones(s).values()]} for t, s in pairs()]
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", IDS)
def test_ids_are_labels_in_the_order_of_their_numbers(tmp_path, form):
    data = load_emotion_data(IDS[form](tmp_path), labels="all")
    assert data.multi_label and data.labels == ("0", "1", "2")
    assert found(data) == {text: sorted(map(str, labels)) for text, labels in pairs()}


def test_ids_above_nine_stand_by_their_numbers(tmp_path):
    rows = [{"text": f"문장 {n}", "labels": [n % 12, (n + 5) % 12]} for n in range(120)]
    assert load_emotion_data(jsonl(tmp_path / "a.jsonl", rows), labels="all").labels == tuple(map(str, range(12)))


@pytest.mark.parametrize("cell", ["", "nan", "NULL", None])
def test_an_empty_cell_is_a_bad_row(tmp_path, cell):
    rows = [{"text": t, "labels": "|".join(NAMES[i] for i in s) or "[]"} for t, s in pairs()]
    rows[3]["labels"] = cell
    data = load_emotion_data(csv(tmp_path / "a.csv", rows), labels="all")
    expected = wanted()
    del expected["3번째 문장"]
    assert found(data) == expected and data.labels == tuple(sorted(NAMES))
    assert data.report["bad_rows"]["empty label"]["train"] == {"count": 1, "rows": ["a.csv, row 5"]}
    assert "row 5: the label is" in error_of(tmp_path / "a.csv", labels="all", on_bad_rows="error")


def test_a_missing_list_is_a_bad_row_and_an_empty_one_is_not(tmp_path):
    rows = [{"text": t, "labels": [NAMES[i] for i in s]} for t, s in pairs()]
    rows[3]["labels"] = None
    data = load_emotion_data(jsonl(tmp_path / "a.jsonl", rows), labels="all")
    assert len(found(data)) == 79 and "3번째 문장" not in found(data) and found(data)["4번째 문장"] == []


@pytest.fixture
def joined(tmp_path) -> str:
    return csv(
        tmp_path / "joined.csv", [{"text": t, "labels": "|".join(NAMES[i] for i in s) or "[]"} for t, s in pairs()]
    )


def test_labels_that_were_not_asked_for_do_not_count_and_their_rows_stay(joined):
    data = load_emotion_data(joined, labels=["sad", "joy"])
    assert data.labels == ("sad", "joy")
    assert found(data) == {text: [name for name in names if name != "calm"] for text, names in wanted().items()}
    assert data.report["left_out"] == {"calm": 40}
    assert (
        "labels that were not asked for don't count, and rows that have them stay: calm (40)" in data.report["notes"]
    )


def test_a_label_map_joins_names_within_a_row(joined):
    data = load_emotion_data(joined, labels="all", label_map=["sad=low", "calm=low"])
    low = {text: sorted({{"joy": "joy"}.get(name, "low") for name in names}) for text, names in wanted().items()}
    assert data.labels == ("joy", "low") and found(data) == low


def test_rare_labels_leave_the_sets_and_not_the_rows(tmp_path):
    rows = [{"text": t, "labels": [NAMES[i] for i in s] + (["odd"] if n in (0, 9) else [])}
            for n, (t, s) in enumerate(pairs())]  # fmt: skip
    path = jsonl(tmp_path / "a.jsonl", rows)
    data = load_emotion_data(path, labels="all", drop_labels_below=3)
    assert found(data) == wanted() and data.report["labels_dropped"] == {"odd": 2}
    assert "odd" in load_emotion_data(path, labels="all").labels
    said = error_of(path, labels="all", drop_labels_below=99)
    assert said.startswith("--drop_labels_below 99 leaves fewer than two labels; training has most rows of ")
    assert "(40)" in said and said.endswith("; give a smaller number.")


def splits(path: Path, train: list[list[str]], test: list[list[str]]) -> str:
    rows = [{"text": f"{part} {n}", "labels": names, "split": part}
            for part, found in (("train", train), ("validation", test), ("test", test))
            for n, names in enumerate(found)]  # fmt: skip
    return jsonl(path, rows)


TRAIN = [["joy"], ["joy", "sad"], ["sad", "calm"], [], ["calm"]] * 6


def test_a_label_that_training_lacks_is_an_unknown_one(tmp_path):
    path = splits(tmp_path / "a.jsonl", TRAIN, [["joy", "wild"], *TRAIN[:9]])
    data = load_emotion_data(path, labels="all")
    assert data.labels == ("calm", "joy", "sad") and len(data.splits["test"]) == 9
    assert data.report["bad_rows"]["unknown label"]["test"]["count"] == 1
    said = error_of(path, labels="all", on_bad_rows="error")
    assert "unknown label 'wild'" in said and "add rows of it to the training split" in said


def test_labels_that_a_split_lacks_are_said(tmp_path):
    data = load_emotion_data(splits(tmp_path / "a.jsonl", TRAIN, [["joy"], ["joy", "sad"], []]), labels="all")
    assert data.report["labels_absent"] == {"validation": ["calm"], "test": ["calm"]}
    assert "test holds no row of calm: its macro-F1 is the mean over the other 2 labels" in data.report["notes"]
    said = error_of(splits(tmp_path / "b.jsonl", TRAIN, [["joy"]]), labels=["joy", "sad", "wild"])
    assert "train holds no row of wild; every label needs a training row: add rows, or leave out wild" in said


def test_a_label_that_every_row_has_is_said(tmp_path):
    train = [[*names, "on"] for names in TRAIN]
    notes = load_emotion_data(splits(tmp_path / "a.jsonl", train, train[:9]), labels="all").report["notes"]
    assert "every training row has the label on: no text can tell of it, and its scores say nothing" in notes
    notes = load_emotion_data(splits(tmp_path / "b.jsonl", [*train, []], train[:9]), labels="all").report["notes"]
    assert not any("every training row" in note for note in notes)


def test_one_label_alone_is_refused(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"text": f"문장 {n}", "labels": ["joy"] * (n % 2)} for n in range(40)])
    said = "the data hold one class only ({}); asked for: {}; name at least two labels that the data hold."
    assert error_of(path, labels="all", task="multi") == said.format("joy", "joy")
    assert error_of(path, labels=["joy", "sad"], task="multi") == said.format("joy", "joy, sad")
    others = error_of(path, labels=["calm", "sad"], task="multi")
    assert others == said.format("none of those asked for", "calm, sad")


def test_all_labels_on_every_row_are_taken(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"text": f"문장 {n}", "labels": list(NAMES)} for n in range(40)])
    data = load_emotion_data(path, labels="all")
    assert data.counts()["train"] == dict.fromkeys(sorted(NAMES), len(data.splits["train"]))
    assert {split: len(data.splits[split]) for split in data.splits} == {"train": 32, "validation": 4, "test": 4}


def test_a_smaller_share_is_part_of_a_larger_one_and_keeps_every_label(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"text": f"문장 {n}", "labels": [f"l{i}" for i in np.flatnonzero(rng.random(12) < 0.1)]} for n in range(400)
    ]
    rows[5]["labels"] = ["l0", "rare"]
    rows = [row | {"split": "train" if n < 300 else "test"} for n, row in enumerate(rows)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    parts = [load_emotion_data(path, labels="all", train_fraction=share) for share in (0.05, 0.2, 0.5, 1.0)]
    kept = [set(data.splits["train"]["text"]) for data in parts]
    assert kept[0] < kept[1] < kept[2] < kept[3] and len({data.labels for data in parts}) == 1
    assert all(all(data.counts()["train"].values()) for data in parts)
    assert [len(data.splits["test"]) for data in parts] == [100] * 4
    for data, share in zip(parts, (0.05, 0.2, 0.5, 1.0), strict=True):
        assert share * len(kept[3]) <= len(data.splits["train"]) + 1 <= share * len(kept[3]) + 14


def test_the_fingerprint_is_that_of_texts_labels_and_splits_in_any_form(tmp_path):
    parts = ("train", "dev", "test")
    rows = [{"text": f"문장 {n}", "labels": names_of(SETS[n % 8]), "split": parts[n // 60]} for n in range(180)]
    hot = [{"text": r["text"], "split": r["split"], **{k: int(k in r["labels"]) for k in sorted(NAMES)}} for r in rows]
    one = load_emotion_data(jsonl(tmp_path / "a.jsonl", rows), labels=sorted(NAMES))
    other = load_emotion_data(csv(tmp_path / "b.csv", hot), labels=sorted(NAMES))
    assert one.fingerprint == other.fingerprint
    rows[4]["labels"] = ["joy"]
    changed = load_emotion_data(jsonl(tmp_path / "c.jsonl", rows), labels=sorted(NAMES))
    assert changed.fingerprint != one.fingerprint


AGAIN = """
import sys
from transformers import AutoTokenizer
import emo_hf.data.tokenization as tokenization
from emo_hf.data.loading import load_emotion_data
def never(*_, **__):
    raise AssertionError("tokenized again")
tokenization.tokenize_table = never
data = load_emotion_data(sys.argv[1], labels="all")
tokens = tokenization.tokenize_splits(data, AutoTokenizer.from_pretrained(sys.argv[2]), cache_dir=sys.argv[3])
print(tokens["train"]["labels"][:3])
"""


def test_tokens_hold_zeros_and_ones_and_another_process_finds_them(joined, encoders, tmp_path):
    data = load_emotion_data(joined, labels="all")
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    tokens = tokenize_splits(data, tokenizer, cache_dir=tmp_path / "cache")
    for name, split in data.splits.items():
        hot = [[int(place in labels) for place in range(3)] for labels in split["label"]]
        assert tokens[name]["labels"][:] == hot
        assert tokens[name].features["labels"] == datasets.List(datasets.Value("uint8"), length=3)
    files = sorted((tmp_path / "cache").rglob("*.arrow"))
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, joined, encoders["bert"], str(tmp_path / "cache")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == tokens["train"]["labels"][:3]
    assert sorted((tmp_path / "cache").rglob("*.arrow")) == files
    # Another order of the labels is another vector.
    other = load_emotion_data(joined, labels=["sad", "joy", "calm"])
    turned = tokenize_splits(other, tokenizer, cache_dir=tmp_path / "cache")
    places = [data.labels.index(name) for name in other.labels]
    assert turned["train"]["labels"][:] == [[row[place] for place in places] for row in tokens["train"]["labels"]]


def test_texts_that_a_run_has_seen_are_left_out_of_the_counts(joined):
    data = load_emotion_data(joined, labels="all")
    seen = np.sort(text_hashes(data.splits["test"]["text"][:2]))
    left = without_seen(data, {"parent": seen})
    assert left.splits["test"]["text"][:] == data.splits["test"]["text"][2:]
    counted = Counter(data.labels[place] for labels in left.splits["test"]["label"] for place in labels)
    assert left.counts()["test"] == {name: counted[name] for name in data.labels}
    assert left.report["rows"]["test"] == data.report["rows"]["test"] - 2 and left.fingerprint != data.fingerprint
    with pytest.raises(TooManySeen, match="stand in the training of parent, so that"):
        without_seen(data, {"parent": np.sort(text_hashes(data.splits["test"]["text"][:]))})


@pytest.mark.parametrize(("labels", "refused"), [(1000, False), (10_001, True)])
def test_a_thousand_labels_are_taken(tmp_path, labels, refused):
    rows = [
        {"text": f"문장 {n}", "labels": [f"l{(n + k) % labels:05}" for k in (0, 7, 400)]}
        for n in range(max(3000, labels))
    ]
    path = jsonl(tmp_path / "a.jsonl", rows)
    if refused:
        assert "at most" in error_of(path, labels="all")
        return
    data = load_emotion_data(path, labels="all")
    assert len(data.labels) == labels and all(data.counts()["train"].values())
    assert [len(data.splits[split]) for split in data.splits] == [2400, 300, 300]


def test_single_takes_them_as_it_is_told(joined):
    with pytest.raises(UserError, match="but --task single trains one label a row; leave --task out"):
        load_emotion_data(joined, labels="all", task="single")
    data = load_emotion_data(joined, labels="all", task="single", several_labels="drop", on_bad_rows="drop")
    assert not data.multi_label and sum(map(len, data.splits.values())) == 30


def test_multi_takes_rows_of_one_label(tmp_path):
    path = csv(tmp_path / "a.csv", [{"text": f"문장 {n}", "label": NAMES[n % 3]} for n in range(60)])
    data = load_emotion_data(path, labels="all", task="multi")
    assert data.multi_label and data.splits["train"]["label"][0] in ([0], [1], [2])
    assert not load_emotion_data(path, labels="all").multi_label
