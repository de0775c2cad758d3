"""The small Korean encoders that travel with the package, so that everything runs without a network."""

from __future__ import annotations

from pathlib import Path

BUNDLED = ("tiny-bert", "tiny-roberta", "static")


def encoder_path(name: str) -> str:
    """The folder of a bundled encoder, or `name` itself: any other folder or Hub id."""
    return str(Path(__file__).parent / name) if name in BUNDLED else name
