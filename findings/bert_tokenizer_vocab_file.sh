#!/usr/bin/env bash
# BertTokenizer(vocab_file=...) ignores the file, and every word is unknown.
#
# Libraries: transformers 5.23.0, tokenizers 0.23.3. No torch is needed.
# Input: a vocab.txt of seven lines, given by the name that the argument had up to transformers 4, and by position.
# Guess: both read the file, or the old name is refused, as an argument that is not known.
# Seen: by position it is read. By name it vanishes among the other keywords: the tokenizer has its five special tokens
#   alone, and every word becomes [UNK], without an error or a warning.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 tokenizers==0.23.3
cd "$folder"

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' 안녕 세상 > vocab.txt
cat > see.py <<'PYTHON'
from transformers import BertTokenizer

for name, tokenizer in {
    "by position": BertTokenizer("vocab.txt", do_lower_case=False),
    "by name": BertTokenizer(vocab_file="vocab.txt", do_lower_case=False),
}.items():
    print(f"{name}: {len(tokenizer)} tokens, {tokenizer.tokenize('안녕 세상')}")
PYTHON

expected="by position: 7 tokens, ['안녕', '세상']
by name: 5 tokens, ['[UNK]', '[UNK]']"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
if grep -i "vocab" errors.txt; then echo "changed: there is a word about it now"; exit 1; fi
