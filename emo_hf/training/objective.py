"""The metric loss beside cross-entropy: its parameters, memory, gradient cache, draws and weight."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.distributed import gather_embeddings, gather_rows, world_size
from emo_hf.errors import UserError
from emo_hf.losses import LossOutput, build_loss
from emo_hf.losses.capabilities import AUX_FLAGS, check_taken
from emo_hf.losses.embedding_memory import EmbeddingMemory
from emo_hf.training.gradient_cache import CachedStep, cache_step

logger = logging.getLogger(__name__)

AUX_LOSS_FILE = "aux_loss.safetensors"
MEMORY_FILE = "aux_memory.safetensors"
# The arguments of auxiliary losses, as they are where nothing is said.
AUX_DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(MetricTrainingArguments) if field.name in AUX_FLAGS
}


def given_to_losses(training: Mapping[str, Any]) -> dict[str, Any]:
    """Of training arguments by name, those of auxiliary losses that differ from their defaults."""
    return {name: training[name] for name, usual in AUX_DEFAULTS.items() if training.get(name, usual) != usual}


def auxiliary_loss(arguments: MetricTrainingArguments, *, num_classes: int, embedding_size: int) -> nn.Module | None:
    """The loss that the arguments name, or None.

    Raises:
        UserError: an unknown loss, and every argument or value that the loss does not take.
    """
    check_taken([arguments.aux], given_to_losses(vars(arguments)))
    options = arguments.aux_kwargs if isinstance(arguments.aux_kwargs, dict) else {}
    return build_loss(
        arguments.aux,
        margin=arguments.margin,
        distance=arguments.distance,
        mining=arguments.mining,
        num_classes=num_classes,
        embedding_size=embedding_size,
        **options,
    )


class AuxiliaryObjective:
    """`aux_weight` × a metric loss over the joint batch of all processes, step by step.

    Holds what that takes: the loss with its parameters (`parameters`, as proxies, which no wrapper of the model sees),
    the memory of past embeddings, the gradient cache of `--aux_pool accumulated`, and the draws of sampled mining.
    """

    def __init__(self, loss: nn.Module, arguments: MetricTrainingArguments, dtype: torch.dtype):
        self._arguments = arguments
        # Proxies are compared with embeddings of the model's type; those in half precision are computed in fp32.
        self.loss = loss.to(arguments.device, torch.promote_types(dtype, torch.float32))
        for parameter in self.parameters:
            # Every process computes the joint loss times the number of processes, and no wrapper averages here.
            parameter.register_hook(lambda gradient: gradient / world_size())
        if arguments.gradient_accumulation_steps > 1 and arguments.aux_pool == "batch":
            logger.warning(
                "pairs come from one batch at a time: accumulation does not enlarge their pool; "
                "--aux_pool accumulated does, for one more forward pass"
            )
        if arguments.gradient_accumulation_steps == 1 and arguments.aux_pool == "accumulated":
            logger.warning(
                "--aux_pool accumulated changes nothing: a step has one batch; raise --gradient_accumulation_steps"
            )
        self._batches: list[dict[str, Any]] = []  # of the optimizer step in work, while they wait to be cached
        self._draws = 0  # of the optimizer step in work
        self._cached: CachedStep | None = None
        self._memory = EmbeddingMemory(arguments.aux_memory) if arguments.aux_memory else None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters of the loss itself, as proxies."""
        return list(self.loss.parameters())

    def begin_step(self, batches: Sequence[dict[str, Any]]) -> None:
        """Take note of an optimizer step that begins, with its micro-batches."""
        self._cached, self._draws = None, 0
        for parameter in self.parameters:
            parameter.grad = None  # Trainer clears the gradients of the model alone
        if self._arguments.aux_pool == "accumulated" and len(batches) > 1:
            self._batches = list(batches)

    def before_forward(
        self, model: nn.Module, prepared: Callable[[dict[str, Any]], dict[str, Any]], step: int
    ) -> None:
        """What has to happen before the forward pass of a micro-batch that is trained on.

        Args:
            model: the wrapped model.
            prepared: puts a micro-batch onto the device.
            step: the number of the optimizer step.
        """
        if self._batches:
            batches = [dict(prepared(batch)) for batch in self._batches]
            self._batches = []
            self._cached = self._cache(model, batches, step)
        if self._cached is not None:
            self._cached.restore_random_state()

    def term(
        self, embeddings: Tensor, labels: Tensor, rows: Tensor | None, step: int, steps: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted loss (scalar) of a micro-batch, and what the log has of it.

        Args:
            embeddings: (B, D) of this process, with labels (B,) and ids of the rows (B,), if they are known.
            step: the number of the optimizer step, and `steps` how many there are.
        """
        if self._cached is None:
            metric = self._metric_loss(embeddings, labels, rows, step)
            value = metric.loss
        else:
            metric = self._cached.metric
            value = self._cached.surrogate(embeddings)
        # The wrapper averages gradients over the processes; see `gather_embeddings`.
        term = self._weight(step, steps) * (value.detach() + world_size() * (value - value.detach()))
        return term, {
            "aux_loss": metric.loss,
            "active_share": metric.active,
            "positive_distance": metric.positive_distance,
            "negative_distance": metric.negative_distance,
        }

    def save(self, folder: Path) -> None:
        """Write the parameters of the loss, where it has some."""
        if self.parameters:
            save_file(self.loss.state_dict(), folder / AUX_LOSS_FILE)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        if self.parameters:
            self.loss.load_state_dict(load_file(folder / AUX_LOSS_FILE))

    def save_memory(self, folder: Path) -> None:
        """Write the memory into a checkpoint."""
        if self._memory is not None:
            self._memory.save(folder / MEMORY_FILE)

    def load_memory(self, folder: Path) -> None:
        """Read the memory of a checkpoint."""
        if self._memory is not None:
            self._memory.load(folder / MEMORY_FILE, self._arguments.device)

    def _cache(self, model: nn.Module, batches: list[dict[str, Any]], step: int) -> CachedStep:
        """The metric loss over all micro-batches of an optimizer step and all processes."""
        rows = [batch.pop("rows", None) for batch in batches]
        labels = torch.cat([batch["labels"] for batch in batches])
        known = None if rows[0] is None else torch.cat(rows)
        cached = cache_step(
            model, batches, lambda parts: self._metric_loss(torch.cat(parts), labels, known, step), self.parameters
        )
        # Their hook has divided these gradients, and will divide them again when the trainer goes backward.
        cached.of_parameters = [(parameter, gradient * world_size()) for parameter, gradient in cached.of_parameters]
        return cached

    def _metric_loss(self, embeddings: Tensor, labels: Tensor, rows: Tensor | None, step: int) -> LossOutput:
        """The loss over the rows of all processes; the gradient reaches the own embeddings (B, D)."""
        embeddings, labels = gather_embeddings(embeddings), gather_rows(labels)
        rows = None if rows is None else gather_rows(rows)
        # To make one takes a sixth of a metric loss's time.
        generator = self._generator(labels.device, step) if self._arguments.mining == "sampled" else None
        if self._memory is None:
            return self.loss(embeddings, labels, rows=rows, generator=generator)
        if rows is None:
            raise UserError("--aux_memory needs a column `rows`, ids of the rows, in the training data")
        reference = self._memory.beside(embeddings, labels, rows)
        metric = self.loss(
            embeddings, labels, *reference[:2], rows=rows, reference_rows=reference[2], generator=generator
        )
        self._memory.remember(embeddings, labels, rows)
        return metric

    def _weight(self, step: int, steps: int) -> float:
        """The weight at a step: constant, after a linear warm-up if one is asked for."""
        warmup = self._arguments.aux_warmup
        warm = warmup if warmup >= 1 else warmup * steps
        return self._arguments.aux_weight * min(1.0, (step + 1) / warm if warm else 1.0)

    def _generator(self, device: torch.device, step: int) -> torch.Generator:
        """Draws for sampled mining, by seed, step and micro-batch: as a resumed run and the other processes draw."""
        generator = torch.Generator(device=device)
        seeds = [self._arguments.seed, step, self._draws]
        self._draws += 1
        return generator.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1))


class BestParameters(TrainerCallback):
    """At the end of a training, gives the objective the parameters of the checkpoint that the model goes back to."""

    def __init__(self, objective: Callable[[], AuxiliaryObjective | None]):
        self._objective = objective

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        objective = self._objective()
        if objective is not None and args.load_best_model_at_end and state.best_model_checkpoint is not None:
            objective.load(Path(state.best_model_checkpoint))
