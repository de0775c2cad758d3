"""JSON as people keep tables in it: whatever its shape, the rows are those that were written."""

from __future__ import annotations

import io
import json
import re

import datasets
import pandas as pd
import pytest
from places import ROOT
from tables import LABELS, error_of, rows

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.columns import rows_of
from emo_hf.data.sources.readers import read_tables
from emo_hf.data.sources.streams import open_rows
from emo_hf.data.sources.tables import FOUND_OUT, Layout
from emo_hf.errors import UserError

ROWS = rows(12)
PAIRS = sorted((row["sentence"], row["label"]) for row in ROWS)
FRAME = pd.DataFrame(ROWS)


def by_label() -> dict[str, list[str]]:
    return {label: [row["sentence"] for row in ROWS if row["label"] == label] for label in LABELS}


SHAPES = {
    "records under a name": {"version": "1", "data": ROWS},
    "records beside another list": {"authors": ["가", "나"], "data": ROWS},
    "columns": {name: list(FRAME[name]) for name in FRAME},
    "columns beside other things": {"made": "2024", **{name: list(FRAME[name]) for name in FRAME}},
    "texts of each label": by_label(),
    "texts of labels of one size": {label: by_label()[label][:4] for label in LABELS},
    **{
        orient: json.loads(FRAME.to_json(orient=orient))
        for orient in ("records", "columns", "index", "split", "table")
    },
    "records by their ids": {f"id_{place}": row for place, row in enumerate(ROWS)},
    "records by their ids under a name": {"data": {f"id_{place}": row for place, row in enumerate(ROWS)}},
    "values": FRAME.to_numpy().tolist(),
    "values below a header": [list(FRAME), *FRAME.to_numpy().tolist()],
}


def tables(content, layout: Layout = FOUND_OUT, name: str = "a.json"):
    return read_tables(name, json.dumps(content, ensure_ascii=False).encode(), layout)


LISTS = [(shape, ".jsonl") for shape, content in SHAPES.items() if isinstance(content, list)]


@pytest.mark.parametrize(("shape", "suffix"), [*((shape, ".json") for shape in SHAPES), *LISTS])
def test_every_shape(tmp_path, shape, suffix):
    content = SHAPES[shape]
    path = tmp_path / f"a{suffix}"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    data = load_emotion_data(str(path))
    found = sorted((row["text"], data.labels[row["label"]]) for split in data.splits.values() for row in split)
    assert found == PAIRS
    opened = open_rows(path)
    texts = [text for block in opened.blocks for text in block.columns[opened.text]]
    assert sorted(texts) == [text for text, _ in PAIRS]


GUIDE = (ROOT / "recipes" / "guides" / "data.md").read_text(encoding="utf-8").partition("**JSON**")[2]
EXAMPLES = {
    name: "\n".join(re.findall("`(.+?)`", cell))
    for name, cell in re.findall(r"^\| (.+?) \| (`.+`) \|$", GUIDE.partition("\n\n**")[0], re.MULTILINE)
}
TOLD = {"합격했어": "기쁨", "떨려": "불안"}


@pytest.mark.parametrize("shape", EXAMPLES)
def test_the_guide_s_examples(shape):
    assert len(EXAMPLES) == 12
    content = EXAMPLES[shape].encode()
    lines = shape in ("JSON lines", "lists, one a line")
    for name in ("a.jsonl", "a.json") if lines or content.startswith(b"[") else ("a.json",):
        parts = [rows_of(table, text_column=None, label_column=None, turns="first").rows
                 for table in read_tables(name, content)]  # fmt: skip
        found = pd.concat(parts)
        assert dict(zip(found["text"], found["label"], strict=True)).items() <= TOLD.items() and len(found)
        assert len(found) == 2 or content.count(b"text") == 1
    if shape != "splits by their names":
        opened = open_rows(io.BytesIO(content))
        assert [text for block in opened.blocks for text in block.columns[opened.text]] == list(found["text"])


