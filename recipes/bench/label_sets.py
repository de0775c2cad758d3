"""What several labels a row take of a training step: 44 labels, 7.9 a row, beside one of three, in turn, in one run.

    python recipes/bench/label_sets.py
    python recipes/bench/label_sets.py --aux triplet --labels 1000 --batch_size 64

Both train the same sentences in batches of the same size, an epoch at a time; which labels a row has is drawn, as
speed doesn't depend on it. The ratio is the median of those of each turn. Writes runs/bench/label_sets.md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from arms import LEARNING_RATE, Clock, Work

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import MetricTrainingArguments, ModelArguments
from emo_hf.arguments.words import CommandParser
from emo_hf.exit_codes import command
from emo_hf.losses.capabilities import AUXILIARY_LOSSES
from emo_hf.models.pretrained import build_model, load_tokenizer
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries
from emo_hf.training.trainer import MetricTrainer

A_ROW = 7.9  # as KOTE has them


def epoch_of(work: Work, folder: str, aux: str, labels: int) -> Callable[[], float]:
    """What trains an epoch of a fresh model and gives the seconds of a step; 0 labels are one of three a row."""
    model = ModelArguments(encoder=work.encoder, pooling="mean", ngrams=0)
    texts, classes, names = work.texts()
    tokenizer = load_tokenizer(model)
    rows: dict[str, Any] = {"input_ids": tokenizer(texts, truncation=True, max_length=work.max_length)["input_ids"]}
    rows |= {"labels": classes, "length": [len(ids) for ids in rows["input_ids"]]}
    kinds = datasets.Features({"input_ids": datasets.List(datasets.Value("int32")), "labels": datasets.Value("int64"),
                               "length": datasets.Value("int32")})  # fmt: skip
    if labels:
        drawn = np.random.default_rng(0).random((len(texts), labels)) < A_ROW / labels
        rows["labels"], names = drawn.astype(np.uint8).tolist(), [f"label {place}" for place in range(labels)]
        kinds["labels"] = datasets.List(datasets.Value("uint8"), length=labels)
    tokens = datasets.Dataset.from_dict(rows, features=kinds)
    arguments = MetricTrainingArguments(
        output_dir=folder, aux=aux, num_train_epochs=1, per_device_train_batch_size=work.batch_size, report_to=[],
        eval_strategy="no", save_strategy="no", logging_strategy="no", disable_tqdm=True, learning_rate=LEARNING_RATE,
    )  # fmt: skip

    def epoch() -> float:
        torch.manual_seed(0)
        clock = Clock()
        trainer = MetricTrainer(build_model(model, names, multi_label=labels > 0), arguments, train_dataset=tokens,
                                processing_class=tokenizer, callbacks=[clock])  # fmt: skip
        trainer.train()
        return clock.seconds[0] / trainer.state.max_steps

    return epoch


def measure(work: Work, aux: str, labels: int, repeats: int) -> list[tuple[float, float]]:
    """Seconds of a step with one label a row and with several, in each turn; those of the first are left out."""
    with tempfile.TemporaryDirectory() as folder:
        one, several = (epoch_of(work, folder, aux, count) for count in (0, labels))
        return [(one(), several()) for _ in range(1 + repeats)][1:]


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--aux", nargs="+", default=list(AUXILIARY_LOSSES), help="losses, as --aux of train.py")
    parser.add_argument("--labels", type=positive, default=44)
    Work.add_arguments(parser)
    parser.add_argument("--repeats", type=positive, default=9)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    torch.set_num_threads(arguments.threads)
    work = Work.of(arguments)
    lines = ["| loss | one label a row | several | ratio |", "| --- | ---: | ---: | ---: |"]
    for aux in arguments.aux:
        turns = measure(work, aux, arguments.labels, arguments.repeats)
        one, several = (1000 * statistics.median(turn[place] for turn in turns) for place in (0, 1))
        ratio = statistics.median(theirs / ours for ours, theirs in turns)
        lines.append(f"| {aux} | {one:.1f} ms | {several:.1f} ms | {ratio:.2f} |")
    said = (
        f"{work.encoder} with mean pooling, {len(work.texts()[0]):,} sentences of `{work.data}`, batches of "
        f"{work.batch_size}, {work.threads} threads: a training step on rows of one label and of several of "
        f"{arguments.labels:,}, an epoch of each in turn, medians of {arguments.repeats}.\n\n"
    )
    text = said + "\n".join(lines) + "\n"
    print(text, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'label_sets.md', text.encode())}")


if __name__ == "__main__":
    sys.exit(main())
