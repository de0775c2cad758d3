"""A study of transfer that nobody ran: its description, and records with predictions of every arm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from emo_hf.storage.record import write_record

LABELS = ["불안", "슬픔", "기쁨"]
SIZES = {"one": 60, "둘": 90}  # test rows of the targets
SEEDS = (1, 2, 3)
RIGHT = {  # share of right answers, by source (none: "") and rows, on each target
    ("one", 0): {"one": 0.9, "둘": 0.5},
    ("둘", 0): {"one": 0.6, "둘": 0.85},
    ("one", 12): {"둘": 0.7},
    ("", 12): {"둘": 0.55, "one": 0.6},
    ("둘", 12): {"one": 0.75},
}


def write_transfer(folder: Path, seeds: tuple[int, ...] = SEEDS) -> None:
    """The study's files, in `folder`."""
    rng = np.random.default_rng(0)
    truth = {target: rng.integers(0, 3, size) for target, size in SIZES.items()}

    def logits(target: str, right: float) -> np.ndarray:
        true = truth[target]
        wrong = rng.random(len(true)) > right
        return np.eye(3, dtype=np.float32)[np.where(wrong, (true + rng.integers(1, 3, len(true))) % 3, true)]

    def write(run_id: str, model: dict, seed: int | None, arrays: list[np.ndarray], targets: list[str]) -> None:
        labels = np.concatenate([truth[target] for target in targets])
        record = {"run_id": run_id.rpartition("/")[2], "status": "completed", "model": model, "seed": seed}
        record |= {"kind": "model", "hardware": {"cpus": 2, "bf16": False}, "versions": {"emo_hf": "0"}}
        write_record(folder / run_id, record, {"logits": np.concatenate(arrays), "labels": labels})

    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for (source, rows), right in RIGHT.items():
            targets = list(SIZES) if not rows else list(right)
            for apart in [targets] if not rows else [[target] for target in targets]:
                settings = {"source": source} if source else {}
                settings |= {"target": apart[0], "rows": rows} if rows else {}
                name = f"{source}_{rows}_{''.join(apart)}_seed{seed}"
                write(name, {"settings": settings}, seed, [logits(target, right[target]) for target in apart], apart)
    for source in SIZES:
        model = {"name": "TF-IDF + logistic regression"}
        write(f"{source}_baselines/TF-IDF", model, None, [logits(target, 0.5) for target in SIZES], list(SIZES))
    told = {
        "sources": list(SIZES),
        "targets": list(SIZES),
        "rows": [0, 12],
        "row_epochs": 10.0,
        "labels": LABELS,
        "model": {"encoder": "tiny-bert", "pooling": "mean", "aux": "none"},
        "corpora": {
            name: {
                "source": f"{name}.csv",
                "counts": {split: dict.fromkeys(LABELS, 4) for split in ("train", "validation", "test")},
                "removed": {other: 7 if name == "one" else 0 for other in SIZES if other != name},
                "baselines": f"{name}_baselines",
            }
            for name in SIZES
        },
        "places": {"one": [0, 60], "둘": [60, 150]},
    }
    (folder / "transfer.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