def as_lines(records: list) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "standard input"])
@pytest.mark.parametrize("shape", ["values", "values below a header"])
def test_lines_of_lists(tmp_path, shape, name):
    content = as_lines(SHAPES[shape])
    if name == "standard input":
        opened = open_rows(io.BytesIO(content))
    else:
        (tmp_path / name).write_bytes(content)
        opened = open_rows(tmp_path / name)
        assert load_emotion_data(str(tmp_path / name)).fingerprint == load_emotion_data(written(tmp_path)).fingerprint
    assert [text for block in opened.blocks for text in block.columns[opened.text]] == [
        row["sentence"] for row in ROWS
    ]


def written(folder) -> str:
    (folder / "records.json").write_text(json.dumps(ROWS), encoding="utf-8")
    return str(folder / "records.json")


def test_lines_that_are_no_lists_of_cells(tmp_path):
    for lines, said in (
        ([["좋아요", "기쁨"], {"sentence": "싫어요"}], "row 2: not a list, as the first row is; mend the line"),
        ([ROWS, ROWS], "row 2: not JSON (Extra data)"),
        (["좋아요", "싫어요"], "row 1: not an object"),
    ):
        (tmp_path / "a.jsonl").write_bytes(as_lines(lines))
        assert said in error_of(tmp_path / "a.jsonl")


@pytest.mark.parametrize("names", [("내용", "감정"), ("글", "느낌"), ("발화", "느낌")])
def test_ids_lead_back_from_records_of_any_names(names):
    """Of objects by name, those that are more than their own names are rows; others are columns."""
    rows_by_id = {f"id_{n}": dict(zip(names, row.values(), strict=True)) for n, row in enumerate(ROWS)}
    (by_id,) = tables(rows_by_id)
    assert list(by_id.frame["id"]) == list(rows_by_id)
    (columns,) = tables({name: {key: row[name] for key, row in rows_by_id.items()} for name in names})
    for table in (by_id, columns):
        assert [table.frame[name].to_list() for name in names] == [FRAME[name].to_list() for name in FRAME]


def test_splits_by_name(tmp_path):
    parts = {"train": rows(12), "dev": rows(6, 100), "test": rows(9, 200)}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(parts), encoding="utf-8")
    data = load_emotion_data(str(path))
    assert [len(split) for split in data.splits.values()] == [12, 6, 9]
    assert data.splits["test"]["text"][:] == [row["sentence"] for row in parts["test"]]
    assert [table.sheet for table in tables({"data": parts})] == ["train", "dev", "test"]
    (table,) = tables(parts, Layout(sheet="dev"))
    assert list(table.frame["sentence"]) == [row["sentence"] for row in parts["dev"]]
    with pytest.raises(UserError, match="name one with --sheet"):
        open_rows(path)
    with pytest.raises(UserError, match=r"--sheet val: a\.json has only train, dev, test"):
        tables(parts, Layout(sheet="val"))


@pytest.mark.parametrize("shape", ["records", "columns", "values"])
def test_splits_in_other_shapes_and_beside_other_things(tmp_path, shape):
    parts = {"train": rows(12), "test": rows(9, 200)}
    shaped = {
        "records": {"version": 1} | parts,
        "columns": {key: {name: [row[name] for row in part] for name in part[0]} for key, part in parts.items()},
        "values": {key: [list(part[0]), *(list(row.values()) for row in part)] for key, part in parts.items()},
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(shaped[shape]), encoding="utf-8")
    data = load_emotion_data(str(path))
    assert data.splits["test"]["text"][:] == [row["sentence"] for row in parts["test"]]
    assert sum(map(len, data.splits.values())) == 21


