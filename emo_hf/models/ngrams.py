"""Character n-grams of a text beside its encoder, from the ids of its tokens. Travels with every saved checkpoint."""

import re
from typing import Any

import torch
from torch import Tensor, nn

_FACTOR, _PRIME = 1_000_003, 2**31 - 1  # a product of the two stays below 2^63
_LONGEST = 16  # letters of a piece; the rest of a longer one, a row of dashes, is left out
_BYTE = re.compile("<0x[0-9A-F]{2}>")  # SentencePiece's, of letters that have no piece
_OF_ITS_OWN = 0x110000  # the letter of a piece that is a part of a letter: beyond all of Unicode


class CharacterNgrams(nn.Module):
    """A vector (D) of which character n-grams a text holds: fastText's bag (Bojanowski et al. 2017) beside an encoder.

    A small encoder knows pieces of words, and from a few thousand rows it learns little of endings, negations and
    other turns that stretch over several pieces. Their n-grams, each with a vector of its own, are learned at once
    (wide and deep, Cheng et al. 2016). The n-grams come from the ids of the tokens, of which `letters` knows the
    spelling, so that whatever feeds a model with ids, as a pipeline or an ONNX runtime, needs to know nothing of them.

    Args:
        longest: letters of the longest n-grams; all from 1 on are taken, over the borders of words too.
        vocab_size: number of token ids V.
        size: dimension D of the vectors.
        buckets: number of vectors; n-grams share them by their hash.
        dropout: share of the n-grams of a text that are left out in training, in [0, 1).
    """

    letters: Tensor

    def __init__(self, longest: int, vocab_size: int, size: int, buckets: int, dropout: float) -> None:
        super().__init__()
        self.longest, self.dropout = longest, dropout
        self.table = nn.Embedding(buckets, size)
        self.register_buffer("letters", torch.zeros(vocab_size, _LONGEST, dtype=torch.int32))

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """input_ids and attention_mask (B, L) -> (B, D), the sum of a text's vectors over the root of their number."""
        letters = self.letters[input_ids].long()
        if attention_mask is not None:
            letters = letters * attention_mask.long().unsqueeze(-1)
        real = letters > 0
        letters = letters[real]  # of all texts in a row (T,), and beside it which text each is of
        rows = torch.arange(input_ids.shape[0], device=input_ids.device).view(-1, 1, 1).expand_as(real)[real]
        hashes, buckets, owners = letters, [letters], [rows]
        for length in range(2, self.longest + 1):
            before = length - 1
            hashes = (hashes[:-1] * _FACTOR + letters[before:]) % _PRIME
            inside = rows[: hashes.shape[0]] == rows[before:]
            buckets.append(hashes[inside])
            owners.append(rows[before:][inside])
        owner = torch.cat(owners)
        vectors = self.table(torch.cat(buckets) % self.table.num_embeddings)
        ones = torch.ones_like(owner, dtype=vectors.dtype)
        kept = nn.functional.dropout(ones, self.dropout, self.training)
        sums = vectors.new_zeros(input_ids.shape[0], vectors.shape[1])
        sums = sums.scatter_add(0, owner.unsqueeze(-1).expand_as(vectors), vectors * kept.unsqueeze(-1))
        number = vectors.new_zeros(input_ids.shape[0]).scatter_add(0, owner, ones)
        return sums / number.clamp(min=1).sqrt().unsqueeze(-1)


def letters_of(tokenizer: Any, vocab_size: int) -> Tensor:
    """The letters (V, 16) that each token id stands for, as code points, 0 where there are no more.

    A piece that begins a word begins with a space, and so does the end of a text. A piece that is only a part of a
    letter, as byte-level tokenizers and those with bytes to fall back on have them, counts as a letter of its own.
    """
    pieces = tokenizer.convert_ids_to_tokens(list(range(min(vocab_size, len(tokenizer)))))
    special = set(tokenizer.all_special_ids)
    ends = {tokenizer.sep_token_id, tokenizer.eos_token_id} & special
    wordpiece = any(piece.startswith("##") for piece in pieces)
    sentencepiece = any(piece.startswith("▁") for piece in pieces)
    letters = torch.zeros(vocab_size, _LONGEST, dtype=torch.int32)
    for index, piece in enumerate(pieces):
        if index in special:
            text = " " if index in ends else ""
        elif wordpiece:
            text = piece[2:] if piece.startswith("##") else f" {piece}"
        elif sentencepiece:
            text = piece.replace("▁", " ")
        else:
            text = tokenizer.convert_tokens_to_string([piece])
        part = "\ufffd" in text or _BYTE.fullmatch(piece)
        codes = [_OF_ITS_OWN + index] if part else [ord(letter) for letter in text[:_LONGEST]]
        letters[index, : len(codes)] = torch.tensor(codes, dtype=torch.int32)
    return letters
