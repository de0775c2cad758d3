#!/usr/bin/env bash
# BertTokenizer reads the vocabulary of tokenizer.json and builds everything else anew: what else the file says is lost.
#
# Libraries: transformers 5.23.0, tokenizers 0.23.3.
# Input: one tokenizer.json with a pre-tokenizer that splits at digits, too, and with max_input_chars_per_word of 5;
#   beside it a tokenizer_config.json that names the class, PreTrainedTokenizerFast or BertTokenizer.
# Guess: both classes are backed by the file in transformers 5, where slow tokenizers are gone, and give equal tokens.
# Seen: PreTrainedTokenizerFast does as the file says. BertTokenizer takes the pieces alone: its own pre-tokenizer does
#   not split at digits and its limit of a word is 100 characters again, without a warning. save_pretrained then writes
#   the changed pipeline over the file.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import json
import pathlib

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "좋", "##아", "##요", "1", "##1", "##2", "2"]
model = models.WordPiece({piece: place for place, piece in enumerate(PIECES)}, unk_token="[UNK]", max_input_chars_per_word=5)
tokenizer = Tokenizer(model)
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])


def folder_of(name):
    folder = pathlib.Path(name)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    settings = {"tokenizer_class": name, **special, "do_lower_case": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


for name in ("PreTrainedTokenizerFast", "BertTokenizer"):
    folder = folder_of(name)
    loaded = AutoTokenizer.from_pretrained(folder)
    print(name, loaded.tokenize("좋아요12 좋아아아아요"))
    loaded.save_pretrained("saved " + name)
    saved = json.loads(pathlib.Path("saved " + name, "tokenizer.json").read_text())
    print(name, "saves", saved["pre_tokenizer"]["type"], saved["model"]["max_input_chars_per_word"])
PYTHON

expected="PreTrainedTokenizerFast ['좋', '##아', '##요', '1', '2', '[UNK]']
PreTrainedTokenizerFast saves Sequence 5
BertTokenizer ['좋', '##아', '##요', '##1', '##2', '좋', '##아', '##아', '##아', '##아', '##요']
BertTokenizer saves BertPreTokenizer 100"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
if grep -iE "pre.?tokenizer|max_input" errors.txt; then echo "changed: there is a word about it now"; exit 1; fi
