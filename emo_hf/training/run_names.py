"""What a run is called: in titles, and as the folder that holds it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

_LONGEST_NAME = 200  # bytes; a file name has 255 at most, and temporary ones carry more


def encoder_name(encoder: str) -> str:
    """A short name for titles and folders: the last part of a path or a Hub id."""
    return encoder.rstrip("/\\").replace("\\", "/").split("/")[-1]


def encoder_names(encoders: Sequence[str]) -> dict[str, str]:
    """A short name of each encoder that no other has: where last parts are alike, with as many before as it takes."""
    parts = {encoder: encoder.rstrip("/\\").replace("\\", "/").split("/") for encoder in encoders}
    found = {}
    for encoder, own in parts.items():
        others = [other for name, other in parts.items() if name != encoder]
        length = 1
        while length < len(own) and any(other[-length:] == own[-length:] for other in others):
            length += 1
        found[encoder] = "-".join(own[-length:])
    return found


def run_name(encoder: str, pooling: str, aux: str, seed: int | None, settings: Sequence[tuple[str, Any]] = ()) -> str:
    """The id of a run, safe as a folder name; without a seed, of all runs that have only theirs apart."""
    varied = "".join(f"_{name}={value}" for name, value in settings)
    end = "" if seed is None else f"_seed{seed}"
    name = re.sub(r"[^\w.+=-]+", "-", f"{encoder_name(encoder)}_{pooling}_{aux}{varied}{end}")
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    # What a file system takes, in letters of three bytes; the digest keeps apart what is cut alike.
    return f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}{end}"
