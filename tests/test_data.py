"""Sources, labels, checks and splits, on files written here in every format."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import datasets
import pandas as pd
import pytest

from emo_hf.data import MAJOR_EMOTIONS, SUB_EMOTIONS, load_emotion_data, resolve_labels
from emo_hf.data.loading import SAMPLE
from emo_hf.data.readers import READERS, read_table
from emo_hf.data.taxonomy import emotions, find_emotion
from emo_hf.errors import UserError

LABELS = ("불안", "슬픔", "기쁨")


def rows(count: int = 30, start: int = 0) -> list[dict[str, str]]:
    """Distinct sentences, the labels in turn; 똠 and 펲 are in cp949 but not in euc-kr."""
    return [
        {"sentence": f'똠방각하와 펲시를 마신 {number}번째 날, "참" 길었다.', "label": LABELS[number % 3]}
        for number in range(start, start + count)
    ]


def write(path: Path, records: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    frame = pd.DataFrame(records)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False, encoding=encoding)
        case ".tsv":
            frame.to_csv(path, index=False, sep="\t", encoding=encoding)
        case ".xlsx":
            frame.to_excel(path, index=False)
        case ".json":
            path.write_text(json.dumps(records, ensure_ascii=False), encoding=encoding)
        case ".jsonl":
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in records), encoding=encoding)
        case ".parquet":
            frame.to_parquet(path, index=False)
    return path


def texts(data, split: str) -> list[str]:
    return data.splits[split]["text"][:]


def all_texts(data) -> set[str]:
    return {text for split in data.splits for text in texts(data, split)}


def error_of(source, **arguments) -> str:
    with pytest.raises(UserError) as caught:
        load_emotion_data(str(source), **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl"])
def test_text_formats_and_encodings(tmp_path, suffix, encoding):
    data = load_emotion_data(str(write(tmp_path / f"data{suffix}", rows(), encoding)))
    assert all_texts(data) == {row["sentence"] for row in rows()}
    assert data.report["files"][0]["encoding"] == ("cp949" if encoding == "cp949" else "utf-8-sig")


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet"])
def test_binary_formats(tmp_path, suffix):
    data = load_emotion_data(str(write(tmp_path / f"data{suffix}", rows())))
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_every_format_gives_the_same_fingerprint(tmp_path):
    prints = {load_emotion_data(str(write(tmp_path / f"d{s}", rows()))).fingerprint for s in READERS if s != ".txt"}
    assert len(prints) == 1
    changed = rows()
    changed[3]["sentence"] += "!"
    assert load_emotion_data(str(write(tmp_path / "changed.csv", changed))).fingerprint not in prints


def test_labels_of_each_row_are_right(tmp_path):
    data = load_emotion_data(str(write(tmp_path / "data.csv", rows())))
    truth = {row["sentence"]: row["label"] for row in rows()}
    for split in data.splits.values():
        assert all(data.labels[row["label"]] == truth[row["text"]] for row in split)


def test_cells_are_stripped_and_composed(tmp_path):
    records = rows()
    for record in records:
        record["sentence"] = unicodedata.normalize("NFD", f" \u200b{record['sentence']}\u3000")
        record["label"] = unicodedata.normalize("NFD", record["label"]) + " "
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_semicolons_json_of_columns_and_json_lines_under_another_name(tmp_path):
    pd.DataFrame(rows()).to_csv(tmp_path / "semicolon.csv", index=False, sep=";")
    columns = {name: [row[name] for row in rows()] for name in ("sentence", "label")}
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    (tmp_path / "wrapped.json").write_text(json.dumps({"version": 1, "data": rows()}))
    (tmp_path / "lines.json").write_text("\n".join(json.dumps(row) for row in rows()))
    for path in tmp_path.iterdir():
        assert all_texts(load_emotion_data(str(path))) == {row["sentence"] for row in rows()}


def test_texts_that_pandas_takes_for_missing_stay(tmp_path):
    records = [*rows(), {"sentence": "NA", "label": "불안"}, {"sentence": "null", "label": "기쁨"}]
    assert {"NA", "null"} <= all_texts(load_emotion_data(str(write(tmp_path / "data.csv", records))))


@pytest.mark.parametrize(("text", "label"), [("document", "emotion"), ("TEXT", "감정"), ("사람문장1", "감정_대분류")])
def test_usual_column_names(tmp_path, text, label):
    records = [{text: row["sentence"], "extra": "x", label: row["label"]} for row in rows()]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert data.report["columns"] == {"text": text, "label": label}
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_columns_can_be_named(tmp_path):
    records = [{"sentence": "x", "my text": row["sentence"], "class": row["label"]} for row in rows()]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)), text_column="my text", label_column="class")
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_folder_of_splits_is_taken_as_given(tmp_path):
    write(tmp_path / "train.csv", rows(12))
    write(tmp_path / "dev.jsonl", rows(6, 100))
    write(tmp_path / "Test.tsv", rows(9, 200), "cp949")
    data = load_emotion_data(str(tmp_path))
    assert [len(data.splits[split]) for split in data.splits] == [12, 6, 9]
    assert texts(data, "test") == [row["sentence"] for row in rows(9, 200)]
    assert set(data.report["splits"].values()) == {"given"}


def test_shards_are_one_split(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", rows(12))
    write(tmp_path / "train-00001-of-00002.parquet", rows(12, 50))
    write(tmp_path / "test.csv", rows(6, 100))
    data = load_emotion_data(str(tmp_path))
    assert len(data.splits["train"]) + len(data.splits["validation"]) == 24
    assert len(data.splits["test"]) == 6


def test_split_column(tmp_path):
    records = [row | {"split": ["train", "VAL", "test"][i // 3 % 3]} for i, row in enumerate(rows(27))]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 9, "validation": 9, "test": 9}
    records[4]["split"] = "tset"
    assert "row 6: split 'tset' is unknown" in error_of(write(tmp_path / "wrong.csv", records))


def test_saved_data_sets_map_class_names(tmp_path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["기쁨", "슬픔", "불안"])}
    )

    def part(count, start):
        content = {"text": [row["sentence"] for row in rows(count, start)]}
        content["label"] = [features["label"].str2int(row["label"]) for row in rows(count, start)]
        return datasets.Dataset.from_dict(content, features=features)

    parts = datasets.DatasetDict({"train": part(12, 0), "validation": part(6, 20), "test": part(6, 40)})
    parts.save_to_disk(str(tmp_path / "saved"))
    part(30, 0).save_to_disk(str(tmp_path / "one"))
    part(30, 0).to_parquet(str(tmp_path / "one.parquet"))
    data = load_emotion_data(str(tmp_path / "saved"))
    assert data.labels == LABELS
    assert data.splits["test"]["label"][:] == [LABELS.index(row["label"]) for row in rows(6, 40)]
    for name in ("one", "one.parquet"):
        assert load_emotion_data(str(tmp_path / name)).counts()["train"] == {"불안": 8, "슬픔": 8, "기쁨": 8}


def test_hub_data_set(monkeypatch):
    """The Hub's answer is replaced; what happens to it is not."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(LABELS))})
    content = {"text": [row["sentence"] for row in rows()], "label": [i % 3 for i in range(30)]}
    answer = datasets.DatasetDict({"train": datasets.Dataset.from_dict(content, features=features)})
    asked = {}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, **options: asked.update(options, name=name) or answer)
    data = load_emotion_data("someone/emotions", revision="v2")
    assert (asked["name"], asked["revision"]) == ("someone/emotions", "v2")
    assert all_texts(data) == {row["sentence"] for row in rows()}


