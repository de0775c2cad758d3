#!/usr/bin/env bash
# A normalizer that prepends "query: " puts it before every part between special tokens, and before no empty text.
#
# Library: tokenizers 0.23.3.
# Input: normalizers.Prepend("query: "), as one would give an encoder of sentences its prefix, and texts with and without a
#   special token in them.
# Guess: every text begins with the prefix, once, then come its own tokens.
# Seen: special tokens are cut out before the normalizer works, and each part between them is one text to it: "a [MASK] b"
#   has the prefix twice, "[MASK] b" has it in the middle, an empty text and a special token alone have none. The template
#   of the post-processor puts it there once, whatever the text is.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile tokenizers==0.23.3
cd "$folder"

cat > see.py <<'PYTHON'
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

words = {word: index for index, word in enumerate("[UNK] [MASK] query: a b".split())}
tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
tokenizer.add_special_tokens(["[MASK]"])
tokenizer.normalizer = normalizers.Prepend("query: ")
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
for text in ("a b", "a [MASK] b", "[MASK] b", "[MASK]", ""):
    print(f"{text!r}: {' '.join(tokenizer.encode(text).tokens)}".rstrip())
PYTHON

seen="$(venv/bin/python see.py)"
expected="'a b': query: a b
'a [MASK] b': query: a [MASK] query: b
'[MASK] b': [MASK] query: b
'[MASK]': [MASK]
'':"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
