"""The encoder with its pre-training heads, and how an encoder changes its layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    BertTokenizer,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
)

from emo_hf.errors import UserError
from emo_hf.pretraining.corpus import DISTANT_PATTERNS, SPECIALS

WEIGHTS = {"mlm": 1.0, "rtd": 20.0, "rating": 0.5, "marks": 20.0}


def sinusoids(positions: int, size: int) -> torch.Tensor:
    """(P, D) position vectors of sines and cosines (Vaswani et al. 2017)."""
    angles = torch.arange(positions)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(positions, size)


def encoder_config(layout: str, tokenizer: BertTokenizer, hidden: int, layers: int) -> BertConfig | RobertaConfig:
    """KLUE's BERT or RoBERTa in small, heads of 64 and a feed-forward of four times the width."""
    shape = {
        "attn_implementation": "eager",  # on CPU and at these lengths SDPA's backward takes a fifth of the step
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "intermediate_size": 4 * hidden,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if layout == "bert":
        return BertConfig(**shape, max_position_embeddings=256, type_vocab_size=2, layer_norm_eps=1e-12)
    return RobertaConfig(
        **shape,
        max_position_embeddings=258,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )


def drawn(logits: torch.Tensor) -> torch.Tensor:
    """An index (N,) for each row of logits (N, V), by its probability.

    By the inverse of the distribution function, with one random number a row: one for each of V, as Gumbel's trick
    needs them, took more than a quarter of a step.
    """
    ladder = logits.softmax(-1).cumsum(-1)
    steps = ladder[:, -1:] * torch.rand(len(ladder), 1)
    return torch.searchsorted(ladder, steps, right=True).squeeze(-1).clamp_max(logits.shape[-1] - 1)


class Pretrainer(nn.Module):
    """The encoder with its pre-training heads; only `encoder` is kept afterwards."""

    special: torch.Tensor
    continues: torch.Tensor

    def __init__(self, encoder: BertModel | RobertaModel, objective: str, mask_share: float, tokenizer: BertTokenizer):
        super().__init__()
        config = encoder.config
        size, vocab = config.hidden_size, config.vocab_size
        self.encoder, self.objective, self.mask_share = encoder, objective, mask_share
        self.mask_id = tokenizer.mask_token_id
        self.register_buffer("special", torch.zeros(vocab, dtype=torch.bool), persistent=False)
        self.special[tokenizer.all_special_ids] = True
        pieces = tokenizer.convert_ids_to_tokens(list(range(vocab)))
        self.register_buffer("continues", torch.tensor([p.startswith("##") for p in pieces]), persistent=False)
        if objective == "rtd":
            narrow: dict[str, Any] = {
                "vocab_size": vocab,
                "embedding_size": size,
                "hidden_size": size // 4,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": size,
                "attn_implementation": "eager",
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "pad_token_id": config.pad_token_id,
            }
            self.generator = ElectraModel(ElectraConfig(**narrow))
            self.generator.embeddings.word_embeddings = encoder.embeddings.word_embeddings
            self.detector = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, 1))
        mlm_in = size // 4 if objective == "rtd" else size
        self.mlm = nn.Sequential(nn.Linear(mlm_in, size), nn.GELU(), nn.LayerNorm(size))
        self.mlm_bias = nn.Parameter(torch.zeros(vocab))
        self.rating = nn.ModuleDict({pooling: nn.Linear(size, 10) for pooling in ("cls", "mean")})
        self.marks = nn.ModuleDict({pooling: nn.Linear(size, len(DISTANT_PATTERNS)) for pooling in ("cls", "mean")})

    def forward(self, ids: torch.Tensor, ratings: torch.Tensor, marks: torch.Tensor) -> dict[str, torch.Tensor]:
        """ids (B, L) of one length, ratings (B,) 0-9, marks (B, M) in {-1, 0, 1} -> losses by name."""
        dice = torch.rand(len(ids), ids.shape[1] + 1)
        # Half of the batches mask whole words, as KLUE's encoders do, the others single pieces.
        dice = dice.gather(1, (~self.continues[ids]).cumsum(1)) if torch.rand(()) < 0.5 else dice[:, 1:]
        chosen = (dice < self.mask_share) & ~self.special[ids]
        chosen[:, 1] |= ~chosen.any(1) & ~self.special[ids[:, 1]]
        dice = torch.rand(ids.shape)
        masked = ids.masked_fill(chosen & (dice < 0.85), self.mask_id)
        if self.objective == "mlm":
            shuffled = torch.randint(5, self.special.numel(), ids.shape)
            masked = torch.where(chosen & (dice > 0.95), shuffled, masked)
        losses = {}
        table = self.encoder.embeddings.word_embeddings.weight
        if self.objective == "mlm":
            hidden = self.encoder(input_ids=masked).last_hidden_state
            logits = nn.functional.linear(self.mlm(hidden[chosen]), table, self.mlm_bias)
            losses["mlm"] = nn.functional.cross_entropy(logits.float(), ids[chosen])
        else:
            small = self.generator(input_ids=masked).last_hidden_state
            logits = nn.functional.linear(self.mlm(small[chosen]), table, self.mlm_bias).float()
            losses["mlm"] = nn.functional.cross_entropy(logits, ids[chosen])
            with torch.no_grad():
                corrupted = ids.clone()
                corrupted[chosen] = drawn(logits)
            hidden = self.encoder(input_ids=corrupted).last_hidden_state
            replaced = (corrupted != ids).float()
            found = self.detector(hidden[:, 1:-1]).squeeze(-1).float()
            losses["rtd"] = nn.functional.binary_cross_entropy_with_logits(found, replaced[:, 1:-1])
        vectors = {"cls": hidden[:, 0], "mean": hidden.mean(1)}
        rated = [nn.functional.cross_entropy(self.rating[p](vectors[p]).float(), ratings) for p in vectors]
        losses["rating"] = torch.stack(rated).sum() / len(vectors)
        if int(marks[0, 0]) >= 0:
            target = marks.float()
            marked = [
                nn.functional.binary_cross_entropy_with_logits(self.marks[p](vectors[p]).float(), target)
                for p in vectors
            ]
            losses["marks"] = torch.stack(marked).sum() / len(vectors)
        return losses


