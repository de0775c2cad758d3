"""What is checked before anything is trained, and the bundled sample."""

from __future__ import annotations

import re
import zipfile

import pandas as pd
import pytest
from tables import LABELS, all_texts, error_of, rows, write

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.reading import SAMPLE
from emo_hf.data.sources.readers import read_tables


def test_missing_files_and_columns(tmp_path):
    assert "nowhere.csv does not exist" in error_of(tmp_path / "nowhere.csv")
    assert "does not exist" in error_of("data/nowhere.csv")
    assert "does not exist" in error_of("nowhere")
    path = write(tmp_path / "data.csv", [{"a": "1", "b": "2"}])
    assert "columns found: a, b; none of the others holds sentences" in error_of(path)
    assert "--text_column 'c' is missing; columns found: a, b" in error_of(path, text_column="c")
    assert "no label column" in error_of(path, text_column="a")
    assert "readable are .csv" in error_of(write(tmp_path / "data.json", []).rename(tmp_path / "data.doc"))
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "mine.csv", [{"a": "1", "b": "2"}])
    assert "mine.csv: no text column" in error_of(tmp_path / "folder")
    assert "revision 'v1' is for Hub data sets" in error_of(path, revision="v1")
    assert "turns is 'last'" in error_of(path, turns="last")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".xlsx"])
def test_empty_text_and_empty_label_name_their_rows(tmp_path, suffix):
    first = {".csv": 2, ".tsv": 2, ".xlsx": 2, ".json": 1, ".jsonl": 1}[suffix]
    for column in ("sentence", "label"):
        records = rows()
        records[4][column], records[7][column] = " ", "\u200b"
        message = error_of(write(tmp_path / f"data{suffix}", records), on_bad_rows="error")
        assert (
            f"data{suffix}, rows {first + 4}, {first + 7}: the {'text' if column == 'sentence' else column} is"
            in message
        )


def test_unknown_label_names_rows_counts_and_neighbour(tmp_path):
    records = rows()
    records[0]["label"], records[2]["label"], records[5]["label"] = "불안함", "불안함", "행복"
    message = error_of(write(tmp_path / "data.csv", records), on_bad_rows="error")
    assert "'불안함' in data.csv, rows 2, 4 (2 rows, nearest is '불안')" in message
    assert "'행복' in data.csv, row 7 (1 row)" in message


def test_the_nearest_label_is_one_that_was_asked_for(tmp_path):
    """분ㄴ is as near to 흥분, of AI Hub's sixty, as to 분노."""
    records = [row | {"label": {"불안": "분노"}.get(row["label"], row["label"])} for row in rows()]
    records[4]["label"] = "분ㄴ"
    path = write(tmp_path / "data.csv", records)
    said = error_of(path, labels=["분노", "슬픔", "기쁨"], on_bad_rows="error")
    assert "nearest is '분노'" in said


def test_one_class_only_and_class_missing_from_a_split(tmp_path):
    path = write(tmp_path / "one.csv", [row | {"label": "기쁨"} for row in rows()])
    assert "one class only (기쁨)" in error_of(path)
    assert "one class only (none of those" in error_of(path, labels="분노,상처")
    assert "at least two" in error_of(path, labels="기쁨")
    write(tmp_path / "valid.csv", rows(12, 20))
    write(tmp_path / "train.csv", [row for row in rows(12, 60) if row["label"] != "슬픔"])
    assert "train holds no row of 슬픔 (슬픔 has 0 in all); every split needs every label" in error_of(tmp_path)


@pytest.mark.parametrize("labels", ["all", ["불안", "슬픔", "기쁨"]])
@pytest.mark.parametrize(("header", "count"), [(True, 30), (False, 30), (True, 1200)])
def test_swapped_columns_are_told_and_the_way_out_leads_out(tmp_path, labels, header, count):
    path = tmp_path / "data.csv"
    pd.DataFrame([{"n": str(n)} | row for n, row in enumerate(rows(count))]).to_csv(path, index=False, header=header)
    text, label = ("sentence", "label") if header else ("2", "3")
    said = error_of(path, labels=labels, text_column=label, label_column=text)
    assert f"seem swapped: 3 different texts have {count:,} labels; " in said
    way_out = dict(zip(["text_column", "label_column"], said.rstrip(".").split()[-3::2], strict=True))
    assert way_out == {"text_column": text, "label_column": label}
    assert sum(map(len, load_emotion_data(str(path), labels=labels, **way_out).splits.values())) == count


def test_columns_are_not_called_swapped_where_that_would_not_help(tmp_path):
    path = write(tmp_path / "data.csv", [{"text": "기쁨", "label": f"문장 {n}"} for n in range(30)])
    assert "swapped" not in error_of(path, labels="all")


def test_a_given_split_is_never_replaced_by_a_carved_one(tmp_path):
    write(tmp_path / "train.csv", rows(60))
    write(tmp_path / "test.csv", [{"sentence": f"화난 {i}", "label": "분노"} for i in range(9)])
    assert "test holds no row of 불안, 슬픔, 기쁨" in error_of(tmp_path)


def test_undecodable_bytes_name_file_and_row(tmp_path):
    path = tmp_path / "data.csv"
    for encoding in ("utf-8", "utf-8-sig", "cp949"):
        lines = write(path, rows(), encoding).read_bytes().split(b"\n")
        lines[6] += b"\xff"
        path.write_bytes(b"\n".join(lines))
        message = error_of(path)
        assert "data.csv, row 7: byte 0xff" in message
        assert encoding.removesuffix("-sig") in message


