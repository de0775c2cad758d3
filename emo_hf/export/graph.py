"""The model as an ONNX graph with free batch and length."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from emo_hf.errors import UserError, first_line
from emo_hf.models.modeling import EmotionModel

OPSET = 17


class Numbers(nn.Module):
    """The model with two plain tensors as its result: logits (B, C) and embeddings (B, D)."""

    def __init__(self, model: EmotionModel):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """input_ids and attention_mask (B, L) -> (B, C), (B, D)."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return output.logits, output.embeddings


def trace(model: EmotionModel, inputs: dict[str, torch.Tensor], path: Path) -> None:
    """Write the graph of the model, from input_ids and attention_mask to logits and embeddings.

    Raises:
        UserError: an encoder that can't be traced.
    """
    both = {0: "batch", 1: "sequence"}
    try:
        with warnings.catch_warnings(), _masks_made_plainly(model.encoder):
            warnings.simplefilter("ignore")  # of the exporter's age, and of constants that are constant
            # The newer exporter needs a further package and fixes sizes that these encoders leave free.
            torch.onnx.export(
                Numbers(model).eval(),
                (inputs["input_ids"], inputs["attention_mask"]),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["input_ids", "attention_mask"],
                output_names=["logits", "embeddings"],
                dynamic_axes={
                    "input_ids": both,
                    "attention_mask": both,
                    "logits": {0: "batch"},
                    "embeddings": {0: "batch"},
                },
            )
    except (RuntimeError, ValueError, TypeError) as error:  # each encoder has operations of its own
        raise UserError(
            f"--to onnx: an encoder of type {model.config.encoder.model_type} can't be traced ({first_line(error)}); "
            "predict with the run itself"
        ) from error


@contextlib.contextmanager
def _masks_made_plainly(encoder: nn.Module) -> Iterator[None]:
    """Give EmbeddingGemma the masks of its layers: its own way to make them, by vmap, no tracer follows."""
    config: Any = encoder.config
    if config.model_type != "gemma3_text" or not config.use_bidirectional_attention:
        yield
        return

    def masks(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        real = given["attention_mask"].bool()[:, None, None]  # (B, 1, 1, L)
        places = torch.arange(real.shape[-1], device=real.device)
        near = (places[:, None] - places).abs() < config.sliding_window
        # Finite, so that a token that sees none, which is padding, becomes no NaN.
        lowest = torch.finfo(torch.float32).min
        full = torch.zeros(real.shape).masked_fill(~real, lowest)
        made = {"full_attention": full.expand(-1, -1, real.shape[-1], -1)}
        made["sliding_attention"] = made["full_attention"].masked_fill(~near, lowest)
        return args, given | {"attention_mask": made}

    handle = encoder.register_forward_pre_hook(masks, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
