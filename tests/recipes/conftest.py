"""What recipes are given in tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def common(csv_file) -> list[str]:
    """What makes a run short."""
    words = "--max_length 32 --embedding_size 16 --num_train_epochs 2 --bf16 false --disable_tqdm true"
    return ["--data", csv_file, *words.split()]
