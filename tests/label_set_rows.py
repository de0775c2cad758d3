"""Small rows with several labels each, which are learned in seconds: a text holds the cues of all of its labels."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
from conftest import CUES, ENDINGS, LABELS, PLACES, TIMES

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments

SETS = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2), ()]
SIZES = {"train": 96, "validation": 40, "test": 40}


def set_rows(count: int, seed: int = 0) -> list[tuple[str, tuple[int, ...]]]:
    """Texts, all different, each with its labels by their places; the first label is twice as common as the last."""
    draw = random.Random(seed)
    found: dict[str, tuple[int, ...]] = {}
    while len(found) < count:
        labels = draw.choices(SETS, weights=[4, 2, 1, 2, 1, 2, 1, 1])[0]
        cues = [draw.choice(CUES[LABELS[label]]) for label in labels]
        draw.shuffle(cues)
        words = [draw.choice(TIMES), draw.choice(PLACES), draw.choice(ENDINGS), *cues]
        found[" ".join(word for word in words if word)] = labels
    return list(found.items())


def write_sets(path: Path, sizes: dict[str, int] = SIZES, seed: int = 0) -> str:
    """A CSV of texts, of labels that are joined by a bar (`[]` for none), and of splits."""
    splits = [split for split, size in sizes.items() for _ in range(size)]
    rows = [
        {"text": text, "labels": "|".join(LABELS[label] for label in labels) or "[]", "split": split}
        for split, (text, labels) in zip(splits, set_rows(len(splits), seed), strict=True)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def run_arguments(encoder: str, data: str, folder: Path, **own: Any) -> tuple[Any, ...]:
    """What `run` takes, for two epochs of six steps on such rows."""
    model = ModelArguments(encoder=encoder, pooling="mean", embedding_size=16)
    given = DataArguments(data=data, labels=list(LABELS), max_length=32)
    settings = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "bf16": False, "disable_tqdm": True}
    settings |= {"output_dir": str(folder), "learning_rate": 3e-3, "save_strategy": "steps", "eval_strategy": "steps"}
    return model, given, MetricTrainingArguments(**(settings | {"save_steps": 3, "eval_steps": 3} | own))
