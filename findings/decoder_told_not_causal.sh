#!/usr/bin/env bash
# is_causal=False in the configuration of Llama or Qwen3 makes a decoder see both ways, though no such field is named there.
#
# Libraries: transformers 5.23.0, torch 2.13.0, on a CPU.
# Input: a small Llama and a small Qwen3 with random weights, twice with the same seed, once with is_causal=False in the
#   configuration; two texts that differ in their last token. Attention by torch's own kernel and by plain products.
# Guess: a keyword that the configuration does not have is kept and not read, as any other is, so that the first token's
#   state stays the same; to see both ways takes another class, or another mask.
# Seen: with it the first token's state depends on the last token, in both ways to attend: the mask is made by it. The
#   modules of attention still say is_causal=True, so that asking them is no test.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from transformers import AutoModel, LlamaConfig, Qwen3Config

sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 32}
texts = torch.tensor([[5, 6, 7, 8], [5, 6, 7, 9]])
for config in (LlamaConfig, Qwen3Config):
    named = "named" if hasattr(config(), "is_causal") else "not named"
    for kernel in ("sdpa", "eager"):
        for told in ({}, {"is_causal": False}):
            torch.manual_seed(0)
            model = AutoModel.from_config(config(**sizes, **told), attn_implementation=kernel).eval()
            with torch.no_grad():
                one, other = model(texts, attention_mask=torch.ones_like(texts)).last_hidden_state[:, 0]
            modules = {part.is_causal for part in model.modules() if hasattr(part, "is_causal")}
            same = "as before" if torch.equal(one, other) else "another"
            print(f"{config.__name__} (field {named}), {kernel}, {told}: first state {same}, modules say {modules}")
PYTHON

expected="LlamaConfig (field not named), sdpa, {}: first state as before, modules say {True}
LlamaConfig (field not named), sdpa, {'is_causal': False}: first state another, modules say {True}
LlamaConfig (field not named), eager, {}: first state as before, modules say {True}
LlamaConfig (field not named), eager, {'is_causal': False}: first state another, modules say {True}
Qwen3Config (field not named), sdpa, {}: first state as before, modules say {True}
Qwen3Config (field not named), sdpa, {'is_causal': False}: first state another, modules say {True}
Qwen3Config (field not named), eager, {}: first state as before, modules say {True}
Qwen3Config (field not named), eager, {'is_causal': False}: first state another, modules say {True}"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