def test_unreachable_hub_data_set_is_one_line(tmp_path):
    code = "from emo_hf.data import load_emotion_data as load\ntry: load('no/such')\nexcept ValueError as e: print(e)"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("no/such is neither a file or folder here nor a Hub data set that could be loaded")
    assert done.stdout.count("\n") == 1


# --- labels --------------------------------------------------------------------------------------------------------


def test_taxonomy_is_complete_and_unique():
    assert len(MAJOR_EMOTIONS) == 6
    assert len(SUB_EMOTIONS) == len(set(SUB_EMOTIONS)) == 60
    assert len({emotion.sub for emotion in emotions()}) == 58
    assert all(find_emotion(emotion.code) == find_emotion(emotion.label) == emotion for emotion in emotions())
    assert find_emotion("E18").sub == "노여워하는"
    assert find_emotion("가난한, 불우한").code == "E45"
    assert find_emotion("고립된", "상처").code == "E43"
    assert find_emotion("고립된", "당황").code == find_emotion("고립된(당황한)").code == "E51"
    assert find_emotion("고립된") is None  # it may be either
    assert not any("," in label for label in SUB_EMOTIONS)


def test_resolve_labels():
    assert resolve_labels("six") == MAJOR_EMOTIONS
    assert resolve_labels("sixty") == SUB_EMOTIONS
    assert (
        resolve_labels("기쁨,슬픔")
        == resolve_labels(["기쁨", unicodedata.normalize("NFD", " 슬픔")])
        == ("기쁨", "슬픔")
    )
    assert resolve_labels(["E18", "가난한, 불우한"]) == ("노여워하는", "가난한·불우한")
    assert resolve_labels("all") is None
    for wrong in ("기쁨", [], "기쁨,", ["기쁨", "기쁨"]):
        with pytest.raises(UserError):
            resolve_labels(wrong)


