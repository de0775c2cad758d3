"""What a model has to know of the layout of its encoder. This file travels with every saved checkpoint."""

import inspect
from typing import Any

from torch import Tensor, nn
from transformers import MODEL_MAPPING, PreTrainedConfig, PreTrainedModel

# Tables that say which place in the text a token has; of BERT's kind, and of GPT-2's.
_PLACE_TABLES = ("position_embeddings", "wpe")


def encoder_class(config: PreTrainedConfig) -> Any:
    """The class that `AutoModel` makes of a configuration.

    Raises:
        ValueError: it is no layout of an encoder: with a decoder beside it, or of more than text.
    """
    kind = config.model_type
    if config.is_encoder_decoder:
        raise ValueError(
            f"{kind} is an encoder with a decoder beside it; give an encoder alone, as bert or modernbert, or a "
            "decoder alone, as qwen3"
        )
    found: Any = MODEL_MAPPING.get(type(config), None)
    found = found[0] if isinstance(found, list | tuple) else found
    if (
        found is None
        or config.get_text_config() is not config
        or found.main_input_name != "input_ids"
        or "attention_mask" not in inspect.signature(found.forward).parameters
    ):
        raise ValueError(
            f"{kind} reads something else than tokens with an attention mask, as pictures or sound; give an encoder "
            "of text, as bert, modernbert, qwen3 or gemma3_text"
        )
    return found


def is_causal(encoder: PreTrainedModel) -> bool:
    """Whether a token sees only those before it, as the modules say, unless the configuration overrules them."""
    one_way = any(getattr(module, "is_causal", False) for module in encoder.modules())
    return one_way and getattr(encoder.config, "is_causal", True) is not False


def is_told_places(encoder: PreTrainedModel) -> bool:
    """Whether the encoder looks places up in a table, and takes that of a token in the batch for that in its text.

    RoBERTa's kind counts the tokens that are not padding by itself; its table has a row for padding. Encoders that
    turn or bias by distance, as Qwen3, Gemma, ModernBERT or DeBERTa-v3, need no place at all.
    """
    tables = [
        module
        for name, module in encoder.named_modules()
        if name.rpartition(".")[2] in _PLACE_TABLES and isinstance(module, nn.Embedding)
    ]
    takes = "position_ids" in inspect.signature(encoder.forward).parameters
    return takes and bool(tables) and all(table.padding_idx is None for table in tables)


def places(attention_mask: Tensor) -> Tensor:
    """attention_mask (B, L) -> the place (B, L) of each token in its text, from 0 on; that of padding says nothing."""
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
