"""A memory of past embeddings as further partners of a batch (cross-batch memory, Wang et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


@dataclass
class EmbeddingMemory:
    """The last `size` embeddings of training, detached, with their labels and row ids; the oldest leave first.

    Embeddings drift slowly once training has settled, so that those of the last steps still serve as partners. The
    memory starts empty; checkpoints hold it.
    """

    size: int
    embeddings: Tensor | None = field(default=None, init=False)
    labels: Tensor | None = field(default=None, init=False)
    rows: Tensor | None = field(default=None, init=False)

    def beside(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch (B, D), its labels and rows (B,), followed by the memory: (B + M, D), (B + M,), (B + M,)."""
        if self.embeddings is None:
            return embeddings, labels, rows
        return (
            torch.cat([embeddings, self.embeddings.to(embeddings.dtype)]),
            torch.cat([labels, self.labels]),
            torch.cat([rows, self.rows]),
        )

    def save(self, path: Path) -> None:
        """Write what is remembered, if anything is."""
        if self.embeddings is not None:
            save_file({"embeddings": self.embeddings, "labels": self.labels, "rows": self.rows}, path)

    def load(self, path: Path, device: torch.device) -> None:
        """Remember what `save` wrote, as much of it as there is room for now."""
        if path.exists():
            stored = {name: values[: self.size].to(device) for name, values in load_file(path).items()}
            self.embeddings, self.labels, self.rows = stored["embeddings"], stored["labels"], stored["rows"]

    def remember(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> None:
        """Add a batch."""
        embeddings, labels, rows = self.beside(embeddings.detach(), labels, rows)
        self.embeddings, self.labels, self.rows = embeddings[: self.size], labels[: self.size], rows[: self.size]
