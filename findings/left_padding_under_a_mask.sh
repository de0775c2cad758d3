#!/usr/bin/env bash
# Under a right attention mask, padding on the left changes what BERT says of a text, but not what RoBERTa says of it.
#
# Libraries: transformers 5.23.0, torch 2.13.0, on a CPU.
# Input: small encoders with random weights; a text of six tokens by itself, with three padding tokens behind it, and with
#   three before it, each with the attention mask that belongs to it.
# Guess: what the mask hides is not there, so that the side of the padding is a matter of taste in every encoder.
# Seen: BERT, ELECTRA, ALBERT and DistilBERT number positions by column, so that the same text stands elsewhere and gets
#   other states; GPT-2 does, too, when it is called as an encoder. RoBERTa and XLM-RoBERTa count the tokens that are not
#   padding; ModernBERT, Llama and DeBERTa-v2 without absolute positions know distances only. A tokenizer with
#   padding_side="left" is harmless for one half of them, and silently wrong for the other.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile transformers==5.23.0 torch==2.13.0 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import torch
from transformers import AlbertConfig, AutoModel, BertConfig, DebertaV2Config, DistilBertConfig, ElectraConfig
from transformers import GPT2Config, LlamaConfig, ModernBertConfig, RobertaConfig, XLMRobertaConfig

ends = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "max_position_embeddings": 40, **ends}
relative = {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]}
configs = [
    BertConfig(**sizes),
    ElectraConfig(**sizes, embedding_size=16),
    AlbertConfig(**sizes, embedding_size=16),
    DistilBertConfig(vocab_size=50, dim=16, hidden_dim=32, n_layers=2, n_heads=2, max_position_embeddings=40, **ends),
    GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=40, **ends),
    RobertaConfig(**sizes),
    XLMRobertaConfig(**sizes),
    ModernBertConfig(**sizes, cls_token_id=2, sep_token_id=3),
    LlamaConfig(**sizes),
    DebertaV2Config(**sizes, **relative),
]
text, padding = torch.tensor([[2, 10, 11, 12, 13, 3]]), torch.full((1, 3), 1)
real, hidden = torch.ones_like(text), torch.zeros_like(padding)
for config in configs:
    torch.manual_seed(0)
    model = AutoModel.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        bare = model(text, attention_mask=real).last_hidden_state
        right = model(torch.cat([text, padding], 1), attention_mask=torch.cat([real, hidden], 1)).last_hidden_state
        left = model(torch.cat([padding, text], 1), attention_mask=torch.cat([hidden, real], 1)).last_hidden_state
    say = ["as bare" if torch.allclose(bare, states, atol=1e-4) else "another" for states in (right[:, :6], left[:, 3:])]
    print(f"{config.model_type}: right {say[0]}, left {say[1]}")
PYTHON

expected="bert: right as bare, left another
electra: right as bare, left another
albert: right as bare, left another
distilbert: right as bare, left another
gpt2: right as bare, left another
roberta: right as bare, left as bare
xlm-roberta: right as bare, left as bare
modernbert: right as bare, left as bare
llama: right as bare, left as bare
deberta-v2: right as bare, left as bare"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
