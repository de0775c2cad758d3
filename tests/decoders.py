"""A tiny decoder of Qwen3's layout with a byte-level tokenizer, as an encoder's folder, for tests."""

from __future__ import annotations

from pathlib import Path

import torch
from conftest import LABELS, sentences
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

END, BEGIN = "<|endoftext|>", "<|begin|>"


def byte_level(post_processor: processors.PostProcessor | None = None, **special: str) -> PreTrainedTokenizerFast:
    """A tokenizer of Qwen's and Llama 3's kind, which splits Hangul into bytes, without a padding token."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    texts = [text for label in LABELS for text in sentences(label)[:60]]
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_special_tokens([AddedToken(END, special=True), AddedToken(BEGIN, special=True)])
    backend.post_processor = post_processor or processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **({"eos_token": END} | special))


def tiny_decoder(folder: Path, padding_side: str = "left") -> str:
    """A folder with the weights of two layers and the tokenizer, which pads on that side."""
    torch.manual_seed(0)
    tokenizer = byte_level(padding_side=padding_side)
    config = Qwen3Config(
        vocab_size=len(tokenizer) + 3, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    Qwen3Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
