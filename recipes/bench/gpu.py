"""What a GPU makes of training: sentences a second, MFU and peak memory of each way to train, over batch sizes.

    python recipes/bench/gpu.py
    python recipes/bench/gpu.py --tokens 128 --batches 64 256 --arms bf16 "bf16, compiled" --repeats 5
    python recipes/bench/gpu.py --shape tiny --batches 4 8 --steps 2 --repeats 1    # on a CPU, to see that it works

The encoder has klue/bert-base's shape and random weights, for speed does not ask for their values, so that nothing is
downloaded. The steps are those of `MetricTrainer` with mean pooling and the triplet loss, collation and optimizer
included. Rows are as long as the sentences of the bundled sample, or all of `--tokens`. Every arm and batch size is a
process of its own: the first epoch warms up, of the others the median is kept. What does not fit into memory, or
fails, is a row that says so. MFU is the share of the device's own best matrix product in the precision of the arm that
the operations a step needs make up: no numbers of a data sheet. Peak memory is that of torch's allocator on a GPU, and
all of the process on a CPU. Writes runs/bench/gpu.md.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from losses import installed
from training import gemm_peak
from transformers import BertConfig, TrainerCallback

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.lora import parse_lora
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError, first_line
from emo_hf.exit_codes import command
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.lora import add_lora
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pretrained import load_tokenizer
from emo_hf.storage.files import write_whole
from emo_hf.training.loaded import load_data
from emo_hf.training.progress import quiet_libraries
from emo_hf.training.trainer import MetricTrainer

LABELS = ("분노", "슬픔", "불안", "상처", "당황", "기쁨")
MAX_LENGTH = 128


@dataclass(frozen=True)
class Shape:
    """An encoder in BERT's layout."""

    layers: int
    hidden: int
    vocabulary: int


SHAPES = {"base": Shape(12, 768, 32_000), "tiny": Shape(2, 64, 1000)}


@dataclass(frozen=True)
class Arm:
    """A way to train; `needs` is the module that it can't do without."""

    bf16: bool = True
    attention: str = "sdpa"
    compiled: bool = False
    by_tokens: bool = False
    lora: str | None = None
    needs: str = "torch"


ARMS = {
    "fp32": Arm(bf16=False),
    "bf16": Arm(),
    "bf16, eager attention": Arm(attention="eager"),
    "bf16, flash attention 2": Arm(attention="flash_attention_2", needs="flash_attn"),
    "bf16, compiled": Arm(compiled=True),
    "bf16, tokens_per_batch": Arm(by_tokens=True),
    "bf16, LoRA r=16": Arm(lora="r=16", needs="peft"),
}


@dataclass(frozen=True)
class Cell:
    """One process: an arm at a batch size."""

    arm: str
    batch: int
    shape: str
    tokens: int | None
    steps: int
    repeats: int
    threads: int


