#!/usr/bin/env bash
# A resumed training ignores a new learning rate, without a word.
#
# Libraries: transformers 5.23.0, accelerate 1.15.0, torch 2.13.0.
# Input: a tiny BERT trained for one epoch at 1e-3 with a constant schedule, then resumed for a second epoch with
#   learning_rate=1e-5.
# Guess: the second epoch runs at 1e-5, since the arguments were given to this Trainer; or a warning says that the
#   checkpoint's rate is kept, as there is one for other arguments that differ.
# Seen: the second epoch runs at 1e-3: the optimizer's state brings its rate along. Nothing is logged about it, although
#   the run's own arguments say 1e-5.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

ROWS = [{"input_ids": [2, 5 + i % 7, 3], "attention_mask": [1, 1, 1], "labels": i % 2} for i in range(16)]


class Rates(TrainerCallback):
    def __init__(self):
        self.seen = []

    def on_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        self.seen.append(optimizer.param_groups[0]["lr"])


def train(rate, epochs, checkpoint=None):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    rates = Rates()
    arguments = TrainingArguments(
        "run", num_train_epochs=epochs, per_device_train_batch_size=4, learning_rate=rate,
        lr_scheduler_type="constant", save_strategy="epoch", report_to="none", use_cpu=True, disable_tqdm=True,
    )
    model = BertForSequenceClassification(BertConfig(vocab_size=20, **sizes))
    trainer = Trainer(model, arguments, train_dataset=ROWS, callbacks=[rates])
    trainer.train(resume_from_checkpoint=checkpoint)
    return arguments.learning_rate, rates.seen


for found in (train(1e-3, 1), train(1e-5, 2, "run/checkpoint-4")):
    print("asked for {:g}, steps ran at {}".format(found[0], found[1]))
PYTHON

expected="asked for 0.001, steps ran at [0.001, 0.001, 0.001, 0.001]
asked for 1e-05, steps ran at [0.001, 0.001, 0.001, 0.001]"
seen="$(venv/bin/python see.py 2> errors.txt | grep '^asked')" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
if grep -i "learning" errors.txt; then echo "changed: there is a word about it now"; exit 1; fi
