"""Where the names of the columns stand, or that nobody wrote any."""

from __future__ import annotations

import pandas as pd
import pytest

from emo_hf.data.sources.contents import text_like
from emo_hf.data.sources.header import named_rows
from emo_hf.data.sources.tables import FOUND_OUT, Layout
from emo_hf.errors import UserError

SENTENCES = ["오늘은 날씨가 좋았어", "내일이 걱정돼 정말로", "줄을 서다 지쳤어", "어제는 많이 웃었지"]


def found(rows: list[list[str]], layout: Layout = FOUND_OUT):
    return named_rows("a.csv", list(enumerate(rows, 1)), layout)


def body(text: str = "", label: str = "") -> list[list[str]]:
    return [[str(n), f"{text}{sentence}", "기쁨" if n % 2 else "슬픔"] for n, sentence in enumerate(SENTENCES)]


@pytest.mark.parametrize("titles", [[], [["감정 말뭉치"]], [["감정 말뭉치", "", ""], ["2024-01-02"]]])
@pytest.mark.parametrize("names", [["id", "문장", "감정"], ["번호", "내용", "기분"], ["", "발화", ""]])
def test_names_stand_in_the_first_row_or_below_titles(titles, names):
    rows = found([*titles, names, *body()])
    own = {place: name for place, name in enumerate(names) if name}
    assert rows.headed and len(rows.names) == 3 and {place: rows.names[place] for place in own} == own
    assert [row for _, row in rows.rows] == body()
    assert not all(names) or bool(rows.notes) is bool(titles)


def test_rows_without_names_are_called_by_numbers():
    rows = found(body())
    assert (rows.names, rows.headed) == (["1", "2", "3"], False)
    assert list(rows.rows) == list(enumerate(body(), 1))


@pytest.mark.parametrize(
    ("first", "below", "headed"),
    [
        (["내용"], [[text] for text in SENTENCES], True),
        (["오늘은 날씨가 나빴어"], [[text] for text in SENTENCES], False),
        (["정말 최고!"], [[text] for text in SENTENCES], False),
        (["좋아"], [["싫어"], ["그래"], ["아니"]], False),  # words alone
        (["번호"], [["1"], ["2"]], True),
        (["7"], [["1"], ["2"]], False),
        (["좋아", "0"], [["싫어", "1"], ["그래", "0"]], False),
        (["댓글 내용", "별점"], [["싫어", "1"], ["그래", "0"]], True),
        (["2024-01-01 10:00", "좋아"], [["2024-01-02 11:00", "싫어"]], False),
        (["이름", "말"], [["철수", "좋아"], ["영희", "싫어"]], True),
    ],
)
def test_the_first_row_is_a_header_or_data(first, below, headed):
    rows = found([first, *below])
    assert rows.headed is headed and len(list(rows.rows)) == len(below) + (not headed)


TIMES = ("2024. 5. 1 오후 3:2{}:00", "2024/05/01 3:2{}:00 오후 GMT+9", "5/1/2024 3:2{}:00 PM")
ASKED = ["타임스탬프", "다음 문장을 읽고 느낀 감정을 골라 주세요.", "어떤 감정입니까?"]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("columns", [[0, 1], [1, 2], [0, 1, 2]])
def test_questions_above_times_and_labels_are_names(time, columns):
    """As forms on the web write them: as long as the answers, and with their marks."""
    answers = [[time.format(n % 10), f"{n}번째 {SENTENCES[n % 4]}", "기쁨슬픔"[n % 2 * 2 :][:2]] for n in range(12)]
    picked = [[row[place] for place in columns] for row in (ASKED, *answers)]
    rows = found(picked)
    assert rows.names == picked[0] and [row for _, row in rows.rows] == picked[1:]
    frame = pd.DataFrame(picked[1:], columns=picked[0], dtype="str")
    assert text_like(frame, picked[0]) == [ASKED[1]]
    rows = found(picked[1:])
    assert not rows.headed and [row for _, row in rows.rows] == picked[1:]


def test_a_label_typed_otherwise_in_the_first_row_is_no_name():
    lines = [[f"{n}번째 {SENTENCES[n % 4]}", "ＡＮＧＲＹ " if not n else ["joy", "angry"][n % 2]] for n in range(12)]
    assert not found(lines).headed


def test_numbers_that_pandas_wrote_for_names_are_neither():
    rows = found([["0", "1", "2"], *body()])
    assert (rows.names, rows.headed) == (["1", "2", "3"], False) and [row for _, row in rows.rows] == body()


def test_what_is_said_counts():
    rows = found([["a", "b", "c"], ["x", "y", "z"], *body()], Layout(header=2))
    assert rows.names == ["x", "y", "z"] and "row 1 above the column names (row 2) not read" in rows.notes[0]
    rows = found([["id", "문장", "감정"], *body()], Layout(header=0))
    assert len(list(rows.rows)) == 5 and not rows.notes
    with pytest.raises(UserError, match=r"--header 9: a\.csv has nothing in row 9"):
        found(body(), Layout(header=9))
    rows = found([["표"], ["여기", "저기", "거기"], *body()], Layout(text_column="저기", label_column="거기"))
    assert rows.names == ["여기", "저기", "거기"]