class Epochs(TrainerCallback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.started = self._now()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(self._now() - self.started)

    def _now(self) -> float:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        return time.perf_counter()


def lengths_of(tokens: int | None, count: int) -> np.ndarray:
    """The tokens (N,) of so many rows: all the same, or those of the bundled sample's sentences in a random order."""
    if tokens is not None:
        return np.full(count, tokens)
    texts = load_data(DataArguments()).splits["train"]["text"][:]
    cut = load_tokenizer(ModelArguments())(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    known = np.array([len(ids) for ids in cut])
    return np.resize(np.random.default_rng(1).permutation(known), count)


def rows_of(lengths: np.ndarray, vocabulary: int) -> datasets.Dataset:
    """Rows of random tokens, of all classes in turn."""
    random = np.random.default_rng(2)
    ids = [random.integers(5, vocabulary, length, dtype=np.int32) for length in lengths]
    return datasets.Dataset.from_dict(
        {"input_ids": ids, "labels": np.arange(len(ids)) % len(LABELS), "length": lengths.astype(np.int32)}
    )


def make_model(shape: Shape, arm: Arm) -> EmotionModel:
    """A model of random weights, with adapters if the arm has some."""
    torch.manual_seed(1)
    encoder = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=max(1, shape.hidden // 64),
        intermediate_size=4 * shape.hidden,
    )
    model = EmotionModel(EmotionConfig(encoder=encoder, labels=LABELS, pooling="mean"))
    model.set_attn_implementation(arm.attention)
    lora = parse_lora(arm.lora)
    return add_lora(model, lora) if lora else model


def operations(model: EmotionModel, lengths: np.ndarray) -> float:
    """Floating-point operations that an epoch over rows of these lengths needs, without padding.

    Two for each weight and token forward, two backward, and two more for a weight that is trained, which few are
    under LoRA; and those of attention, which has no weights.
    """
    inner = [part for name, part in model.encoder.named_parameters() if "embeddings" not in name]
    weights = 4.0 * sum(part.numel() for part in inner) + 2.0 * sum(p.numel() for p in inner if p.requires_grad)
    config = model.config.encoder
    squares = np.square(lengths, dtype=np.float64).sum()
    return weights * lengths.sum() + 12.0 * config.num_hidden_layers * config.hidden_size * squares


def measure(cell: Cell) -> dict[str, float]:
    """Sentences and real tokens a second, MFU, and peak MiB of an arm at a batch size, in this process."""
    torch.set_num_threads(cell.threads)
    arm, shape = ARMS[cell.arm], SHAPES[cell.shape]
    lengths = lengths_of(cell.tokens, cell.batch * cell.steps)
    model = make_model(shape, arm)
    needed = operations(model, lengths)
    epochs = Epochs()
    with tempfile.TemporaryDirectory() as folder:
        arguments = MetricTrainingArguments(
            output_dir=folder,
            num_train_epochs=1 + cell.repeats,
            per_device_train_batch_size=cell.batch,
            tokens_per_batch=round(cell.batch * lengths.mean()) if arm.by_tokens else 0,
            aux="triplet",
            bf16=arm.bf16,
            torch_compile=arm.compiled,
            save_strategy="no",
            eval_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        rows = rows_of(lengths, shape.vocabulary)
        trainer = MetricTrainer(model, arguments, train_dataset=rows, callbacks=[epochs])
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**20
    seconds = statistics.median(epochs.seconds[1:])
    size = 8192 if torch.accelerator.is_available() else 256  # a small one would not fill a GPU
    best = gemm_peak(torch.bfloat16 if arm.bf16 else torch.float32, size)
    return {
        "sentences": len(lengths) / seconds,
        "tokens": float(lengths.sum()) / seconds,
        "mfu": needed / seconds / best,
        "tflops": best / 1e12,
        "peak_mib": peak,
    }


def serve(cell: Cell, pipe: Connection) -> None:
    """Measure in this process, and give what was found, or the line of an error."""
    quiet_libraries()
    try:
        pipe.send(measure(cell))
    except torch.OutOfMemoryError:
        pipe.send("out of memory")
    except Exception as error:  # one arm that fails, as for want of a compiler, must not end the others
        pipe.send(f"failed: {first_line(error)}")


def measured(cell: Cell) -> dict[str, float] | str:
    """What `measure` finds in a fresh process, or in a line why there is nothing."""
    fresh = multiprocessing.get_context("spawn")
    ours, theirs = fresh.Pipe()
    process = fresh.Process(target=serve, args=(cell, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return "failed: its process was killed, perhaps for lack of memory"
    finally:
        process.join()


def table(found: dict[tuple[str, int], dict[str, float] | str]) -> str:
    """Markdown: a row for each arm and batch size, with what kept one from being measured in its place."""
    heads = ["training", "batch", "sentences/s", "real tokens/s", "MFU", "of TFLOP/s", "peak MiB"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for (arm, batch), row in found.items():
        if isinstance(row, str):
            lines.append([arm, f"{batch}", row.replace("|", "\\|"), *[""] * 4])
            continue
        speeds = [f"{row['sentences']:,.0f}", f"{row['tokens']:,.0f}", f"{row['mfu']:.2f}", f"{row['tflops']:.3g}"]
        lines.append([arm, f"{batch}", *speeds, f"{row['peak_mib']:,.0f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def device_name() -> str:
    """The name of the card, or CPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return str(torch.accelerator.current_accelerator() or "CPU")


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument(
        "--shape", choices=list(SHAPES), default="base", help="of the encoder; base is klue/bert-base's"
    )
    parser.add_argument("--batches", type=positive, nargs="+", default=[32, 64, 128, 256, 512], help="rows of a batch")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM")
    parser.add_argument("--tokens", type=positive, help="of every row; without it as the bundled sample's sentences")
    parser.add_argument("--steps", type=positive, default=20, help="of an epoch")
    parser.add_argument("--repeats", type=positive, default=3, help="epochs after the first")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    if arguments.tokens and not 3 <= arguments.tokens <= MAX_LENGTH:
        raise UserError(f"--tokens is {arguments.tokens}; allowed is 3 to {MAX_LENGTH}")
    if small := [batch for batch in arguments.batches if batch < 4]:
        raise UserError(f"--batches has {small[0]}; a triplet loss needs 4 rows or more")
    quiet_libraries()
    absent = {name: ARMS[name].needs for name in arguments.arms if find_spec(ARMS[name].needs) is None}
    found: dict[tuple[str, int], dict[str, float] | str] = {}
    for name in (name for name in arguments.arms if name not in absent):
        for batch in arguments.batches:
            told = measured(
                Cell(
                    name,
                    batch,
                    arguments.shape,
                    arguments.tokens,
                    arguments.steps,
                    arguments.repeats,
                    arguments.threads,
                )
            )
            found[name, batch] = told
            said = told if isinstance(told, str) else f"{told['sentences']:,.0f} sentences/s, MFU {told['mfu']:.2f}"
            print(f"{name}, batch {batch}: {said}", flush=True)
    shape = SHAPES[arguments.shape]
    rows = f"{arguments.tokens} tokens a row" if arguments.tokens else "rows as long as the sample's sentences"
    versions = ", ".join(f"{package} {installed(package)}" for package in ("torch", "transformers", "accelerate"))
    said = (
        f"{device_name()}; {shape.layers} layers of {shape.hidden}, vocabulary {shape.vocabulary:,}, {rows}, triplet "
        f"loss, epochs of {arguments.steps} steps, medians of {arguments.repeats}. MFU is the share of the TFLOP/s "
        f"beside it, the device's own best matrix product. {versions}.\n\n{table(found)}"
    )
    said += "".join(f"\nNot measured: {name}, as {module} is not installed.\n" for name, module in absent.items())
    print("\n" + said, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'gpu.md', said.encode())}")


if __name__ == "__main__":
    sys.exit(main())
