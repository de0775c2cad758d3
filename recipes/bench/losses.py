"""Time and memory of the metric losses, forward and backward, side by side with other libraries in one run.

    make bench
    python recipes/bench/losses.py --sizes 32 64 512 --repeats 7

Peers are measured if they are installed (`pip install -e '.[bench]'`): sentence-transformers and
pytorch-metric-learning. All arms of a size run in turn, interleaved, and the median is kept; peak memory is what one
call adds to a process of its own. Writes runs/bench/losses.md and losses.json.
"""

from __future__ import annotations

import json
import multiprocessing
import platform
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.exit_codes import command
from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss
from emo_hf.storage.files import write_whole

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
OURS = "emo_hf"
PEERS = ("sentence-transformers", "pytorch-metric-learning")
# A peer that would take longer than this for one call at a size, going by its last size, is left out there.
PATIENCE = 60.0
# A library that has taken this many seconds at a size is called no more there.
ENOUGH = 10.0
# What a process that measures memory starts with, so that it need not import it.
PRELOADED = ["torch", "emo_hf.losses", "sentence_transformers.sentence_transformer.losses", "pytorch_metric_learning"]


def _value(module: torch.nn.Module) -> Loss:
    return lambda embeddings, labels: module(embeddings, labels).loss


def arms() -> dict[str, dict[str, Loss]]:
    """Loss name -> library -> function of embeddings (B, D) and labels (B,)."""
    found: dict[str, dict[str, Loss]] = {
        "triplet, all": {OURS: _value(TripletLoss(distance="euclidean"))},
        "triplet, semi-hard": {OURS: _value(TripletLoss(distance="euclidean", mining="semi-hard"))},
        "triplet, hard": {OURS: _value(TripletLoss(distance="euclidean", mining="hard"))},
        "triplet, hard, soft": {OURS: _value(TripletLoss(distance="euclidean", mining="hard", soft=True))},
        "contrastive, all": {OURS: _value(ContrastiveLoss(distance="euclidean"))},
        "SupCon": {OURS: _value(SupConLoss())},
    }
    try:
        from sentence_transformers.sentence_transformer import losses as peers

        for kind, peer in {
            "triplet, all": peers.BatchAllTripletLoss(None, margin=1.0),
            "triplet, semi-hard": peers.BatchSemiHardTripletLoss(None, margin=1.0),
            "triplet, hard": peers.BatchHardTripletLoss(None, margin=1.0),
            "triplet, hard, soft": peers.BatchHardSoftMarginTripletLoss(None),
        }.items():
            found[kind]["sentence-transformers"] = lambda e, y, peer=peer: peer.compute_loss_from_embeddings([e], y)
    except ImportError:
        pass
    try:
        from pytorch_metric_learning import distances, miners
        from pytorch_metric_learning import losses as peers

        name, euclidean = "pytorch-metric-learning", distances.LpDistance(normalize_embeddings=False)
        triplets = peers.TripletMarginLoss(margin=1.0, distance=euclidean)
        soft = peers.TripletMarginLoss(margin=0.0, distance=euclidean, smooth_loss=True)
        hardest = miners.BatchHardMiner(distance=euclidean)
        pairs = peers.ContrastiveLoss(pos_margin=0.0, neg_margin=1.0, distance=euclidean)
        supcon = peers.SupConLoss()
        found["triplet, all"][name] = triplets
        found["triplet, hard"][name] = lambda e, y: triplets(e, y, hardest(e, y))
        found["triplet, hard, soft"][name] = lambda e, y: soft(e, y, hardest(e, y))
        found["contrastive, all"][name] = pairs
        found["SupCon"][name] = supcon
    except ImportError:
        pass
    return found


