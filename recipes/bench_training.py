"""Training speed of emo_hf beside other ways to train the same encoder, and with each of its measures off, in one run.

    make bench
    python recipes/bench_training.py --arms emo_hf "sentence-transformers" --repeats 5
    python recipes/bench_training.py --encoder klue/bert-base --data AIHUB_FOLDER --batch_size 128

Every arm trains in a process of its own, one epoch over the same rows at a time, all in turn, and the median of the
epochs is kept; the first epoch of each is a warm-up. Peers are measured if they are installed
(`pip install -e '.[bench]'`). Writes runs/bench/results.md and results.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from emo_hf.arguments import DataArguments, MetricTrainingArguments, ModelArguments, bf16_is_native
from emo_hf.data import tokenize_splits
from emo_hf.encoders import encoder_path
from emo_hf.errors import UserError
from emo_hf.files import write_whole
from emo_hf.progress import quiet_libraries
from emo_hf.trainer import MetricTrainer
from emo_hf.training import build_model, load_data, load_tokenizer, trainer_inputs

PRELOADED = ["torch", "transformers", "emo_hf.training", "sentence_transformers", "setfit"]
PACKAGES = ("torch", "transformers", "accelerate", "sentence-transformers", "setfit")
OURS, ORIGINAL, SENTENCE_TRANSFORMERS, SETFIT = "emo_hf", "the original's manner", "sentence-transformers", "SetFit"
GROUPED, FP32 = "Trainer, group_by_length", "emo_hf, fp32"


@dataclass(frozen=True)
class Work:
    """What all arms train on."""

    encoder: str
    data: str
    rows: int
    batch_size: int
    max_length: int
    threads: int

    def texts(self) -> tuple[list[str], list[int], list[str]]:
        """The sentences of the first rows of the training split in a random order, their classes, the label names."""
        data = load_data(DataArguments(data=self.data))
        train = data.splits["train"].shuffle(seed=42)
        train = train.select(range(min(self.rows, len(train))))
        return train["text"][:], train["label"][:], list(data.labels)


class Clock(TrainerCallback):
    """Seconds of the last epoch, by the wall and of the processor."""

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter(), time.process_time()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self.started[0], time.process_time() - self.started[1]


class Counted:
    """A collator that counts what it gives: sentences, real tokens, and all cells of the batches."""

    def __init__(self, collate: Callable):
        self.collate = collate
        self.sentences = self.tokens = self.cells = 0

    def __call__(self, rows: list) -> dict[str, torch.Tensor]:
        batch = self.collate(rows)
        for name, mask in batch.items():
            if name.endswith("attention_mask"):
                self.sentences += len(mask)
                self.tokens += int(mask.sum())
                self.cells += mask.numel()
        return batch

    def __getattr__(self, name: str) -> Any:  # sentence-transformers sets and reads attributes of its collator
        return getattr(self.__dict__["collate"], name)


Epoch = Callable[[], tuple[tuple[float, float], Counted]]


def _trained(make: Callable[[], Trainer]) -> Epoch:
    """One epoch of a fresh trainer."""

    def epoch() -> tuple[tuple[float, float], Counted]:
        trainer, clock = make(), Clock()
        trainer.data_collator = counted = Counted(trainer.data_collator)
        trainer.add_callback(clock)
        trainer.train()
        return clock.seconds, counted

    return epoch


def _plain(work: Work, folder: str) -> dict[str, Any]:
    """What every Trainer is told: one epoch, nothing saved or logged; all else as it comes."""
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": work.batch_size,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


class Unsorted(MetricTrainer):
    """Batches in random order, as plain Trainer has them."""

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.RandomSampler(self.train_dataset)


def ours(
    work: Work,
    folder: str,
    *,
    aux: str = "triplet",
    sort: bool = True,
    fast_collator: bool = True,
    **training: Any,
) -> Epoch:
    """`MetricTrainer` as recipes/train.py sets it up, but for what is switched off."""
    model_arguments = ModelArguments(encoder=work.encoder, pooling="mean")
    texts, _, names = work.texts()
    data = load_data(DataArguments(data=work.data))
    tokenizer = load_tokenizer(model_arguments)
    tokens = tokenize_splits(data, tokenizer, max_length=work.max_length, cache_dir=None)["train"]
    tokens = tokens.shuffle(seed=42).select(range(len(texts)))
    inputs = trainer_inputs(datasets.DatasetDict(train=tokens, validation=tokens), tokenizer)
    if not fast_collator:
        inputs["data_collator"] = DataCollatorWithPadding(tokenizer)
    arguments = _plain(work, folder) | {"aux": aux, "eval_strategy": "no", "learning_rate": 5e-4} | training
    trainer = MetricTrainer if sort else Unsorted
    return _trained(
        lambda: trainer(build_model(model_arguments, names), MetricTrainingArguments(**arguments), **inputs)
    )


def plain_trainer(work: Work, folder: str, **training: Any) -> Epoch:
    """Transformers' Trainer, its sequence classifier and its padding collator: cross-entropy alone, in fp32."""
    texts, labels, names = work.texts()
    tokenizer = load_tokenizer(ModelArguments(encoder=work.encoder))
    rows = tokenizer(texts, truncation=True, max_length=work.max_length)
    rows = datasets.Dataset.from_dict({**rows, "labels": labels, "length": [len(ids) for ids in rows["input_ids"]]})

    def make() -> Trainer:
        model = AutoModelForSequenceClassification.from_pretrained(
            encoder_path(work.encoder), num_labels=len(names), dtype=torch.float32
        )
        arguments = TrainingArguments(**_plain(work, folder), learning_rate=5e-4, **training)
        return Trainer(model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer))

    return _trained(make)


