"""The memory of past embeddings: what it holds, and that a row is never its own partner."""

from __future__ import annotations

import torch

from emo_hf.losses import ContrastiveLoss, TripletLoss
from emo_hf.losses.embedding_memory import EmbeddingMemory


def batch(first: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(first)
    return torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.arange(first, first + 4)


def test_the_oldest_leave_first() -> None:
    memory = EmbeddingMemory(6)
    for first in (0, 4, 8):
        memory.remember(*batch(first))
    assert memory.rows.tolist() == [8, 9, 10, 11, 4, 5]
    expected = torch.cat([batch(8)[0], batch(4)[0][:2]])
    assert torch.equal(memory.embeddings, expected)
    embeddings, labels, rows = memory.beside(*batch(12))
    assert rows.tolist() == [12, 13, 14, 15, 8, 9, 10, 11, 4, 5]
    assert len(embeddings) == len(labels) == 10


def test_the_memory_carries_no_graph() -> None:
    memory = EmbeddingMemory(8)
    embeddings, labels, rows = batch(0)
    memory.remember(embeddings.requires_grad_(), labels, rows)
    assert not memory.embeddings.requires_grad


def test_a_remembered_row_is_no_partner_of_itself() -> None:
    """A row that comes again finds its old embedding in the memory; it is neither positive nor negative to it."""
    memory = EmbeddingMemory(8)
    memory.remember(*batch(0))
    embeddings, labels, _ = batch(4)
    rows = torch.arange(4)
    for loss in (ContrastiveLoss(distance="euclidean"), TripletLoss(mining="hard")):
        reference, reference_labels, reference_rows = memory.beside(embeddings, labels, rows)
        found = loss(embeddings, labels, reference, reference_labels, rows, reference_rows).loss
        kept = [[j for j in range(8) if reference_rows[j] != rows[i]] for i in range(4)]
        if isinstance(loss, ContrastiveLoss):
            terms = []
            for i in range(4):
                for j in kept[i]:
                    d = (embeddings[i] - reference[j]).norm()
                    terms.append(d**2 if labels[i] == reference_labels[j] else (1 - d).clamp(min=0) ** 2)
            assert torch.allclose(found, torch.stack(terms).mean(), atol=1e-5)
        else:
            assert found.isfinite()
