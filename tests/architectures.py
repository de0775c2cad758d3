"""A small model of every family of encoders."""

from __future__ import annotations

import torch
from transformers import (
    AlbertConfig,
    BertConfig,
    DebertaConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedConfig,
    Qwen3Config,
    RobertaConfig,
    XLMRobertaConfig,
)

from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.modeling import EmotionModel

LABELS = ["불안", "슬픔", "기쁨"]
SIZES = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
WIDE = {**SIZES, "intermediate_size": 48}
ROBERTA = {**WIDE, "max_position_embeddings": 66, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
# As microsoft/deberta-v3 sets them.
DEBERTA_V3 = {
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "max_relative_positions": -1,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(**WIDE),
    "roberta": RobertaConfig(**ROBERTA, type_vocab_size=1),
    "electra": ElectraConfig(**WIDE, embedding_size=16),
    "distilbert": DistilBertConfig(vocab_size=60, dim=32, n_layers=2, n_heads=2, hidden_dim=48),
    "albert": AlbertConfig(**WIDE, embedding_size=16),
    "xlm-roberta": XLMRobertaConfig(**ROBERTA, type_vocab_size=1),
    "deberta-v2": DebertaV2Config(**WIDE),
    "deberta-v3": DebertaV2Config(**WIDE, **DEBERTA_V3),
    "modernbert": ModernBertConfig(
        **{**WIDE, "num_hidden_layers": 3}, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2
    ),
}

GROUPED = {**WIDE, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
# Two layers of a window of 4 tokens, then one that sees all; the real ones have windows of 512.
GEMMA3 = {**GROUPED, "num_hidden_layers": 3, "sliding_window": 4, "sliding_window_pattern": 3}
GEMMA3 |= {"query_pre_attn_scalar": 8}
# Decoders as encoders; those that see one way only, and EmbeddingGemma, which sees both ways.
CAUSAL: dict[str, PreTrainedConfig] = {
    "qwen3": Qwen3Config(**GROUPED),
    "llama": LlamaConfig(**GROUPED, bos_token_id=1, eos_token_id=2),
    "gemma3": Gemma3TextConfig(**GEMMA3),
    "gpt2": GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=1),
}
LAYOUTS: dict[str, PreTrainedConfig] = {
    **CONFIGS,
    "deberta": DebertaConfig(**WIDE, relative_attention=True, pos_att_type=["c2p", "p2c"], type_vocab_size=0),
    "embeddinggemma": Gemma3TextConfig(**GEMMA3, use_bidirectional_attention=True),
    "qwen3-both-ways": Qwen3Config(**GROUPED, is_causal=False),
    **CAUSAL,
}


def build(family: str = "bert", pooling: str = "mean", **changes: object) -> EmotionModel:
    torch.manual_seed(0)
    config = EmotionConfig(encoder=LAYOUTS[family].to_dict(), pooling=pooling, embedding_size=16, labels=LABELS)
    for name, value in changes.items():
        setattr(config, name, value)
    return EmotionModel(config).eval()


def batch(family: str = "bert") -> dict[str, torch.Tensor]:
    """Three rows of 9, 5 and 2 tokens, padded to 9."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([9, 5, 2])
    mask = (torch.arange(9) < lengths[:, None]).long()
    pad = LAYOUTS[family].pad_token_id or 0
    ids = torch.randint(5, 60, (3, 9), generator=generator).masked_fill(mask == 0, pad)
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 2, 1])}
