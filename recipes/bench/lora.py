"""Memory of a training step: all of an encoder of klue/bert-base's shape, and adapters of it (LoRA).

    python recipes/bench/lora.py
    python recipes/bench/lora.py --batch_size 8 --tokens 32 --layers 2

Weights are random: memory does not ask for their values. The peak is that of torch's own accounting: of the allocator
on a GPU, and on a CPU of every allocation and release that its profiler sees, on top of the model that was there.
So it counts weights, gradients, optimizer states, activations and what operators need for themselves, and not Python,
libraries or pages of the system. Two steps are taken, for AdamW makes its states at the end of the first one. On a CPU
products of matrices are allocated and not computed, for one without bf16 would take an hour over them. Writes
runs/bench/lora.md.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertConfig

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.arguments.lora import parse_lora
from emo_hf.arguments.words import CommandParser
from emo_hf.exit_codes import command
from emo_hf.models.configuration import EmotionConfig
from emo_hf.models.lora import add_lora
from emo_hf.models.modeling import EmotionModel
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries
from emo_hf.training.trainer import MetricTrainer

STEPS = 2
LABELS = ("분노", "슬픔", "불안", "상처", "당황", "기쁨")
# How each row of the table is trained: words of --lora, and whether products are computed in bf16.
ARMS = {
    "all of the encoder, fp32": (None, False),
    "all of the encoder, bf16 autocast": (None, True),
    "LoRA r=16, fp32": ("r=16", False),
    "LoRA r=16, bf16 autocast": ("r=16", True),
    "LoRA r=16, frozen weights in bf16": ("r=16 weights=bf16", True),
}


class WithoutProducts(TorchDispatchMode):
    """Gives zeros for products of matrices, of their shape and type: in memory the same, and next to no time."""

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operator not in _PRODUCTS:
            return operator(*args, **(kwargs or {}))
        left, right = args[-2:]
        return left.new_zeros(*left.shape[:-1], right.shape[-1])


_PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default}


def peak_bytes(work: Callable[[], object], there: Iterable[torch.Tensor] = ()) -> int:
    """The most bytes of tensors at any time of some work, with those that were there before it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated()
    before = sum(tensor.untyped_storage().nbytes() for tensor in there)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        work()
    changes = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    most = now = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        now += event.nbytes()  # below zero where memory is given back
        most = max(most, now)
    return before + most


def measure(
    lora: str | None, bf16: bool, *, rows: int, tokens: int, layers: int, hidden: int = 768, products: bool = False
) -> int:
    """The peak in bytes of training steps of `MetricTrainer` on batches of rows × tokens.

    On a CPU, `products` of matrices are computed if asked for.
    """
    torch.manual_seed(1)
    encoder = BertConfig(
        vocab_size=32_000,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
    )
    model = EmotionModel(EmotionConfig(encoder=encoder, labels=LABELS, pooling="mean"))
    if settings := parse_lora(lora):
        add_lora(model, settings)
    ids = torch.randint(5, 32_000, (STEPS * rows, tokens)).tolist()
    data = [{"input_ids": row, "attention_mask": [1] * tokens, "labels": i % 6} for i, row in enumerate(ids)]
    with tempfile.TemporaryDirectory() as folder:
        trainer = MetricTrainer(
            model,
            MetricTrainingArguments(
                output_dir=folder,
                max_steps=STEPS,
                per_device_train_batch_size=rows,
                aux="triplet",
                bf16=bf16,
                save_strategy="no",
                eval_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=data,
        )
        without = contextlib.nullcontext() if products or torch.cuda.is_available() else WithoutProducts()
        with without:
            return peak_bytes(trainer.train, [*model.parameters(), *model.buffers()])


def table(peaks: dict[str, int]) -> str:
    """Markdown: MiB of each way to train, and its share of the first."""
    full = next(iter(peaks.values()))
    rows = [f"| {name} | {peak / 2**20:,.0f} | {peak / full:.2f} |" for name, peak in peaks.items()]
    return "\n".join(["| training | peak, MiB | of the first |", "|---|---:|---:|", *rows])


@command()
def main(argv: Sequence[str]) -> None:
    """Measure every way to train, and print the table."""
    parser = CommandParser(__doc__)
    parser.add_argument("--batch_size", type=positive, default=32, help="rows of a batch")
    parser.add_argument("--tokens", type=positive, default=64, help="tokens of a row")
    parser.add_argument("--layers", type=positive, default=12, help="layers of the encoder")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/lora.md"), help="file of the table")
    arguments: Any = parser.parse_words(argv)
    quiet_libraries()
    sizes = {"rows": arguments.batch_size, "tokens": arguments.tokens, "layers": arguments.layers}
    peaks = {name: measure(lora, bf16, **sizes) for name, (lora, bf16) in ARMS.items()}
    said = table(peaks)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.output, f"{said}\n".encode())
    print(said)


if __name__ == "__main__":
    sys.exit(main())
