"""Every kind of file that is no data, through the recipes: one line each, the very one that stands here."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable

import bad_files as bad
import pandas as pd
import pytest
from aihub_files import as_json, as_zip
from bad_files import as_csv, changed, dialogues_with, put, records, workbook

from emo_hf.data.loading import load_emotion_data
from emo_hf.data.sources.names import TEXT_COLUMNS

COLUMNS = ", ".join(TEXT_COLUMNS)
SAVE = "readable encodings are utf-8, cp949, and utf-16 with its mark; save the file again as UTF-8"
CORRECT = "asked for: 불안, 슬픔, 기쁨; correct the rows"
DROP = "or leave such rows out with --on_bad_rows drop."
FILL = f"fill it in or remove the row, {DROP}"
NUL_BYTE = ", or UTF-16 without its mark; save the file again as UTF-8, without NUL characters."
FORMULA = " (a formula that was saved without its result, or an error as #N/A, reads as empty)"
FORM = (
    "not a dialogue of AI Hub's form (profile.emotion.type, talk.content.HS01 …); download the file again or "
    "leave the "
    "item out."
)
LIST = 'needed is [{"sentence": "…", "label": "…"}, …].'
OBJECT = 'needed is {"sentence": "…", "label": "…"}.'
NO_XLSX = "is not a readable XLSX file; save it again as .xlsx or as CSV UTF-8."
HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'


FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty file": ("a.csv", lambda: b"", "a.csv is empty; a header and rows are needed."),
    "empty JSON": ("a.json", lambda: b"", "a.json is empty; a header and rows are needed."),
    "white space only": ("a.csv", lambda: b" \n\t\r\n  ", "a.csv is empty; a header and rows are needed."),
    "commas only": ("a.csv", lambda: b",\n,\n", "a.csv is empty; a header and rows are needed."),
    "header only": ("a.csv", lambda: b"sentence,label\n", "a.csv holds no rows; check that it was saved completely."),
    "wrong delimiter": (
        "a.csv",
        lambda: as_csv(records(), ":"),
        f"a.csv: no text column; looked for {COLUMNS}; columns found: sentence:label; part columns with commas, tabs "
        "or semicolons.",
    ),
    "delimiter within a cell": (
        "a.csv",
        lambda: "sentence,label\n나는, 슬퍼,슬픔\n".encode(),
        "a.csv, row 2: 3 cells, but the header has 2; put quotes around cells that hold the delimiter.",
    ),
    "an open quote": (
        "a.csv",
        lambda: 'sentence,label\n"열린,기쁨\nx, y,슬픔\n'.encode(),
        "a.csv, row 2: quotes don't fit (unexpected end of data); a cell that holds the delimiter, a line break or a "
        'quote needs quotes around it, and quotes inside are doubled ("").',
    ),
    "mixed encodings": (
        "a.csv",
        bad.mixed_encodings,
        f"a.csv, row 41: byte 0xbc is not utf-8; {SAVE} or mend the row.",
    ),
    "UTF-16 without a mark": (
        "a.csv",
        lambda: as_csv(records(), encoding="utf-16-le"),
        "a.csv, row 1: a NUL byte, so this is no text" + NUL_BYTE,
    ),
    "NUL bytes": (
        "a.csv",
        lambda: as_csv(records()).replace("30번째".encode(), b"30\0"),
        "a.csv, row 32: a NUL byte, so this is no text" + NUL_BYTE,
    ),
    "NUL in JSON": (
        "a.json",
        lambda: json.dumps(changed(4, sentence="a\0b")).encode(),
        "a.json, row 5: the text holds a NUL character; remove the character, " + DROP,
    ),
    "half a character": (
        "a.json",
        lambda: json.dumps(changed(4, sentence="\ud83d")).encode(),
        "a.json, row 5: half of a \\ud… escape pair; mend or remove it.",
    ),
    "half a character in a name": (
        "a.json",
        lambda: json.dumps([row | {"\udc00": "x"} for row in records(3)]).encode(),
        "a.json, row 1: half of a \\ud… escape pair; mend or remove it.",
    ),
    "cells of white space": (
        "a.csv",
        lambda: as_csv(changed(4, sentence="\u200b \u3000")),
        f"a.csv, row 6: the text is empty; {FILL}",
    ),
    "an empty label": ("a.csv", lambda: as_csv(changed(4, label="")), f"a.csv, row 6: the label is empty; {FILL}"),
    "duplicate columns": (
        "a.csv",
        lambda: b"sentence,label,label\nx,y,z\n",
        "a.csv: column label stands twice in the header; rename or remove one.",
    ),
    "swapped columns": (
        "a.csv",
        lambda: as_csv([{"sentence": row["label"], "label": row["sentence"]} for row in records()]),
        "a.csv: column 'sentence' is read as the text and column 'label' as the label, which seem swapped: 3 "
        "different texts have 60 labels; give --text_column label --label_column sentence.",
    ),
    "20,000 columns": (
        "a.csv",
        lambda: b",".join(b"c%d" % number for number in range(20000)) + b"\n",
        "a.csv: 20,000 columns; at most 16,384 are read; check the delimiter.",
    ),
    "a terminal's commands": (
        "a.csv",
        lambda: b"\x1b[2Jred,label\nx,y\n",
        f"a.csv: no text column; looked for {COLUMNS}; columns found: \\x1b[2Jred, label; is it "
        "'\\x1b[2Jred'? then --text_column 1.",
    ),
    "a label with a typo": (
        "a.csv",
        lambda: as_csv(changed(4, label="슬픈")),
        f"unknown label '슬픈' in a.csv, row 6 (1 row, nearest is '슬픔'); {CORRECT}, or rename with --label_map "
        f"슬픈=슬픔, {DROP}",
    ),
    "numeric labels": (
        "a.csv",
        lambda: as_csv([row | {"label": number % 3} for number, row in enumerate(records(9))]),
        "unknown label '0' in a.csv, rows 2, 5, 8 (3 rows); '1' in a.csv, rows 3, 6, 9 (3 rows); '2' in a.csv, "
        "rows 4, "
        f"7, 10 (3 rows); {CORRECT}, or say what they are called with --label_map 0=NAME, or take all labels with "
        "--labels all.",
    ),
    "NaN": (
        "a.json",
        lambda: json.dumps(changed(3, label=float("nan"))).encode(),
        f"a.json, row 4: the label is empty; {FILL}",
    ),
    "a class with one row": (
        "a.csv",
        lambda: as_csv([*(r for r in records() if r["label"] != "기쁨"), {"sentence": "혼", "label": "기쁨"}]),
        "train holds no row of 기쁨 (기쁨 has 1 in all); every split needs every label: add rows, or leave out "
        "labels of fewer than 2 training rows with --drop_labels_below 2, or leave the label out with --labels 불안 "
        "슬픔.",
    ),
    "one class": (
        "a.csv",
        lambda: as_csv([row | {"label": "기쁨"} for row in records()]),
        "the data hold one class only (기쁨); asked for: 불안, 슬픔, 기쁨; name at least two labels that the "
        "data hold.",
    ),
    "a split of no name": (
        "a.csv",
        lambda: as_csv([row | {"split": "trainn"} for row in records()]),
        "a.csv, row 2: split 'trainn' is unknown (60 rows); allowed are train (training, 학습, 훈련), validation "
        "(valid, val, dev, eval, 검증), test (평가, 시험).",
    ),
    "another suffix": (
        "a.docx",
        lambda: b"x",
        "a.docx: .docx suffix; readable are .csv .tsv .txt .xlsx .json .jsonl .parquet and .zip.",
    ),
    "JSON of numbers": (
        "a.json",
        lambda: json.dumps({"data": 3, "size": 1}).encode(),
        f"a.json: not a list of objects; {LIST}",
    ),
    "JSON of lists": (
        "a.json",
        lambda: b"[[1, 2], [3, 4]]",
        "a.json has no header: 2 columns, of which none could be the text and none the label; write one above the "
        "rows.",
    ),
    "JSON with nested texts": (
        "a.json",
        lambda: json.dumps([{"sentence": {"ko": "x"}, "label": "y"}]).encode(),
        f"a.json: no text column; looked for {COLUMNS}; columns found: sentence.ko, label; is it 'sentence.ko'? then "
        "--text_column sentence.ko.",
    ),
    "JSON without an end": (
        "a.json",
        lambda: json.dumps(records(), ensure_ascii=False).encode()[:-2],
        "a.json, row 1: not JSON (Expecting ',' delimiter); mend or export it again.",
    ),
    "JSON of brackets": (
        "a.json",
        lambda: b"[" * 100_000,
        "a.json: not JSON of a table (nested too deeply); mend or export it again.",
    ),
    "JSON of digits": (
        "a.json",
        lambda: b'[{"sentence": "x", "label": ' + b"1" * 5000 + b"}]",
        "a.json: not JSON of a table (Exceeds the limit (4300 digits) for integer string conversion: value has 5000 "
        "digits); mend or export it again.",
    ),
    "JSONL with a broken line": (
        "a.jsonl",
        lambda: b'{"sentence": "x", "label": "y"}\n{"sentence": \n',
        "a.jsonl, row 2: not a JSON object (Expecting value); mend the line.",
    ),
    "no Parquet": ("a.parquet", lambda: b"PAR1 x PAR1", "a.parquet is not a readable Parquet file; write it again."),
    "HS01 missing": (
        "a.json",
        lambda: dialogues_with(3, lambda d: d["talk"]["content"].pop("HS01")),
        f"a.json, item 4: {FORM}",
    ),
    "no emotion": (
        "a.json",
        lambda: dialogues_with(3, lambda d: d["profile"].pop("emotion")),
        f"a.json, item 4: {FORM}",
    ),
    "unknown emotion code": (
        "a.json",
        lambda: dialogues_with(3, lambda d: d["profile"]["emotion"].update(type="E99")),
        "a.json, item 4: emotion code 'E99' is unknown; allowed are E10 to E69.",
    ),
    "truncated zip": (
        "a.zip",
        lambda: as_zip({"Training.json": as_json(60)})[:900],
        "a.zip is not a whole zip file; download it again.",
    ),
    "password zip": (
        "a.zip",
        bad.protected_zip,
        "a.zip/Training.json is protected by a password; extract the zip by hand and give its folder.",
    ),
    "zip bomb": (
        "a.zip",
        bad.bomb,
        "a.zip: Training.json unpacks to 64 MiB from 65,232 bytes, as a zip bomb does; extract it by hand if you "
        "trust "
        "it.",
    ),
    "zip of 4 GiB": (
        "a.zip",
        bad.endless_zip,
        "a.zip unpacks to more than 1,024 MiB; extract what is needed by hand.",
    ),
    "zip of nothing": (
        "a.zip",
        lambda: as_zip({"readme.md": b"x"}),
        "TMP/a.zip holds no file of data (.csv .tsv .txt .xlsx .json .jsonl .parquet): found nothing readable.",
    ),
    "XLSX that is a bomb": (
        "a.xlsx",
        lambda: bad.bomb("xl/worksheets/sheet1.xml"),
        "a.xlsx: xl/worksheets/sheet1.xml unpacks to 64 MiB from 65,232 bytes, as a zip bomb does; extract it by hand "
        "if you trust it.",
    ),
    "XLSX with formulas": (
        "a.xlsx",
        lambda: workbook(records(), A5='=CONCAT("가","나")'),
        f"a.xlsx, row 5: the text is empty{FORMULA}; {FILL}",
    ),
    "XLSX with an empty cell beside a formula": (
        "a.xlsx",
        lambda: workbook(records(), A5=None, C1="length", C5="=LEN(A5)"),
        f"a.xlsx, row 5: the text is empty; {FILL}",
    ),
    "huge XLSX": (
        "a.xlsx",
        bad.wide_sheet,
        "a.xlsx, row 3052: more than 50,000,000 cells up to here; delete what is not needed, or save it as CSV UTF-8.",
    ),
    "XLSX with a row beyond all": (
        "a.xlsx",
        lambda: bad.with_sheet(HEAD.format("sentence") + '<row r="99999999999"><c><v>1</v></c></row>'),
        "a.xlsx holds no rows; check that it was saved completely.",
    ),
    "XLSX of endless entities": ("a.xlsx", lambda: bad.with_sheet("<!DOCTYPE x>"), f"a.xlsx {NO_XLSX}"),
    "XLSX with a password": (
        "a.xlsx",
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512),
        "a.xlsx has a password or is an old .xls; open it and save it as .xlsx without password, or as CSV UTF-8.",
    ),
    "XLSX that is none": ("a.xlsx", lambda: b"no workbook", f"a.xlsx {NO_XLSX}"),
    "XLSX without a sheet": (
        "a.xlsx",
        lambda: bad.with_sheet(""),
        "a.xlsx is empty; a header and rows are needed.",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_wrong(refused, tmp_path, case):
    name, content, said = FILES[case]
    assert refused("--data", str(put(tmp_path / name, content())), "--on_bad_rows", "error") == said


def test_ten_thousand_classes(refused, tmp_path):
    rows = [row | {"label": f"감정 {number}"} for number, row in enumerate(records(10_000))]
    assert refused("--data", str(put(tmp_path / "a.csv", as_csv(rows))), "--labels", "all") == (
        "10,000 labels, as '감정 0', '감정 1', '감정 10' …; at most 1,000 are taken; is the label column the "
        "right one?"
    )


def test_missing_values_of_parquet(refused, tmp_path):
    frame = pd.DataFrame(records(6)).assign(label=[None, 1.0, 2.0] * 2).astype({"label": "float64"})
    frame.to_parquet(tmp_path / "a.parquet")
    said = refused("--data", str(tmp_path / "a.parquet"), "--labels", "all")
    assert said == (
        "a.parquet, rows 1, 4: the label is empty (2 of 6 rows of train, more than the fifth that is left out by "
        "itself); fill it in or remove the row."
    )


def test_what_is_no_file(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    assert refused("--data", str(tmp_path / "pipe.csv")) == (
        "TMP/pipe.csv is no regular file; give a file or a folder."
    )
    (tmp_path / "circle").mkdir()
    for name in ("one", "other"):  # 2^40 paths, if they were followed
        (tmp_path / "circle" / name).symlink_to(tmp_path / "circle")
    assert refused("--data", str(tmp_path / "circle")).endswith("found nothing readable.")
    assert refused("--data", "\udcff.csv") == (
        "argument '\\udcff.csv' is not UTF-8, and no record could hold it; rename the file or folder"
    )


FINE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "emoji": ("a.csv", lambda: as_csv(changed(0, sentence="합격했어 🎉👩‍👩‍👧")), "합격했어 🎉👩‍👩‍👧"),
    "jamo": ("a.csv", lambda: as_csv(changed(0, sentence="ㅠㅠ ㅋㅋㅋ ᄒ")), "ㅠㅠ ㅋㅋㅋ ᄒ"),
    "NFD": (
        "a.csv",
        lambda: unicodedata.normalize("NFD", as_csv(changed(0, sentence="기뻤어")).decode()).encode(),
        "기뻤어",
    ),
    "1 MB": ("a.csv", lambda: as_csv(changed(0, sentence="가나다라 " * 80_000)), ("가나다라 " * 80_000).strip()),
    "1 MB of JSON": ("a.json", lambda: json.dumps(changed(0, sentence="가" * 400_000)).encode(), "가" * 400_000),
    "zip with ../": ("a.zip", lambda: as_zip({"../../Training.json": as_json(60)}), "첫 말 0"),
    "a file in cp949": ("a.csv", lambda: as_csv(changed(0, sentence="똠방각하"), encoding="cp949"), "똠방각하"),
    "semicolons": ("a.csv", lambda: as_csv(changed(0, sentence="가, 나"), ";"), "가, 나"),
    "nan within a text": ("a.csv", lambda: as_csv(changed(0, sentence="nan 아니고 난")), "nan 아니고 난"),
    "null as a text": ("a.csv", lambda: as_csv(changed(0, sentence="null")), "null"),
    "markup": ("a.csv", lambda: as_csv(changed(0, sentence="<b>=1+1</b>")), "<b>=1+1</b>"),
}


@pytest.mark.parametrize("case", FINE)
def test_a_file_that_is_fine(tmp_path, case):
    name, content, text = FINE[case]
    folder = tmp_path / "deep" / "folder"
    data = load_emotion_data(str(put(folder / name, content())))
    assert text in {found for split in data.splits.values() for found in split["text"][:]}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]  # nothing was unpacked anywhere


def test_sentences_of_every_kind_are_trained_on_and_predicted(mains, tmp_path, capsys):
    kinds = ["가나다라 " * 80_000, "🎉👩‍👩‍👧", "ㅠㅠ ㅋㅋㅋ", unicodedata.normalize("NFD", "정말 기뻤어"), "=1+1"]
    rows = [
        {"sentence": f"{number % 5 and kinds[number % 5]}{number}", "label": bad.LABELS[number % 3]}
        for number in range(60)
    ]
    rows[0]["sentence"] = kinds[0]
    data, run = put(tmp_path / "a.csv", as_csv(rows)), tmp_path / "run"
    words = [
        *("--max_steps", "2", "--max_length", "32", "--embedding_size", "8"),
        *("--bf16", "false", "--disable_tqdm", "true"),
    ]
    assert mains["train"]([*words, "--data", str(data), "--encoder", "tiny-bert", "--output_dir", str(run)]) == 0
    capsys.readouterr()
    assert mains["predict"]([str(run), str(data), "--format", "csv"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert len(found) == 61 and found[0] == "\ufeffinput_label,sentence,label,불안,슬픔,기쁨"
    assert found[5].startswith("슬픔,'=1+14,")  # for a spreadsheet, a text
