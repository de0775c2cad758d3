"""Data and records of studies whose rows have several labels each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CUES = {"기쁨": "웃음이 나", "슬픔": "눈물이 나", "불안": "걱정이 돼", "분노": "화가 나"}


def write_label_sets(path: Path, rows: int = 240) -> Path:
    """A table of texts with one to three labels each, joined by `|`, of which every label has its cue in the text."""
    random = np.random.default_rng(0)
    names, shares = list(CUES), np.array([0.6, 0.4, 0.3, 0.15])
    lines = ["text,label"]
    for row in range(rows):
        has = random.random(len(names)) < shares
        if not has.any():
            has[row % len(names)] = True
        own = [name for name, there in zip(names, has, strict=True) if there]
        lines.append(f"{row}번째 날 {' 그리고 '.join(CUES[name] for name in own)},{'|'.join(own)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