def test_a_column_may_go_without_a_name_and_blank_cells_are_none():
    rows = found([["문장", "감정", ""], ["좋아", "기쁨", "메모"], ["싫어", "슬픔", ""]])
    assert rows.names == ["문장", "감정", "Unnamed: 2"]
    rows = found([["문장", "감정", ""], ["좋아", "기쁨", ""], ["싫어", "슬픔", "", ""]])
    assert rows.names == ["문장", "감정"] and [row for _, row in rows.rows] == [["좋아", "기쁨"], ["싫어", "슬픔"]]
    rows = found([["문장", "감정"], ["좋아", "기쁨"], ["싫어, 정말", "슬픔", "또"]])
    with pytest.raises(UserError, match="row 3: 3 cells, but the header has 2"):
        list(rows.rows)


def test_what_stands_above_a_blank_cell_names_its_column():
    rows = found([["dialog #", "", ""], ["", "발화", "감정"], ["S", "좋아", "기쁨"], ["", "싫어", "슬픔"]])
    assert rows.names == ["dialog #", "발화", "감정"] and not rows.notes
    assert [number for number, _ in rows.rows] == [3, 4]


@pytest.mark.parametrize("names", [["문장\u200b", "감정"], ["\ufeff문장\xa0", "\u200b 감정\u3000"]])
def test_what_nobody_sees_around_a_name_is_none_of_it(names):
    rows = found([names, *(row[1:] for row in body())])
    assert (rows.names, rows.headed) == (["문장", "감정"], True)


@pytest.mark.parametrize("title", ["후기", "감정", "리뷰"])
@pytest.mark.parametrize("names", [["번호", "문장", "감정"], ["번호", "문장", "점수"], ["번호", "내용", "점수"]])
def test_a_title_that_is_a_usual_name_is_none(title, names):
    rows = found([[title, "", ""], names, *body()])
    assert rows.names == names and [row for _, row in rows.rows] == body()


@pytest.mark.parametrize(
    "names",
    [
        [["문장", "감정"], ["text", "label"]],
        [["Text", "Label"], ["문장", "감정"]],
        [["text", "label"], ["text", "label"]],
    ],
)
def test_of_names_in_two_languages_the_lower_ones_count(names):
    rows = found([*([f"{n}", *row] for n, row in enumerate(names)), *body()])
    assert rows.names[1:] == names[1] and [row for _, row in rows.rows] == body() and len(rows.notes) == 1
    assert list(found([names[0], ["text", "기쁨"], ["문장", "슬픔"]]).rows) == [
        (2, ["text", "기쁨"]),
        (3, ["문장", "슬픔"]),
    ]


@pytest.mark.parametrize("names", [["번호", "문장", "감정"], ["번호", "내용", "기분"]])
@pytest.mark.parametrize("title", [["설명"], ["설명", "", ""]])
def test_a_header_below_many_titles(title, names):
    rows = found([*[title] * 25, names, *(row for n in range(10) for row in body(f"{n} "))])
    assert rows.names == names and next(rows.rows)[0] == 27
    assert rows.notes == ("a.csv: rows 1, 2, 3, 4, 5 and 20 more above the column names (row 26) not read",)


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["번호", "문장", "감정"], FOUND_OUT),
        (["번호", "내용", "기분"], Layout(text_column="내용", label_column="기분")),
    ],
)
def test_a_header_deep_below_rows_as_wide_is_proposed_and_helps(names, asked):
    lines = [*[["가", "나", "다"]] * 25, names, *body()]
    with pytest.raises(
        UserError, match=r"^a\.csv, row 26: names of columns \(.*\) below 25 other rows; .* --header 26,"
    ):
        found(lines, asked)
    assert [row for _, row in found(lines, Layout(header=26)).rows] == body()
    assert len(list(found(lines, Layout(header=0)).rows)) == 30
    numbered = [[str(n), *row[1:]] for n, row in enumerate(body() * 9)]
    assert len(list(found(numbered, Layout(text_column="25", label_column="26")).rows)) == 36
    assert len(list(found([["id", "text", "기분"], *lines]).rows)) == 30  # names further below are a row as any other


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("columns", [slice(0, 3), slice(1, 3)])
def test_without_a_header_the_row_that_is_wider_than_most_is_refused(place, columns):
    lines = [row[columns] for row in body() * 3]
    lines[place][-2:-1] = ["오늘은", " 정말 좋아"]  # as an unquoted comma parts it
    with pytest.raises(
        UserError, match=rf"row {place + 1}: (4 cells, but others have 3|3 cells, but .* 2); put quotes"
    ):
        list(found(lines).rows)


def test_columns_that_all_rows_leave_empty_are_none():
    lines = [[*row, *[""] * (n % 2)] for n, row in enumerate(body())]
    rows = found(lines)
    assert rows.names == ["1", "2", "3"] and [row for _, row in rows.rows] == body()


def test_nothing_is_nothing():
    assert found([]) is None
