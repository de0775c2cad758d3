"""A text before every text, as encoders of sentences want it ("query: "), inside the tokenizer that a run saves."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from tokenizers import pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase

from emo_hf.errors import UserError
from emo_hf.models.long_words import read_whole

KEY = "text_prefix"  # in tokenizer_config.json, and in the configuration of a model
_TOKENS = "text_prefix_tokens"  # beside it: of how many
_SPACED = "text_prefix_space"  # and whether the space before a text is one that the tokenizer had not put there
# What a text begins with: Hangul, a letter of it, Latin, a digit, signs, what is no letter.
_PROBES = ("기뻐", "ㅋㅋ", "OK", "ok", "7시", "(웃음)", "…네", "😀")
_OF_ROBERTA, _OF_BERT = "RobertaProcessing", "BertProcessing"


def prefix_in(tokenizer: PreTrainedTokenizerBase) -> str:
    """What a tokenizer puts before every text; empty where it is nothing."""
    return str(tokenizer.init_kwargs.get(KEY) or "")


def with_prefix(tokenizer: PreTrainedTokenizerBase, prefix: str) -> PreTrainedTokenizerBase:
    """The tokenizer, which puts `prefix` before every text, once, and no other one that it had.

    The tokens of a text are those of prefix and text together. Those of the prefix stand beside the special ones in
    the template of tokenizer.json, so that whatever reads it has them, as pipelines and exports do, and a text that is
    cut keeps them. A normalizer that prepends would be shorter, but it works on the parts between the special tokens
    of a text: one that holds "[SEP]" or "<s>" had the prefix twice, and an empty one not at all.

    Raises:
        UserError: a prefix that the tokenizer can't read, or that grows together with the first word of a text; a
            tokenizer without a tokenizer.json.
    """
    if prefix == prefix_in(tokenizer):
        return tokenizer
    if not tokenizer.is_fast:
        raise UserError(
            f"--prefix {prefix!r} needs a tokenizer that stands in a tokenizer.json, which that of the encoder does "
            "not; take another encoder, or leave --prefix out"
        )
    tokenizer = read_whole(tokenizer)
    _take_away(tokenizer)
    if prefix:
        _put_before(tokenizer, prefix)
    return tokenizer


def _put_before(tokenizer: PreTrainedTokenizerBase, prefix: str) -> None:
    expected = [_ids(tokenizer, prefix + probe) for probe in _PROBES]
    # What a space at the end leaves of itself, as "▁", belongs to the word after it.
    read = (_ids(tokenizer, prefix.rstrip()), _ids(tokenizer, prefix))
    spaced = prefix[-1].isspace() and _without_space(tokenizer)
    if spaced:  # a byte-level word is another one after a space
        _set_space(tokenizer, True)
    for ids in read:
        if ids and [ids + _ids(tokenizer, probe) for probe in _PROBES] == expected:
            break
    else:
        raise UserError(
            f"--prefix {prefix!r}: the tokenizer of the encoder makes one word of its end and of what a text begins "
            f"with, or leaves nothing of it; end it with a sign and a space, as {prefix.strip() or 'query'!r} + ': '"
        )
    if tokenizer.unk_token_id in ids:
        lost = "".join(sign for sign in prefix if tokenizer.unk_token_id in _ids(tokenizer, sign)) or prefix
        raise UserError(f"--prefix {prefix!r}: the tokenizer of the encoder does not know {lost!r}; take other words")
    template, others = _template(tokenizer)
    pieces = list(zip(tokenizer.convert_ids_to_tokens(ids), ids, strict=True))
    known = template["special_tokens"] | {
        piece: {"id": piece, "ids": [number], "tokens": [piece]} for piece, number in pieces
    }
    for name in ("single", "pair"):
        items = template[name]
        place = _place_of_text(items)
        kind = items[place]["Sequence"]["type_id"]
        items[place:place] = [{"SpecialToken": {"id": piece, "type_id": kind}} for piece, _ in pieces]
    _set_template(tokenizer, template | {"special_tokens": known}, others)
    tokenizer.init_kwargs |= {KEY: prefix, _TOKENS: len(ids), _SPACED: spaced}


def _take_away(tokenizer: PreTrainedTokenizerBase) -> None:
    """Leave nothing of the prefix that a tokenizer has."""
    if not prefix_in(tokenizer):
        return
    template, others = _template(tokenizer)
    for name in ("single", "pair"):
        place = _place_of_text(template[name])
        del template[name][place - int(tokenizer.init_kwargs.get(_TOKENS, 0)) : place]
    named = {item["SpecialToken"]["id"] for item in template["pair"] if "SpecialToken" in item}
    template["special_tokens"] = {name: of for name, of in template["special_tokens"].items() if name in named}
    _set_template(tokenizer, template, others)
    if tokenizer.init_kwargs.get(_SPACED):
        _set_space(tokenizer, False)
    for name in (KEY, _TOKENS, _SPACED):
        tokenizer.init_kwargs.pop(name, None)


def _place_of_text(items: list[dict[str, Any]]) -> int:
    return next(place for place, item in enumerate(items) if "Sequence" in item)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    found: list[int] = tokenizer(unicodedata.normalize("NFC", text), add_special_tokens=False)["input_ids"]
    return found


def _template(tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The template of a tokenizer, one made for it where it has another form, and the steps that stand beside it."""
    processor = tokenizer.backend_tokenizer.post_processor
    empty: dict[str, Any] = {"type": "Sequence", "processors": []}
    content = _content(processor) if processor is not None else empty
    steps: list[dict[str, Any]] = content["processors"] if content["type"] == "Sequence" else [content]
    found: dict[str, Any] = _of_two({}, None, None)
    others: list[dict[str, Any]] = []
    for step in steps:
        if step["type"] == "TemplateProcessing":
            found = step
        elif step["type"] in (_OF_BERT, _OF_ROBERTA):
            found = _of_two(step, tuple(step["cls"]), tuple(step["sep"]))
            if step["type"] == _OF_ROBERTA and step["trim_offsets"]:
                others.append(_content(processors.ByteLevel(trim_offsets=True)))
        else:
            others.append(step)
    return found, others


