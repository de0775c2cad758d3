#!/usr/bin/env bash
# A tokenizer that was called with truncation once saves that length, and cuts every text wherever it is read without
# transformers.
#
# Libraries: transformers 5.23.0, tokenizers 0.23.3.
# Input: a WordPiece tokenizer, loaded with AutoTokenizer, called on one text with truncation=True, max_length=4 and
#   padding="max_length", then saved.
# Guess: truncation and padding are arguments of the call; what save_pretrained writes is the same before and after it,
#   and model_max_length alone tells later readers a length.
# Seen: tokenizer.json holds the length and the padding of the last call. tokenizers.Tokenizer.from_file, as a server in
#   Rust or a browser reads the file, cuts a text of eight words to four tokens and pads a short one to four, without a
#   word; AutoTokenizer reads the same folder and gives all tokens. A call without truncation before saving takes it out.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

WORDS = "오늘 은 날씨 가 정말 좋 았 어".split()
inner = Tokenizer(models.WordPiece({word: place for place, word in enumerate(["[PAD]", "[UNK]", *WORDS])}, unk_token="[UNK]"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]").save_pretrained("plain")


def lengths(name, **call):
    tokenizer = AutoTokenizer.from_pretrained("plain")
    for arguments in call.get("calls", []):
        tokenizer(" ".join(WORDS), **arguments)
    tokenizer.save_pretrained(name)
    texts = [" ".join(WORDS), "오늘"]
    alone = [len(Tokenizer.from_file(f"{name}/tokenizer.json").encode(text).ids) for text in texts]
    again = [len(ids) for ids in AutoTokenizer.from_pretrained(name)(texts)["input_ids"]]
    print(f"{name}: tokenizers alone {alone}, transformers {again}")


cut = {"truncation": True, "max_length": 4, "padding": "max_length"}
lengths("never called")
lengths("called", calls=[cut])
lengths("called again without", calls=[cut, {}])
PYTHON

expected="never called: tokenizers alone [8, 1], transformers [8, 1]
called: tokenizers alone [4, 4], transformers [8, 1]
called again without: tokenizers alone [8, 1], transformers [8, 1]"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
