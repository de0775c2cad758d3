"""The published comparison's numbers of its models, which tables, cards and trackers show."""

from __future__ import annotations

# (pooling, loss) of models 1 to 6: its Model 3 is CLS with the contrastive loss, 6 mean with triplet.
ORIGINAL = tuple((pooling, aux) for aux in ("none", "contrastive", "triplet") for pooling in ("cls", "mean"))


def original_number(pooling: str, aux: str) -> int | None:
    """The number of a pooling with a loss, or None of what the comparison did not have."""
    return ORIGINAL.index((pooling, aux)) + 1 if (pooling, aux) in ORIGINAL else None