def test_label_order_is_that_of_the_argument(tmp_path):
    path = str(write(tmp_path / "data.csv", rows()))
    one, other = load_emotion_data(path), load_emotion_data(path, labels=["기쁨", "불안", "슬픔"])
    assert other.labels == ("기쁨", "불안", "슬픔")
    assert texts(one, "train") == texts(other, "train")
    names = [[data.labels[i] for i in data.splits["train"]["label"][:]] for data in (one, other)]
    assert names[0] == names[1]
    assert one.fingerprint != other.fingerprint


def test_known_emotions_not_asked_for_are_left_out_and_counted(tmp_path):
    records = [
        *rows(),
        *({"sentence": f"화난 {i}", "label": "분노"} for i in range(4)),
        {"sentence": "x", "label": "E45"},
    ]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert data.report["left_out"] == {"분노": 4, "상처": 1}
    assert len(all_texts(data)) == 30


def test_sub_emotions_and_codes_mean_their_major_class(tmp_path):
    names = ["E31", "실망한", "감사하는"]
    records = [row | {"label": names[i % 3]} for i, row in enumerate(rows())]
    assert load_emotion_data(str(write(tmp_path / "data.csv", records))).counts()["train"] == dict.fromkeys(LABELS, 8)


def test_sixty_is_decided_by_major_and_sub_emotion(tmp_path):
    pairs = [("상처", "고립된"), ("당황", "고립된"), ("불안", "혼란스러운"), ("당황", "당황")]
    records = [
        {"text": f"문장 {i}", "감정_대분류": pairs[i % 4][0], "감정_소분류": pairs[i % 4][1]} for i in range(40)
    ]
    path = str(write(tmp_path / "data.csv", records))
    wanted = ["고립된(상처)", "고립된(당황)", "혼란스러운(불안)", "당황"]
    for column in (None, "감정_소분류"):
        data = load_emotion_data(path, labels=wanted[:3], label_column=column)
        assert data.counts()["train"] == dict.fromkeys(wanted[:3], 8)
        assert data.report["left_out"] == {"당황": 10}


def test_contradicting_cells_are_refused(tmp_path):
    records = [{"text": f"문장 {i}", "label": "불안", "sub_emotion": "감사하는"} for i in range(10)]
    assert "'불안/감사하는'" in error_of(write(tmp_path / "data.csv", records), labels="sixty")


def test_own_labels(tmp_path):
    records = [{"text": f"문장 {i}", "label": ["positive", "negative"][i % 2]} for i in range(20)]
    path = write(tmp_path / "data.csv", records)
    assert load_emotion_data(str(path), labels="positive,negative").labels == ("positive", "negative")
    assert load_emotion_data(str(path), labels="all").labels == ("negative", "positive")
    assert "labels='all'" in error_of(path)


