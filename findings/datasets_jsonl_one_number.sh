#!/usr/bin/env bash
# One number among the texts of a JSONL file changes other rows, and a cast to string gives escaped source.
#
# Library: datasets 5.2.0.
# Input: valid JSONL, four rows with one key; three values are strings (안녕, null, 1004), one is the number 7.
# Guess: the column is read as strings with "7", or the mixed types are an error that names the row. A cast to string
#   gives "안녕" back.
# Seen: the column gets the type Json. The string "null" becomes None and the string "1004" the number 1004, without a
#   warning. Cast to string, "안녕" is the 14 characters "\uc548\ub155" with quotation marks. Naming the type when
#   loading (features=) gives the same.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cd "$folder"

cat > see.py <<'PYTHON'
import json

import datasets

datasets.disable_progress_bars()
with open("rows.jsonl", "w", encoding="utf-8") as file:
    for text in ["안녕", "null", "1004", 7]:
        file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def load(**given):
    return datasets.load_dataset("json", data_files="rows.jsonl", split="train", cache_dir="cache", **given)


string = datasets.Value("string")
print("read:", load()["text"][:])
print("cast:", *load().cast_column("text", string)["text"][:])
print("typed:", *load(features=datasets.Features({"text": string}))["text"][:])
PYTHON

expected="read: ['안녕', None, 1004, 7]
cast: \"\\uc548\\ub155\" null 1004 7
typed: \"\\uc548\\ub155\" null 1004 7"
seen="$(HF_HUB_OFFLINE=1 venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
