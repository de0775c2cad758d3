"""Which column is which: by its name, its number, or what it holds; and advice that was tried."""

from __future__ import annotations

import pandas as pd
import pytest
from tables import LABELS, all_texts, error_of, rows, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.columns import rows_of
from emo_hf.data.sources.names import LABEL_COLUMNS, TEXT_COLUMNS, find_text_column
from emo_hf.data.sources.tables import Table
from emo_hf.errors import UserError


def named(text="sentence", label="label", count=30, **others) -> list[dict[str, str]]:
    return [
        {**{name: cells[place % len(cells)] for name, cells in others.items()}, text: row["sentence"],
         label: row["label"]}
        for place, row in enumerate(rows(count))
    ]  # fmt: skip


def taken(frame: pd.DataFrame, text_column=None, label_column=None, **table):
    return rows_of(Table("a.txt", frame, **table), text_column=text_column, label_column=label_column, turns="first")


@pytest.mark.parametrize("name", [*TEXT_COLUMNS, "Comments", "REVIEW"])
def test_usual_names_of_texts(tmp_path, name):
    data = load_emotion_data(str(write(tmp_path / "data.csv", named(text=name, id="12"))))
    assert data.report["columns"] == {"text": name, "label": "label"} and data.report["notes"] == []


@pytest.mark.parametrize("name", [*LABEL_COLUMNS, "Sentiment"])
def test_usual_names_of_labels(tmp_path, name):
    data = load_emotion_data(str(write(tmp_path / "data.csv", named(label=name))))
    assert data.report["columns"] == {"text": "sentence", "label": name} and data.report["notes"] == []


def test_of_several_usual_names_one_is_read_and_it_is_said(tmp_path):
    records = named(text="발화문", label="감정", 상황=["학교", "집"], 댓글=["x"])
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert data.report["columns"] == {"text": "발화문", "label": "감정"}
    assert data.report["notes"] == [
        "data.csv: 발화문 is read as the text, 댓글 is not",
        "data.csv: 감정 is read as the label, 상황 is not",
    ]


def test_columns_by_number_where_no_name_is_one(tmp_path):
    records = named(text="유저", label="구분", 번호=["1", "2"])
    path = str(write(tmp_path / "data.csv", records))
    assert load_emotion_data(path, text_column="2", label_column="3").report["columns"] == {
        "text": "유저", "label": "구분",
    }  # fmt: skip
    for wrong in ("0", "4", "-1", "²"):
        assert f"--text_column {wrong!r} is missing; columns found: 번호, 유저, 구분." in error_of(
            path, text_column=wrong
        )
    renamed = [{("2" if name == "구분" else name): cell for name, cell in row.items()} for row in records]
    path = str(write(tmp_path / "data.csv", renamed))
    assert load_emotion_data(path, text_column="유저", label_column="2").report["columns"]["label"] == "2"
    assert find_text_column(["a", "b"], "2", "x") == "b"


