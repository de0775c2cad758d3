"""Few rows: so many of each label, drawn by a seed."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.training.loaded import drawn_by


def test_each_label_has_as_many_rows_and_fewer_are_part_of_more(csv_file: Path) -> None:
    whole = load_emotion_data(csv_file)
    found = [load_emotion_data(csv_file, shots=shots, shots_seed=1) for shots in (1, 2, 4)]
    for shots, data in zip((1, 2, 4), found, strict=True):
        assert set(data.counts()["train"].values()) == {shots}
        assert data.splits["test"]["text"][:] == whole.splits["test"]["text"][:]
        assert data.splits["validation"]["text"][:] == whole.splits["validation"]["text"][:]
    texts = [set(data.splits["train"]["text"]) for data in found]
    assert all(small < large for small, large in itertools.pairwise(texts))


def test_each_seed_draws_its_own_rows_and_the_same_ones_again(csv_file: Path) -> None:
    first, again, other = (
        load_emotion_data(csv_file, shots=3, shots_seed=seed).splits["train"]["text"][:] for seed in (1, 1, 2)
    )
    assert first == again and set(first) != set(other)


def test_a_label_with_fewer_rows_keeps_them_all_and_a_line_says_so(tmp_path: Path) -> None:
    rows = [("기쁨", n) for n in range(20)] + [("슬픔", n) for n in range(3)]
    path = tmp_path / "data.csv"
    lines = [f"{label} 문장 {n},{label},train" for label, n in rows]
    lines += [f"{split} {label} {n},{label},{split}" for split in ("validation", "test") for label, n in rows[18:22]]
    path.write_text("\n".join(["text,label,split", *lines]), encoding="utf-8")
    data = load_emotion_data(path, labels="all", shots=8)
    assert data.counts()["train"] == {"기쁨": 8, "슬픔": 3}
    [note] = [note for note in data.report["notes"] if "--shots 8" in note]
    assert note.startswith("1 label has fewer") and "슬픔 (3)" in note


def test_rows_of_several_labels_stay_for_each_of_them(tmp_path: Path) -> None:
    sets = ["기쁨", "기쁨;슬픔", "슬픔;불안", "불안"]
    lines = [f"{split} 문장 {n},{sets[n % 4]},{split}" for split in ("train", "validation", "test") for n in range(50)]
    path = tmp_path / "sets.csv"
    path.write_text("\n".join(["text,labels,split", *lines]), encoding="utf-8")
    texts = []
    for shots in (2, 5):
        data = load_emotion_data(path, labels="all", task="multi", label_column="labels", shots=shots)
        held = data.splits["train"]["label"][:]
        counts = Counter(label for labels in held for label in labels)
        assert all(shots <= count <= 2 * shots + shots for count in counts.values()) and len(counts) == 3
        texts.append(set(data.splits["train"]["text"]))
    assert texts[0] < texts[1]


def test_the_seed_of_a_run_draws_unless_another_is_given() -> None:
    assert drawn_by(DataArguments(shots=8), 5).shots_seed == 5
    assert drawn_by(DataArguments(shots=8, shots_seed=3), 5).shots_seed == 3
    assert drawn_by(DataArguments(), 5) == DataArguments()


def test_a_number_and_a_share_of_rows_exclude_each_other(csv_file: Path) -> None:
    with pytest.raises(UserError, match=r"--shots 8 and --train_fraction 0\.5 both say"):
        DataArguments(shots=8, train_fraction=0.5)
    for wrong in ({"shots": 8, "train_fraction": 0.5}, {"shots": 0}):
        with pytest.raises(UserError, match="shots is"):
            load_emotion_data(csv_file, **wrong)