def test_numbers_as_labels(tmp_path):
    for suffix in (".csv", ".json", ".xlsx", ".parquet"):
        records = [{"text": f"문장 {i}", "label": i % 2} for i in range(20)]
        assert load_emotion_data(str(write(tmp_path / f"d{suffix}", records)), labels="all").labels == ("0", "1")


# --- checks --------------------------------------------------------------------------------------------------------


def test_missing_files_and_columns(tmp_path):
    assert "nowhere.csv does not exist" in error_of(tmp_path / "nowhere.csv")
    assert "does not exist" in error_of("data/nowhere.csv")
    assert "does not exist" in error_of("nowhere")
    path = write(tmp_path / "data.csv", [{"a": "1", "b": "2"}])
    assert "columns found: a, b; name yours with text_column" in error_of(path)
    assert "text_column 'c' is missing; columns found: a, b" in error_of(path, text_column="c")
    assert "no label column" in error_of(path, text_column="a")
    assert "readable are .csv" in error_of(write(tmp_path / "data.json", []).rename(tmp_path / "data.doc"))
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "mine.csv", rows())
    assert "mine.csv" in error_of(tmp_path / "folder")
    assert "revision 'v1' is for Hub data sets" in error_of(path, revision="v1")
    assert "turns is 'last'" in error_of(path, turns="last")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".xlsx"])
def test_empty_text_and_empty_label_name_their_rows(tmp_path, suffix):
    first = {".csv": 2, ".tsv": 2, ".xlsx": 2, ".json": 1, ".jsonl": 1}[suffix]
    for column in ("sentence", "label"):
        records = rows()
        records[4][column], records[7][column] = " ", "\u200b"
        message = error_of(write(tmp_path / f"data{suffix}", records))
        assert (
            f"data{suffix}, rows {first + 4}, {first + 7}: the {'text' if column == 'sentence' else column} is"
            in message
        )


def test_unknown_label_names_rows_counts_and_neighbour(tmp_path):
    records = rows()
    records[0]["label"], records[2]["label"], records[5]["label"] = "불안함", "불안함", "행복"
    message = error_of(write(tmp_path / "data.csv", records))
    assert "'불안함' in data.csv, rows 2, 4 (2 rows, nearest is '불안')" in message
    assert "'행복' in data.csv, row 7 (1 row)" in message


def test_one_class_only_and_class_missing_from_a_split(tmp_path):
    path = write(tmp_path / "one.csv", [row | {"label": "기쁨"} for row in rows()])
    assert "one class only (기쁨)" in error_of(path)
    assert "one class only (none of those" in error_of(path, labels="분노,상처")
    assert "at least two" in error_of(path, labels="기쁨")
    write(tmp_path / "train.csv", rows(12))
    write(tmp_path / "valid.csv", rows(12, 20))
    write(tmp_path / "test.csv", [row for row in rows(12, 40) if row["label"] != "슬픔"])
    assert "test holds no row of 슬픔; every split needs every label" in error_of(tmp_path)


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
        ("a.csv", 'text,label\n"좋아,기쁨\n나는,슬픔\n', "quotes don't fit"),
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


def test_lists_are_no_labels(tmp_path):
    path = write(tmp_path / "data.json", [{"text": "a", "label": ["x", "y"]}])
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
        assert len(read_table(file.name, file.read_bytes()).frame) == 30


def test_tab_separated_files_without_quoting(tmp_path):
    lines = ["id\tdocument\tlabel", '1\t"최고"라는 말\t기쁨', '2\t"슬프다\t슬픔', "3\t그저\t기쁨"] + [
        f"{i}\t문장 {i}\t{LABELS[1 + i % 2]}" for i in range(20)
    ]
    (tmp_path / "ratings.txt").write_text("\n".join(lines), encoding="utf-8")
    data = load_emotion_data(str(tmp_path / "ratings.txt"), labels=LABELS[1:])
    assert {'"최고"라는 말', '"슬프다'} <= all_texts(data)
    (tmp_path / "ratings.txt").write_text("\n".join([*lines, '4\t"x']), encoding="utf-8")
    assert "quotes don't fit" in error_of(tmp_path / "ratings.txt")