def test_splits_are_no_labels_of_texts(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": ["오늘은 좋았어", "내일이 걱정돼"], "test": ["글쎄 모르겠어"]}))
    assert [(table.sheet, table.headed) for table in read_tables("a.json", path.read_bytes())] == [
        ("train", False),
        ("test", False),
    ]
    assert "none the label" in error_of(path)


def test_texts_alone_can_be_predicted(tmp_path):
    texts = ["오늘은 좋았어", "", "내일이 걱정돼"]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    opened = open_rows(path)
    assert [text for block in opened.blocks for text in block.columns[opened.text]] == texts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": [{"x": 1}], "b": [{"x": 2}]}, "lists of objects under a, b; name them train, validation, test"),
        ({"sentence": ["a", "b"], "label": ["c"]}, "its columns are not of one length (sentence 2, label 1)"),
        ({"columns": ["a"], "data": [["b", "c"]]}, "row 1: 2 cells, but not as many columns"),
        ({"a": 1}, "not a list of objects"),
        (3, "not a list of objects"),
        ([{"a": 1}, 2], "row 2: not an object"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, content, said):
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    assert said in error_of(tmp_path / "a.json")


def task(number: int, *choices: list[str] | None, **more: object) -> dict:
    """A task of Label Studio, an annotation for each list of choices; None for one that was cancelled."""
    annotations = [
        {"id": n, "was_cancelled": made is None, "result": [
            {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": made or ["틀림"]}}
        ]}
        for n, made in enumerate(choices)
    ]  # fmt: skip
    return {"id": number, "data": {"text": f"문장 {number}", **more}, "annotations": annotations, "predictions": []}


def test_label_studio_in_full():
    tasks = [
        task(1, ["기쁨"]),
        task(2, None, ["슬픔"]),
        task(3, ["기쁨"], ["불안"]),
        task(4),
        task(5, ["기쁨"], ["기쁨"]),
        task(6, [], ["불안"]),
    ]
    tasks[5]["annotations"][0]["result"] = []  # handed in without a choice
    (table,) = tables(tasks)
    assert list(table.frame["label"]) == ["기쁨", "슬픔", "기쁨", "", "기쁨", "불안"]
    assert list(table.frame["text"]) == [f"문장 {n}" for n in range(1, 7)]
    assert not table.lists
    assert any("annotations differ in 1 of 6 items (3); the first" in note for note in table.notes)
    assert any("no annotation in 1 of 6 items (4)" in note for note in table.notes)


def test_label_studio_with_several_labels_a_row(tmp_path):
    many = [task(n, [LABELS[n % 3]]) for n in range(30)]
    two = [*many, task(30, ["기쁨", "슬픔"])]
    (table,) = tables(two)
    assert table.frame["label"].iloc[-1] == '["기쁨", "슬픔"]' and table.lists == {"label"}
    (tmp_path / "full.json").write_text(json.dumps(two), encoding="utf-8")
    small = [{"text": f"문장 {n}", "sentiment": LABELS[n % 3]} for n in range(30)]
    small.append({"text": "문장 30", "sentiment": {"choices": ["기쁨", "슬픔"]}})
    (tmp_path / "min.json").write_text(json.dumps(small), encoding="utf-8")
    for name in ("full.json", "min.json"):
        said = error_of(tmp_path / name, task="single")
        assert "1 of 31" in said and "--several_labels" in said
        data = load_emotion_data(str(tmp_path / name), task="single", several_labels="drop")
        assert data.counts()["train"] == {"불안": 8, "슬픔": 8, "기쁨": 8}


def test_the_annotation_is_the_label_whatever_the_data_hold():
    (table,) = tables([task(n, ["기쁨"], label="모델") for n in range(3)])
    assert set(table.frame["label"]) == {"기쁨"} and set(table.frame["label of the data"]) == {"모델"}
    assert any("the annotations are the label" in note for note in table.notes)


def test_label_studio_with_two_questions_is_said():
    one = task(1, ["기쁨"])
    one["annotations"][0]["result"].append({"from_name": "topic", "value": {"choices": ["일"]}})
    with pytest.raises(UserError, match=r"several questions \(sentiment, topic\); export it as JSON-MIN"):
        tables([one])
    with pytest.raises(UserError, match="item 1: not a task of Label Studio"):
        tables([{"data": {"text": "a"}, "annotations": [{"id": 1}]}])


def test_lists_of_labels_from_every_format(tmp_path):
    names = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.List(datasets.ClassLabel(names=["화", "기쁨"]))}
    )
    content = {"text": ["좋아", "싫어", "글쎄"], "labels": [[1], [0, 1], []]}
    made = datasets.Dataset.from_dict(content, features=names)
    made.to_parquet(str(tmp_path / "a.parquet"))
    (table,) = read_tables("a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert list(table.frame["labels"]) == ['["기쁨"]', '["화", "기쁨"]', "[]"] and table.lists == {"labels"}
    (table,) = tables(
        [{"text": "좋아", "labels": [0, 7]}, {"text": "싫어", "labels": None}, {"text": "음", "labels": "a"}]
    )
    assert list(table.frame["labels"]) == ["[0, 7]", "", '["a"]'] and table.lists == {"labels"}
    for ones in ([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[True, False], [False, True], [True, False]]):
        datasets.Dataset.from_dict(content | {"labels": ones}).to_parquet(str(tmp_path / "c.parquet"))
        (table,) = read_tables("c.parquet", (tmp_path / "c.parquet").read_bytes())
        assert table.lists == {"labels"} and table.frame["labels"].iloc[0] in ("[1.0, 0.0]", "[true, false]")
    plain = datasets.Dataset.from_dict(content | {"labels": [[1], [0, 2], []]})
    broken = datasets.Dataset(plain.data.replace_schema_metadata(names.arrow_schema.metadata))
    broken.to_parquet(str(tmp_path / "b.parquet"))
    with pytest.raises(UserError, match=r"row 2: labels is \[0, 2\], but its ClassLabel has names for 0 to 1"):
        read_tables("b.parquet", (tmp_path / "b.parquet").read_bytes())


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_objects_inside_records_are_columns(tmp_path, suffix):
    """As the National Institute of Korean Language gives out its task of emotions, and spaCy its categories."""
    emotions = ("joy", "sadness", "anger")
    records = [
        {"id": f"nikl-{i}", "input": {"form": f"{i}번째 날이었어", "target": {"form": "날", "begin": 3}},
         "output": {name: str(place == i % 3) for place, name in enumerate(emotions)}, "tags": [{"a": 1}]}
        for i in range(60)
    ]  # fmt: skip
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    path = tmp_path / f"data{suffix}"
    path.write_text("\n".join(lines) if suffix == ".jsonl" else f"[{','.join(lines)}]", encoding="utf-8")
    assert "is it 'input.form'? then --text_column input.form." in error_of(path, labels="all")
    data = load_emotion_data(str(path), labels="all", text_column="input.form")
    read = {row["text"]: data.labels[row["label"]] for part in data.splits.values() for row in part}
    assert read == {record["input"]["form"]: emotions[i % 3] for i, record in enumerate(records)}
    opened = open_rows(path)
    assert opened.text == "input.form" and opened.others[:2] == ["id", "input.target.form"]


def test_objects_of_many_names_or_deep_ones_are_no_columns(tmp_path):
    deep: dict = {"a": 1}
    for _ in range(300):
        deep = {"a": deep}
    for inner in (lambda i: {f"user{i}-{n}": n for n in range(9)}, lambda _: deep):
        records = [row | {"inner": inner(i)} for i, row in enumerate(rows(60))]
        (table,) = read_tables("a.json", json.dumps(records).encode())
        assert list(table.frame.columns) == ["sentence", "label"]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_ids_are_no_texts(tmp_path, suffix):
    """What stands beside lists of objects, which are not read."""
    records = [{"id": f"nikl-{i}.{i + 1}", "utterance": [{"form": "좋아"}]} for i in range(30)]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    path = tmp_path / f"data{suffix}"
    path.write_text("\n".join(lines) if suffix == ".jsonl" else f"[{','.join(lines)}]", encoding="utf-8")
    assert "columns found: id; none of the others holds sentences" in error_of(path)
    with pytest.raises(UserError, match="no text column"):
        open_rows(path)


def test_a_file_may_hold_one_record(tmp_path):
    """As AI Hub gives out some corpora: a file for each text."""
    for split, count in (("Training", 60), ("Validation", 12)):
        for n, row in enumerate(rows(count, count)):
            path = tmp_path / split / f"item_{n}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"info": {"id": n}} | row, ensure_ascii=False), encoding="utf-8")
    data = load_emotion_data(str(tmp_path))
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 54, "validation": 12, "test": 6}
    for content in (
        {"content": "이 파일은", "data": rows(3)},
        {"document": "감정", "train": {"sentence": ["좋아", "싫어", "글쎄"], "label": ["a", "b", "c"]}},
    ):
        try:
            (table,) = read_tables("a.json", json.dumps(content).encode())
        except UserError:
            continue
        assert len(table.frame) == 3