ADVICE = {
    "a text": ({"text": "유저", "챗봇": ["그렇군요."]}, "is it '유저'? then --text_column 유저."),
    "a name with a blank": ({"text": "my text"}, "is it 'my text'? then --text_column 'my text'."),
    "a name with a quote": ({"text": "Kim's"}, """is it "Kim's"? then --text_column 'Kim'"'"'s'."""),
    "two texts": (
        {"text": "유저", "챗봇": [f"나는 {i}번째 답이다" for i in range(30)]},
        "유저 or 챗봇 could be it: name yours with --text_column.",
    ),
    "a label": ({"label": "grade"}, "is it 'grade'? then --label_column grade."),
    "a label beside ids": ({"label": "grade", "user": [f"u{i}" for i in range(30)], "n": [*range(30)]},
                           "is it 'grade'? then --label_column grade."),
    "two labels": ({"label": "grade", "school": ["가", "나"]}, "school or grade could be it: name yours with"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADVICE)
def test_what_is_proposed_helps(tmp_path, case):
    others, said = ADVICE[case]
    path = write(tmp_path / "data.csv", named(**others))
    message = error_of(path)
    assert said in message
    column = {"text_column": others.get("text"), "label_column": others.get("label")}
    assert sum(len(part) for part in load_emotion_data(str(path), **column).splits.values()) == 30


LISTS = {
    "one each": (lambda i: [LABELS[i % 3]], {}, "is it 'categories'? then --label_column categories."),
    "several": (lambda i: [LABELS[i % 3], LABELS[0]][: 1 + i % 2], {}, "is it 'categories'? then --label_column"),
    "empty ones": (lambda i: [LABELS[i % 3]] if i % 9 else [], {}, "is it 'categories'? then --label_column"),
    "beside tokens": (lambda i: [LABELS[i % 3]], {"tokens": lambda i: f"나는 {i % 9}번째 날에 펲시를 마셨다".split(),
                                                  "attention_mask": lambda i: [1] * 9, "id": lambda i: i},
                      "is it 'categories'? then --label_column categories."),
    "beside an answer": (lambda i: [LABELS[i % 3]], {"answer": lambda i: ["yes", "no"][i % 7 == 0]},
                         "categories or answer could be it: name yours with --label_column."),
    "beside Prodigy's answer": (lambda i: [LABELS[i % 3]], {"answer": lambda i: ["accept", "ignore"][i % 17 == 0]},
                                "is it 'categories'? then --label_column categories."),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("case", LISTS)
def test_lists_could_be_the_label(tmp_path, case, suffix):
    labels, others, said = LISTS[case]
    records = [
        {name: cell(i) for name, cell in others.items()} | {"text": row["sentence"], "categories": labels(i)}
        for i, row in enumerate(rows(60))
    ]
    path = write(tmp_path / f"data{suffix}", records)
    assert said in error_of(path)
    data = load_emotion_data(str(path), label_column="categories", task="single", several_labels="first")
    assert set(data.labels) == set(LABELS) and len(all_texts(data)) >= 53


def test_who_speaks_is_never_proposed_as_the_label(tmp_path):
    records = named(label="grade", 성별=["남", "여"], Speaker=["가", "나"], split=["train", "test"])
    assert "is it 'grade'? then --label_column grade." in error_of(write(tmp_path / "data.csv", records))


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_summary_beside_the_rows_is_not_the_label(tmp_path, suffix):
    """As it is typed to the right of the rows, under names of its own."""
    records = [
        row | {"": "", "감정": LABELS[n] if n < 3 else "", "개수": "20" if n < 3 else ""}
        for n, row in enumerate(named(label="라벨", count=60))
    ]
    data = load_emotion_data(str(write(tmp_path / f"data{suffix}", records)))
    assert len(all_texts(data)) == 60 and data.report["columns"]["label"] == "라벨"
    assert data.report["notes"] == [f"data{suffix}: 라벨 is read as the label, 감정 is not"]


def test_where_nothing_could_be_it_nothing_is_proposed(tmp_path):
    numbers = [{"a": i, "label": "x"} for i in range(30)]
    assert "none of the others holds sentences" in error_of(write(tmp_path / "data.csv", numbers))
    texts = [{"text": f"{i}번째 날", "n": i} for i in range(30)]
    said = error_of(write(tmp_path / "data.csv", texts))
    assert "none of the others holds a few values that come again" in said and "--label_column" not in said


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv"])
def test_labels_that_an_annotator_did_not_accept_are_left_out(tmp_path, suffix):
    """As Prodigy writes them: a label that was rejected is not that of its text."""
    answers = ["accept", "reject", "accept", "ignore", "accept"]
    records = [row | {"_task_hash": n, "answer": answers[n % 5]} for n, row in enumerate(rows(60))]
    data = load_emotion_data(str(write(tmp_path / f"data{suffix}", records)))
    assert all_texts(data) == {row["sentence"] for row in records if row["answer"] == "accept"}
    first = 3 if suffix == ".csv" else 2
    numbers = ", ".join(map(str, (first, first + 2, first + 5, first + 7, first + 10)))
    assert data.report["notes"] == [
        f"data{suffix}: 24 of 60 rows ({numbers} and 19 more) are not accepted, and are left out"
    ]
    assert load_emotion_data(
        str(tmp_path / f"data{suffix}"), labels="all", label_column="answer", on_bad_rows="drop"
    ).labels == ("accept", "ignore", "reject")
    records = [row | {"answer": ["accept", "refuse"][n % 2]} for n, row in enumerate(rows(60))]
    assert len(all_texts(load_emotion_data(str(write(tmp_path / f"data{suffix}", records))))) == 60


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_that_stands_among_the_rows_again_is_no_row(tmp_path, mark):
    """As where files were put one after the other."""
    path = tmp_path / "data.csv"
    parts = [pd.DataFrame(rows(30, 30 * n)).to_csv(index=False) for n in range(3)]
    path.write_text("".join(f"{mark}{part}" for part in parts), encoding="utf-8")
    data = load_emotion_data(str(path), labels="all")
    assert data.labels == tuple(sorted(LABELS)) and len(all_texts(data)) == 90
    assert data.report["notes"] == [
        "data.csv: 2 of 92 rows (32, 63) hold the names of the columns once more, and are left out"
    ]


def unheaded(*columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame({str(number): cells for number, cells in enumerate(columns, 1)}, dtype="str")


SENTENCES = [row["sentence"] for row in rows(60)]
NAMES = [LABELS[i % 3] for i in range(60)]


def test_without_a_header_the_contents_tell():
    ids = [str(9000 + i) for i in range(60)]
    for columns, found in (
        ((SENTENCES, NAMES), ("1", "2")),
        ((NAMES, SENTENCES), ("2", "1")),
        ((ids, SENTENCES, [str(i % 7) for i in range(60)]), ("2", "3")),
    ):
        got = taken(unheaded(*columns), headed=False)
        assert got.columns == dict(zip(("text", "label"), found, strict=True)) and len(got.rows) == 60
        assert got.notes == (
            f"a.txt has no header: column {found[0]} is read as the text, column {found[1]} as the label",
        )


def test_without_a_header_ids_of_several_labels_are_the_label():
    """As KOTE has it: id, text, ids, and the same once more as a vector."""
    ids = [",".join(map(str, sorted({i % 7, i * 3 % 7}))) for i in range(60)]
    vectors = [",".join("1" if str(place) in one.split(",") else "0" for place in range(7)) for one in ids]
    got = taken(unheaded([str(7000 + i) for i in range(60)], SENTENCES, ids, vectors), headed=False)
    assert got.columns == {"text": "2", "label": "3"}


def test_without_a_header_and_in_doubt_the_line_says_how():
    schools = [["가", "나"][i % 2] for i in range(60)]
    frame = unheaded(SENTENCES, NAMES, schools)
    with pytest.raises(UserError) as caught:
        taken(frame, headed=False)
    assert str(caught.value) == (
        "a.txt has no header: 3 columns, of which 1 could be the text and 2 or 3 the label; say which column is what, "
        "as --header none --text_column 1 --label_column 2 or --header none --text_column 1 --label_column 3."
    )
    assert taken(frame, "1", "2", headed=False).notes == ()
    assert taken(frame, None, "3", headed=False).columns == {"text": "1", "label": "3"}
    with pytest.raises(UserError, match="none could be the text and none the label; write one above the rows"):
        taken(unheaded([str(i) for i in range(60)], [str(9 * i) for i in range(60)]), headed=False)


def test_without_a_header_few_rows_are_read_as_those_of_training(tmp_path):
    """Fourteen rows of seven labels hold no value that comes again and again."""
    lines = [f"{9000 + i}\t{i}번째 날이 왔어\t{'가나다라마바사'[i % 7]}" for i in range(98)]
    for split, part in (("train", lines[:70]), ("dev", lines[70:84]), ("test", lines[84:])):
        (tmp_path / f"{split}.tsv").write_text("\n".join(part) + "\n", encoding="utf-8")
    data = load_emotion_data(str(tmp_path), labels="all")
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 70, "validation": 14, "test": 14}
    assert [data.labels[label] for label in data.splits["test"]["label"]] == list("가나다라마바사" * 2)


def test_texts_alone_are_told_a_way_that_leads_on(tmp_path):
    texts = {label: [f"{label} {i}번째 날" for i in range(30)] for label in ("긍정", "부정")}
    for label, mine in texts.items():
        (tmp_path / f"{label}.txt").write_text("\n".join(mine), encoding="utf-8")
    assert error_of(tmp_path, labels="all") == (
        "긍정.txt has no header and one column; part texts and labels with tabs, or put the texts of each label "
        "into a .txt in a folder called by it."
    )
    for label in texts:
        (tmp_path / label).mkdir()
        (tmp_path / f"{label}.txt").rename(tmp_path / label / "1.txt")
    data = load_emotion_data(str(tmp_path), labels="all")
    assert data.labels == ("긍정", "부정") and sorted(all_texts(data)) == sorted(texts["긍정"] + texts["부정"])
