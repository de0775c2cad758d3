#!/usr/bin/env bash
# On two processes Trainer.predict returns every row once, but a loss in which rows that fill a batch count twice.
#
# Libraries: transformers 5.23.0, accelerate 1.15.0, torch 2.13.0.
# Input: 5 rows whose losses are 1, 2, 3, 4 and 100 (mean 22), batches of 2 a process; predict on one process, and two.
# Guess: 22 both times. The last batch is filled up with rows from the start so that both processes have equal ones,
#   and Trainer is known to cut predictions back to the 5 rows; the losses, gathered beside them, would be cut alike.
# Seen: 5 predictions both times, loss 22.0 on one process and 12.1 on two. What is gathered is the mean of a
#   process's batch, once a row: the rows that filled it up are inside, and cutting the list does not take them out.
#   So the loss of several processes is another number, and eval_loss as metric_for_best_model may choose otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

ROWS = [{"x": torch.tensor([float(value)]), "labels": torch.tensor(0)} for value in (1, 2, 3, 4, 100)]


class Itself(nn.Module):
    """The loss of a row is its own number."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, labels):
        return {"loss": (self.weight * x).mean(), "logits": x}


arguments = TrainingArguments("run", per_device_eval_batch_size=2, report_to="none", use_cpu=True, disable_tqdm=True)
found = Trainer(Itself(), arguments).predict(ROWS)
if arguments.process_index == 0:
    rows = sorted(found.predictions.ravel().tolist())
    print(f"processes {arguments.world_size}: rows {rows}, loss {found.metrics['test_loss']:.1f}")
PYTHON

expected="processes 1: rows [1.0, 2.0, 3.0, 4.0, 100.0], loss 22.0
processes 2: rows [1.0, 2.0, 3.0, 4.0, 100.0], loss 12.1"
seen="$(for processes in 1 2; do
  OMP_NUM_THREADS=1 venv/bin/python -m torch.distributed.run --nproc_per_node "$processes" see.py 2> errors.txt |
    grep '^processes' || { cat errors.txt >&2; exit 1; }
done)"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
