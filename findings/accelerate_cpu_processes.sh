#!/usr/bin/env bash
# `accelerate launch --cpu --num_processes 2` starts one process.
#
# Libraries: accelerate 1.15.0, torch 2.13.0.
# Input: a script that prints its rank and the number of processes, launched with --cpu --num_processes 2.
# Guess: two processes over gloo, as torchrun starts them; or an error that says what is missing.
# Seen: one process that believes to be alone, with status 0 and no word about the second. (torchrun --nproc_per_node 2
#   starts two.) Accelerate's launcher starts several processes on CPUs through MPI only.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
from accelerate import PartialState

state = PartialState(cpu=True)
print(f"process {state.process_index} of {state.num_processes}", flush=True)
PYTHON

export HF_HOME="$folder/home" OMP_NUM_THREADS=1
ask=(--num_machines 1 --mixed_precision no --dynamo_backend no)
launched="$(venv/bin/accelerate launch --cpu --num_processes 2 "${ask[@]}" see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
seen="accelerate launch: $launched"$'\n'"torchrun: $(venv/bin/torchrun --nproc_per_node 2 see.py 2> /dev/null | sort | tr '\n' ';')"
expected="accelerate launch: process 0 of 1
torchrun: process 0 of 2;process 1 of 2;"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
if grep -i "process" errors.txt; then echo "changed: there is a word about it now"; exit 1; fi
