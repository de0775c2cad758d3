"""Emotions of any number of sentences, in constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo_hf.data.text import clean
from emo_hf.evaluation.abstaining import UNKNOWN, label_sets
from emo_hf.inference.batches import in_equal_lengths
from emo_hf.inference.numpy_model import NumpyBackend, numpy_backend
from emo_hf.inference.onnx import OnnxBackend
from emo_hf.inference.static import StaticBackend, probabilities
from emo_hf.models.folders import cant_load, is_onnx_export, is_static_export

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
    Of a model that promises something of its answers (`promises`), `named` says 모름 where it gives none, and
    `label_sets` says which labels a sentence may have.

    Args:
        model: folder or Hub id of a trained model, or the folder of its ONNX or static export. An export needs
            neither torch nor transformers, unless tensors are asked for (`probabilities`, `outputs`); nor do the
            first sentences of a run whose encoder is of BERT's kind, if no `device` is asked for.
        batch_size: sentences in one forward pass; by default 128 on an accelerator, and on a CPU as many as have 1,024
            tokens together. A CPU computes those of one length together, so that none is padded.
        max_length: longest sequence in tokens; longer sentences are cut.
        device: where torch is to compute; by default an accelerator if there is one.
        prepare: is called before torch and transformers are imported for a model, if they are.

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
        prepare: Callable[[], object] = lambda: None,
    ):
        self.backend: Any
        self.pieces: Any
        self._model, self._sizes, self._seen = model, (batch_size, max_length), 0

        def usual() -> Any:
            prepare()
            from emo_hf.inference.backends import TorchBackend  # only now: it takes seconds

            return TorchBackend(model, device=device, revision=revision)

        self._usual = usual
        if is_static_export(model):
            self.backend = self.pieces = StaticBackend(model, device=device)
            self.tokenizer: Any = self.backend.tokenizer
            self.labels, self.thresholds = self.backend.labels, self.backend.thresholds
            self.promises: dict[str, Any] = self.backend.promises
            self.max_length = min(max_length, self.backend.max_tokens)
        elif is_onnx_export(model):
            self._take(OnnxBackend(model, device=device))
        else:
            self._take((numpy_backend(model) if device is None else None) or usual())

    def _take(self, backend: Any) -> None:
        """Compute by a backend from now on."""
        self.backend, self.pieces = backend, backend.pieces
        prefix, found = backend.prefix, self.pieces.prefix
        if prefix and found != prefix:
            said = f"its texts begin with {prefix!r}, but with {found!r} by its tokenizer"
            raise cant_load(self._model, ValueError(said))
        self.tokenizer = self.pieces.tokenizer
        self.labels, self.thresholds, self.promises = backend.labels, backend.thresholds, backend.promises
        self.batch_size, max_length = self._sizes
        self._executor = ThreadPoolExecutor(backend.workers)  # its threads begin with the first sentences
        self.max_length = min(max_length, self.pieces.longest, backend.max_tokens or max_length)

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
        """(N, C) probabilities of N sentences that fit in memory, N > 0."""
        if isinstance(self.backend, StaticBackend):
            logits = self.backend.logits(list(map(clean, sentences)), self.max_length)
        else:
            logits, _ = self._arrays(sentences)
        return probabilities(logits, several=self.thresholds is not None)

    def probabilities(self, sentences: list[str]) -> torch.Tensor:
        """As `scores`, as a tensor."""
        import torch

        return torch.from_numpy(self.scores(sentences))

    def length(self, sentence: str) -> int:
        """Tokens of a sentence, special ones among them, before it is cut."""
        found: int = self.pieces.length(clean(sentence))
        return found

    def outputs(self, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities (N, C) and embeddings (N, D) of N sentences that fit in memory, N > 0."""
        import torch

        scores, embeddings = self.scores_and_embeddings(sentences)
        return torch.from_numpy(scores), torch.from_numpy(embeddings)

    def scores_and_embeddings(self, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """As `outputs`, as arrays, which need no torch."""
        logits, embeddings = self._arrays(sentences)
        return probabilities(logits, several=self.thresholds is not None), embeddings

    def logits(self, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """As `outputs`, with logits (N, C) in place of their probabilities."""
        import torch

        logits, embeddings = self._arrays(sentences)
        return torch.from_numpy(logits), torch.from_numpy(embeddings)

    def _arrays(self, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Logits (N, C) and embeddings (N, D) of N sentences."""
        texts = list(map(clean, sentences))
        if isinstance(self.backend, StaticBackend):
            found: tuple[np.ndarray, np.ndarray] = self.backend.outputs(texts, self.max_length)
            return found
        if isinstance(self.backend, NumpyBackend):
            self._seen += len(texts)
            if self._seen > self.backend.first:
                self._take(self._usual())
        if str(self.backend.device).startswith("cpu"):
            return in_equal_lengths(texts, self._ids, self.backend.outputs, self._executor, most=self.batch_size)
        ids, size = self._ids(texts), self.batch_size or ACCELERATOR_BATCH
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        parts = []
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            parts.append(self.backend.outputs(*self.pieces.padded([ids[row] for row in rows])))
        places = np.argsort(order)
        logits, embeddings = (np.concatenate(part)[places] for part in zip(*parts, strict=True))
        return logits, embeddings

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of some texts, of each at most `max_length`."""
        found: list[list[int]] = self.pieces.ids(texts, self.max_length)
        return found
