"""Corpora of one set of labels: kept apart, drawn from, and refused where they can't be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.data.seen_texts import text_hashes
from emo_hf.errors import UserError
from emo_hf.storage.record import is_done
from emo_hf.study.corpora import Rows, first_rows, joined, kept_apart, load_corpora, read_corpora, splits_of
from emo_hf.study.transfer import Leg, Transfer, TransferArguments
from emo_hf.training.loaded import load_data

LABELS = ("불안", "슬픔", "기쁨")
WORDS = {"불안": "떨렸어", "슬픔": "울었어", "기쁨": "웃었어"}


def write(path: Path, sizes: tuple[int, int, int], shared: dict[str, list[str]] | None = None) -> str:
    """A corpus of so many rows of each label in each split, and of these texts beside them."""
    rows = [
        {"sentence": f"{path.stem} {split} {number} {WORDS[label]}", "label": label, "split": split}
        for split, size in zip(("train", "validation", "test"), sizes, strict=True)
        for label in LABELS
        for number in range(size)
    ]
    rows += [
        {"sentence": text, "label": LABELS[place % 3], "split": split}
        for split, texts in (shared or {}).items()
        for place, text in enumerate(texts)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    """Two corpora: texts that `one` trains on, or chooses by, are held out of `two`."""
    shared = [f"함께 {number}" for number in range(6)]
    one = {"train": [*shared[:2], " 함께  3 "], "validation": [shared[4]]}
    two = {"test": [shared[0], shared[3], shared[4]], "validation": [shared[1]], "train": [shared[5]]}
    return {
        "one": write(tmp_path / "one.csv", (8, 2, 3), one),
        "two": write(tmp_path / "two.csv", (6, 2, 4), two),
    }


def study_of(pair: dict[str, str], folder: Path, speck: str, **words: object) -> Transfer:
    sources = read_corpora([pair["one"]], DataArguments(max_length=16), "--sources")
    targets = read_corpora(list(pair.values()), DataArguments(max_length=16), "--targets")
    corpora, labels = load_corpora(joined(sources, targets))
    arguments = TransferArguments(**({"study_dir": str(folder), "seeds": [1]} | words))
    training = given(MetricTrainingArguments(num_train_epochs=1, bf16=False))
    settings = (ModelArguments(encoder=speck, embedding_size=8), DataArguments(max_length=16), training)
    return Transfer.of(arguments, settings, corpora, (list(sources), list(targets)), labels)


def test_no_source_trains_on_what_a_target_holds_out(pair, tmp_path, speck):
    study = study_of(pair, tmp_path / "study", speck[0])
    study.claim()
    told = study.described()
    # In training two texts of its test rows, one of them with other blanks, and one of its validation rows; in
    # validation one of its test rows.
    assert told["corpora"]["one"]["removed"] == {"two": 4}
    assert told["corpora"]["two"]["removed"] == {"one": 0}
    read, whole = (
        load_data(study.model_and_data(Leg("", "", "", 1, source="one"))[1]),
        load_data(read_corpora([pair["one"]], DataArguments(max_length=16), "--sources")["one"]),
    )
    assert len(whole.splits["train"]) - len(read.splits["train"]) == 3
    assert len(whole.splits["validation"]) - len(read.splits["validation"]) == 1
    held = set(text_hashes(study.corpora["two"].splits["test"]["text"][:]))
    held |= set(text_hashes(study.corpora["two"].splits["validation"]["text"][:]))
    assert held & set(text_hashes(whole.splits["train"]["text"][:]))
    assert not held & set(text_hashes(read.splits["train"]["text"][:]))


def test_all_sources_are_tested_on_the_same_rows_in_the_order_that_is_told(pair, tmp_path, speck):
    study = study_of(pair, tmp_path / "study", speck[0])
    study.claim()
    tested = {
        name: load_data(study.model_and_data(Leg("", "", "", 1, source=name))[1]).splits["test"] for name in pair
    }  # fmt: skip
    assert tested["one"]["text"][:] == tested["two"]["text"][:]
    for target, (start, stop) in study.described()["places"].items():
        own = study.corpora[target].splits["test"]
        assert tested["one"]["text"][:][start:stop] == own["text"][:]
        names = [study.labels[label] for label in tested["one"]["label"][:][start:stop]]
        assert names == [study.corpora[target].labels[label] for label in own["label"][:]]


def test_rows_of_a_target_are_stratified_and_nested():
    labels = np.array(["a"] * 70 + ["b"] * 25 + ["c"] * 5, dtype=object)
    rows = Rows(np.arange(100).astype(object), labels, np.arange(100))
    order = first_rows(rows, ("a", "b", "c"), seed=1)
    assert sorted(order) == list(range(100))
    assert set(labels[order[:3]]) == {"a", "b", "c"}
    for count in (20, 40, 60, 80):
        found = pd.Series(labels[order[:count]]).value_counts()
        for label, share in (("a", 0.7), ("b", 0.25), ("c", 0.05)):
            assert abs(found[label] - share * count) <= 1
    assert order.tolist() != first_rows(rows, ("a", "b", "c"), seed=2).tolist()


def test_runs_on_rows_of_a_target_share_them_and_a_smaller_number_is_part_of_a_larger_one(pair, tmp_path, speck):
    study = study_of(pair, tmp_path / "study", speck[0], rows=[0, 4, 9])
    study.claim()
    legs = [task for task in study.tasks() if isinstance(task, Leg) and task.rows]
    assert [(leg.source, leg.target, leg.rows) for leg in legs] == [
        ("", "one", 4), ("", "one", 9), ("", "two", 4), ("one", "two", 4), ("", "two", 9), ("one", "two", 9),
    ]  # fmt: skip
    texts = {
        (leg.source, leg.rows): load_data(study.model_and_data(leg)[1]).splits["train"]["text"][:]
        for leg in legs
        if leg.target == "two"
    }
    assert texts["", 4] == texts["one", 4] and len(texts["", 4]) == 4
    assert texts["", 9] == texts["one", 9] and set(texts["", 4]) < set(texts["", 9])
    model, _, training = study.arguments(legs[3])
    assert model.init_from == str(tmp_path / "study" / "one_seed1")
    assert (training.num_train_epochs, training.eval_strategy, training.load_best_model_at_end) == (10, "no", False)


def test_a_study_grows_by_rows_and_seeds_and_by_nothing_else(pair, tmp_path, speck):
    folder = tmp_path / "study"
    study_of(pair, folder, speck[0]).claim()
    study_of(pair, folder, speck[0], rows=[0, 4], seeds=[1, 2]).claim()
    with pytest.raises(UserError, match=r"holds a study with another row_epochs \(10.0, now 3.0\)"):
        study_of(pair, folder, speck[0], row_epochs=3.0).claim()
    other = study_of(pair, folder, speck[0])
    with pytest.raises(UserError, match=r"holds a study with another pooling \('cls', now 'mean'\)"):
        replace(other, model=replace(other.model, pooling="mean")).claim()
    write(tmp_path / "one.csv", (9, 2, 3))
    with pytest.raises(UserError, match="the files changed"):
        study_of(pair, folder, speck[0]).claim()
    assert not is_done(folder / "one_seed1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"rows": [0, 20]}, "--rows is 20, but one has 19|--rows is 20, but two has 19"),
        ({"rows": [2]}, "--rows is 2, fewer than the 3 labels"),
        ({"rows": [4, 4]}, "--rows names 4 twice"),
        ({"seeds": [1, 1]}, "--seeds names 1 twice"),
        ({"rows": [-1]}, "--rows is -1; allowed: 0 to 1,000,000,000"),
        ({"row_epochs": 0.0}, "--row_epochs is 0.0; allowed: above 0 to 1,000,000"),
    ],
)
def test_rows_that_there_are_not(pair, tmp_path, speck, words, message):
    with pytest.raises(UserError, match=message):
        study_of(pair, tmp_path / "study", speck[0], **words)


def test_corpora_are_named_by_their_files_or_by_hand(pair, tmp_path):
    base = DataArguments(max_length=16)
    own = tmp_path / "mine.yaml"
    own.write_text(f"data: {pair['two']}\ntest_size: 0.3\nlabel_map: [웃음=기쁨]\n", encoding="utf-8")
    found = read_corpora(["sample", pair["one"], f"other={pair['one']}", str(own)], base, "--sources")
    assert list(found) == ["sample", "one", "other", "mine"]
    assert found["other"].data == [pair["one"]] and found["mine"].data == [pair["two"]]
    assert (found["mine"].test_size, found["mine"].label_map, found["mine"].max_length) == (0.3, ["웃음=기쁨"], 16)
    assert found["one"].test_size == base.test_size


def test_corpora_that_can_not_be_told_apart_or_compared(pair, tmp_path):
    base = DataArguments(max_length=16)
    with pytest.raises(UserError, match="--sources names sample twice; name each corpus once"):
        read_corpora(["sample", "sample"], base, "--sources")
    with pytest.raises(UserError, match="two corpora are called one; give one another name, as one2="):
        read_corpora([pair["one"], f"one={pair['two']}"], base, "--sources")
    with pytest.raises(UserError, match=r"can't be a part of the names of folders"):
        read_corpora([f"a/b={pair['two']}"], base, "--sources")
    one, two = (read_corpora([f"one={path}"], base, "--sources") for path in pair.values())
    with pytest.raises(UserError, match=r"the source one is .*, the target one is .*; give one of them another name"):
        joined(one, two)
    with pytest.raises(UserError, match="one is the only corpus; name two or more"):
        joined(one, one)
    (tmp_path / "empty.yaml").write_text("test_size: 0.2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"it names no corpus; write a line as `data: comments.csv`"):
        read_corpora([str(tmp_path / "empty.yaml")], base, "--sources")
    (tmp_path / "wrong.yaml").write_text("data: x.csv\ntest_sice: 0.2\n", encoding="utf-8")
    with pytest.raises(UserError, match="did you mean test_size"):
        read_corpora([str(tmp_path / "wrong.yaml")], base, "--sources")


def test_labels_must_be_those_of_all(pair, tmp_path):
    other = Path(pair["two"]).read_text(encoding="utf-8").replace("기쁨", "신남")
    (tmp_path / "other.csv").write_text(other, encoding="utf-8")
    words = [pair["one"], str(tmp_path / "other.csv")]
    with pytest.raises(UserError, match="same labels, but one alone has 기쁨; other alone has 신남; name"):
        load_corpora(read_corpora(words, DataArguments(labels=["all"]), "--sources"))
    with pytest.raises(UserError, match="corpus other: unknown label '신남'"):
        load_corpora(read_corpora(words, DataArguments(), "--sources"))
    own = tmp_path / "mapped.yaml"
    own.write_text(f"data: {tmp_path / 'other.csv'}\nlabel_map: [신남=기쁨]\n", encoding="utf-8")
    corpora, labels = load_corpora(read_corpora([pair["one"], str(own)], DataArguments(labels=["all"]), "--sources"))
    assert labels == ("기쁨", "불안", "슬픔") and corpora["mapped"].labels == labels


def test_rows_of_several_labels_are_refused(pair, three_sets):
    words = [pair["one"], three_sets]
    with pytest.raises(UserError, match=r"corpus sets has rows of several labels.*--several_labels drop"):
        load_corpora(read_corpora(words, DataArguments(), "--sources"))
    kept = DataArguments(task="single", several_labels="drop", on_bad_rows="drop")
    assert set(load_corpora(read_corpora(words, kept, "--sources"))[0]) == {"one", "sets"}


def test_a_text_that_two_targets_hold_out_counts_for_each():
    def rows(*texts: str) -> Rows:
        return Rows(np.array(texts, dtype=object), np.array(["a"] * len(texts), dtype=object), text_hashes(texts))

    corpora = {
        "s": {"train": rows("x", "y", "z"), "validation": rows("v"), "test": rows("w")},
        "t": {"train": rows("p"), "validation": rows("q"), "test": rows("x")},
        "u": {"train": rows("x"), "validation": rows("x", "v"), "test": rows("r")},
    }
    apart, counts = kept_apart(corpora, ["t", "u"])
    assert counts == {"s": {"t": 1, "u": 1}, "t": {"u": 0}, "u": {"t": 2}}
    assert apart["s"]["train"].texts.tolist() == ["y", "z"] and apart["s"]["validation"].texts.tolist() == ["v"]
    assert len(apart["u"]["train"]) == 0 and apart["u"]["validation"].texts.tolist() == ["v"]
    assert all(apart[name]["test"] is corpora[name]["test"] for name in corpora)


def test_a_split_is_read_with_the_names_of_its_labels(pair):
    data = load_data(read_corpora([pair["one"]], DataArguments(max_length=16), "--sources")["one"])
    splits = splits_of(data)
    assert splits["train"].counts(LABELS) == data.counts()["train"]
