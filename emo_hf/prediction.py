"""Emotions of any number of sentences, in constant memory."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from transformers import AutoTokenizer

from emo_hf.errors import UserError
from emo_hf.modeling import EmotionModel

# Sentences that are sorted by length together: enough for batches without padding, little to hold.
CHUNK = 4096


class Predictor:
    """A trained model that turns sentences into probabilities.

    >>> predictor = Predictor("runs/train/tiny-bert_mean_triplet_seed42")
    >>> next(predictor(["합격 소식을 듣고 펑펑 울 만큼 기뻤어."]))
    {'불안': 0.02, '슬픔': 0.05, '기쁨': 0.93}

    Args:
        model: folder or Hub id of a trained model.
        batch_size: sentences in one forward pass.
        max_length: longest sequence in tokens; longer sentences are cut.
        device: where to compute; by default an accelerator if there is one.

    Raises:
        UserError: if the model can't be loaded.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        batch_size: int = 128,
        max_length: int = 128,
        device: str | None = None,
        revision: str = "main",
    ):
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
            self.model = EmotionModel.from_pretrained(model, revision=revision).eval()
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"model {str(model)!r} can't be loaded ({reason}); give the folder of a run, as "
                "runs/train/…, or a Hub id (which needs the network once)"
            ) from error
        accelerator = torch.accelerator.current_accelerator()
        self.device = torch.device(device or accelerator or "cpu")
        self.model.to(self.device)
        self.labels = self.model.config.labels
        self.batch_size = batch_size
        self.max_length = min(max_length, self.tokenizer.model_max_length, self.model.config.max_tokens or max_length)

    def __call__(self, sentences: Iterable[str]) -> Iterator[dict[str, float]]:
        """The probability of each label, sentence by sentence, in the order given."""
        remaining = iter(sentences)
        while chunk := list(itertools.islice(remaining, CHUNK)):
            for row in self.probabilities(chunk).tolist():
                yield dict(zip(self.labels, row, strict=True))

    @torch.inference_mode()
    def probabilities(self, sentences: list[str]) -> torch.Tensor:
        """(N, C) probabilities of N sentences that fit in memory."""
        texts = [unicodedata.normalize("NFC", sentence) for sentence in sentences]
        encoded = self.tokenizer(
            texts, truncation=True, max_length=self.max_length, padding=False, return_token_type_ids=False
        )
        ids = encoded["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        result = torch.empty(len(ids), len(self.labels))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = self.tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt").to(self.device)
            logits = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            result[rows] = logits.float().softmax(-1).cpu()
        return result
