#!/usr/bin/env bash
# Four accumulation steps make the loss and the gradient of a stock classifier four times as large.
#
# Libraries: transformers 5.23.0, accelerate 1.15.0, torch 2.13.0.
# Input: a tiny BertForSequenceClassification without dropout, 16 rows, one step: as one batch of 16, and as 4
#   batches of 4 with gradient_accumulation_steps=4.
# Guess: equal up to rounding. Accumulation is documented as a way to a larger batch, and transformers mended the loss
#   under accumulation for language models in 4.46.
# Seen: loss 0.69 against 2.77, gradient norm four times as large, hence other clipping. The model's forward takes any
#   keyword, so Trainer leaves the division to it, but its cross-entropy does not divide. With
#   label_smoothing_factor the values are equal.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

ROWS = [{"input_ids": [2, 5 + i % 7, 3], "attention_mask": [1, 1, 1], "labels": i % 2} for i in range(16)]


def step(batch, accumulated, smoothing):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    config = BertConfig(vocab_size=20, hidden_dropout_prob=0, attention_probs_dropout_prob=0, **sizes)
    arguments = TrainingArguments(
        "run", max_steps=1, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulated,
        label_smoothing_factor=smoothing, learning_rate=0, max_grad_norm=1e9, logging_steps=1, save_strategy="no",
        report_to="none", use_cpu=True, disable_tqdm=True,
    )
    trainer = Trainer(BertForSequenceClassification(config), arguments, train_dataset=ROWS)
    trainer.train()
    return trainer.state.log_history[0]


for smoothing in (0, 0.1):
    whole, parts = step(16, 1, smoothing), step(4, 4, smoothing)
    ratios = " and ".join(f"{name} times {parts[name] / whole[name]:.2f}" for name in ("loss", "grad_norm"))
    print(f"label smoothing {smoothing}: {ratios}")
PYTHON

expected="label smoothing 0: loss times 4.00 and grad_norm times 4.00
label smoothing 0.1: loss times 1.00 and grad_norm times 1.00"
seen="$(venv/bin/python see.py 2> errors.txt | grep '^label')" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
