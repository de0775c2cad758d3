"""Emotions of any number of sentences, in constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo_hf.data.text import clean
from emo_hf.inference.batches import in_equal_lengths
from emo_hf.inference.static import StaticBackend, probabilities
from emo_hf.models.folders import cant_load, is_static_export

if TYPE_CHECKING:
    import torch

# Sentences that are put together by length: enough for full batches of most lengths, little to hold.
CHUNK = 8192
ACCELERATOR_BATCH = 128


class Predictor:
    """A trained model that turns sentences into probabilities.

    >>> predictor = Predictor("runs/train/tiny-bert_mean_triplet_seed42")
    >>> next(predictor(["합격 소식을 듣고 펑펑 울 만큼 기뻤어."]))
    {'불안': 0.02, '슬픔': 0.05, '기쁨': 0.93}

    Of a model that gives several labels a sentence, each probability stands by itself, and `named` says which labels
    reach the thresholds that were chosen on validation rows (`thresholds`, None where there is one label a sentence).

    Args:
        model: folder or Hub id of a trained model, or the folder of its ONNX or static export. The latter needs
            neither torch nor transformers, unless tensors are asked for (`probabilities`, `outputs`).
        batch_size: sentences in one forward pass; by default 128 on an accelerator, and on a CPU as many as have 1,024
            tokens together. A CPU computes those of one length together, so that none is padded.
        max_length: longest sequence in tokens; longer sentences are cut.
        device: where to compute; by default an accelerator if there is one.

    Raises:
        UserError: if the model can't be loaded, or onnxruntime is missing for an ONNX export.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        batch_size: int | None = None,
        max_length: int = 128,
        device: str | None = None,
        revision: str = "main",
    ):
        self.backend: Any
        if is_static_export(model):
            self.backend = StaticBackend(model, device=device)
            self.tokenizer: Any = self.backend.tokenizer
            self.labels, self.thresholds = self.backend.labels, self.backend.thresholds
            self.max_length = min(max_length, self.backend.max_tokens)
            return
        # Only now: a static export is used without them.
        from transformers import AutoTokenizer

        from emo_hf.inference.backends import open_backend
        from emo_hf.models.prefix import prefix_in

        self.backend = open_backend(model, device=device, revision=revision)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
        except Exception as error:  # every class of tokenizer reads files of its own
            raise cant_load(model, error) from error
        if not set(self.tokenizer.get_vocab()) - set(self.tokenizer.all_special_tokens):
            raise cant_load(model, ValueError("its folder has no tokenizer.json, and every word would be unknown"))
        prefix, found = self.backend.prefix, prefix_in(self.tokenizer)
        if prefix and found != prefix:
            raise cant_load(model, ValueError(f"its texts begin with {prefix!r}, but with {found!r} by its tokenizer"))
        self.labels, self.thresholds = self.backend.labels, self.backend.thresholds
        self.batch_size = batch_size
        self._executor = ThreadPoolExecutor(self.backend.workers)  # its threads begin with the first sentences
        self.max_length = min(max_length, self.tokenizer.model_max_length, self.backend.max_tokens or max_length)

    def __call__(self, sentences: Iterable[str]) -> Iterator[dict[str, float]]:
        """The probability of each label, sentence by sentence, in the order given."""
        remaining = iter(sentences)
        while chunk := list(itertools.islice(remaining, CHUNK)):
            rows = self.scores(chunk).tolist()
            del chunk  # or it would be held while the next is read
            for row in rows:
                yield dict(zip(self.labels, row, strict=True))

    def named(self, scores: Sequence[float]) -> list[str]:
        """The label of a sentence with these probabilities (C,), or the labels that it has, the likeliest first."""
        ranked = sorted(range(len(scores)), key=lambda place: -scores[place])
        if self.thresholds is None:
            return [self.labels[ranked[0]]]
        return [self.labels[place] for place in ranked if scores[place] >= self.thresholds[place]]

    def scores(self, sentences: list[str]) -> np.ndarray:
        """(N, C) probabilities of N sentences that fit in memory, N > 0; of a static export without torch."""
        if isinstance(self.backend, StaticBackend):
            logits = self.backend.logits(list(map(clean, sentences)), self.max_length)
            return probabilities(logits, several=self.thresholds is not None)
        return self.outputs(sentences)[0].numpy()

    def probabilities(self, sentences: list[str]) -> torch.Tensor:
        """As `scores`, as a tensor."""
        import torch

        return torch.from_numpy(self.scores(sentences))

    def length(self, sentence: str) -> int:
        """Tokens of a sentence, special ones among them, before it is cut."""
        if isinstance(self.backend, StaticBackend):
            return self.backend.length(clean(sentence))
        return len(self.tokenizer(clean(sentence))["input_ids"])

    def outputs(self, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (N, C) and embeddings (N, D) of N sentences that fit in memory, N > 0."""
        logits, embeddings = self.logits(sentences)
        return logits.softmax(-1) if self.thresholds is None else logits.sigmoid(), embeddings

    def logits(self, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """As `outputs`, with logits (N, C) in place of their probabilities."""
        import torch

        if isinstance(self.backend, StaticBackend):
            found = self.backend.outputs(list(map(clean, sentences)), self.max_length)
            return torch.from_numpy(found[0]), torch.from_numpy(found[1])
        if self.backend.device.type == "cpu":
            found = in_equal_lengths(sentences, self._cut, self.backend.outputs, self._executor, most=self.batch_size)
            return torch.from_numpy(found[0]), torch.from_numpy(found[1])
        ids = self._cut(sentences)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        parts = []
        for start in range(0, len(order), self.batch_size or ACCELERATOR_BATCH):
            rows = order[start : start + (self.batch_size or ACCELERATOR_BATCH)]
            batch = self.tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="np")
            parts.append(self.backend.outputs(batch["input_ids"], batch["attention_mask"]))
        places = np.argsort(order)
        logits, embeddings = (torch.from_numpy(np.concatenate(part)[places]) for part in zip(*parts, strict=True))
        return logits, embeddings

    def _cut(self, sentences: Sequence[str]) -> list[list[int]]:
        """The token ids of some sentences, of each at most `max_length`."""
        encoded = self.tokenizer(
            list(map(clean, sentences)),
            truncation=True,
            max_length=self.max_length,
            padding=False,
            return_token_type_ids=False,
            return_attention_mask=False,
        )
        found: list[list[int]] = encoded["input_ids"]
        return found
