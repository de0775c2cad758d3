"""`Trainer` with a weighted metric loss beside cross-entropy."""

from __future__ import annotations

import functools
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, set_seed
from transformers.trainer_pt_utils import LabelSmoother
from transformers.trainer_utils import rotate_checkpoints
from transformers.utils import SAFE_WEIGHTS_NAME, WEIGHTS_NAME

from emo_hf.arguments.dataclasses import MetricTrainingArguments, cannot_compile
from emo_hf.distributed import gather_embeddings, gather_rows, wait_for_all, world_size
from emo_hf.errors import UserError
from emo_hf.losses import LossOutput, build_loss
from emo_hf.losses.embedding_memory import EmbeddingMemory
from emo_hf.training.checkpoints import seal
from emo_hf.training.cpu.dropout import use_fast_dropout
from emo_hf.training.cpu.layers import use_fused_layers
from emo_hf.training.diagnostics import Means, Watch
from emo_hf.training.gradient_cache import CachedStep, RandomState, cache_step
from emo_hf.training.sampling import BalancedLengthSampler, EpochOfSampler, TokenBudgetSampler, whole_batches

logger = logging.getLogger(__name__)

AUX_LOSS_FILE = "aux_loss.safetensors"
MEMORY_FILE = "aux_memory.safetensors"


def auxiliary_loss(arguments: MetricTrainingArguments, *, num_classes: int, embedding_size: int) -> nn.Module | None:
    """The loss that the arguments name, or None; raises `UserError` for what it does not take."""
    return build_loss(
        arguments.aux,
        margin=arguments.margin,
        distance=arguments.distance,
        mining=arguments.mining,
        num_classes=num_classes,
        embedding_size=embedding_size,
        **(arguments.aux_kwargs or {}),
    )