def adopt(model: Pretrainer, path: Path, layout: str) -> None:
    """Take over the weights of another run; the special tokens' rows and the first positions change places.

    `path` is the state of a run, with its heads, or the folder of a finished encoder with the same vocabulary.
    """
    if path.is_dir():
        finished = AutoModel.from_pretrained(
            path, add_pooling_layer=False, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        state = {f"encoder.{name}": value for name, value in finished.state_dict().items()}
        stored = {"layout": finished.config.model_type, "model": state}
    else:
        stored = torch.load(path, weights_only=True)
    source, state = SPECIALS[stored["layout"]], stored["model"]
    own = model.state_dict()
    order = [source.index(token) for token in SPECIALS[layout]]
    for name, value in state.items():
        if name not in own:
            continue
        if own[name].shape[1:] != value.shape[1:]:
            raise UserError(f"{path} has another shape of {name}; give the same --hidden and --layers")
        if name.endswith("word_embeddings.weight") or name == "mlm_bias":
            value = torch.cat([value[order], value[5:]])
        elif name == "encoder.embeddings.position_embeddings.weight":
            shift = {"bert": 0, "roberta": 2}
            value = value[shift[stored["layout"]] :][:256]
            value = torch.cat([own[name][: shift[layout]], value])
        elif name == "encoder.embeddings.token_type_embeddings.weight":
            value = value[:1].expand_as(own[name]).clone()
        if own[name].shape == value.shape:  # a head for other labels starts anew
            own[name].copy_(value)