def _of_two(step: dict[str, Any], first: tuple[str, int] | None, last: tuple[str, int] | None) -> dict[str, Any]:
    """The template of BERT or RoBERTa, with the tokens before and after each text; or one without any."""

    def token(of: tuple[str, int] | None, kind: int) -> list[dict[str, Any]]:
        return [] if of is None else [{"SpecialToken": {"id": of[0], "type_id": kind}}]

    roberta = step.get("type") == _OF_ROBERTA
    kind = 0 if roberta else 1
    single = [*token(first, 0), {"Sequence": {"id": "A", "type_id": 0}}, *token(last, 0)]
    between = token(last, 0) if roberta else []
    pair = [*single, *between, {"Sequence": {"id": "B", "type_id": kind}}, *token(last, kind)]
    special = {of[0]: {"id": of[0], "ids": [of[1]], "tokens": [of[0]]} for of in (first, last) if of is not None}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}


def _set_template(tokenizer: PreTrainedTokenizerBase, template: dict[str, Any], others: list[dict[str, Any]]) -> None:
    content = {"type": "Sequence", "processors": [*others, template]} if others else template
    made: Any = processors.Sequence([]) if others else processors.TemplateProcessing(single="$A", pair="$A $B")
    made.__setstate__(json.dumps(content).encode())
    tokenizer.backend_tokenizer.post_processor = made


def _without_space(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a byte-level tokenizer reads the first word of a text without a space before it."""
    return any(step.get("add_prefix_space") is False for step in _steps(tokenizer) if step["type"] == "ByteLevel")


def _set_space(tokenizer: PreTrainedTokenizerBase, spaced: bool) -> None:
    """Have the first word of a text read with a space before it, or as it was before that.

    By a step of its own: after a step that splits, `add_prefix_space` would put a space before each part.
    """
    space = _content(pre_tokenizers.Metaspace(replacement=" ", prepend_scheme="first", split=False))
    steps = [space, *_steps(tokenizer)] if spaced else _steps(tokenizer)[1:]
    made: Any = pre_tokenizers.Sequence([])
    made.__setstate__(json.dumps({"type": "Sequence", "pretokenizers": steps}).encode())
    tokenizer.backend_tokenizer.pre_tokenizer = made


def _steps(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    before = tokenizer.backend_tokenizer.pre_tokenizer
    empty: dict[str, Any] = {"type": "Sequence", "pretokenizers": []}
    content = _content(before) if before is not None else empty
    steps: list[dict[str, Any]] = content["pretokenizers"] if content["type"] == "Sequence" else [content]
    return steps


def _content(step: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(step.__getstate__())
    return found
