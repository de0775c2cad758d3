"""Where is kept what can be made again: tokens, encoders that an extra brings along."""

from __future__ import annotations

import os
from pathlib import Path

import datasets


def cache_folder(given: str | Path | None = None) -> Path:
    """The folder that is `given`, else $EMO_HF_CACHE, else `emo_hf` inside the cache of datasets."""
    return Path(given or os.environ.get("EMO_HF_CACHE") or datasets.config.HF_DATASETS_CACHE / "emo_hf")