class MetricTrainer(Trainer):
    """Trains an `EmotionModel` with cross-entropy + `aux_weight` × metric loss, in one encoder pass a batch.

    The loss takes the embeddings of the wrapped model's output, so data-parallel wrappers see every forward pass. Its
    pairs come from the joint batch of all processes: W processes with batches of B train as one with W × B.
    Evaluation is cross-entropy alone: a metric loss would depend on how evaluation batches happen to fall.
    Each log of the training loss also holds, as means since the last log: `ce_loss`, `plain_ce_loss` (without the
    smoothing of labels, where they are smoothed: what validation measures too), `aux_loss` (unweighted),
    `accuracy` (of the training batches, dropout on), `active_share`, `positive_distance`, `negative_distance`,
    `embedding_norm` and `embedding_spread` (root mean squared distance of the embeddings from the batch's mean).

    Training data sets need the columns `labels` and `length`, and may have `rows`, ids of the rows: a row that comes
    twice, as when the last batch is filled up for all processes, is then no pair of its own.
    """

    args: MetricTrainingArguments

    def __init__(self, model: nn.Module | None, args: MetricTrainingArguments, **kwargs: Any):
        if args.torch_compile and (reason := cannot_compile(args)):
            logger.warning("training goes on without torch.compile, which fails here: %s", reason)
            args.torch_compile, args.torch_compile_backend, args.torch_compile_mode = False, None, None
        super().__init__(model, args, **kwargs)
        if self.args.disable_tqdm:
            self.remove_callback(PrinterCallback)  # Trainer would print its logs instead of the bar
        self._speed_up(self.model)
        # Our loss is a mean over the batch: Trainer has to divide it by the accumulation steps.
        self.loss_is_scaled_for_ga = False
        self._start()

    def _start(self) -> None:
        """Make what follows from the arguments and the model, with nothing left of a training before."""
        config = self.model.config
        self.aux_loss = auxiliary_loss(self.args, num_classes=config.num_labels, embedding_size=config.embedding_size)
        if self.aux_loss is not None:
            self.aux_loss.to(self.args.device)
            for parameter in self.aux_loss.parameters():
                # Every process computes the joint loss times the number of processes, and no wrapper averages here.
                parameter.register_hook(lambda gradient: gradient / world_size())
        if self.aux_loss is not None and self.args.gradient_accumulation_steps > 1 and self.args.aux_pool == "batch":
            logger.warning(
                "pairs come from one batch at a time: accumulation does not enlarge their pool; "
                "--aux_pool accumulated does, for one more forward pass"
            )
        self._batches: list[dict[str, Any]] = []  # of the optimizer step in work, while they wait to be cached
        self._draws = 0  # of the optimizer step in work
        self._cached: CachedStep | None = None
        self._memory = EmbeddingMemory(self.args.aux_memory) if self.args.aux_memory else None
        self._watch = Watch()
        self._means = Means()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """The loss (scalar) of a batch, with the model's output if asked for."""
        rows = inputs.pop("rows", None)
        if model.training and self._batches:
            self._cached = self._cache(model)
        if model.training and self._cached is not None:
            self._cached.restore_random_state()
        outputs = model(**inputs)
        if not model.training:
            return (outputs.loss, outputs) if return_outputs else outputs.loss
        labels = inputs["labels"]
        # Under DataParallel, Trainer's way with several GPUs and no launcher, each GPU gives a loss of its own.
        outputs.loss = outputs.loss.mean()
        loss = self.label_smoother(outputs, labels) if self.label_smoother is not None else outputs.loss
        parts = {"ce_loss": loss}
        if self.aux_loss is not None:
            if self._cached is None:
                metric = self._metric_loss(outputs.embeddings, labels, rows)
                value = metric.loss
            else:
                metric = self._cached.metric
                value = self._cached.surrogate(outputs.embeddings)
            # The wrapper averages gradients over the processes; see `gather_embeddings`.
            loss = loss + self._aux_weight() * (value.detach() + world_size() * (value - value.detach()))
            parts |= {
                "aux_loss": metric.loss,
                "active_share": metric.active,
                "positive_distance": metric.positive_distance,
                "negative_distance": metric.negative_distance,
            }
        self._watch.step(self.state.global_step, parts, rows)
        self._note(parts, outputs, labels)
        return (loss, outputs) if return_outputs else loss

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list, Any]:
        """The micro-batches of the next optimizer step; kept for `--aux_pool accumulated`."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._cached, self._draws = None, 0
        for parameter in self._proxies:
            parameter.grad = None  # Trainer clears the gradients of the model alone
        if self.aux_loss is not None and self.args.aux_pool == "accumulated" and len(batches) > 1:
            self._batches = list(batches)
        return batches, items

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As Trainer counts them; but it walks all modules at every step, 3 % of the time of a small encoder."""
        return 6 * inputs["input_ids"].numel() * self._parameters_per_token

    @functools.cached_property
    def _parameters_per_token(self) -> int:
        return self.model.num_parameters(exclude_embeddings=True)

    def call_model_init(self, trial: Any = None) -> nn.Module:
        """A fresh model, as a search makes one for each trial."""
        return self._speed_up(super().call_model_init(trial))

    def _speed_up(self, model: nn.Module) -> nn.Module:
        use_fast_dropout(model)
        if self.args.fused_layers and self.args.device.type == "cpu" and not self.args.torch_compile:
            use_fused_layers(model)
        return model

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Trainer's optimizer, with the parameters of the auxiliary loss, as proxies, in a group of their own."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if fresh and self._proxies:
            optimizer.add_param_group({"params": self._proxies, "weight_decay": 0.0})
        return optimizer

    def _hp_search_setup(self, trial: Any) -> None:
        """Take a trial's arguments; what was made once, from the arguments before it, is made again."""
        super()._hp_search_setup(trial)
        if self.hp_search_backend is None or trial is None:
            return
        smoothing = self.args.label_smoothing_factor
        self.label_smoother = LabelSmoother(epsilon=smoothing) if smoothing else None
        set_seed(self.args.seed)  # as at the start of a trainer: a trial is the very run that its arguments make
        self._start()

    def _report_to_hp_search(self, trial: Any, step: int, metrics: dict[str, float]) -> None:
        # By epoch, which trials with batches of different sizes have in common, not by step.
        super()._report_to_hp_search(trial, math.ceil(self.state.epoch or 0), metrics)

    @property
    def _proxies(self) -> list[nn.Parameter]:
        return [] if self.aux_loss is None else list(self.aux_loss.parameters())

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self._proxies:
            save_file(self.aux_loss.state_dict(), Path(output_dir or self.args.output_dir) / AUX_LOSS_FILE)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's checkpoint, sealed when all processes have written their parts; only then do older ones go."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        run_dir = self._get_output_dir(trial=trial)
        folder = Path(run_dir) / f"checkpoint-{self.state.global_step}"
        wait_for_all()
        if self.args.should_save:
            if self._memory is not None:
                self._memory.save(folder / MEMORY_FILE)
            seal(folder)
            rotate_checkpoints(run_dir, limit, self.state.best_model_checkpoint, use_mtime=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        if (folder / WEIGHTS_NAME).is_file() and not (folder / SAFE_WEIGHTS_NAME).is_file():
            raise UserError(
                f"{folder} has its weights in {WEIGHTS_NAME}, a pickle, which can run code when it is read; resume "
                f"from a checkpoint with {SAFE_WEIGHTS_NAME}, which training writes"
            )
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self._proxies:
            self.aux_loss.load_state_dict(load_file(Path(resume_from_checkpoint) / AUX_LOSS_FILE))
        if self._memory is not None:
            self._memory.load(Path(resume_from_checkpoint) / MEMORY_FILE, self.args.device)

    def _update_auto_batch_size(self, batch_size: int) -> None:
        """Start anew with the next smaller batch, as a run that had it from the beginning."""
        again = batch_size != self._train_batch_size
        if again:
            logger.warning("out of memory with batches of %d; %d is tried", self._train_batch_size, batch_size)
        super()._update_auto_batch_size(batch_size)
        if not again:
            self._beginning = (
                {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()},
                [] if self.aux_loss is None else [p.detach().clone() for p in self.aux_loss.parameters()],
                RandomState(self.args.device),
            )
            return
        weights, proxies, random_state = self._beginning
        self.model.load_state_dict(weights)
        self.model.zero_grad()
        self.optimizer = self.lr_scheduler = None
        self._start()
        with torch.no_grad():
            for parameter, value in zip(self._proxies, proxies, strict=True):
                parameter.copy_(value)
        random_state.restore()

    def _cache(self, model: nn.Module) -> CachedStep:
        """The metric loss over all micro-batches of this optimizer step and all processes."""
        batches = [dict(self._prepare_inputs(batch)) for batch in self._batches]
        self._batches = []
        rows = [batch.pop("rows", None) for batch in batches]
        labels = torch.cat([batch["labels"] for batch in batches])
        known = None if rows[0] is None else torch.cat(rows)
        return cache_step(model, batches, lambda parts: self._metric_loss(torch.cat(parts), labels, known), self._proxies)

    def _metric_loss(self, embeddings: Tensor, labels: Tensor, rows: Tensor | None) -> LossOutput:
        """The auxiliary loss over the rows of all processes; the gradient reaches the own embeddings (B, D)."""
        embeddings, labels = gather_embeddings(embeddings), gather_rows(labels)
        rows = None if rows is None else gather_rows(rows)
        # To make one takes a sixth of a metric loss's time.
        generator = self._generator(labels.device) if self.args.mining == "sampled" else None
        if self._memory is None:
            return self.aux_loss(embeddings, labels, rows=rows, generator=generator)
        if rows is None:
            raise UserError("--aux_memory needs a column `rows`, ids of the rows, in the training data")
        reference = self._memory.beside(embeddings, labels, rows)
        metric = self.aux_loss(
            embeddings, labels, *reference[:2], rows=rows, reference_rows=reference[2], generator=generator
        )
        self._memory.remember(embeddings, labels, rows)
        return metric

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss to a log of the training loss."""
        if "loss" in logs and (means := self._means.take()):
            logs |= means
            self._watch.log(logs, self.args)
        super().log(logs, start_time)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "rows" not in self._signature_columns:
            self._signature_columns.append("rows")

    def _get_train_sampler(self, train_dataset: Any = None) -> BalancedLengthSampler:
        dataset = self.train_dataset  # as it was given: what Trainer passes has lost the column of lengths
        lengths, labels = np.asarray(dataset["length"]), np.asarray(dataset["labels"])
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        if self.args.tokens_per_batch:
            budget = self.args.tokens_per_batch
            sampler = TokenBudgetSampler(lengths, labels, budget, seed=seed, processes=world_size())
        else:
            sampler = BalancedLengthSampler(lengths, labels, self._train_batch_size, seed=seed)
        self.remove_callback(EpochOfSampler)
        self.add_callback(EpochOfSampler(sampler))
        return sampler

    def get_train_dataloader(self) -> DataLoader:
        """Trainer's, or under `--tokens_per_batch` one with batches of many sizes."""
        if not self.args.tokens_per_batch:
            return super().get_train_dataloader()
        dataset = self._remove_unused_columns(self.train_dataset, description="Training")
        loader = whole_batches(dataset, self._get_train_sampler(), self.data_collator, self.args)
        return self.accelerator.prepare(loader)

    def _get_dataloader(self, *args: Any, is_training: bool = False, **kwargs: Any) -> DataLoader:
        """As Trainer's; but only training drops a last batch that is not full: every row is evaluated."""
        asked = self.args.dataloader_drop_last
        self.args.dataloader_drop_last = asked and is_training
        try:
            return super()._get_dataloader(*args, is_training=is_training, **kwargs)
        finally:
            self.args.dataloader_drop_last = asked

    def _aux_weight(self) -> float:
        """The weight of the auxiliary loss at this step: constant, after a linear warm-up if one is asked for."""
        steps = self.args.aux_warmup if self.args.aux_warmup >= 1 else self.args.aux_warmup * self.state.max_steps
        return self.args.aux_weight * min(1.0, (self.state.global_step + 1) / steps if steps else 1.0)

    def _generator(self, device: torch.device) -> torch.Generator:
        """Draws for sampled mining, by seed, step and micro-batch: as a resumed run and the other processes draw."""
        generator = torch.Generator(device=device)
        seeds = [self.args.seed, self.state.global_step, self._draws]
        self._draws += 1
        return generator.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1))

    @torch.no_grad()
    def _note(self, parts: dict[str, torch.Tensor], outputs: Any, labels: torch.Tensor) -> None:
        """Add to the running means."""
        embeddings = outputs.embeddings.detach().float()
        if self.label_smoother is not None:
            parts = {**parts, "plain_ce_loss": outputs.loss}
        self._means.add(
            {
                **parts,
                "accuracy": (outputs.logits.argmax(-1) == labels).float().mean(),
                "embedding_norm": embeddings.norm(dim=1).mean(),
                "embedding_spread": (embeddings - embeddings.mean(0)).square().sum(1).mean().sqrt(),
            }
        )
