#!/usr/bin/env bash
# The normalization of a SentencePiece model, carried over into a fast tokenizer, reads Korean letters typed apart otherwise.
#
# Libraries: sentencepiece 0.2.1 (rule nmt_nfkc, its default), tokenizers 0.23.3 (normalizers.Precompiled, into
#   which transformers carries a model's table of letters).
# Input: what Korean comments are full of: a laugh and tears in one word, a vowel after its consonant; and a laugh alone.
# Guess: the same table gives the same letters.
# Seen: SentencePiece looks for the longest sequence in the table, and joins two letters to the syllable that they would
#   make: the first two of "ㅋㅠㅠ" become "큐". Precompiled looks up one letter at a time, and leaves them apart. So a fast
#   tokenizer has other pieces than the model that it was made from, in such words alone.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile sentencepiece==0.2.1 tokenizers==0.23.3 protobuf==6.33.0
cd "$folder"

cat > see.py <<'PYTHON'
import io

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers.normalizers import Precompiled

texts = ["기뻐서 웃었다", "슬퍼서 울었다", "불안해서 잠을 못 잤다", "ㅋㅋ 웃겨", "ㅠㅠ 슬퍼"] * 20
model = io.BytesIO()
SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_writer=model, vocab_size=40, hard_vocab_limit=False, minloglevel=2
)
slow = SentencePieceProcessor(model_proto=model.getvalue())
stored = ModelProto.FromString(model.getvalue()).normalizer_spec
fast = Precompiled(stored.precompiled_charsmap)
print(stored.name)
for text in ("ㅋㅠㅠ", "ㅎㅏㅎㅏ", "ㅋㅋ"):
    spelt = slow.normalize(text).removeprefix("▁"), fast.normalize_str(text)
    print(" | ".join(" ".join(f"{ord(letter):04X}" for letter in form) for form in spelt))
PYTHON

seen="$(venv/bin/python see.py)"
expected="nmt_nfkc
D050 1172 | 110F 1172 1172
D558 D558 | 1112 1161 1112 1161
110F 110F | 110F 110F"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
