#!/usr/bin/env bash
# A cross-batch memory that was saved and loaded gives another loss, though all keys match.
#
# Library: pytorch-metric-learning 2.9.0 with torch 2.13.0.
# Input: CrossBatchMemory(NTXentLoss()) that has seen one batch of 4 rows in a memory of 8; its state_dict is loaded into
#   a new one of the same sizes, and both get the same second batch.
# Guess: the same loss. The memory is a module with buffers, and load_state_dict reports that all keys matched.
# Seen: another loss. The rows are in the state, but how many there are and where the next one goes are plain
#   attributes: the loaded memory takes itself for empty and overwrites its rows. A resumed training differs from a
#   straight one in silence.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile pytorch-metric-learning==2.9.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from pytorch_metric_learning.losses import CrossBatchMemory, NTXentLoss


def memory():
    return CrossBatchMemory(NTXentLoss(), embedding_size=4, memory_size=8)


torch.manual_seed(0)
labels = torch.tensor([0, 0, 1, 1])
first, second = torch.randn(4, 4), torch.randn(4, 4)
saved, loaded = memory(), memory()
saved(first, labels)
print(loaded.load_state_dict(saved.state_dict()))
print("rows equal:", torch.equal(saved.embedding_memory, loaded.embedding_memory))
print("next place:", saved.queue_idx, loaded.queue_idx)
print("losses equal:", torch.allclose(saved(second, labels), loaded(second, labels)))
PYTHON

expected="<All keys matched successfully>
rows equal: True
next place: 4 0
losses equal: False"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
