#!/usr/bin/env bash
# A saved config holds label2id in another order: list(config.label2id) names the classes rightly until the model is
# loaded again.
#
# Library: transformers 5.23.0. No torch is needed.
# Input: a BertConfig with twelve Korean emotions as id2label and label2id, saved and loaded again.
# Guess: Python and JSON keep the order of a dictionary, so code that takes list(config.label2id) for the names of the
#   logits, which is right where the model was trained, is right where it is loaded.
# Seen: save_pretrained sorts the keys, and label2id comes back in the order of the names: one of the twelve stands in its
#   place, without a word. id2label has numbers for keys, and keeps its order.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 tokenizers==0.23.3
cd "$folder"

cat > see.py <<'PYTHON'
from transformers import AutoConfig, BertConfig

NAMES = "분노 슬픔 불안 상처 당황 기쁨 놀람 혐오 공포 중립 감사 안심".split()


def right(names):
    return f"{sum(a == b for a, b in zip(names, NAMES))} of 12 right"


config = BertConfig(id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)})
config.save_pretrained("saved")
print(f"label2id as it was made: {right(list(config.label2id))}")
loaded = AutoConfig.from_pretrained("saved")
print(f"label2id as it was loaded: {right(list(loaded.label2id))}")
print(f"id2label as it was loaded: {right(list(loaded.id2label.values()))}")
PYTHON

expected="label2id as it was made: 12 of 12 right
label2id as it was loaded: 1 of 12 right
id2label as it was loaded: 12 of 12 right"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
