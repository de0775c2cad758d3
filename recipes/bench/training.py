"""Training speed of emo_hf beside other ways to train the same encoder, and with each of its measures off, in one run.

    make bench
    python recipes/bench/training.py --arms emo_hf "sentence-transformers" --repeats 5
    python recipes/bench/training.py --encoder klue/bert-base --data AIHUB_FOLDER --batch_size 128
    python recipes/bench/training.py --data train.tsv --classes all --rows 40000 --repeats 3

Every arm trains in a process of its own, one epoch over the same rows at a time, all in turn, and the median of the
epochs is kept; the first epoch of each is a warm-up. A ratio is the median of those of each turn, as a machine that is
shared is faster in some turns than in others. Peers are measured if they are installed
(`pip install -e '.[bench]'`). Writes runs/bench/results.md and results.json.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arms import ARMS, GROUPED, NEEDS, ORIGINAL, OURS, SENTENCE_TRANSFORMERS, SETFIT, Work, ours
from losses import installed
from transformers import AutoModel

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import ModelArguments
from emo_hf.arguments.precision import bf16_is_native
from emo_hf.arguments.words import CommandParser
from emo_hf.encoders import encoder_path
from emo_hf.exit_codes import command
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries

PRELOADED = ["arms", "sentence_transformers", "setfit"]
PACKAGES = ("torch", "transformers", "accelerate", "sentence-transformers", "setfit")


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


def measure(names: list[str], work: Work, repeats: int) -> dict[str, list[dict[str, float]] | str]:
    """The epochs of each arm after its first, all arms in turn; or the error of an arm."""
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
            told = _epoch_of(pipe)
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
    return epochs | failed


def _epoch_of(pipe: Connection) -> dict[str, float] | str:
    try:
        with contextlib.suppress(BrokenPipeError):  # it has failed before, and what it said of that waits
            pipe.send(True)
        return pipe.recv()
    except (EOFError, ConnectionError):
        return "its process was killed, perhaps for lack of memory"


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
    inner -= sum(part.numel() for name, part in encoder.named_parameters() if name.startswith("pooler."))  # not used
    layers, size = encoder.config.num_hidden_layers, encoder.config.hidden_size
    return 6.0 * inner * lengths.sum() + 12.0 * layers * size * np.square(lengths, dtype=np.float64).sum()


def table(result: dict[str, Any]) -> str:
    """Markdown: every arm with its speed, and that as a multiple of others', by the wall and by CPU in brackets."""
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
                *(
                    f"{row[f'of {other}']:.1f}× ({row[f'by CPU of {other}']:.1f}×)"
                    for other in result["ratios"].values()
                ),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM")
    Work.add_arguments(parser)
    parser.add_argument("--repeats", type=positive, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    torch.set_num_threads(arguments.threads)
    work = Work.of(arguments)
    versions = {package: installed(package) for package in PACKAGES}
    names = [name for name in arguments.arms if versions.get(NEEDS.get(name, "torch")) is not None]
    for name in set(arguments.arms) - set(names):
        print(f"{name} is not installed and is left out")
    texts, _, _ = work.texts()
    tokens = load_tokenizer(ModelArguments(encoder=work.encoder))(texts, truncation=True, max_length=work.max_length)
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    peaks = {"fp32": gemm_peak(torch.float32)}
    if bf16_is_native(cpu=not torch.accelerator.is_available()):  # else one product may take minutes
        peaks["bf16"] = gemm_peak(torch.bfloat16)
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
        "epochs. MFU: of the machine's own best matrix product, "
        + " and ".join(f"{peak / 1e9:,.0f} GFLOP/s in {name}" for name, peak in peaks.items())
        + ". "
        + ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        + ".\n\n"
    )
    print("\n" + said + table(result), end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.output / "results.json", (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
    print(f"wrote {write_whole(arguments.output / 'results.md', (said + table(result)).encode())}")


def summarise(
    epochs: dict[str, list[dict[str, float]] | str], peaks: dict[str, float], needed: float
) -> dict[str, Any]:
    """Medians of the arms, their utilisation, and their multiples of the arms to compare with, by the wall and by CPU.

    `needed` are the operations of a row.
    """
    measured = {name: turns for name, turns in epochs.items() if turns and not isinstance(turns, str)}
    ratios = {
        f"of {short}": name
        for short, name in {"original": ORIGINAL, "group_by_length": GROUPED, "s-t": SENTENCE_TRANSFORMERS}.items()
        if name in measured
    }
    arms: dict[str, Any] = {name: turns for name, turns in epochs.items() if turns}
    for name, turns in measured.items():
        build, settings = ARMS[name]
        reduced = (
            build is ours and bf16_is_native(cpu=not torch.accelerator.is_available()) and settings.get("bf16", True)
        )
        row = arms[name] = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        speed = row["sentences"] / row["wall"]
        row["mfu"] = None if name == SETFIT else speed * needed / peaks["bf16" if reduced else "fp32"]
        for other in ratios.values():
            for clock, of in (("wall", "of"), ("cpu", "by CPU of")):
                row[f"{of} {other}"] = statistics.median(
                    (mine["sentences"] / mine[clock]) / (theirs["sentences"] / theirs[clock])
                    for mine, theirs in zip(turns, measured[other], strict=True)
                )
        row["epochs"] = turns
    return {"arms": arms, "ratios": ratios}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
