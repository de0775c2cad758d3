"""A memory of past embeddings as further partners of a batch (cross-batch memory, Wang et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

_NAMES = ("embeddings", "labels", "rows")  # in a checkpoint


@dataclass
class EmbeddingMemory:
    """The last `size` embeddings of training, detached, with their labels and row ids; the oldest leave first.

    Embeddings drift slowly once training has settled, so that those of the last steps still serve as partners. The
    memory starts empty; checkpoints hold it.
    """

    size: int
    _kept: tuple[Tensor, Tensor, Tensor] | None = field(default=None, init=False)

    @property
    def embeddings(self) -> Tensor | None:
        """Those that are remembered (M, D), the newest first; None at the beginning."""
        return None if self._kept is None else self._kept[0]

    @property
    def rows(self) -> Tensor | None:
        """The ids of their rows (M,)."""
        return None if self._kept is None else self._kept[2]

    def beside(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch (B, D), its labels and rows (B,), followed by the memory: (B + M, D), (B + M,), (B + M,)."""
        if self._kept is None:
            return embeddings, labels, rows
        past, past_labels, past_rows = self._kept
        return (
            torch.cat([embeddings, past.to(embeddings.dtype)]),
            torch.cat([labels, past_labels]),
            torch.cat([rows, past_rows]),
        )

    def save(self, path: Path) -> None:
        """Write what is remembered, if anything is."""
        if self._kept is not None:
            save_file(dict(zip(_NAMES, self._kept, strict=True)), path)

    def load(self, path: Path, device: torch.device) -> None:
        """Remember what `save` wrote, as much of it as there is room for now."""
        if path.exists():
            stored = load_file(path)
            embeddings, labels, rows = (stored[name][: self.size].to(device) for name in _NAMES)
            self._kept = embeddings, labels, rows

    def remember(self, embeddings: Tensor, labels: Tensor, rows: Tensor) -> None:
        """Add a batch."""
        embeddings, labels, rows = self.beside(embeddings.detach(), labels, rows)
        self._kept = embeddings[: self.size], labels[: self.size], rows[: self.size]