def test_a_broken_utf8_file_is_not_read_as_cp949(tmp_path):
    """The bytes 한(utf-8) cut after two would pass as cp949 and give nonsense."""
    path = tmp_path / "data.csv"
    path.write_bytes("text,label\n안녕하세요,기쁨\n".encode() + "한".encode()[:2] + b",x\n")
    assert "row 3" in error_of(path)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "\n\n", "is empty"),
        ("a.csv", "text,label\n", "holds no rows"),
        ("a.csv", "text,label\n나는, 슬퍼,슬픔\n", "row 2: 3 cells, but the header has 2"),
        ("a.csv", "text,label\n좋아,기쁨\n나는\n", "row 3: 1 cells"),
        ("a.csv", 'text,label\n"좋아,기쁨\n나, 너,슬픔\n', "quotes don't fit"),
        ("a.csv", "text,label,text\n좋아,기쁨,x\n", "text stands twice"),
        ("a.json", "[{]", "row 1: not JSON"),
        ("a.json", '"x"', "not a list of objects"),
        ("a.json", "[1]", "row 1: not an object"),
        ("a.json", '[{"text": "a", "label": "b"}, {"text": "\\ud83d", "label": "b"}]', "row 2: half of a"),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', "row 2: not a JSON object"),
        ("a.xlsx", "no workbook", "not a readable XLSX"),
        ("a.parquet", "no parquet", "not a readable Parquet"),
        ("a.zip", "no zip", "not a whole zip"),
    ],
)
def test_broken_files(tmp_path, name, content, part):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert part in error_of(tmp_path / name)


def test_objects_are_no_labels(tmp_path):
    path = write(tmp_path / "data.json", [{"text": "a", "label": {"x": "y"}}])
    assert "no label column" in error_of(path)


def test_xlsx_with_a_wrong_size_is_read_whole(tmp_path):
    path = write(tmp_path / "data.xlsx", [*rows(), {"sentence": "", "label": ""}])  # and an empty row at its end
    small = tmp_path / "small.xlsx"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(small, "w") as changed:
        for name in whole.namelist():
            content = whole.read(name)
            assert ("sheet1" not in name) or b'ref="A1:B3' in content
            changed.writestr(name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', content))
    for file in (path, small):
        assert [len(table.frame) for table in read_tables(file.name, file.read_bytes())] == [30]


def test_tab_separated_files_without_quoting(tmp_path):
    lines = ["id\tdocument\tlabel", '1\t"최고"라는 말\t기쁨', '2\t"슬프다\t슬픔', "3\t그저\t기쁨"] + [
        f"{i}\t문장 {i}\t{LABELS[1 + i % 2]}" for i in range(20)
    ]
    (tmp_path / "ratings.txt").write_text("\n".join(lines), encoding="utf-8")
    data = load_emotion_data(str(tmp_path / "ratings.txt"), labels=LABELS[1:])
    assert {'"최고"라는 말', '"슬프다'} <= all_texts(data)
    (tmp_path / "ratings.txt").write_text("\n".join([*lines, '4\t"x']), encoding="utf-8")
    assert "row 25: 2 cells, but the header has 3" in error_of(tmp_path / "ratings.txt")


def test_unused_turns_of_a_users_own_table_are_no_mistake(tmp_path):
    records = [
        {"사람문장1": f"문장 {i}", "사람문장2": f"다음 {i}" if i % 2 else "", "label": LABELS[i % 3]}
        for i in range(60)
    ]
    path = write(tmp_path / "data.csv", records)
    assert len(all_texts(load_emotion_data(str(path)))) == 60
    assert len(all_texts(load_emotion_data(str(path), turns="all"))) == 90
    records[0]["사람문장1"] = ""
    assert "row 2: the text is empty" in error_of(write(path, records), turns="all", on_bad_rows="error")


def test_sample():
    data = load_emotion_data()
    per_class = {"train": 600, "validation": 120, "test": 240}
    assert data.counts() == {split: dict.fromkeys(LABELS, count) for split, count in per_class.items()}
    assert data.splits["train"].column_names == ["text", "label", "sub_emotion", "situation", "age_group"]
    assert load_emotion_data(labels=["두려운", "감사하는"]).counts()["test"] == {"두려운": 24, "감사하는": 24}
    assert "train holds no row of 분노, 상처, 당황" in error_of("sample", labels="six")


def test_sample_is_clean():
    """Counts of every cell, no duplicates, no near-duplicates, no overlap of splits."""
    frame = pd.read_csv(SAMPLE)
    assert len(frame) == 2880
    assert not frame.isna().any().any()
    cells = frame.groupby(["situation", "label", "sub_emotion", "split"]).size().unstack()
    assert len(cells) == 360
    assert (cells[["train", "validation", "test"]] == [5, 1, 2]).all().all()
    assert frame["split"].tolist() == sorted(frame["split"], key=["train", "validation", "test"].index)
    assert frame["sentence"].str.len().between(10, 80).all()
    squeezed = frame["sentence"].str.replace(r"[\W_]+", "", regex=True)
    assert squeezed.is_unique
    trigrams = [{text[i : i + 3] for i in range(len(text) - 2)} for text in squeezed]
    holders: dict[str, list[int]] = {}
    for place, grams in enumerate(trigrams):
        candidates: dict[int, int] = {}
        for gram in grams:
            for other in holders.get(gram, ()):
                candidates[other] = candidates.get(other, 0) + 1
            holders.setdefault(gram, []).append(place)
        for other, common in candidates.items():
            assert common / len(grams | trigrams[other]) < 0.5, (frame["sentence"][place], frame["sentence"][other])
