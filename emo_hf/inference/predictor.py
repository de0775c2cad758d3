"""Emotions of any number of sentences, in constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo_hf.data.text import clean
from emo_hf.evaluation.abstaining import UNKNOWN, label_sets
from emo_hf.inference.static import StaticBackend, probabilities
from emo_hf.models.folders import cant_load, is_static_export

if TYPE_CHECKING:
    import torch

# Sentences that are sorted by length together: enough for batches without padding, little to hold.
CHUNK = 4096
# A CPU computes no faster in larger batches, and slower in those that its caches do not hold.
CPU_BATCH, ACCELERATOR_BATCH = 32, 128


class Predictor:
    """A trained model that turns sentences into probabilities.

    >>> predictor = Predictor("runs/train/tiny-bert_mean_triplet_seed42")
    >>> next(predictor(["합격 소식을 듣고 펑펑 울 만큼 기뻤어."]))
    {'불안': 0.02, '슬픔': 0.05, '기쁨': 0.93}

    Of a model that gives several labels a sentence, each probability stands by itself, and `named` says which labels
    reach the thresholds that were chosen on validation rows (`thresholds`, None where there is one label a sentence).
    Of a model that promises something of its answers (`promises`), `named` says 모름 where it gives none, and
    `label_sets` says which labels a sentence may have.

    Args:
        model: folder or Hub id of a trained model, or the folder of its ONNX or static export. The latter needs
            neither torch nor transformers, unless tensors are asked for (`probabilities`, `outputs`).
        batch_size: sentences in one forward pass; by default 32 on a CPU and 128 on an accelerator.
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
            self.promises: dict[str, Any] = self.backend.promises
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
        self.promises = self.backend.promises
        self.batch_size = batch_size or (CPU_BATCH if self.backend.device.type == "cpu" else ACCELERATOR_BATCH)
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
        """The label of a sentence with these probabilities (C,), or the labels that it has, the likeliest first.

        It is 모름 alone where the model promises few errors and is not sure enough.
        """
        if self.thresholds is None:
            likeliest = max(range(len(scores)), key=scores.__getitem__)
            if abstention := self.promises.get("abstention"):
                least = abstention["threshold"]
                if least is None or scores[likeliest] < least:
                    return [UNKNOWN]
            return [self.labels[likeliest]]
        ranked = sorted(range(len(scores)), key=lambda place: -scores[place])
        return [self.labels[place] for place in ranked if scores[place] >= self.thresholds[place]]

    def label_sets(self, scores: np.ndarray) -> list[list[str]] | None:
        """The labels that sentences with these probabilities (N, C) may have, the likeliest first.

        None of a model that promises nothing of such sets.
        """
        if (promised := self.promises.get("label_sets")) is None:
            return None
        within, order = label_sets(scores, promised), np.argsort(-scores, axis=1, kind="stable")
        return [
            [self.labels[place] for place in ranked if row[place]]
            for row, ranked in zip(within.tolist(), order.tolist(), strict=True)
        ]

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
        encoded = self.tokenizer(
            [clean(sentence) for sentence in sentences],
            truncation=True,
            max_length=self.max_length,
            padding=False,
            return_token_type_ids=False,
        )
        ids = encoded["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        parts = []
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = self.tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
            parts.append(self.backend.outputs(batch["input_ids"], batch["attention_mask"]))
        places = torch.tensor(order).argsort()
        logits, embeddings = (torch.cat(part)[places] for part in zip(*parts, strict=True))
        return logits, embeddings
