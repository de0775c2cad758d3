#!/usr/bin/env bash
# Class weights with label smoothing: a model that fits the loss to the end gives the texts of the common emotion the
# rare one.
#
# Library: torch 2.13.0 (its CPU build).
# Input: 185 rows of one class and 1 of another, told apart by their features; torch.nn.CrossEntropyLoss with weights of
#   1/n and label_smoothing=0.1, both as its documentation has them; a linear layer, trained to the minimum.
# Guess: a row's loss is multiplied by the weight of its class, and smoothing keeps the highest probability at 0.95, so
#   that both classes are fitted as without weights.
# Seen: the smoothed share of a row is weighed by the weight of the class that it is given to, not by the row's. The one
#   rare row's weight is 185 times that of a common one, and its smoothed share alone (0.05 x 185) outweighs a common
#   row's own (0.95 x 1): the minimum gives common rows the rare class at 0.91 and is wrong on 185 of 186 rows. Weights or
#   smoothing alone are right on all. Smoothing by hand, with each row's loss times its own class's weight, is right too.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch

labels = torch.tensor([0] * 185 + [1])
features = torch.nn.functional.one_hot(labels).double()
weights = (len(labels) / 2 / labels.bincount()).double()


def by_hand(logits, labels):
    losses = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    return (losses * weights[labels]).mean()


losses = {
    "smoothing": torch.nn.CrossEntropyLoss(label_smoothing=0.1),
    "weights": torch.nn.CrossEntropyLoss(weight=weights),
    "both": torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=0.1),
    "both, by hand": by_hand,
}
for name, loss in losses.items():
    layer = torch.nn.Linear(2, 2, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(layer(features), labels)
        value.backward()
        return value

    optimizer.step(closure)
    found = layer(features).softmax(-1).detach()
    right = int((found.argmax(-1) == labels).sum())
    print(f"{name}: {right} of {len(labels)} right, the rare class of a common row {found[0, 1]:.2f}")
PYTHON

expected="smoothing: 186 of 186 right, the rare class of a common row 0.05
weights: 186 of 186 right, the rare class of a common row 0.00
both: 1 of 186 right, the rare class of a common row 0.91
both, by hand: 186 of 186 right, the rare class of a common row 0.05"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
