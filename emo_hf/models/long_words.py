"""Words that WordPiece gives up because of their length alone are parted, inside the tokenizer that a run saves."""

from __future__ import annotations

import json

from tokenizers import Regex, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


def part_long_words(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, which no longer makes one unknown token of a word beyond WordPiece's limit (100 characters).

    Such a word becomes words of that many characters and a rest; no other token changes. A higher limit would do
    too, but takes a time that grows with the cube of a word's length (2.6 s for 10,000 times ㅋ). Of another kind than
    WordPiece, the tokenizer comes back as it is.
    """
    backend = tokenizer.backend_tokenizer if tokenizer.is_fast else None
    if backend is None or not isinstance(backend.model, models.WordPiece):
        return tokenizer
    # In words that every regular expression engine reads alike, that of a browser too.
    parts = pre_tokenizers.Split(Regex(rf"[\s\S]{{{backend.model.max_input_chars_per_word}}}"), "isolated")
    steps = _steps(backend.pre_tokenizer)
    if _content(parts) in steps:  # saved by us
        return tokenizer
    tokenizer = read_whole(tokenizer)
    before = [backend.pre_tokenizer] if steps else []
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, parts])
    return tokenizer


def read_whole(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A fast tokenizer as one of a class that reads all of the tokenizer.json that it saves.

    The classes of single models, as BertTokenizer, read the vocabulary alone from there.
    """
    if type(tokenizer) is PreTrainedTokenizerFast:
        return tokenizer
    own = {"tokenizer_object": tokenizer.backend_tokenizer, "model_input_names": tokenizer.model_input_names}
    return PreTrainedTokenizerFast(**tokenizer.init_kwargs | own)


def _content(step: pre_tokenizers.PreTokenizer) -> dict[str, object]:
    found: dict[str, object] = json.loads(step.__getstate__())
    return found


def _steps(before: pre_tokenizers.PreTokenizer | None) -> list[dict[str, object]]:
    if before is None:
        return []
    content = _content(before)
    inner = content.get("pretokenizers")
    return inner if isinstance(inner, list) else [content]
