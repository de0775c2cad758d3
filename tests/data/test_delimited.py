"""Text files as people have them: whatever the delimiter and the quotes, the rows are those that were written."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path

import pytest
from workbooks import workbook

from emo_hf.data.sources.delimited import HEAD, LINES, Dialect, chunks, find_dialect
from emo_hf.data.sources.readers import read_file, read_tables
from emo_hf.data.sources.streams import Opened, open_rows
from emo_hf.data.sources.tables import FOUND_OUT, Layout, Table
from emo_hf.errors import UserError

WORDS = ["오늘은 날씨가 좋았어", "내일이 걱정돼, 정말", '그가 "괜찮아" 하더라', "줄을 서다; 지쳤어", "a|b 사이"]
LABELS = ["기쁨", "불안", "슬픔"]
ROWS = [[str(n), f"{WORDS[n % 5]} {n}", LABELS[n % 3]] for n in range(30)]


def written(rows: list[list[str]], delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()


def table(name: str, text: str, layout: Layout = FOUND_OUT) -> Table:
    return read_tables(name, text.encode(), layout)[0]


def cells(table: Table) -> list[list[str]]:
    return table.frame.to_numpy().tolist()


def streamed(opened: Opened) -> list[list[str]]:
    return [list(row) for block in opened.blocks for row in zip(*block.columns.values(), strict=True)]


def both(tmp_path: Path, name: str, text: str | bytes, layout: Layout = FOUND_OUT) -> tuple[Table, Opened]:
    """What training reads and what prediction reads."""
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(data)
    return read_tables(name, data, layout)[0], open_rows(tmp_path / name, layout)


DIALECTS = list(itertools.product((".csv", ".tsv", ".txt"), ",\t;|", (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))


@pytest.mark.parametrize("headed", [True, False])
@pytest.mark.parametrize(("suffix", "delimiter", "quoting"), DIALECTS)
def test_every_delimiter_under_every_suffix(tmp_path, suffix, delimiter, quoting, headed):
    text = written([["id", "문장", "감정"], *ROWS] if headed else ROWS, delimiter, quoting)
    read, opened = both(tmp_path, f"a{suffix}", text)
    assert cells(read) == streamed(opened) == ROWS
    assert read.headed is opened.headed is headed
    assert list(read.frame.columns) == opened.columns == (["id", "문장", "감정"] if headed else ["1", "2", "3"])
    assert opened.text == ("문장" if headed else "2")
    assert list(read.frame.index) == list(range(1 + headed, 31 + headed))


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_quotes_that_are_letters(tmp_path, delimiter):
    """A quote at the start of a text ran seven rows together, without a word."""
    rows = [
        [str(n), f'"{w}' if n in (2, 9) else f'{w}"' if n == 6 else w, "0"] for n, w in enumerate(["좋은 날"] * 12)
    ]
    text = "\n".join(delimiter.join(row) for row in [["id", "document", "label"], *rows]) + "\n"
    read, opened = both(tmp_path, "a.csv", text)
    assert cells(read) == streamed(opened) == rows


@pytest.mark.parametrize("header", [[], [["text", "writer"]]])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_quotes_that_are_letters_beside_a_word_that_no_row_has_again(tmp_path, delimiter, header):
    rows = [[f"{n}번째 좋은 날이야", f"user{n}"] for n in range(10, 30)]
    rows[4][0], rows[9][0], rows[12][0], rows[13][0] = '"참 좋다', '그래 "좋아"', '"싫은 날', '더 싫은 날"'
    text = "\n".join(delimiter.join(row) for row in [*header, *rows]) + "\n"
    read, opened = both(tmp_path, "a.csv", text)
    assert cells(read) == streamed(opened) == rows and not any(
        "quote" in note for note in (*read.notes, *opened.notes)
    )


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('text\n좋은 날\n"싫은 날\n더 싫은 날"\n그저 그런 날\n"그래\n좋아"\n', "rows 3, 5"),
        ('text,memo\n좋은 날,첫째 줄\n"싫다, 정말\n더 싫은 날",둘째 줄\n그저 그런 날,셋째 줄\n', "row 3"),
        ('text,memo\n좋은 날,첫째 줄\n"싫다, 정말\n더 싫은 날",둘째 줄\n"가\n나, 다\n라",셋째 줄\n', ""),
        ('text,memo\n좋은 날,첫째 줄\n"싫은 날, 정말",둘째 줄\n', ""),
    ],
)
def test_lines_that_could_be_rows_are_said_where_quotes_join_them(tmp_path, text, rows):
    read, opened = both(tmp_path, "a.csv", text)
    assert cells(read) == streamed(opened)
    for notes in (read.notes, opened.notes):
        said = [note for note in notes if "quotes" in note]
        assert [note.split(": ")[2].split(";")[0] for note in said] == ([rows] if rows else [])


def test_quoted_texts_of_several_lines_stay_one_row(tmp_path):
    rows = [
        ["첫째 줄, 하나\n둘째", "기쁨"],
        ['그가 "응"\n했다, 또', "슬픔"],
        ["한 줄", "기쁨"],
        ["끝, 정말\n최고", "슬픔"],
    ]
    read, opened = both(tmp_path, "a.csv", written([["text", "label"], *rows], ","))
    assert cells(read) == streamed(opened) == rows
    assert list(read.frame.index) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "text", "row"),
    [
        ("a.csv", "문장,날짜\n좋아,1월\n나는, 슬퍼,2월\n", 3),
        ("a.csv", "문장;날짜\n좋아;1월\n나는; 슬퍼;2월\n", 3),
        ("a.tsv", "문장\t날짜\n좋아\t1월\n나는\n", 3),
        ("a.csv", 'text,label\n"좋아,기쁨\n나, 너,슬픔\n', 2),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_number(tmp_path, name, text, row):
    (tmp_path / name).write_text(text, encoding="utf-8")
    for read in (lambda: table(name, text), lambda: streamed(open_rows(tmp_path / name))):
        with pytest.raises(UserError, match=f"^{name}, row {row}: "):
            read()
    with pytest.raises(UserError, match=f"^standard input, row {row}: "):
        streamed(open_rows(io.BytesIO(text.encode())))


@pytest.mark.parametrize("place", [0, 9])
@pytest.mark.parametrize("delimiter", ",\t;|")
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_a_row_too_wide_makes_no_text_a_line_of_a_table_without_a_header(tmp_path, name, delimiter, place):
    rows = [[f"{n}번째 좋은 날이야", LABELS[n % 3]] for n in range(30)]
    rows[place][0] = f"그래{delimiter} 좋아"
    (tmp_path / name).write_text("\n".join(map(delimiter.join, rows)), encoding="utf-8")
    for read in (
        lambda: read_tables(name, (tmp_path / name).read_bytes()),
        lambda: streamed(open_rows(tmp_path / name)),
    ):
        with pytest.raises(UserError, match=f"^{name}, row {place + 1}: 3 cells, but others have 2; put quotes"):
            read()


def test_a_contradiction_beyond_the_head_ends_with_its_row(tmp_path):
    rows = [[str(n), "좋은 날이었다 " * 10, "0"] for n in range(20_000)]
    lines = [["id", "document", "label"], *rows]
    assert len(written(lines, "\t")) > HEAD
    for late, said in (('20001\t"끊긴\t0\n20002\t또"\t0\n', "runs several rows together"),
                       ("20001\t나\t너\t0\n", "4 cells, but the header has 3"),
                       ('20001\t"나"너\t0\n', "quotes don't fit")):  # fmt: skip
        (tmp_path / "a.tsv").write_text(written(lines, "\t") + late, encoding="utf-8")
        opened = open_rows(tmp_path / "a.tsv")
        read = 0
        with pytest.raises(UserError, match=said) as error:
            for block in opened.blocks:
                read += len(block.numbers)
        assert "a.tsv, row 20002:" in str(error.value) and read >= 16_000


def test_prose_is_one_text_a_line(tmp_path):
    for lines in (
        ["아, 좋다", "아, 싫다", "아, 졸려", "음, 글쎄", "음, 그래"],
        ["리뷰, 별로였어", "음식, 최고였어"],
        ["오늘은 좋았어", "", "내일은; 글쎄, 몰라", '"응" 하더라'],
        ["한 줄"],
    ):
        text = "\n".join(lines) + "\n"
        (tmp_path / "a.txt").write_text(text, encoding="utf-8")
        for source in (tmp_path / "a.txt", io.BytesIO(text.encode())):
            opened = open_rows(source)
            assert streamed(opened) == [[line] for line in lines]
            assert (opened.columns, opened.headed, opened.notes) == (["1"], False, [])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_a_header_of_one_column_is_none_of_the_sentences(tmp_path, name):
    lines = ["아, 좋다", "그래", "", '그가 "응" 했다', "또, 정말, 왜"]
    (tmp_path / name).write_text("\n".join(["문장", *lines]) + "\n", encoding="utf-8")
    opened = open_rows(tmp_path / name)
    assert opened.headed and opened.text == "문장"
    assert streamed(opened) == [[line] for line in lines]  # the blank one keeps its place


def test_quoted_cells_of_one_column(tmp_path):
    rows = [["아, 좋다"], ["그래"], ['그가 "응" 했다'], ["두\n줄"]]
    read, opened = both(tmp_path, "a.csv", written([["sentence"], *rows], ","))
    assert cells(read) == streamed(opened) == rows


def test_blank_rows_keep_the_order_of_those_between_them(tmp_path):
    text = "id,text\n1,좋아\n,\n3,싫어\n\n4,그래\n,\n,\n"
    read, opened = both(tmp_path, "a.csv", text)
    assert cells(read) == [["1", "좋아"], ["3", "싫어"], ["4", "그래"]]
    assert streamed(opened) == [["1", "좋아"], ["", ""], ["3", "싫어"], ["4", "그래"]]


@pytest.mark.parametrize("header", [[], ["text"]])
def test_blank_rows_of_one_column_are_rows_in_a_sheet_as_in_a_text(tmp_path, header):
    texts = ["오늘은 참 좋아", "", "내일은 너무 싫어", "", "", "그래도 정말 다행이야"]
    (tmp_path / "a.xlsx").write_bytes(workbook({"하나": [[text or None] for text in (*header, *texts, "", "")]}))
    (tmp_path / "a.csv").write_text("\n".join([*header, *texts, "", ""]), encoding="utf-8")
    for name in ("a.xlsx", "a.csv"):
        (block,) = open_rows(tmp_path / name).blocks
        assert [[*cells] for cells in block.columns.values()] == [texts]
        assert [*block.numbers] == [*range(len(header) + 1, len(header) + 7)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_every_encoding_from_a_file_and_from_standard_input(tmp_path, encoding):
    text = ("\ufeff" if encoding.endswith("-be") else "") + written([["id", "문장", "감정"], *ROWS * 2000], "\t")
    data = text.encode(encoding)
    assert len(data) > 1 << 20
    read, opened = both(tmp_path, "a.tsv", data)
    assert cells(read) == streamed(opened) == streamed(open_rows(io.BytesIO(data))) == ROWS * 2000


def test_broken_bytes_late_in_a_file(tmp_path):
    data = ("text\n" + "좋은 날이었다\n" * 60_000).encode() + "끊긴".encode()[:-1] + b"\n"
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(UserError, match=r"^a\.csv, row 60002: byte 0xea is not utf-8"):
        open_rows(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"^standard input, after row [0-9]+: bytes that are not utf-8"):
        streamed(open_rows(io.BytesIO(data)))


def test_a_row_that_the_head_cuts_is_no_contradiction():
    rows = [[str(n), "첫 줄\n" * 30 + "끝"] for n in range(20)]
    text = written([["id", "text"], *rows], ",")
    cut = text[: text.rfind("첫 줄\n") + 4]
    assert find_dialect("a.csv", cut, FOUND_OUT, own=",", whole=False) == Dialect(",")
    with pytest.raises(UserError, match="row 21: quotes don't fit"):
        list(chunks("a.csv", io.StringIO(cut, newline=""), Dialect(",")))


def test_what_is_asked_for_tells_a_header_and_a_table(tmp_path):
    text = "내용|기분\n좋아|1\n싫어|2\n"
    read, opened = both(tmp_path, "a.txt", text, Layout(text_column="내용", label_column="기분"))
    assert cells(read) == streamed(opened) == [["좋아", "1"], ["싫어", "2"]] and opened.text == "내용"
    read, opened = both(tmp_path, "a.csv", "좋아,1\n싫어,2\n", Layout(header=0, text_column="1"))
    assert cells(read) == streamed(opened) == [["좋아", "1"], ["싫어", "2"]] and opened.text == "1"
    read, opened = both(tmp_path, "a.csv", "표 제목,\n내용,기분\n좋아,1\n", Layout(header=2))
    assert cells(read) == [["좋아", "1"]] and list(read.frame.columns) == ["내용", "기분"]


def test_titles_above_the_header(tmp_path):
    text = "감정 말뭉치 2023\n\n작성: 2023-01-02\n" + written([["번호", "문장", "감정"], *ROWS], ",")
    read, opened = both(tmp_path, "a.csv", text)
    assert cells(read) == streamed(opened) == ROWS
    assert any("row" in note and "not read" in note for note in opened.notes)


def test_nothing_to_tell():
    assert find_dialect("a", "", FOUND_OUT, own=None, whole=True) == LINES


JSON = {
    "columns": '{"sentence": ["가 나", "다 라"], "label": ["a", "b"]}',
    "records under a name": '{"data": [{"sentence": "가 나"}, {"sentence": "다 라"}]}',
    "pretty records": '[\n  {\n    "sentence": "가 나"\n  },\n  {"sentence": "다 라"}\n]\n',
    "texts": '["가 나", "다 라"]',
    "lines": '{"sentence": "가 나"}\n{"sentence": "다 라"}\n',
    "lines below a blank one": '\n{"sentence": "가 나"}\n{"sentence": "다 라"}\n',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("shape", JSON)
def test_json_from_standard_input(shape, encoding):
    opened = open_rows(io.BytesIO(JSON[shape].encode(encoding)))
    assert [text for block in opened.blocks for text in block.columns[opened.text]] == ["가 나", "다 라"]


def test_one_record_and_prose_in_brackets_from_standard_input():
    opened = open_rows(io.BytesIO('{"text": "가 나", "labels": [1, 2]}\n'.encode()))
    assert streamed(opened) == [["가 나", "[1, 2]"]] and opened.text == "text"
    lines = ["[속보] 오늘은 좋다", "{웃음} 그래", "끝"]
    assert streamed(open_rows(io.BytesIO("\n".join(lines).encode()))) == [[line] for line in lines]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_one_column_with_line_breaks_as_pandas_writes_it(tmp_path, name):
    rows = [["첫 줄\n둘째 줄"], ["안녕하세요"], ["또 있다\n이런 것도"]]
    (tmp_path / name).write_text(written([["text"], *rows], "\t" if name == "a.tsv" else ","), encoding="utf-8")
    assert streamed(open_rows(tmp_path / name)) == rows


def test_quotes_within_the_texts_of_one_column_are_letters(tmp_path):
    lines = ['"최고"라는 말이 딱', "좋아요", '그가 "응" 했다']
    (tmp_path / "a.csv").write_text("\n".join(["text", *lines]) + "\n", encoding="utf-8")
    assert streamed(open_rows(tmp_path / "a.csv")) == [[line] for line in lines]


def test_a_first_quote_beyond_the_head_that_runs_rows_together_is_refused(tmp_path):
    rows = "".join(f"좋은 날이었다 {n} 그리고 또 좋은 날이었다,{n % 100}\n" for n in range(30_000))
    assert len(rows.encode()) > HEAD
    (tmp_path / "a.csv").write_text(f'text,age\n{rows}"시작,90\n중간,91\n끝",92\n', encoding="utf-8")
    with pytest.raises(UserError, match="row 30002: a quote at the start of a text runs several rows together"):
        streamed(open_rows(tmp_path / "a.csv"))


def test_what_is_no_text_is_not_predicted(tmp_path):
    for text in ("id\n1\n2\n", "id,label\n1,기쁨\n2,슬픔\n"):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="no text column"):
            open_rows(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("기분좋아\n너무 슬퍼서 울었다\n내일 시험이라 떨려\n", encoding="utf-8")
    assert "'기분좋아' is read as the name of the column; --header none" in open_rows(tmp_path / "a.csv").notes[0]


def test_half_a_mark_is_no_text():
    with pytest.raises(UserError, match="row 1: byte 0xef is not utf-8"):
        read_tables("a.csv", b"\xef")


@pytest.mark.parametrize("count", [16, 18_000], ids=["whole", "longer than the head"])
@pytest.mark.parametrize("header", [[], [["번호", "문장", "감정"]]], ids=["without a header", "headed"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_texts_of_two_lines_beside_tabs(tmp_path, name, header, count):
    """Each line by itself would be a row of two cells; but every quote that opens is closed."""
    rows = [[str(n), f"{WORDS[n % 5]} {n}\n그래서 그만두었다", LABELS[n % 3]] for n in range(count)]
    text = written([*header, *rows], "\t", csv.QUOTE_MINIMAL)
    assert len(text.encode()) > HEAD or count == 16
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert cells(table(name, text)) == rows
    assert streamed(open_rows(tmp_path / name)) == rows


@pytest.mark.parametrize("name", ["data.csv", "data.txt", "data.jsonl"])
def test_a_workbook_under_another_name_is_told_as_what_it_is(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    for reading in (open_rows, read_file):
        with pytest.raises(UserError, match=f"{name} is a workbook or a zip by its content; name it .xlsx or .zip"):
            reading(path)
