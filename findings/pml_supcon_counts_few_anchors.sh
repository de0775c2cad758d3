#!/usr/bin/env bash
# SupConLoss of pytorch-metric-learning is as large for a batch with one pair as for a batch full of pairs.
#
# Libraries: pytorch-metric-learning 2.9.0, torch 2.13.0.
# Input: 32 unit vectors, each at the same cosine (0.5) to every other; once 16 labels of 2 rows, once one label of 2 rows
#   and 30 of one row each, as a batch of a data set of many classes has them.
# Guess: the loss is a mean over the rows of the batch, as the paper sums over them (Khosla et al. 2020), and a row without
#   a positive adds nothing: the second batch has a sixteenth of the first one's loss.
# Seen: both have the same loss, log 31 = 3.434: the mean is over the rows that have a positive, two here. So with many
#   classes a few accidental pairs weigh as much as a whole batch.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile pytorch-metric-learning==2.9.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from pytorch_metric_learning.losses import SupConLoss

rows = torch.cat([torch.eye(32), torch.ones(32, 1)], dim=1)  # cosine 0.5 of any two
for name, labels in (("16 pairs", torch.arange(32) // 2), ("1 pair", torch.arange(32).clamp(min=1))):
    print(f"{name}: {SupConLoss(temperature=0.1)(rows, labels):.3f}")
PYTHON

seen="$(venv/bin/python see.py)"
expected="16 pairs: 3.434
1 pair: 3.434"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
