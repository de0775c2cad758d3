#!/usr/bin/env bash
# scikit-learn's log_loss of the same probabilities depends on their float type, and so does the best temperature by it.
#
# Libraries: scikit-learn 1.9.1, numpy 2.4.6.
# Input: two classes, 97 rows that are right by a logit of 1 and 3 that are wrong by 40; their softmax at temperatures from
#   0.05 to 1,000, in float64 and the same numbers in float32, as a model gives them.
# Guess: single precision costs some digits; loss and best temperature are the same for all that matters.
# Seen: a probability is kept from 0 by the smallest step of its own type, so that a row that is surely wrong costs at most
#   15.9 in float32 and 36.0 in float64. At temperature 1 the mean loss is 0.78 in float32 and 1.39 in float64 (1.50 from
#   the logits). In float32 the temperature of the lowest loss is 0.05, which makes the model surer; in float64, and from
#   the logits, it is 1,000, which makes it unsure. Metrics of calibration have to come from logits, not from float32.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import numpy as np
from sklearn.metrics import log_loss

right = np.array([1.0] * 97 + [-40.0] * 3)  # the logit of the true class, less that of the other
truth = np.zeros(100, dtype=int)
temperatures = (0.05, 0.5, 1.0, 5.0, 50.0, 1000.0)


def loss(temperature: float, kind: str) -> float:
    scaled = right / temperature
    if kind == "logits":
        return float(np.logaddexp(0, -scaled).mean())
    true, other = np.exp(-np.logaddexp(0, -scaled)), np.exp(-np.logaddexp(0, scaled))
    return float(log_loss(truth, np.stack([true, other], axis=1).astype(kind), labels=[0, 1]))


for kind in ("logits", "float64", "float32"):
    losses = [loss(temperature, kind) for temperature in temperatures]
    best = temperatures[int(np.argmin(losses))]
    print(f"{kind}: loss at temperature 1 {loss(1.0, kind):.2f}, lowest {min(losses):.2f} at temperature {best:g}")
sure = np.array([[0.0, 1.0], [0.0, 1.0]])
costs = [log_loss([0, 0], sure.astype(kind), labels=[0, 1]) for kind in ("float64", "float32")]
print("a row that is surely wrong:", *(f"{cost:.1f}" for cost in costs))
PYTHON

expected="logits: loss at temperature 1 1.50, lowest 0.69 at temperature 1000
float64: loss at temperature 1 1.39, lowest 0.69 at temperature 1000
float32: loss at temperature 1 0.78, lowest 0.48 at temperature 0.05
a row that is surely wrong: 36.0 15.9"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
