"""Several labels a row: recognised in whatever form they stand, and said for what they are."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from tables import error_of, rows, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.several import COLUMNS, LIST, PLAIN, label_sets, zeros_and_ones
from emo_hf.data.sources.columns import rows_of
from emo_hf.data.sources.tables import Table
from emo_hf.data.taxonomy import find_emotion


def sets_of(cells, form=PLAIN, named=()):
    column = pd.Series(cells, dtype="str")
    forms = pd.Series(form, column.index, dtype="str")
    found = label_sets(column, forms, lambda cell: cell in named or find_emotion(cell) is not None)
    return [found.sets[code] for code in found.codes], list(found.how)


SPLIT = {
    "a bar": (["a|b", "a", "b", "a | b"], [("a", "b"), ("a",), ("b",), ("a", "b")], ["joined by '|'"]),
    "a bar, and a name of its own": (["a|b", "a", "b", "a|c"], [("a", "b"), ("a",), ("b",), ("a", "c")],
                                     ["joined by '|'"]),
    "a bar alone": (["a|b", "b|c", "a|c"], [("a", "b"), ("b", "c"), ("a", "c")], ["joined by '|'"]),
    "a bar within names": (["joy|high", "sad|low"], [("joy|high",), ("sad|low",)], []),
    "a semicolon": (["a;b;", "a", "b"], [("a", "b"), ("a",), ("b",)], ["joined by ';'"]),
    "a comma": (["분노, 불안", "분노", "불안"], [("분노", "불안"), ("분노",), ("불안",)], ["joined by ','"]),
    "a dot": (["분노·불안", "분노", "불안"], [("분노", "불안"), ("분노",), ("불안",)], ["joined by '·'"]),
    "a dot of Hangul": (["aㆍb", "a", "b"], [("a", "b"), ("a",), ("b",)], ["joined by 'ㆍ'"]),
    "a dot within names": (["여성·가족", "악플·욕설", "여성"], [("여성·가족",), ("악플·욕설",), ("여성",)], []),
    "a dot of the taxonomy": (["가난한·불우한", "가난한", "불우한"], [("가난한·불우한",), ("가난한",), ("불우한",)],
                              []),
    "a line break": (["a\r\nb", "a", "b\na", "b"], [("a", "b"), ("a",), ("b", "a"), ("b",)],
                     ["joined by a line break"]),
    "a line break within names": (["a\nb", "a", "c"], [("a\nb",), ("a",), ("c",)], []),
    "hashtags": (["#a #b", "#a", "#b", "#c#a", "#c"], [("#a", "#b"), ("#a",), ("#b",), ("#c", "#a"), ("#c",)],
                 ["joined as hashtags"]),
    "hashtags of emotions": (["#기쁨 #b", "b"], [("기쁨", "b"), ("b",)], ["joined as hashtags"]),
    "hashtags beside names": (["#a b #c", "a b", "c"], [("a b", "c"), ("a b",), ("c",)], ["joined as hashtags"]),
    "one hashtag each": (["#a", "#b"], [("#a",), ("#b",)], []),
    "hashtags of names that don't stand alone": (["#a #b", "#a"], [("#a #b",), ("#a",)], []),
    "signs behind names": (["C#", "F#", "C", "C# F#"], [("C#",), ("F#",), ("C",), ("C# F#",)], []),
    "a mark behind a name": (["a,", "b", "a, b"], [("a",), ("b",), ("a", "b")], ["joined by ','"]),
    "nothing but words for none": (["N/A", "N", "A"], [("N/A",), ("N",), ("A",)], []),
    "emotions known elsewhere": (["분노/불안", "기쁨"], [("분노", "불안"), ("기쁨",)], ["joined by '/'"]),
    "a slash within names": (["악플/욕설", "여성/가족", "clean"], [("악플/욕설",), ("여성/가족",), ("clean",)], []),
    "a slash of both kinds": (["악플/욕설", "a/b", "a", "b"], [("악플/욕설",), ("a", "b"), ("a",), ("b",)],
                              ["joined by '/'"]),
    "other spellings": (["Joy/Sad", "joy", "SAD"], [("Joy", "Sad"), ("joy",), ("SAD",)], ["joined by '/'"]),
    "a name of the taxonomy": (["가난한, 불우한", "가난한", "불우한"], [("가난한, 불우한",), ("가난한",), ("불우한",)],
                               []),
    "ids": (["0,6,10", "6", "", "10"], [("0", "6", "10"), ("6",), (), ("10",)], ["ids in one cell"]),
    "ids and blanks": (["0 6", "6", "0"], [("0", "6"), ("6",), ("0",)], ["ids in one cell"]),
    "ids, some missing": (["0,6", "nan", "6"], [("0", "6"), ("nan",), ("6",)], ["ids in one cell"]),
    "vectors": (["0,1,0", "1,0,1", "0,0,0"], [("1",), ("0", "2"), ()], ["ids in one cell"]),
    "numbers": (["0", "1", "2"], [("0",), ("1",), ("2",)], []),
    "decimals": (["0.5", "1.5"], [("0.5",), ("1.5",)], []),
    "printed lists": (["['a', 'b']", '["a"]', "[]"], [("a", "b"), ("a",), ()], ["lists"]),
    "printed arrays": (["['a' 'b c']", "['a']"], [("a", "b c"), ("a",)], ["lists"]),
    "printed numbers": (["[0 7]", "[0]", "[7, 3]"], [("0", "7"), ("0",), ("7", "3")], ["lists"]),
    "choices beside names": (['{"choices":["a","b"]}', "a", "b"], [("a", "b"), ("a",), ("b",)], ["lists"]),
    "lists beside names": (["['a', 'b']", "a", '["b"]'], [("a", "b"), ("a",), ("b",)], ["lists"]),
    "printed truth": (["[True, False]", "[False, True]", "[False, True]"], [("0",), ("1",), ("1",)], []),
    "printed floats": (["[1. 0.]", "[0. 1.]", "[0. 1.]"], [("0",), ("1",), ("1",)], []),
    "lists of one": (["['a']", "['b']"], [("a",), ("b",)], []),
    "names in brackets": (["[긍정]", "[부정]"], [("[긍정]",), ("[부정]",)], []),
    "one in brackets": (["[a, b]", "a", "b"], [("[a, b]",), ("a",), ("b",)], []),
    "empty": (["", "a"], [(), ("a",)], []),
}  # fmt: skip


@pytest.mark.parametrize("case", SPLIT)
def test_what_a_cell_holds(case):
    cells, expected, how = SPLIT[case]
    assert sets_of(cells) == (expected, how)


def test_hashtags_that_were_asked_for_are_names_with_their_sign():
    assert sets_of(["#a #기쁨", "#기쁨"], named={"#a", "#기쁨"})[0] == [("#a", "#기쁨"), ("#기쁨",)]


def test_what_was_asked_for_is_one_name():
    assert sets_of(["a|b", "a", "b"], named={"a|b"}) == ([("a|b",), ("a",), ("b",)], [])


LISTS = {
    "names": ([["a", "b"], ["a"]], [("a", "b"), ("a",)], ["lists"]),
    "numbers": ([[0, 7], [1.0]], [("0", "7"), ("1.0",)], ["lists"]),
    "one each": ([["a"], ["b"], []], [("a",), ("b",), ()], []),
    "names with commas": ([["가난한, 불우한"], ["a|b"]], [("가난한, 불우한",), ("a|b",)], []),
    "vectors": ([[0, 1, 0], [1, 0, 1], [0, 0, 0]], [("1",), ("0", "2"), ()], ["lists"]),
    "ids of two": ([[0, 1], [1, 0]], [("0", "1"), ("1", "0")], ["lists"]),
    "nothing": ([[None], [""], ["a"]], [(), (), ("a",)], []),
}


@pytest.mark.parametrize("case", LISTS)
def test_what_a_list_holds(case):
    lists, expected, how = LISTS[case]
    assert sets_of([json.dumps(one, ensure_ascii=False) for one in lists], LIST) == (expected, how)


def test_names_of_columns_are_never_split():
    assert sets_of(['["a/b", "a"]', '["a"]'], COLUMNS) == ([("a/b", "a"), ("a",)], ["columns of 0 and 1"])


def test_a_list_column_of_a_table_is_its_label():
    cells = [json.dumps([number % 7, *([7] if number % 5 == 0 else [])]) for number in range(30)]
    frame = pd.DataFrame({"text": [row["sentence"] for row in rows()], "labels": cells}, dtype="str")
    taken = rows_of(
        Table("a.jsonl", frame, lists=frozenset({"labels"})), text_column=None, label_column=None, turns="first"
    )
    assert set(taken.rows["form"]) == {LIST} and taken.columns["label"] == "labels"


def joined(tmp_path, count=6):
    """Rows of three labels, and some of two."""
    labels = ["분노|불안" if i < count else ["분노", "불안", "슬픔"][i % 3] for i in range(60)]
    return str(write(tmp_path / "data.csv", [{"text": f"문장 {i}", "label": label} for i, label in enumerate(labels)]))


def test_the_line_says_what_was_found_and_what_to_do(tmp_path):
    said = error_of(joined(tmp_path), labels="all", task="single")
    assert said == (
        "6 of 60 rows have several labels each (column label: joined by '|'; data.csv, rows 2, 3, 4, 5, 6 and 1 more: "
        "the first has '분노' and '불안'), but --task single trains one label a row; leave --task out, and several "
        "labels a row are trained; --several_labels drop keeps the 54 rows of one label; --several_labels first takes "
        "the first label of each row; a name that holds the mark is one label if --labels names it so."
    )
    assert load_emotion_data(joined(tmp_path), labels=["분노|불안", "슬픔", "분노", "불안"]).labels[0] == "분노|불안"


def test_what_would_not_help_is_not_proposed(tmp_path):
    # No row of one label, and one first label.
    said = error_of(joined(tmp_path, count=60), labels="all", task="single")
    assert "--several_labels" not in said and said.endswith("and several labels a row are trained.")
    said = error_of(joined(tmp_path, count=60), labels="all", task="single", several_labels="drop")
    assert said.endswith("so --several_labels drop leaves none; give each row one label.")


@pytest.mark.parametrize(("several_labels", "counts"), [
    ("drop", {"분노": 18, "불안": 18, "슬픔": 18}), ("first", {"분노": 24, "불안": 18, "슬픔": 18}),
])  # fmt: skip
def test_single_does_with_them_as_it_is_told(tmp_path, several_labels, counts):
    data = load_emotion_data(joined(tmp_path), labels="all", task="single", several_labels=several_labels)
    assert {label: sum(part[label] for part in data.counts().values()) for label in data.labels} == counts
    assert data.report["several_labels"] == {
        "rows": 6, "of": 60, "how": ["joined by '|'"], "kept": several_labels,
    }  # fmt: skip
    assert "6 of 60 rows have several labels each" in data.report["notes"][0]


def test_a_task_or_a_choice_that_is_not_there_is_named():
    assert "task is 'both'; allowed are 'auto', 'single', 'multi'" in error_of("sample", task="both")
    assert "several_labels is 'last'" in error_of("sample", several_labels="last")


def hot(tmp_path, several=0, none=0, marks=("1", "0")):
    """Columns 여성/가족, clean and 기타 혐오; some rows have two ones, some none."""
    records = []
    for i in range(60):
        ones = {i % 3, (i + 1) % 3} if i < several else set() if i >= 60 - none else {i % 3}
        cells = {
            name: marks[0] if place in ones else marks[1]
            for place, name in enumerate(("여성/가족", "clean", "기타 혐오"))
        }
        records.append({"id": i, "문장": f"문장 번호 {i}", **cells})
    return write(tmp_path / "data.tsv", records)


@pytest.mark.parametrize(
    "marks", [("1", "0"), ("1.0", "0.0"), ("1", ""), ("True", "False"), ("O", ""), ("○", "X"), ("Y", "N")]
)
def test_columns_of_ones_are_labels(tmp_path, marks):
    data = load_emotion_data(str(hot(tmp_path, none=3, marks=marks)), labels="all")
    assert data.labels == ("clean", "기타 혐오", "여성/가족")
    assert sum(len(part) for part in data.splits.values()) == 57
    assert data.report["bad_rows"]["empty label"]["train"]["count"] == 3
    assert data.report["columns"] == {"text": "문장", "label": "여성/가족, clean, 기타 혐오"}
    said = error_of(hot(tmp_path, several=9, marks=marks), labels="all", task="single")
    assert said.startswith("9 of 60 rows have several labels each (columns 여성/가족, clean, 기타 혐오: columns of 0")


def moved(path, last="문장"):
    """The same table with one column at its end."""
    frame = pd.read_csv(path, sep="\t", dtype="str", keep_default_na=False)
    frame[[name for name in frame if name != last] + [last]].to_csv(path, sep="\t", index=False)
    return path


def test_columns_of_ones_before_the_text_are_labels_too(tmp_path):
    after = load_emotion_data(str(hot(tmp_path)), labels="all")
    before = load_emotion_data(str(moved(hot(tmp_path))), labels="all")
    assert before.fingerprint == after.fingerprint and before.report["columns"] == after.report["columns"]
    assert "those of 0 and 1 are: 여성/가족, clean, 기타 혐오" in before.report["notes"][0]
    said = error_of(moved(hot(tmp_path, several=9)), labels="all", task="single")
    assert said.startswith("9 of 60 rows have several labels each (columns 여성/가족, clean, 기타 혐오: columns of 0")


def test_what_else_stands_before_the_text_is_no_label(tmp_path):
    """Two columns are labels where each row has one of them; and none are where another could be the label."""
    records = [{"긍정": i % 2, "부정": 1 - i % 2, "성별": "남여"[i % 2], "text": f"문장 {i}"} for i in range(60)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)), labels="all")
    assert data.labels == ("긍정", "부정") and len(data.splits["train"]) == 48
    records[1]["부정"] = 1
    assert "긍정 or 부정 could be it" in error_of(write(tmp_path / "data.csv", records), labels="all")
    records = [
        {"a": i % 2, "b": i % 3 // 2, "c": i % 5 // 4, "grade": "상중하"[i % 3], "text": f"문장 {i}"}
        for i in range(60)
    ]
    assert "is it 'grade'? then" in error_of(write(tmp_path / "data.csv", records), labels="all")


def test_columns_of_ones_beside_a_label_are_none(tmp_path):
    records = [row | {"married": i % 2, "employed": 1} for i, row in enumerate(rows())]
    assert load_emotion_data(str(write(tmp_path / "data.csv", records))).report["columns"]["label"] == "label"
    for row in records:
        row["grade"] = row.pop("label")
    assert "is it 'grade'? then --label_column grade" in error_of(write(tmp_path / "data.csv", records))


def test_sets_of_indices_are_rows_of_zeros_and_ones():
    found = zeros_and_ones([[2, 0], [], [1, 1]], 4)
    assert found.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]] and found.dtype == "uint8"
    assert zeros_and_ones([], 3).shape == (0, 3)