def test_unused_turns_of_a_users_own_table_are_no_mistake(tmp_path):
    records = [
        {"사람문장1": f"문장 {i}", "사람문장2": f"다음 {i}" if i % 2 else "", "label": LABELS[i % 3]}
        for i in range(60)
    ]
    path = write(tmp_path / "data.csv", records)
    assert len(all_texts(load_emotion_data(str(path)))) == 60
    assert len(all_texts(load_emotion_data(str(path), turns="all"))) == 90
    records[0]["사람문장1"] = ""
    assert "row 2: the text is empty" in error_of(write(path, records), turns="all")


# --- splits --------------------------------------------------------------------------------------------------------


def test_carving_is_stratified_fixed_and_80_10_10(tmp_path):
    records = [{"text": f"문장 {i}", "label": LABELS[0 if i % 10 < 6 else 1 if i % 10 < 9 else 2]} for i in range(200)]
    path = str(write(tmp_path / "data.csv", records))
    data = load_emotion_data(path)
    assert data.counts() == {
        "train": {"불안": 96, "슬픔": 48, "기쁨": 16},
        "validation": {"불안": 12, "슬픔": 6, "기쁨": 2},
        "test": {"불안": 12, "슬픔": 6, "기쁨": 2},
    }
    assert load_emotion_data(path).fingerprint == data.fingerprint
    assert texts(load_emotion_data(path, seed=7), "test") != texts(data, "test")
    assert data.report["counts"] == data.counts()
    assert "carved out of train: 10%" in data.report["splits"]["test"]
    json.dumps(data.report)
    for sizes in ({"test_size": 0.0}, {"validation_size": 1.5}, {"validation_size": 0.5, "test_size": 0.5}):
        assert "_size" in error_of(path, **sizes)


def test_only_the_missing_split_is_carved(tmp_path):
    write(tmp_path / "train.csv", rows(60))
    write(tmp_path / "test.csv", rows(9, 100))
    data = load_emotion_data(str(tmp_path), validation_size=0.2)
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [48, 12, 9]
    assert set(texts(data, "test")) == {row["sentence"] for row in rows(9, 100)}


def test_dialogues_stay_whole(tmp_path):
    records = [{"text": f"문장 {i}", "label": LABELS[i // 4 % 3], "dialogue_id": f"d{i // 4}"} for i in range(240)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    seen = [set(part["dialogue"][:]) for part in data.splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 60
    assert data.report["dialogues_shared"] == 0


def test_equal_texts_are_carved_together(tmp_path):
    records = [row for row in rows(60) for _ in range(3)]
    data = load_emotion_data(str(write(tmp_path / "data.csv", records)))
    assert sum(len(part) for part in data.splits.values()) == 180
    assert sum(len(set(texts(data, split))) for split in data.splits) == 60


def test_texts_in_several_splits_stay_in_test_then_validation(tmp_path):
    shared = [{"sentence": f"같은 문장 {i}", "label": LABELS[i % 3]} for i in range(6)]
    spaced = [row | {"sentence": row["sentence"].replace(" ", "  ")} for row in shared]
    write(tmp_path / "train.csv", rows(30) + spaced)
    write(tmp_path / "validation.csv", rows(6, 50) + shared)
    write(tmp_path / "test.csv", rows(6, 70) + shared[:4])
    data = load_emotion_data(str(tmp_path))
    assert data.report["duplicates_removed"] == {"validation": 4, "train": 6}
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [30, 8, 10]


def test_dialogues_in_several_given_splits_are_reported(tmp_path, caplog):
    write(tmp_path / "train.csv", [row | {"dialogue": "a"} for row in rows(60)])
    write(tmp_path / "test.csv", [row | {"dialogue": "a"} for row in rows(9, 100)])
    with pytest.raises(UserError):  # one dialogue can't be carved
        load_emotion_data(str(tmp_path))
    write(tmp_path / "validation.csv", rows(9, 200))
    assert load_emotion_data(str(tmp_path)).report["dialogues_shared"] == 1
    assert "1 dialogues have turns in several" in caplog.text


# --- the bundled sample ----------------------------------------------------------------------------------------------


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
