"""AI Hub's releases, in synthetic files of their formats."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from aihub_files import CODES, NAMES, as_json, as_xlsx, as_zip, dialogues, download, put

from emo_hf.data.loading import load_emotion_data
from emo_hf.errors import UserError


def check(data, train: int = 54, validation: int = 6, test: int = 12) -> None:
    sizes = {split: len(part) for split, part in data.splits.items()}
    assert sizes == {"train": train, "validation": validation, "test": test}
    assert all(text.startswith("첫 말 5") for text in data.splits["test"]["text"][:])
    for part in data.splits.values():
        for row in part:
            assert data.labels[row["label"]] == NAMES[CODES[int(row["text"].split()[-1]) % 6]][0]


def test_download_as_it_is(tmp_path):
    data = load_emotion_data(str(download(tmp_path)))
    check(data)  # half of the six classes, read once though JSON and XLSX hold the same
    assert data.report["left_out"] == {"당황": 24, "분노": 24, "상처": 24}
    assert data.report["splits"]["test"] == "given"
    assert data.report["splits"]["validation"].startswith("carved out of train")
    assert data.splits["train"].column_names == [
        "text", "label", "dialogue", "sub_emotion", "situation", "age_group", "gender"
    ]  # fmt: skip
    row = data.splits["test"][0]
    assert (row["age_group"], row["gender"], row["situation"]) == ("청년", "여성", "S06")


@pytest.mark.parametrize("older", [False, True])
def test_extracted_xlsx_of_both_shapes(tmp_path, older):
    put(tmp_path / "감성대화말뭉치_Training.xlsx", as_xlsx(120, 0, older))
    put(tmp_path / "감성대화말뭉치_Validation.xlsx", as_xlsx(24, 500, older))
    check(load_emotion_data(str(tmp_path)))


def test_renamed_to_train_and_validation(tmp_path):
    """A release is still a release: its validation part is the test set."""
    put(tmp_path / "training.xlsx", as_xlsx(120))
    put(tmp_path / "validation.xlsx", as_xlsx(24, 500))
    check(load_emotion_data(str(tmp_path)))


def test_one_zip_with_zips_inside_and_names_in_nfd(tmp_path):
    inner = {
        unicodedata.normalize("NFD", f"감성대화/{korean}/라벨링데이터.zip"): as_zip({f"대화_{korean}.json": content})
        for korean, content in (("학습", as_json(120)), ("검증", as_json(24, 500)))
    }
    path = put(tmp_path / unicodedata.normalize("NFD", "감성대화.zip"), as_zip(inner | {"__MACOSX/._학습.json": b"x"}))
    data = load_emotion_data(str(path))
    check(data)
    assert data.report["files"][0]["name"] == "감성대화.zip/감성대화/학습/라벨링데이터.zip/대화_학습.json"


def test_zip_names_in_cp949_and_paths_that_climb(tmp_path):
    names = {b"A" * 14: "학습/대화.json".encode("cp949"), b"B" * 14: "검증/대화.json".encode("cp949")}
    content = as_zip({"A" * 14: as_json(120), "B" * 14: as_json(24, 500), "../../Training_x.json": as_json(6, 900)})
    for placeholder, name in names.items():  # zipfile itself can't write such names
        assert content.count(placeholder) == 2
        content = content.replace(placeholder, name)
    data = load_emotion_data(str(put(tmp_path / "in" / "release.zip", content)))
    check(data, train=57)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["release.zip"]


def test_all_turns_carry_label_and_dialogue(tmp_path):
    for folder, make in (("json", as_json), ("xlsx", as_xlsx)):
        put(tmp_path / folder / f"x_Training.{folder}", make(120))
        put(tmp_path / folder / f"x_Validation.{folder}", make(24, 500))
        data = load_emotion_data(str(tmp_path / folder), turns="all")
        assert {split: len(part) for split, part in data.splits.items()} == {
            "train": 108,
            "validation": 12,
            "test": 24,
        }
        seen = [set(part["dialogue"][:]) for part in data.splits.values()]
        assert sum(map(len, seen)) == len(set.union(*seen)) == 72
        first, second = data.splits["train"][0], data.splits["train"][1]
        assert (first["text"], second["text"]) == ("첫 말 0", "둘째 말 0")
        assert (first["dialogue"], first["label"]) == (second["dialogue"], second["label"])


def test_the_shapes_mean_the_same(tmp_path):
    prints = []
    for suffix, make in (("json", as_json), ("xlsx", as_xlsx)):
        for labels in ("six", ["두려운", "가난한·불우한", "고립된(당황)"]):
            put(tmp_path / suffix / f"x_Training.{suffix}", make(120))
            put(tmp_path / suffix / f"x_Validation.{suffix}", make(24, 500))
            prints.append(load_emotion_data(str(tmp_path / suffix), labels=labels).fingerprint)
    assert prints[:2] == prints[2:]


def test_empty_first_turns_are_dropped_and_counted(tmp_path):
    records = dialogues(120)
    records[0]["talk"]["content"]["HS01"] = records[1]["talk"]["content"]["HS01"] = " "
    put(tmp_path / "Training.json", json.dumps(records).encode())
    put(tmp_path / "Validation.json", as_json(24, 500))
    data = load_emotion_data(str(tmp_path))
    assert data.report["empty_dropped"] == 2
    assert sum(data.counts()["train"].values()) + sum(data.counts()["validation"].values()) == 58


def test_exported_csv_in_cp949(tmp_path):
    lines = ["사람문장1,시스템문장1,감정_대분류"]
    for part, count, start in (("Training", 120, 0), ("Validation", 24, 500)):
        body = [f"첫 말 {n},네?,{NAMES[CODES[n % 6]][0]} " for n in range(start, start + count)]
        put(tmp_path / f"감성_{part}.csv", "\n".join(lines + body).encode("cp949"))
    data = load_emotion_data(str(tmp_path))
    check(data)
    assert {file["encoding"] for file in data.report["files"]} == {"cp949"}


def test_one_file_alone_is_carved_in_three(tmp_path):
    for path in (put(tmp_path / "a" / "대화.json", as_json(120)), put(tmp_path / "b" / "Training.xlsx", as_xlsx(120))):
        for source in (path, path.parent):
            data = load_emotion_data(str(source))
            assert {split: len(part) for split, part in data.splits.items()} == {
                "train": 48,
                "validation": 6,
                "test": 6,
            }


def test_short_names_of_parts_and_files_without_a_part(tmp_path, caplog):
    put(tmp_path / "train.csv", "사람문장1,감정_대분류\n".encode() + _lines(120, 0))
    put(tmp_path / "dev.csv", "사람문장1,감정_대분류\n".encode() + _lines(24, 500))
    put(tmp_path / "extra.csv", "사람문장1,감정_대분류\n".encode() + _lines(6, 900))
    check(load_emotion_data(str(tmp_path)))
    assert "stands in the name: extra.csv" in caplog.text
    assert "training: train.csv (120 rows); test: dev.csv (24 rows)" in caplog.text
    assert "AI Hub's validation part is the test set" in caplog.text


def _lines(count: int, start: int) -> bytes:
    return "".join(f"첫 말 {n},{NAMES[CODES[n % 6]][0]}\n" for n in range(start, start + count)).encode()


def test_the_same_file_twice_counts_once(tmp_path):
    put(tmp_path / "Training" / "a.json", as_json(120))
    put(tmp_path / "Training" / "a.zip", as_zip({"a.json": as_json(120)}))
    put(tmp_path / "Validation" / "b.json", as_json(24, 500))
    check(load_emotion_data(str(tmp_path)))


def test_errors(tmp_path):
    def error_of(path: Path) -> str:
        with pytest.raises(UserError) as caught:
            load_emotion_data(str(path))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    only = put(tmp_path / "only" / "x_Validation.json", as_json(24)).parent
    assert "training part is not" in error_of(only)
    pieces = put(tmp_path / "pieces" / "감성.zip.part0", b"x").parent
    assert "join the pieces" in error_of(pieces)
    cut = as_zip({"Training.json": as_json(120)})
    assert "not a whole zip" in error_of(put(tmp_path / "cut.zip", cut[: len(cut) // 2]))
    spoiled = bytearray(cut)
    spoiled[200] ^= 0xFF
    assert "can't be read from its zip" in error_of(put(tmp_path / "spoiled.zip", bytes(spoiled)))
    assert "found nothing readable" in error_of(put(tmp_path / "nothing.zip", as_zip({"readme.md": b"x"})))
    records = dialogues(12)
    records[3]["profile"]["emotion"]["type"] = "E99"
    assert "item 4: emotion code 'E99'" in error_of(put(tmp_path / "a.json", json.dumps(records).encode()))
    del records[3]["profile"]["emotion"]
    assert "item 4: not a dialogue" in error_of(put(tmp_path / "a.json", json.dumps(records).encode()))
    deep = as_json(12)
    for level in range(6):
        deep = as_zip({f"{level}.zip" if level else "Training.json": deep})
    assert "zips in zips" in error_of(put(tmp_path / "deep.zip", deep))