class Triplets(torch.utils.data.Dataset):
    """Anchor, positive and negative, tokenized when they are asked for and padded to the longest that may be."""

    def __init__(self, work: Work, texts: list[str], labels: list[int]):
        self.work, self.texts, self.labels = work, texts, np.asarray(labels)
        self.tokenizer = load_tokenizer(ModelArguments(encoder=work.encoder))

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        same = self.labels == self.labels[index]
        partners = np.random.choice(np.flatnonzero(same)), np.random.choice(np.flatnonzero(~same))
        row = {"labels": int(self.labels[index])}
        for name, place in zip(("anchor", "positive", "negative"), (index, *partners), strict=True):
            cut = self.tokenizer(
                self.texts[place],
                padding="max_length",
                truncation=True,
                max_length=self.work.max_length,
                return_tensors="pt",
            )
            row |= {f"{name}_{key}": value[0] for key, value in cut.items()}
        return row


def original(work: Work, folder: str) -> Epoch:
    """The manner of the published notebooks: a plain loop in fp32, three passes of the encoder for a triplet."""
    texts, labels, names = work.texts()
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    encoder = AutoModel.from_pretrained(encoder_path(work.encoder), dtype=torch.float32)
    size = encoder.config.hidden_size
    model = nn.ModuleDict(
        {"encoder": encoder, "embedding": nn.Linear(size, 256), "classifier": nn.Linear(256, len(names))}
    ).to(device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    metric = nn.TripletMarginLoss(margin=1.0)
    rows = Triplets(work, texts, labels)

    def embed(batch: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        mask = batch[f"{name}_attention_mask"]
        hidden = encoder(batch[f"{name}_input_ids"], attention_mask=mask).last_hidden_state
        return model["embedding"]((hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True))

    def epoch() -> tuple[tuple[float, float], Counted]:
        collate = Counted(torch.utils.data.default_collate)
        started = time.perf_counter(), time.process_time()
        for batch in torch.utils.data.DataLoader(rows, work.batch_size, shuffle=True, collate_fn=collate):
            batch = {name: value.to(device) for name, value in batch.items()}
            anchor, positive, negative = (embed(batch, name) for name in ("anchor", "positive", "negative"))
            loss = nn.functional.cross_entropy(model["classifier"](anchor), batch["labels"])
            loss = loss + 0.1 * metric(anchor, positive, negative)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        collate.sentences = len(rows)  # an epoch is one of labelled rows, each seen with two partners
        return (time.perf_counter() - started[0], time.process_time() - started[1]), collate

    return epoch


def _sentence_transformer(work: Work) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    body = modules.Transformer(encoder_path(work.encoder), max_seq_length=work.max_length)
    body.float()
    return SentenceTransformer(modules=[body, modules.Pooling(body.get_embedding_dimension(), "mean")])


def sentence_transformers(work: Work, folder: str) -> Epoch:
    """Its trainer with `BatchAllTripletLoss` and batches grouped by label, all else as it comes."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer import losses

    texts, labels, _ = work.texts()
    rows = datasets.Dataset.from_dict({"sentence": texts, "label": labels})

    def make() -> Trainer:
        model = _sentence_transformer(work)
        arguments = SentenceTransformerTrainingArguments(**_plain(work, folder), batch_sampler="group_by_label")
        return SentenceTransformerTrainer(model, arguments, train_dataset=rows, loss=losses.BatchAllTripletLoss(model))

    return _trained(make)


def setfit(work: Work, folder: str) -> Epoch:
    """The training of its sentence encoder, on pairs; a pair counts as two sentences."""
    import setfit as library

    texts, labels, _ = work.texts()

    def make() -> Trainer:
        model = library.SetFitModel(model_body=_sentence_transformer(work), model_head=None)
        plain = {"output_dir": folder, "report_to": "none", "save_strategy": "no", "logging_strategy": "no"}
        arguments = library.TrainingArguments(
            **plain, batch_size=work.batch_size // 2, num_epochs=1, num_iterations=1, show_progress_bar=False
        )
        trainer = library.Trainer(model, arguments)
        pairs, loss = trainer.get_dataset(texts, labels, args=arguments)
        trainer.st_trainer.train_dataset, trainer.st_trainer.loss = pairs, loss
        return trainer.st_trainer

    return _trained(make)


ARMS: dict[str, tuple[Callable[..., Epoch], dict[str, Any]]] = {
    ORIGINAL: (original, {}),
    "Trainer": (plain_trainer, {}),
    GROUPED: (plain_trainer, {"train_sampling_strategy": "group_by_length"}),
    SENTENCE_TRANSFORMERS: (sentence_transformers, {}),
    SETFIT: (setfit, {}),
    OURS: (ours, {}),
    FP32: (ours, {"bf16": False}),
    "emo_hf, without the auxiliary loss": (ours, {"aux": "none"}),
    "emo_hf, batches in random order": (ours, {"sort": False}),
    "emo_hf, fp32 and random order": (ours, {"bf16": False, "sort": False}),
    "emo_hf, transformers' collator": (ours, {"fast_collator": False}),
    "emo_hf, AdamW not fused": (ours, {"optim": "adamw_torch"}),
}
NEEDS = {SENTENCE_TRANSFORMERS: "sentence-transformers", SETFIT: "setfit"}


def serve(name: str, work: Work, pipe: Connection) -> None:
    """Run an epoch of an arm whenever asked, in this process; give what it took, or the line of an error."""
    quiet_libraries()
    torch.set_num_threads(work.threads)
    build, settings = ARMS[name]
    try:
        with tempfile.TemporaryDirectory() as folder:
            epoch = build(work, folder, **settings)
            while pipe.recv():
                (wall, cpu), counted = epoch()
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                if torch.cuda.is_available():
                    peak = torch.cuda.max_memory_allocated() / 2**20
                sums = {"sentences": counted.sentences, "tokens": counted.tokens, "cells": counted.cells}
                pipe.send({"wall": wall, "cpu": cpu, "peak_mib": peak, **sums})
    except Exception as error:  # a peer that fails with these versions says so in the table, and the others go on
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])


def measure(names: list[str], work: Work, repeats: int) -> dict[str, dict[str, float] | str]:
    """Medians of each arm over the epochs after its first, all arms in turn; or the error of an arm."""
    fresh = multiprocessing.get_context("forkserver")
    fresh.set_forkserver_preload(PRELOADED)
    pipes: dict[str, Connection] = {}
    for name in names:
        pipes[name], theirs = fresh.Pipe()
        fresh.Process(target=serve, args=(name, work, theirs), daemon=True).start()
    epochs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for turn in range(1 + repeats):
        for name, pipe in pipes.items():
            if name in failed:
                continue
            pipe.send(True)
            told = pipe.recv()
            if isinstance(told, str):
                failed[name] = told
                print(f"{name} failed: {told}", flush=True)
                continue
            if turn:
                epochs[name].append(told)
            turn_name = f"epoch {turn}" if turn else "warm-up"
            print(f"{turn_name}: {name}: {told['sentences'] / told['wall']:.1f} sentences/s", flush=True)
    for name, pipe in pipes.items():
        if name not in failed:
            pipe.send(False)
    medians = {
        name: {key: statistics.median(epoch[key] for epoch in measured) for key in measured[0]}
        for name, measured in epochs.items()
        if measured
    }
    return medians | failed


def gemm_peak(dtype: torch.dtype, size: int = 2048) -> float:
    """Floating-point operations a second of the machine's best large matrix product."""
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    one = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        _ = (one @ one)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def operations(work: Work, lengths: np.ndarray) -> float:
    """Floating-point operations that one epoch needs: one pass, forward and backward, over the real tokens."""
    encoder = AutoModel.from_pretrained(encoder_path(work.encoder))
    inner = encoder.num_parameters(exclude_embeddings=True)
    layers, size = encoder.config.num_hidden_layers, encoder.config.hidden_size
    return 6.0 * inner * lengths.sum() + 12.0 * layers * size * np.square(lengths, dtype=np.float64).sum()


def table(result: dict[str, Any]) -> str:
    """Markdown: every arm with its speed, and that as a multiple of the original's manner."""
    heads = ["", "sentences/s", "a CPU second", "real tokens/s", "padding", "peak MiB", "MFU", *result["ratios"]]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for name, row in result["arms"].items():
        if isinstance(row, str):
            lines.append([name, f"failed: {row}", *[""] * (len(heads) - 2)])
            continue
        lines.append(
            [
                f"**{name}**" if name == OURS else name,
                f"{row['sentences'] / row['wall']:,.1f}",
                f"{row['sentences'] / row['cpu']:,.1f}",
                f"{row['tokens'] / row['wall']:,.0f}",
                f"{1 - row['tokens'] / row['cells']:.0%}",
                f"{row['peak_mib']:,.0f}",
                f"{row['mfu']:.0%}" if row["mfu"] else "–",
                *(f"{row[f'of {other}']:.1f}×" for other in result["ratios"].values()),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; 2 for a mistake in the input, which is said in one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM")
    parser.add_argument("--encoder", default="tiny-bert", help="bundled one, folder or Hub id")
    parser.add_argument("--data", default="sample", help="as --data of train.py")
    parser.add_argument("--rows", type=int, default=512, help="training rows of an epoch")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_args(argv)
    quiet_libraries()
    torch.set_num_threads(arguments.threads)
    work = Work(**{name: getattr(arguments, name) for name in Work.__dataclass_fields__})
    versions = {package: _version(package) for package in PACKAGES}
    names = [name for name in arguments.arms if versions.get(NEEDS.get(name, "torch")) is not None]
    for name in set(arguments.arms) - set(names):
        print(f"{name} is not installed and is left out")
    try:
        texts, _, _ = work.texts()
        tokens = load_tokenizer(ModelArguments(encoder=work.encoder))(
            texts, truncation=True, max_length=work.max_length
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    peaks = {"fp32": gemm_peak(torch.float32), "bf16": gemm_peak(torch.bfloat16)}
    result = summarise(measure(names, work, arguments.repeats), peaks, operations(work, lengths) / len(texts))
    device = torch.accelerator.current_accelerator()
    result |= {
        "work": asdict(work),
        "tokens_a_sentence": {"mean": float(lengths.mean()), "median": float(np.median(lengths))},
        "repeats": arguments.repeats,
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "device": str(device or "cpu")},
        "gemm_peak_gflops": {name: peak / 1e9 for name, peak in peaks.items()},
        "versions": versions,
    }
    said = (
        f"{work.encoder}, {len(texts):,} sentences of `{work.data}` (mean {lengths.mean():.0f}, median "
        f"{np.median(lengths):.0f} tokens), batch {work.batch_size}, max_length {work.max_length}, "
        f"{device or f'CPU ({_processor()}), {work.threads} threads'}; medians of {arguments.repeats} interleaved "
        f"epochs. MFU: of the machine's own best matrix product, {peaks['fp32'] / 1e9:,.0f} GFLOP/s in fp32 and "
        f"{peaks['bf16'] / 1e9:,.0f} in bf16. "
        + ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        + ".\n\n"
    )
    print("\n" + said + table(result), end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.output / "results.json", (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
    print(f"wrote {write_whole(arguments.output / 'results.md', (said + table(result)).encode())}")
    return 0


def summarise(medians: dict[str, dict[str, float] | str], peaks: dict[str, float], needed: float) -> dict[str, Any]:
    """The arms with their utilisation and their multiples of the arms to compare with; `needed` operations a row."""
    measured = {name: row for name, row in medians.items() if not isinstance(row, str)}
    ratios = {
        f"of {short}": name
        for short, name in {"original": ORIGINAL, "group_by_length": GROUPED, "s-t": SENTENCE_TRANSFORMERS}.items()
        if name in measured
    }
    for name, row in measured.items():
        build, settings = ARMS[name]
        reduced = (
            build is ours and bf16_is_native(cpu=not torch.accelerator.is_available()) and settings.get("bf16", True)
        )
        speed = row["sentences"] / row["wall"]
        row["mfu"] = None if name == SETFIT else speed * needed / peaks["bf16" if reduced else "fp32"]
        for other in ratios.values():
            row[f"of {other}"] = speed / (measured[other]["sentences"] / measured[other]["wall"])
    return {"arms": medians, "ratios": ratios}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