def batch(size: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of three overlapping classes, as in the middle of a training."""
    torch.manual_seed(size)
    labels = torch.randint(3, (size,))
    centres = torch.randn(3, dimension) * 0.3
    return (centres[labels] + torch.randn(size, dimension)).requires_grad_(), labels


def call(loss: Loss, embeddings: torch.Tensor, labels: torch.Tensor) -> float:
    """Seconds of one forward and backward pass."""
    embeddings.grad = None
    started = time.perf_counter()
    loss(embeddings, labels).backward()
    return time.perf_counter() - started


def measure_times(losses: dict[str, Loss], size: int, dimension: int, repeats: int) -> dict[str, float]:
    """Median seconds of each library, called in turn; small sizes repeat more, a slow library less."""
    embeddings, labels = batch(size, dimension)
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    spent = {name: call(loss, embeddings, labels) for name, loss in losses.items()}
    for _ in range(repeats if size > 256 else 30 * repeats):
        for name, loss in losses.items():
            if not seconds[name] or spent[name] < ENOUGH:
                seconds[name].append(call(loss, embeddings, labels))
                spent[name] += seconds[name][-1]
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure_memory(kind: str, library: str, size: int, dimension: int, threads: int) -> float:
    """MiB that one call adds to the memory of a fresh process, all that it holds at its peak."""
    fresh = multiprocessing.get_context("forkserver")
    fresh.set_forkserver_preload(PRELOADED)
    ours, theirs = fresh.Pipe()
    process = fresh.Process(target=_probe, args=(kind, library, size, dimension, threads, theirs))
    process.start()
    theirs.close()
    mebibytes = ours.recv()
    process.join()
    return mebibytes


def _probe(kind: str, library: str, size: int, dimension: int, threads: int, pipe: Connection) -> None:
    torch.set_num_threads(threads)
    loss = arms()[kind][library]
    call(loss, *batch(8, dimension))
    embeddings, labels = batch(size, dimension)
    before = _anonymous()
    peak, stop = [before], threading.Event()

    def watch() -> None:
        while not stop.wait(0.0003):
            peak.append(max(peak.pop(), _anonymous()))

    thread = threading.Thread(target=watch)
    thread.start()
    call(loss, embeddings, labels)
    stop.set()
    thread.join()
    pipe.send((peak[0] - before) / 2**20)


def _anonymous() -> int:
    """Bytes of memory that are no file's, so that code read from disk on first use does not count."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssAnon:")[2].split(maxsplit=1)[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--sizes", type=positive, nargs="+", default=[32, 64, 128, 256, 512, 1024, 2048, 4096])
    parser.add_argument("--losses", nargs="+", choices=list(arms()), default=list(arms()))
    parser.add_argument("--dimension", type=positive, default=256)
    parser.add_argument("--repeats", type=positive, default=7)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    torch.set_num_threads(arguments.threads)
    versions = {package: installed(package) for package in ("torch", *PEERS)}
    for package in PEERS:
        if versions[package] is None:
            print(f"{package} is not installed and is left out")
    result: dict = {
        "dimension": arguments.dimension,
        "threads": arguments.threads,
        "machine": platform.machine(),
        "versions": versions,
        "rows": [],
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    for kind in arguments.losses:
        losses = arms()[kind]
        last: dict[str, tuple[int, float]] = {}
        for size in arguments.sizes:
            # From one size to the next a peer's triplets grow with the cube.
            due = {
                name: loss
                for name, loss in losses.items()
                if name not in last or last[name][1] * (size / last[name][0]) ** 3 < PATIENCE
            }
            times = measure_times(due, size, arguments.dimension, arguments.repeats)
            for name, seconds in times.items():
                last[name] = (size, seconds)
                memory = measure_memory(kind, name, size, arguments.dimension, arguments.threads)
                result["rows"].append({"loss": kind, "B": size, "library": name, "ms": 1000 * seconds, "MiB": memory})
                print(f"{kind:18} B={size:<5} {name:24} {1000 * seconds:10.2f} ms {memory:9.1f} MiB", flush=True)
            # After every size, so that a run that is stopped leaves what it measured.
            write_whole(arguments.output / "losses.json", (json.dumps(result, indent=2) + "\n").encode())
            write_whole(arguments.output / "losses.md", table(result["rows"]).encode())
    print(f"wrote {arguments.output / 'losses.md'}")


def installed(package: str) -> str | None:
    """The version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(rows: list[dict]) -> str:
    """Markdown: ours in ms and MiB, each peer as a multiple of ours."""
    peers = sorted({row["library"] for row in rows} - {OURS})
    heads = [f"{peer}: {what}" for peer in peers for what in ("time", "memory")]
    lines = [["loss", "B", "ms", "MiB", *heads], ["---"] + ["---:"] * (3 + len(heads))]
    for own in (row for row in rows if row["library"] == OURS):
        cells = [own["loss"], str(own["B"]), f"{own['ms']:.2f}", f"{own['MiB']:.1f}"]
        for peer in peers:
            other = {r["library"]: r for r in rows if (r["loss"], r["B"]) == (own["loss"], own["B"])}.get(peer)
            for key, least in (("ms", 0.0), ("MiB", 4.0)):  # less than that is noise
                cells.append(f"{other[key] / own[key]:.1f}×" if other and own[key] > least else "–")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
