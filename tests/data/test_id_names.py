"""Ids of labels get the names that a file has for them, and keep its order."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from tables import error_of, write

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.id_names import read_id_names
from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError
from emo_hf.training.loaded import load_data

NAMES = ["슬픔/우울", "None", "기쁨", "calm"]
FORMS = {
    "names.txt": "\ufeff슬픔/우울\nNone \r\n기쁨\n calm\n\n",
    "names.yaml": "- 슬픔/우울\n- None\n- 기쁨\n- calm\n",
    "ids.yml": "0: 슬픔/우울\n1: None\n2: 기쁨\n3: calm\n",
    "label2id.yaml": "슬픔/우울: 0\nNone: 1\n기쁨: 2\ncalm: 3\n",
    "names.json": json.dumps(NAMES),
    "id2label.json": json.dumps({str(n): name for n, name in enumerate(NAMES)}),
    "label2id.json": json.dumps({name: n for n, name in enumerate(NAMES)}),
}


@pytest.fixture
def names(tmp_path) -> str:
    (tmp_path / "names.txt").write_text(FORMS["names.txt"], encoding="utf-8")
    return str(tmp_path / "names.txt")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_file(tmp_path, form):
    (tmp_path / form).write_text(FORMS[form], encoding="utf-8")
    assert read_id_names(str(tmp_path / form)) == {str(n): name for n, name in enumerate(NAMES)}


def test_a_file_of_a_korean_windows(tmp_path):
    (tmp_path / "names.txt").write_bytes("불안\r\n슬픔\r\n".encode("cp949"))
    assert read_id_names(str(tmp_path / "names.txt")) == {"0": "불안", "1": "슬픔"}


BROKEN = {
    "one.txt": ("joy\n", "names 1 id; at least two are needed: write one name a line"),
    "empty.txt": ("", "holds no names of ids; write one name a line, the first that of id 0, or YAML or JSON"),
    "gap.txt": ("joy\n\nsad\n", "the name of id 1 is empty"),
    "twice.txt": ("joy\nsad\nJoy\n", "ids 0 and 2 have one name (joy, Joy); give each its own, and join them with"),
    "words.yaml": ("joy: happy\nsad: blue\n", "has a name without an id, joy: happy, sad: blue"),
    "deep.yaml": ("0: [joy]\n1: [sad]\n", "holds no names of ids"),
    "twice.yaml": ("0: joy\n0: sad\n", "is not YAML (a key stands twice)"),
    "same.json": ('{"a": 1, "b": 1}', "gives an id two names"),
    "broken.json": ('{"a": 1', "is not JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_something_else_is_refused_in_a_line(tmp_path, name):
    content, said = BROKEN[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        read_id_names(str(tmp_path / name))
    assert str(caught.value).startswith(f"--label_names {tmp_path / name}")


def test_no_such_file(tmp_path):
    assert "can't be opened (No such file or directory)" in error_of("sample", label_names=tmp_path / "names.txt")


SETS = [[0, 2], [2], [1], [0, 1, 2], []]


@pytest.mark.parametrize("form", ["ids", "lists", "vectors", "names"])
def test_ids_of_several_labels_get_their_names(tmp_path, names, form):
    """In the order of the file, of which no row has the last; `None` and `슬픔/우울` are names there."""
    cells = {
        "ids": lambda found: ",".join(map(str, found)) or "[]",
        "lists": json.dumps,
        "vectors": lambda found: ",".join(str(int(n in found)) for n in range(4)),
        "names": lambda found: "|".join(NAMES[n] for n in found) or "[]",
    }[form]
    rows = [{"text": f"문장 {n}", "label": cells(SETS[n % 5])} for n in range(100)]
    if form in ("ids", "names"):
        rows = [row for row in rows if row["label"] != "[]"]
    data = load_emotion_data(str(write(tmp_path / "ids.csv", rows)), labels="all", label_names=names)
    assert data.multi_label and data.labels == tuple(NAMES[:3])
    assert "no training row has calm, which --label_names has: left out" in data.report["notes"]
    for split in data.splits.values():
        for text, found in zip(split["text"], split["label"], strict=True):
            assert found == SETS[int(text.split()[1]) % 5]


@pytest.mark.parametrize("cell", ["{}", "{}.0"])
def test_ids_of_one_label_get_their_names(tmp_path, names, cell):
    rows = [{"text": f"문장 {n}", "label": cell.format(n % 4)} for n in range(80)]
    path = str(write(tmp_path / "ids.csv", rows))
    data = load_data(DataArguments(data=path, labels=["all"], label_names=names))
    assert not data.multi_label and data.labels == tuple(NAMES)
    for split in data.splits.values():
        for text, found in zip(split["text"], split["label"], strict=True):
            assert found == int(text.split()[1]) % 4
    said = error_of(path, labels=["calm", "기쁨"], label_names=names)
    assert "unknown label '슬픔/우울' in ids.csv" in said and "'None' in ids.csv" in said
    some = load_emotion_data(path, labels=["calm", "기쁨"], label_names=names, on_bad_rows="drop")
    assert some.labels == ("calm", "기쁨") and len(some.splits["train"]) == 32
    joined = load_emotion_data(path, labels="all", label_names=names, label_map=["calm=기쁨"])
    assert joined.labels == tuple(NAMES[:3]) and joined.counts()["train"]["기쁨"] == 32


def test_the_file_is_read_again_when_it_has_changed(tmp_path, names):
    rows = [{"text": f"문장 {n}", "label": str(n % 3)} for n in range(60)]
    arguments = DataArguments(
        data=str(write(tmp_path / "ids.csv", rows)), labels=["all"], label_names=str(tmp_path / "new.txt")
    )
    found = []
    for content in ("a\nb\nc\n", "일\n이\n삼\n사\n"):
        (tmp_path / "new.txt").write_text(content, encoding="utf-8")
        found.append(load_data(arguments).labels)
    assert found == [("a", "b", "c"), ("일", "이", "삼")]


@pytest.mark.parametrize("several", [True, False])
def test_an_id_beyond_the_names_is_one_line(tmp_path, names, several):
    rows = [{"text": f"문장 {n}", "label": f"{n % 4}" + (",2" if several and n % 4 < 2 else "")} for n in range(60)]
    rows[7]["label"] = rows[9]["label"] = "44"
    rows[11]["label"] = "5"
    said = error_of(write(tmp_path / "ids.csv", rows), labels="all", label_names=names)
    assert said == (
        f"label '44' stands in 2 rows ({tmp_path / 'ids.csv'}, rows 9, 11), and '5', but --label_names {names} has 4 "
        "names, of the ids 0 to 3; add its name there, or mend the rows."
    ).replace(f"({tmp_path}/", "(")


def test_a_word_that_is_neither_id_nor_name_is_refused_and_an_empty_cell_is_a_bad_row(tmp_path, names):
    rows = [{"text": f"문장 {n}", "label": str(n % 4)} for n in range(60)]
    rows[5]["label"] = ""
    data = load_emotion_data(str(write(tmp_path / "gap.csv", rows)), labels="all", label_names=names)
    assert sum(map(len, data.splits.values())) == 59
    rows[6]["label"] = "calmer"
    assert "label 'calmer' stands in 1 row (" in error_of(
        write(tmp_path / "word.csv", rows), labels="all", label_names=names
    )


def test_the_recipe_names_ids(mains, speck, tmp_path, capsys) -> None:
    texts = pd.read_csv(speck[1])
    texts["label"] = texts["label"].map({"불안": "0", "슬픔": "2", "기쁨": "1"})
    texts.to_csv(tmp_path / "ids.csv", index=False)
    (tmp_path / "names.txt").write_text("worry\nglad\nsad\n", encoding="utf-8")
    words = ["--labels", "all", "--max_length", "32", "--num_train_epochs", "1", "--bf16", "false"]
    own = ["--data", str(tmp_path / "ids.csv"), "--label_names", str(tmp_path / "names.txt")]
    assert mains["train"](["--encoder", speck[0], *own, "--output_dir", str(tmp_path / "run"), *words]) == 0
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["data"]["labels"] == ["worry", "glad", "sad"]
    assert record["arguments"]["data"]["label_names"] == str(tmp_path / "names.txt")
