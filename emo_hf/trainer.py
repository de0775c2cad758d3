"""`Trainer` with a weighted metric loss beside cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Trainer

from emo_hf.arguments import MetricTrainingArguments
from emo_hf.distributed import gather_embeddings, gather_rows, sum_over_processes, world_size
from emo_hf.losses import build_loss
from emo_hf.sampling import BalancedLengthSampler


class MetricTrainer(Trainer):
    """Trains an `EmotionModel` with cross-entropy + `aux_weight` × metric loss, in one encoder pass a batch.

    The loss takes the embeddings of the wrapped model's output, so data-parallel wrappers see every forward pass. Its
    pairs come from the joint batch of all processes: W processes with batches of B train as one with W × B.
    Evaluation is cross-entropy alone: a metric loss would depend on how evaluation batches happen to fall.
    Each log of the training loss also holds, as means since the last log: `ce_loss`, `aux_loss` (unweighted),
    `accuracy` (of the training batches, dropout on), `active_share`, `positive_distance`, `negative_distance`,
    `embedding_norm` and `embedding_spread` (root mean squared distance of the embeddings from the batch's mean).

    Training data sets need the columns `labels` and `length`, and may have `rows`, ids of the rows: a row that comes
    twice, as when the last batch is filled up for all processes, is then no pair of its own.
    """

    args: MetricTrainingArguments

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # Our loss is a mean over the batch: Trainer has to divide it by the accumulation steps.
        self.loss_is_scaled_for_ga = False
        self.aux_loss = build_loss(
            self.args.aux, margin=self.args.margin, distance=self.args.distance, mining=self.args.mining
        )
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, torch.Tensor] = {}

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """The loss (scalar) of a batch, with the model's output if asked for."""
        rows = inputs.pop("rows", None)
        outputs = model(**inputs)
        if not model.training:
            return (outputs.loss, outputs) if return_outputs else outputs.loss
        labels = inputs["labels"]
        loss = self.label_smoother(outputs, labels) if self.label_smoother is not None else outputs.loss
        parts = {"ce_loss": loss}
        if self.aux_loss is not None:
            metric = self.aux_loss(
                gather_embeddings(outputs.embeddings),
                gather_rows(labels),
                rows=None if rows is None else gather_rows(rows),
                generator=self._generator(labels.device),
            )
            # The wrapper averages gradients over the processes; see `gather_embeddings`.
            loss = loss + self.args.aux_weight * world_size() * metric.loss
            parts |= {
                "aux_loss": metric.loss,
                "active_share": metric.active,
                "positive_distance": metric.positive_distance,
                "negative_distance": metric.negative_distance,
            }
        self._note(parts, outputs, labels)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss to a log of the training loss."""
        if "loss" in logs and self._sums:
            logs |= self._means()
        super().log(logs, start_time)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "rows" not in self._signature_columns:
            self._signature_columns.append("rows")

    def _get_train_sampler(self, train_dataset: Any = None) -> BalancedLengthSampler:
        dataset = self.train_dataset  # as it was given: what Trainer passes has lost the column of lengths
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return BalancedLengthSampler(
            np.asarray(dataset["length"]), np.asarray(dataset["labels"]), self._train_batch_size, seed=seed
        )

    def _generator(self, device: torch.device) -> torch.Generator:
        """Draws for sampled mining, by seed and step: as a resumed run and the other processes draw them."""
        generator = torch.Generator(device=device)
        seeds = [self.args.seed, self.state.global_step]
        return generator.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1))

    @torch.no_grad()
    def _note(self, parts: dict[str, torch.Tensor], outputs: Any, labels: torch.Tensor) -> None:
        """Add to the running sums on the device; nothing waits for it here."""
        embeddings = outputs.embeddings.detach().float()
        parts = {
            **parts,
            "accuracy": (outputs.logits.argmax(-1) == labels).float().mean(),
            "embedding_norm": embeddings.norm(dim=1).mean(),
            "embedding_spread": (embeddings - embeddings.mean(0)).square().sum(1).mean().sqrt(),
        }
        for name, value in parts.items():
            value = value.detach().float()
            known = ~value.isnan() if name.endswith("distance") else torch.ones_like(value)  # no pairs, no distance
            self._sums[name] = self._sums.get(name, 0.0) + torch.where(known.bool(), value, 0.0)
            self._counts[name] = self._counts.get(name, 0.0) + known.float()

    def _means(self) -> dict[str, float]:
        names = list(self._sums)
        stacked = torch.stack([torch.stack([self._sums[n], self._counts[n]]) for n in names])
        sums, counts = sum_over_processes(stacked).cpu().unbind(1)
        self._sums.clear()
        self._counts.clear()
        return {n: float(s / c) for n, s, c in zip(names, sums, counts, strict=True) if c > 0}
