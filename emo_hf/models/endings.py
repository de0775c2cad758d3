"""What a decoder's tokenizer may lack as an encoder's: a token that pads, and one that ends a text."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


def completed(tokenizer: PreTrainedTokenizerBase, pooling: str) -> PreTrainedTokenizerBase:
    """The tokenizer, which pads with its EOS where it has no padding token, and ends a text with it where it has to.

    A padding token is never read: which tokens are real the attention mask says. `last` pools the state of the token
    that ends a text, always the same one, which learns to sum the text up; so EOS is added where the tokenizer adds
    nothing there, as those of Qwen3 and Llama (that of Qwen3-Embedding does). It is added too where a tokenizer adds
    nothing at all, for then an empty text would have no token. All of it is kept in the files of the tokenizer, and
    cutting a long text keeps its end. Without an EOS the tokenizer comes back as it is.
    """
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    needs_end = not tokenizer("")["input_ids"] or (pooling == "last" and not ends_texts(tokenizer))
    if not needs_end or not tokenizer.is_fast or tokenizer.eos_token is None:
        return tokenizer
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["post_processor"] = _with_end(content["post_processor"], tokenizer.eos_token, tokenizer.eos_token_id)
    # As settings, they would have the class of the tokenizer write its own end, or none, when it is read again.
    settings = {k: v for k, v in tokenizer.init_kwargs.items() if k not in ("add_bos_token", "add_eos_token")}
    return PreTrainedTokenizerFast(
        **settings
        | tokenizer.special_tokens_map
        | {
            "tokenizer_object": Tokenizer.from_str(json.dumps(content)),
            "model_input_names": tokenizer.model_input_names,
            "padding_side": tokenizer.padding_side,
            "truncation_side": tokenizer.truncation_side,
        }
    )


def ends_texts(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer ends every text with a token of its own."""
    return bool(set(tokenizer("")["input_ids"][-1:]) & set(tokenizer("가")["input_ids"][-1:]))


def _with_end(before: dict[str, Any] | None, token: str, index: int) -> dict[str, Any]:
    """A post-processor as tokenizer.json has it, whose texts end with the token; of two in a row, one would panic."""
    steps = [] if before is None else before.get("processors", [before])
    template = next((step for step in steps if step["type"] == "TemplateProcessing"), None)
    if template is None:
        template = {"type": "TemplateProcessing", "special_tokens": {}}
        template["single"] = [{"Sequence": {"id": "A", "type_id": 0}}]
        template["pair"] = [*template["single"], {"Sequence": {"id": "B", "type_id": 1}}]
        steps = [*steps, template]
    template["special_tokens"][token] = {"id": token, "ids": [index], "tokens": [token]}
    for form in ("single", "pair"):
        end = {"SpecialToken": {"id": token, "type_id": int(form == "pair")}}
        template[form] = [*template[form], end]
    return template if steps == [template] else {"type": "Sequence", "processors": steps}
