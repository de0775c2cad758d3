"""What the tokenizers of decoders are given, a token that pads and one that ends a text, and where they keep it."""

from __future__ import annotations

import pytest
from conftest import tiny_tokenizer
from decoders import BEGIN, END, byte_level, tiny_decoder
from tokenizers import processors
from transformers import AutoTokenizer, LlamaTokenizer, Qwen3Config

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.models.endings import completed, ends_texts
from emo_hf.models.pretrained import check_encoder, load_tokenizer

TEXT = "오늘 웃었어"


def template(tokenizer, single: str) -> processors.PostProcessor:
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BEGIN, END) if token in single]
    whole = processors.TemplateProcessing(single=single, pair=f"{single} $B:1", special_tokens=special)
    return processors.Sequence([processors.ByteLevel(trim_offsets=False), whole])


def llama2():
    """Whose class writes its own post-processor, by its settings, whenever it is read."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "오", "늘", "웃"]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    return LlamaTokenizer(vocab=vocab, merges=[], add_bos_token=True, add_eos_token=False)


def made(kind: str):
    if kind == "llama2":
        return llama2()
    plain = byte_level(bos_token=BEGIN)
    if kind == "qwen3":
        return plain
    plain.backend_tokenizer.post_processor = template(plain, f"{BEGIN} $A" if kind == "llama3" else f"$A {END}")
    return plain


@pytest.mark.parametrize("kind", ["qwen3", "qwen3-embedding", "llama2", "llama3"])
def test_every_text_ends_with_a_token_that_is_kept(kind, tmp_path):
    before = made(kind)
    bare = before(TEXT, add_special_tokens=False)["input_ids"]
    begin = [before.bos_token_id] if kind.startswith("llama") else []
    end = [before.eos_token_id]
    assert ends_texts(before) == (kind == "qwen3-embedding")
    after = completed(before, "last")
    after.save_pretrained(tmp_path)
    for tokenizer in (after, AutoTokenizer.from_pretrained(tmp_path)):
        assert tokenizer(TEXT)["input_ids"] == [*begin, *bare, *end]
        assert tokenizer("")["input_ids"] == [*begin, *end]
        cut = tokenizer(TEXT, truncation=True, max_length=4)["input_ids"]
        assert cut == [*begin, *bare[: 3 - len(begin)], *end]
        assert tokenizer.pad_token == tokenizer.eos_token and tokenizer.padding_side == before.padding_side
        assert tokenizer(TEXT, TEXT)["input_ids"].count(end[0]) == 1
        assert completed(tokenizer, "last") is tokenizer  # a run as an encoder: ended once


def test_where_nothing_is_lacking_nothing_changes():
    bert = tiny_tokenizer("bert")
    assert all(completed(bert, pooling) is bert for pooling in ("cls", "mean", "last"))
    llama = made("llama3")
    assert completed(llama, "mean") is llama and llama(TEXT)["input_ids"][-1] != llama.eos_token_id


def test_an_empty_text_has_a_token_with_every_pooling():
    """Qwen3's own tokenizer adds nothing to a text."""
    assert made("qwen3")("")["input_ids"] == []
    after = completed(made("qwen3"), "mean")
    assert after("")["input_ids"] == [after.eos_token_id]


def test_a_special_token_beyond_the_vocabulary_is_no_other_models(tmp_path):
    """Gemma 3's tokenizer has one for pictures, which its models of text lack."""
    folder = tiny_decoder(tmp_path)
    arguments = ModelArguments(encoder=folder, pooling="last")
    tokenizer = load_tokenizer(arguments)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<picture {n}>" for n in range(5)]})
    tokenizer.save_pretrained(folder)
    assert len(load_tokenizer(arguments)) > Qwen3Config.from_pretrained(folder).vocab_size
    check_encoder(arguments, DataArguments(max_length=32))
