"""An encoder without layers: a vector and a weight for every piece of a word. Travels with every saved checkpoint."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .configuration import StaticConfig


class StaticEncoder(PreTrainedModel):
    """Token states (B, L, H) whose mean over a row is the weighted mean of the vectors of its pieces.

    The weight of a piece, exp of its learned `importance`, tells how much it counts beside the others of a text, as
    the frequency of a word does in the weighted means of Arora et al. (2017); without layers, a text is a bag of its
    pieces (deep averaging, Iyyer et al. 2015). So the mean, and what is linear after it, can be computed ahead, piece
    by piece.
    """

    config_class = StaticConfig
    base_model_prefix = "static"
    main_input_name = "input_ids"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.pieces = nn.Embedding(config.vocab_size, config.hidden_size)
        self.importance = nn.Embedding(config.vocab_size, 1)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, StaticEncoder):
            nn.init.normal_(module.pieces.weight, std=0.02)
            nn.init.zeros_(module.importance.weight)

    def get_input_embeddings(self) -> nn.Module:
        return self.pieces

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.pieces = cast(nn.Embedding, value)

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """input_ids and attention_mask (B, L) -> states (B, L, H), zero where there is padding.

        Raises:
            ValueError: without input_ids, for vectors say nothing of the weight of a piece.
        """
        if input_ids is None:
            raise ValueError("a static encoder looks up the weights of pieces; give input_ids, not inputs_embeds")
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        real = attention_mask.bool()
        scores = self.importance(input_ids).squeeze(-1).float()
        weights = scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(-1)
        # A mean divides by the number of tokens again.
        weights = torch.where(real, weights, torch.zeros_like(weights)) * real.sum(-1, keepdim=True)
        vectors = self.pieces(input_ids)
        return BaseModelOutput(last_hidden_state=vectors * weights.unsqueeze(-1).to(vectors.dtype))
