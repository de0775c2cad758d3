"""Every kind of bad input through the recipes as they are typed: one line each, the very one that stands here."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import typing
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bad_files as bad
import pandas as pd
import pytest
import torch
from bad_files import as_csv, changed, dialogues_with, put, records, workbook
from safetensors.torch import load_file, save_file
from test_aihub import as_json, as_zip
from test_recipes import recipe
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from emo_hf.arguments import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data import load_emotion_data
from emo_hf.limits import LIMITS
from emo_hf.modeling import EmotionModel

COLUMNS = "sentence, text, document, 사람문장1, utterance, 문장, 발화"
SAVE = "readable encodings are utf-8 and cp949; save the file again as UTF-8"
CORRECT = (
    "asked for: 불안, 슬픔, 기쁨; correct the rows, or name the labels of your data with labels=…, or take all with "
    "labels='all'."
)
FILL = "fill it in or remove the row"
MERGED = " (a cell merged into another, and a formula that was saved without its result, read as empty)"
FORM = (
    "not a dialogue of AI Hub's form (profile.emotion.type, talk.content.HS01 …); download the file again or "
    "leave the "
    "item out."
)
LIST = 'needed is [{"sentence": "…", "label": "…"}, …].'
OBJECT = 'needed is {"sentence": "…", "label": "…"}.'
NO_XLSX = "is not a readable XLSX file; save it again as .xlsx or as CSV UTF-8."
HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'
GIVE = (
    "give tiny-bert, tiny-roberta, a folder with config.json, weights and tokenizer, or a Hub id (which needs the "
    "network once)"
)


@pytest.fixture(scope="module")
def mains() -> dict[str, Callable[[list[str]], int]]:
    return {name: recipe(name).main for name in ("train", "compare", "predict")}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def refused(mains, capsys, tmp_path, encoders) -> Callable[..., str]:
    """What a recipe says on standard error, with status 2, and with nothing trained."""

    def call(*words: str, recipe: str = "train") -> str:
        # What a test names comes last, and wins.
        own = {
            "train": ["--encoder", encoders["bert"], "--max_length", "32", "--output_dir", str(tmp_path / "run")],
            "compare": ["--encoders", encoders["bert"], "--max_length", "32", "--study_dir", str(tmp_path / "study")],
            "predict": [],
        }[recipe]
        capsys.readouterr()
        assert mains[recipe]([*own, *words]) == 2
        said = capsys.readouterr()
        trained = [path for name in ("run", "study") for path in (tmp_path / name).rglob("model.safetensors")]
        assert not said.out and not trained
        lines = [line for line in said.err.splitlines() if not line.startswith(("Loading weights", "Tokenizing"))]
        assert len(lines) == 1 and lines[0].startswith("error: "), said.err
        return lines[0].removeprefix("error: ").replace(str(tmp_path), "TMP")

    return call


FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty file": ("a.csv", lambda: b"", "a.csv is empty; a header and rows are needed."),
    "empty JSON": ("a.json", lambda: b"", "a.json is empty; a header and rows are needed."),
    "white space only": ("a.csv", lambda: b" \n\t\r\n  ", "a.csv is empty; a header and rows are needed."),
    "commas only": ("a.csv", lambda: b",\n,\n", "a.csv is empty; a header and rows are needed."),
    "header only": ("a.csv", lambda: b"sentence,label\n", "a.csv holds no rows; check that it was saved completely."),
    "wrong delimiter": (
        "a.csv",
        lambda: as_csv(records(), "|"),
        f"a.csv: no text column; looked for {COLUMNS}; columns found: sentence|label; part columns with commas, tabs "
        "or semicolons.",
    ),
    "delimiter within a cell": (
        "a.csv",
        lambda: "sentence,label\n나는, 슬퍼,슬픔\n".encode(),
        "a.csv, row 2: 3 cells, but the header has 2; put quotes around cells that hold ','.",
    ),
    "an open quote": (
        "a.csv",
        lambda: 'sentence,label\n"열린,기쁨\nx,슬픔\n'.encode(),
        "a.csv, row 2: quotes don't fit (unexpected end of data); a cell that holds the delimiter, a line break or a "
        'quote needs quotes around it, and quotes inside are doubled ("").',
    ),
    "mixed encodings": (
        "a.csv",
        bad.mixed_encodings,
        f"a.csv, row 41: byte 0xbc is not utf-8; {SAVE} or mend the row.",
    ),
    "UTF-16": ("a.csv", lambda: as_csv(records(), encoding="utf-16"), f"a.csv is UTF-16; {SAVE}."),
    "NUL bytes": (
        "a.csv",
        lambda: as_csv(records()).replace("30번째".encode(), b"30\0"),
        "a.csv, row 32: a NUL byte, so this is no text; save the file again as UTF-8.",
    ),
    "NUL in JSON": (
        "a.json",
        lambda: json.dumps(changed(4, sentence="a\0b")).encode(),
        "a.json, row 5: the text holds a NUL character; remove it.",
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
        f"a.csv, row 6: the text is empty; {FILL}.",
    ),
    "an empty label": ("a.csv", lambda: as_csv(changed(4, label="")), f"a.csv, row 6: the label is empty; {FILL}."),
    "duplicate columns": (
        "a.csv",
        lambda: b"sentence,label,label\nx,y,z\n",
        "a.csv: column label stands twice in the header; rename or remove one.",
    ),
    "swapped columns": (
        "a.csv",
        lambda: as_csv([{"sentence": row["label"], "label": row["sentence"]} for row in records()]),
        "a.csv, rows 2, 3, 4, 5, 6 and 55 more: the text is a label and the label is none; the two columns seem "
        "swapped: name them with text_column and label_column.",
    ),
    "20,000 columns": (
        "a.csv",
        lambda: b",".join(b"c%d" % number for number in range(20000)) + b"\n",
        "a.csv: 20,000 columns; at most 16,384 are read; check the delimiter.",
    ),
    "a terminal's commands": (
        "a.csv",
        lambda: b"\x1b[2Jred,label\nx,y\n",
        f"a.csv: no text column; looked for {COLUMNS}; columns found: \\x1b[2Jred, label; name yours with "
        "text_column.",
    ),
    "a label with a typo": (
        "a.csv",
        lambda: as_csv(changed(4, label="슬픈")),
        f"unknown label '슬픈' in a.csv, row 6 (1 row, nearest is '슬픔'); {CORRECT}",
    ),
    "numeric labels": (
        "a.csv",
        lambda: as_csv([row | {"label": number % 3} for number, row in enumerate(records(9))]),
        "unknown label '0' in a.csv, rows 2, 5, 8 (3 rows); '1' in a.csv, rows 3, 6, 9 (3 rows); '2' in a.csv, "
        "rows 4, "
        f"7, 10 (3 rows); {CORRECT}",
    ),
    "NaN": (
        "a.json",
        lambda: json.dumps(changed(3, label=float("nan"))).encode(),
        f"a.json, row 4: the label is empty; {FILL}.",
    ),
    "a class with one row": (
        "a.csv",
        lambda: as_csv([*(r for r in records() if r["label"] != "기쁨"), {"sentence": "혼", "label": "기쁨"}]),
        "train holds no row of 기쁨 (기쁨 has 1 in all); every split needs every label: add rows, or leave the label "
        "out with labels=불안,슬픔.",
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
        "a.csv, row 2: split 'trainn' is unknown (60 rows); allowed are train, validation (valid, val, dev), test.",
    ),
    "another suffix": (
        "a.docx",
        lambda: b"x",
        "a.docx: .docx suffix; readable are .csv .tsv .txt .xlsx .json .jsonl .parquet and .zip.",
    ),
    "JSON of splits": (
        "a.json",
        lambda: json.dumps({"data": {"train": records(3)}}).encode(),
        f"a.json: not a list of objects; {LIST}",
    ),
    "JSON of lists": ("a.json", lambda: b"[[1, 2], [3, 4]]", f"a.json, row 1: not an object; {OBJECT}"),
    "JSON with nested texts": (
        "a.json",
        lambda: json.dumps([{"sentence": {"ko": "x"}, "label": "y"}]).encode(),
        f"a.json: no text column; looked for {COLUMNS}; columns found: label; name yours with text_column.",
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
        "TMP/a.zip: neither files named train, validation, test (.csv .tsv .xlsx .json .jsonl .parquet) nor AI Hub's "
        "dialogues (columns 사람문장1, 감정_대분류, or its JSON); found nothing readable.",
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
        f"a.xlsx, row 5: the text is empty; {FILL}{MERGED}.",
    ),
    "XLSX with merged cells": (
        "a.xlsx",
        lambda: workbook(records(), merge="B5:B7"),
        f"a.xlsx, rows 6, 7: the label is empty; {FILL}{MERGED}.",
    ),
    "huge XLSX": (
        "a.xlsx",
        bad.wide_sheet,
        "a.xlsx, row 3052: its first sheet has more than 50,000,000 cells; delete what is not needed, or save it as "
        "CSV UTF-8.",
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
        "a.xlsx: its first sheet is empty; a header and rows are needed.",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_wrong(refused, tmp_path, case):
    name, content, said = FILES[case]
    assert refused("--data", str(put(tmp_path / name, content()))) == said


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
    assert said == f"a.parquet, rows 1, 4: the label is empty; {FILL}."


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
    "nan as a text": ("a.csv", lambda: as_csv(changed(0, sentence="nan")), "nan"),
    "markup": ("a.csv", lambda: as_csv(changed(0, sentence="<b>=1+1</b>")), "<b>=1+1</b>"),
}


@pytest.mark.parametrize("case", FINE)
def test_a_file_that_is_fine(tmp_path, case):
    name, content, text = FINE[case]
    folder = tmp_path / "deep" / "folder"
    data = load_emotion_data(str(put(folder / name, content())))
    assert text in {found for split in data.splits.values() for found in split["text"][:]}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]  # nothing was unpacked anywhere


def test_sentences_of_every_kind_are_trained_on_and_predicted(mains, encoders, tmp_path, capsys):
    kinds = ["가나다라 " * 80_000, "🎉👩‍👩‍👧", "ㅠㅠ ㅋㅋㅋ", unicodedata.normalize("NFD", "정말 기뻤어"), "=1+1"]
    rows = [
        {"sentence": f"{number % 5 and kinds[number % 5]}{number}", "label": bad.LABELS[number % 3]}
        for number in range(60)
    ]
    rows[0]["sentence"] = kinds[0]
    data, run = put(tmp_path / "a.csv", as_csv(rows)), tmp_path / "run"
    words = [
        "--max_steps",
        "2",
        "--max_length",
        "32",
        "--embedding_size",
        "8",
        "--bf16",
        "false",
        "--disable_tqdm",
        "true",
    ]
    assert mains["train"]([*words, "--data", str(data), "--encoder", encoders["bert"], "--output_dir", str(run)]) == 0
    capsys.readouterr()
    assert mains["predict"]([str(run), str(data), "--format", "csv"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert len(found) == 61 and found[0] == "sentence,label,불안,슬픔,기쁨"
    assert found[5].startswith("'=1+14,")  # for a spreadsheet, a text


# Every number of every argument: what it takes, and values that it does not.
WHOLE, BEYOND, REAL = (
    ("-1", "99999999999999999999"),
    ("0", "-1", "99999999999999999999"),
    ("-1", "nan", "inf", "1e308"),
)
SHARE = ("-1", "1", "nan", "1e308")
NUMBERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "embedding_size": ("1 to 65,536", BEYOND),
    "embedding_dropout": ("0 to below 1", SHARE),
    "max_length": ("1 to 1,000,000,000", BEYOND),
    "validation_size": ("0 to below 1", SHARE),
    "test_size": ("0 to below 1", SHARE),
    "split_seed": ("0 to 4,294,967,295", WHOLE),
    "train_fraction": ("above 0 to 1", ("0", "-1", "nan", "1e308")),
    "num_train_epochs": ("above 0 to 1,000,000", ("0", "-1", "nan", "1e308")),
    "max_steps": ("-1 to 1,000,000,000", ("-2", "99999999999999999999")),
    "per_device_train_batch_size": ("1 to 1,048,576", BEYOND),
    "per_device_eval_batch_size": ("1 to 1,048,576", BEYOND),
    "gradient_accumulation_steps": ("1 to 1,048,576", BEYOND),
    "eval_accumulation_steps": ("1 to 1,000,000,000", BEYOND),
    "learning_rate": ("0 to 1e+38", REAL),
    "label_smoothing_factor": ("0 to below 1", SHARE),
    "warmup_steps": ("0 to 1,000,000,000", REAL),
    "weight_decay": ("0 to 1e+38", REAL),
    "adam_beta1": ("0 to below 1", SHARE),
    "adam_beta2": ("0 to below 1", SHARE),
    "adam_epsilon": ("above 0 to 1", ("0", "-1", "nan", "1e308")),
    "max_grad_norm": ("0 to 1e+38", REAL),
    "neftune_noise_alpha": ("0 to 1,000,000", REAL),
    "torch_empty_cache_steps": ("1 to 1,000,000,000", BEYOND),
    "logging_steps": ("0 to 1,000,000,000", REAL),
    "eval_steps": ("0 to 1,000,000,000", REAL),
    "save_steps": ("0 to 1,000,000,000", REAL),
    "eval_delay": ("0 to 1,000,000,000", REAL),
    "save_total_limit": ("1 to 1,000,000,000", BEYOND),
    "seed": ("0 to 4,294,967,295", WHOLE),
    "data_seed": ("0 to 4,294,967,295", WHOLE),
    "dataloader_num_workers": ("0 to 1,024", WHOLE),
    "dataloader_prefetch_factor": ("1 to 1,024", BEYOND),
    "ddp_bucket_cap_mb": ("1 to 1,000,000", BEYOND),
    "ddp_timeout": ("1 to 1,000,000,000", BEYOND),
    "aux_weight": ("0 to 1,000,000", REAL),
    "aux_warmup": ("0 to 1,000,000,000", REAL),
    "aux_memory": ("0 to 16,777,216", WHOLE),
    "margin": ("0 to 1,000,000", REAL),
    "early_stopping_patience": ("1 to 1,000,000,000", BEYOND),
}
LAUNCHER = {"local_rank", "tpu_num_cores", "past_index"}  # set by launchers, where they are still known


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_its_limits(refused, name):
    allowed, values = NUMBERS[name]
    whole = "nan" not in values
    for value in values:
        shown = int(value) if whole else float(value)
        assert refused(f"--{name}={value}") == f"--{name} is {shown}; allowed: {allowed}"
    if whole:
        assert refused(f"--{name}=nan") == f"argument --{name}: invalid int value: 'nan'; see --help"


def test_every_number_has_its_limits():
    found = set()
    for cls in (ModelArguments, DataArguments, MetricTrainingArguments):
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kinds = set(typing.get_args(hints[field.name])) or {hints[field.name]}
            if field.init and kinds & {int, float}:
                found.add(field.name)
    assert found - LAUNCHER == set(NUMBERS) and set(NUMBERS) <= set(LIMITS)


WORDS: dict[str, tuple[str, list[str], str]] = {
    "an unknown argument": ("train", ["--poling", "mean"], "unknown argument '--poling'; did you mean --pooling?"),
    "an unknown pooling": (
        "train",
        ["--pooling", "middle"],
        "--pooling is 'middle'; allowed: cls, mean, max, attention",
    ),
    "one column for both": (
        "train",
        ["--text_column", "label", "--label_column", "label"],
        "emotions.csv: column 'label' is both the text and the label; name two columns.",
    ),
    "a file that is not there": (
        "train",
        ["--data", "nowhere.csv"],
        "nowhere.csv does not exist; give a file (.csv .tsv .txt .xlsx .json .jsonl .parquet .zip), a folder, a "
        "Hub id "
        "'owner/name', or 'sample'.",
    ),
    "an address with a password": (
        "train",
        ["--data", "https://me:secret@host/x.csv"],
        "https://***@host/x.csv does not exist; give a file (.csv .tsv .txt .xlsx .json .jsonl .parquet .zip), a "
        "folder, "
        "a Hub id 'owner/name', or 'sample'.",
    ),
    "one label": (
        "train",
        ["--labels", "기쁨"],
        "labels names 기쁨: at least two are needed; name some of 분노 슬픔 불안 상처 당황 기쁨, or 'six', 'sixty', "
        "'all', or the labels of your own data.",
    ),
    "max_length above the positions": (
        "train",
        ["--encoder", "tiny-bert", "--max_length", "257"],
        "--max_length is 257, but tiny-bert takes at most 256 tokens",
    ),
    "a NaN among the seeds": ("compare", ["--seeds", "nan"], "argument --seeds: invalid int value: 'nan'; see --help"),
    "a negative seed": ("compare", ["--seeds", "1", "-1"], "--seeds is -1; allowed: 0 to 4,294,967,295"),
    "no jobs": ("compare", ["--jobs", "0"], "--jobs is 0; allowed: 1 to 1,024"),
    "a sweep beyond the limits": (
        "compare",
        ["--over", "margin=1,nan"],
        "--over margin: --margin is nan; allowed: 0 to 1,000,000",
    ),
    "a sweep of nothing": (
        "compare",
        ["--over", "margin"],
        "--over margin: give a name and values, as in --over aux_weight=0.1,0.3,1",
    ),
    "no such model": (
        "predict",
        ["no/such/model", "x"],
        "model 'no/such/model' can't be loaded (Repo id must be in the form 'repo_name' or 'namespace/repo_name': "
        "'no/such/model'. Use `repo_type` argument if needed.); give the folder of a run, as runs/train/…, or a "
        "Hub id "
        "(which needs the network once)",
    ),
    "no sentences at once": ("predict", ["m", "x", "--batch_size", "0"], "--batch_size is 0; allowed: 1 to 1,048,576"),
    "sentences of no length": (
        "predict",
        ["m", "x", "--max_length", "-1"],
        "--max_length is -1; allowed: 1 to 1,000,000,000",
    ),
}


@pytest.mark.parametrize("case", WORDS)
def test_words_that_are_wrong(refused, case):
    name, words, said = WORDS[case]
    assert refused(*words, recipe=name) == said


YAML: dict[str, tuple[str, str]] = {
    "unknown key": ("poling: mean", "TMP/a.yaml: unknown key 'poling'; did you mean pooling?"),
    "duplicate key": (
        "pooling: mean\naux: none\npooling: cls",
        "TMP/a.yaml, line 3: not valid YAML (the key 'pooling' twice)",
    ),
    "a tag that would run code": (
        "pooling: !!python/object/apply:os.system ['touch TAKEN']",
        "TMP/a.yaml, line 1: not valid YAML (could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system')",
    ),
    "aliases": ("a: &a [1]\nb: *a", "TMP/a.yaml, line 2: not valid YAML (alias *a; write it out)"),
    "a day that is none": ("seed: 2024-02-31", "TMP/a.yaml: not valid YAML (day is out of range for month)"),
    "a list": ("- pooling", "TMP/a.yaml: holds a list; it must be a mapping of argument names to values"),
    "without an end": (
        "pooling: [",
        "TMP/a.yaml, line 1: not valid YAML (expected the node content, but found '<stream end>')",
    ),
    "NaN": ("margin: .nan", "--margin is nan; allowed: 0 to 1,000,000"),
    "a mapping for a word": ("pooling: {a: b}", '--pooling is \'{"a": "b"}\'; allowed: cls, mean, max, attention'),
    "a token": (
        "hub_token: hf_abcdefghijklmnopqrstuvwx",
        "--hub_token would be stored in plain text; log in with `hf auth login` or set HF_TOKEN instead",
    ),
    "2 MB": (
        "a: " + "x" * (2 << 20),
        "--config TMP/a.yaml: 2,097,155 bytes are no file of settings; at most 1,048,576 are read",
    ),
}


@pytest.mark.parametrize("case", YAML)
def test_settings_that_are_wrong(refused, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    text, said = YAML[case]
    assert refused("--config", str(put(tmp_path / "a.yaml", text.encode()))) == said
    assert not (tmp_path / "TAKEN").exists()


def test_yes_and_no_are_words_in_settings(refused, tmp_path):
    path = put(tmp_path / "a.yaml", b"eval_strategy: no\nearly_stopping_patience: 2\nload_best_model_at_end: yes")
    assert refused("--config", str(path)) == "--early_stopping_patience needs evaluations, but --eval_strategy is no"


def without(folder: Path, *kept: str) -> None:
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


def other_vocabulary(folder: Path) -> None:
    config = BertConfig.from_pretrained(folder, vocab_size=20)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def other_weights(folder: Path) -> None:
    save_file({"x": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})


def words_alone(folder: Path, **special: str) -> None:
    """A tokenizer of whole words, which starts no text with CLS."""
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    without(folder, "config.json", "model.safetensors")
    backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", **special).save_pretrained(folder)


def own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "x.Config", "AutoModel": "x.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "x.py").write_text(f"open({str(folder / 'TAKEN')!r}, 'w')\n")


ENCODERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "without tokenizer": (
        lambda folder: without(folder, "config.json", "model.safetensors"),
        "encoder 'TMP/own' has no tokenizer; put tokenizer.json (or vocab.txt) and tokenizer_config.json of the same "
        "model into its folder",
    ),
    "with another vocabulary size": (
        other_vocabulary,
        "encoder 'TMP/own' knows 20 tokens, but the tokenizer beside it counts up to 159: it is another model's; take "
        "both from one model",
    ),
    "without weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "encoder 'TMP/own' has no weights; model.safetensors is missing from its folder; copy or download it again",
    ),
    "with pickle weights only": (
        pickled,
        "encoder 'TMP/own' has its weights in pytorch_model.bin only, a pickle, which can run code when it is read; "
        "needed is model.safetensors: if you trust the file, load it with AutoModel.from_pretrained(FOLDER) in a "
        "Python "
        "of its own and write it with .save_pretrained(OTHER_FOLDER), or take a revision that has safetensors",
    ),
    "with cut weights": (
        lambda folder: put(folder / "model.safetensors", b"no"),
        "encoder 'TMP/own': Error while deserializing header: header too small",
    ),
    "with the weights of another": (
        other_weights,
        "encoder 'TMP/own': the weights lack 37 tensors, as embeddings.LayerNorm.bias; they are another model's",
    ),
    "with a tokenizer without CLS": (
        lambda folder: words_alone(folder, pad_token="[PAD]"),
        "--pooling cls takes the state of a CLS token, but the tokenizer of 'TMP/own' starts no text with one; use "
        "--pooling mean",
    ),
    "with a tokenizer without padding": (
        words_alone,
        "encoder 'TMP/own': its tokenizer has no padding token, so no batch can be made; name one as pad_token in its "
        "tokenizer_config.json",
    ),
    "with code of its own": (
        own_code,
        "encoder 'TMP/own' needs code from its own repository, and no foreign code is run here; give an encoder of a "
        "type that transformers has, as bert or roberta",
    ),
    "with a broken config.json": (
        lambda folder: put(folder / "config.json", b"{"),
        "encoder 'TMP/own' can't be loaded (It looks like the config file at 'TMP/own/config.json' is not a "
        "valid JSON "
        f"file.); {GIVE}",
    ),
    "without anything": (
        without,
        "encoder 'TMP/own' can't be loaded (Unrecognized model in TMP/own. Should have a `model_type` key in its "
        f"config.json.); {GIVE}",
    ),
}


@pytest.mark.parametrize("case", ENCODERS)
def test_an_encoder_that_does_not_fit(refused, encoders, tmp_path, case):
    change, said = ENCODERS[case]
    folder = tmp_path / "own"
    shutil.copytree(encoders["bert"], folder)
    change(folder)
    assert refused("--encoder", str(folder)) == said
    assert not (folder / "TAKEN").exists()


def out_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A device on which no more than `most` rows are trained on at once; the sizes that were tried, as they come."""
    real, tried = EmotionModel.forward, []

    @functools.wraps(real)
    def forward(self, input_ids=None, **inputs):
        tried.append(len(input_ids))
        if self.training and len(input_ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(self, input_ids=input_ids, **inputs)

    monkeypatch.setattr(EmotionModel, "forward", forward)
    return tried


def test_out_of_memory_suggests_a_smaller_batch(refused, csv_file, monkeypatch):
    out_of_memory(monkeypatch, 4)
    assert refused("--data", csv_file, "--disable_tqdm", "true") == (
        "out of memory: lower --per_device_train_batch_size, which is 16 (--per_device_eval_batch_size is 128), or "
        "--max_length, or let --auto_find_batch_size true find the largest that fits"
    )


def test_the_largest_batch_that_fits_is_found_on_demand(mains, encoders, csv_file, tmp_path, monkeypatch):
    """And the run is the one that had it from the beginning, to the last bit."""
    words = ["--data", csv_file, "--encoder", encoders["bert"], "--aux", "pml:ProxyAnchorLoss", "--bf16", "false"]
    words += [
        "--max_steps",
        "6",
        "--max_length",
        "32",
        "--embedding_size",
        "16",
        "--disable_tqdm",
        "true",
        "--dataloader_drop_last",
        "true",
    ]
    straight, found = tmp_path / "straight", tmp_path / "found"
    assert mains["train"]([*words, "--output_dir", str(straight), "--per_device_train_batch_size", "4"]) == 0
    tried = out_of_memory(monkeypatch, 4)
    words += ["--per_device_train_batch_size", "6", "--auto_find_batch_size", "true"]
    assert mains["train"]([*words, "--output_dir", str(found)]) == 0
    assert tried[:3] == [6, 5, 4]
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (found, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    record = json.loads((found / "record.json").read_text(encoding="utf-8"))
    assert record["arguments"]["training"]["per_device_train_batch_size"] == 4
