#!/usr/bin/env bash
# A DataLoader with workers can't be used inside a worker of joblib.
#
# Libraries: joblib 1.6.0 (its default backend, loky) and torch 2.13.0.
# Input: a data set of four numbers, DataLoader(..., num_workers=1), called through joblib.Parallel.
# Guess: it works, or is refused as daemonic processes are ("not allowed to have children"). loky's workers are no
#   daemons, and starting processes from them is what sets loky apart from multiprocessing.Pool.
# Seen: AttributeError: 'Process' object has no attribute 'env'. The same call in the main process works. torch adds a
#   warning that blames arguments which can't be pickled, though these can. With the start method named
#   (multiprocessing_context="fork") the same loader works inside the worker.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile joblib==1.6.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import joblib
import torch
from torch.utils.data import DataLoader


def read(context=None):
    try:
        return torch.cat(list(DataLoader(range(4), num_workers=1, multiprocessing_context=context))).tolist()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    print("main process:", read())
    for context in (None, "fork"):
        [found] = joblib.Parallel(n_jobs=2)([joblib.delayed(read)(context)])
        print(f"joblib worker, {context or 'default'} start method:", found)
PYTHON

expected="main process: [0, 1, 2, 3]
joblib worker, default start method: AttributeError: 'Process' object has no attribute 'env'
joblib worker, fork start method: [0, 1, 2, 3]"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
