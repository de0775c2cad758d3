#!/usr/bin/env bash
# A WordPiece or Unigram vocabulary trained twice on the same texts has the same pieces under other ids.
#
# Library: tokenizers 0.23.3.
# Input: 512 short Korean sentences, ten trainings each of WordPiece, BPE and Unigram with the same trainer settings, in one
#   process and with one thread.
# Guess: training draws nothing at random, so that the same texts give the same file.
# Seen: of BPE, yes. Of WordPiece and Unigram all ten have the same pieces, and most of the ten give them other ids. So an
#   encoder does not fit a tokenizer that was trained again on its own texts, though size and pieces agree, and a hash of
#   the file is another one each time; sort the pieces and write the vocabulary oneself.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile tokenizers==0.23.3
cd "$folder"

cat > see.py <<'PYTHON'
from itertools import product

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

who = ["나는", "너는", "우리는", "친구가", "동생이", "엄마가", "선생님이", "강아지가"]
when = ["오늘", "내일", "어제", "아침에", "저녁에", "학교에서", "집에서", "회사에서"]
what = ["웃었다", "울었다", "기뻤다", "슬펐다", "불안했다", "걱정했다", "고마웠다", "미안했다"]
texts = [" ".join(words) for words in product(who, when, what)]
settings = {"vocab_size": 90, "special_tokens": ["[UNK]"], "show_progress": False}
for name, model, trainer in (
    ("WordPiece", lambda: models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(**settings)),
    ("BPE", lambda: models.BPE(unk_token="[UNK]"), trainers.BpeTrainer(**settings)),
    ("Unigram", lambda: models.Unigram(), trainers.UnigramTrainer(unk_token="[UNK]", **settings)),
):
    pieces, ids = set(), set()
    for _ in range(10):
        tokenizer = Tokenizer(model())
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.train_from_iterator(texts, trainer)
        pieces.add(tuple(sorted(tokenizer.get_vocab())))
        ids.add(tuple(sorted(tokenizer.get_vocab().items())))
    same = {True: "the same ids", False: "other ids"}[len(ids) == 1]
    print(f"{name}: {len(pieces)} set of pieces, {same}")
PYTHON

seen="$(TOKENIZERS_PARALLELISM=false venv/bin/python see.py)"
expected="WordPiece: 1 set of pieces, other ids
BPE: 1 set of pieces, the same ids
Unigram: 1 set of pieces, other ids"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
