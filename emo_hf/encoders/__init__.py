"""The small Korean encoders that travel with the package, so that everything runs without a network."""

from __future__ import annotations

from pathlib import Path

from emo_hf.encoders.packed import PACKED, unpacked

BUNDLED = ("tiny-bert", "tiny-roberta", "static")


def encoder_path(name: str) -> str:
    """The folder of a bundled encoder, or of one of an extra, unpacked; or `name` itself: any other folder or Hub id.

    Raises:
        UserError: an encoder of an extra that is not installed.
    """
    if name in BUNDLED:
        return str(Path(__file__).parent / name)
    return str(unpacked(name)) if is_packed(name) else name


def is_packed(name: str) -> bool:
    """Whether an encoder is one of an extra; a folder of that name goes first."""
    return name in PACKED and not Path(name).is_dir()
