"""`Trainer` with a weighted metric loss beside the classifier's loss."""

from __future__ import annotations

import functools
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PreTrainedTokenizerBase, PrinterCallback, Trainer, set_seed
from transformers.trainer_utils import rotate_checkpoints
from transformers.utils import SAFE_WEIGHTS_NAME, WEIGHTS_NAME

from emo_hf.arguments.compiling import cannot_compile
from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.data.collation import PaddingCollator
from emo_hf.distributed import wait_for_all, world_size
from emo_hf.errors import UserError
from emo_hf.evaluation.trainer_metrics import classes_of, label_set_metrics, trainer_metrics
from emo_hf.losses.classification import ClassificationLoss, LabelSetLoss
from emo_hf.losses.r_drop import disagreement, twice
from emo_hf.models.lora import is_adapted, trained_dtype
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pretrained import default_learning_rate
from emo_hf.training.beginning import Beginning
from emo_hf.training.by_hand import check_arguments, check_model, evaluates, lack, named_folder
from emo_hf.training.checkpoints import seal
from emo_hf.training.classifier_loss import check_classification, check_labels_a_row, classification_loss
from emo_hf.training.cpu.dropout import use_fast_dropout
from emo_hf.training.cpu.layers import use_fused_layers
from emo_hf.training.diagnostics import Means, Watch, of_batch
from emo_hf.training.objective import AuxiliaryObjective, BestParameters, auxiliary_loss
from emo_hf.training.parameter_groups import set_apart
from emo_hf.training.rows import check_evaluated, labels_of, lengths_of, numbered, rarest
from emo_hf.training.sampling import BalancedLengthSampler, EpochOfSampler, TokenBudgetSampler, whole_batches

logger = logging.getLogger(__name__)


class MetricTrainer(Trainer):
    """Trains an `EmotionModel` with cross-entropy + `aux_weight` × metric loss, in one encoder pass a batch.

    The loss takes the embeddings of the wrapped model's output, so data-parallel wrappers see every forward pass. Its
    pairs come from the joint batch of all processes: W processes with batches of B train as one with W × B.
    Evaluation is cross-entropy alone: a metric loss would depend on how evaluation batches happen to fall.
    Each log of the training loss also holds, as means since the last log: `ce_loss` (of the classifier),
    `plain_ce_loss` (cross-entropy as validation measures it, where that is another), `r_drop_loss` and `aux_loss`
    (unweighted), `accuracy` (of the training batches, dropout on), `active_share`, `positive_distance`,
    `negative_distance`, `embedding_norm`, `embedding_spread` (root mean squared distance from the batch's mean).

    As any `Trainer` it takes tokenized rows with `input_ids` and `labels` (or `label`), as a data set, a list of
    dictionaries or a `Dataset` of torch. What differs: `data_collator` is a `PaddingCollator` unless another is given;
    `compute_metrics` adds to accuracy and macro-F1, which are always measured; `learning_rate` is by default that of
    the model's encoder; without `eval_dataset` the training ends with its last step. A column `length` saves counting
    tokens.

    Raises:
        UserError: a model, arguments or rows that it can't train with or on.
    """

    args: MetricTrainingArguments
    model: EmotionModel
    auxiliary: AuxiliaryObjective | None

    def __init__(
        self, model: nn.Module | None = None, args: MetricTrainingArguments | None = None, *given: Any, **kwargs: Any
    ):
        args = MetricTrainingArguments() if args is None else args
        check_arguments(args)
        if model is not None:
            check_model(model)
        evaluates(args, given[2] if len(given) > 2 else kwargs.get("eval_dataset"))
        if args.torch_compile and (reason := cannot_compile(args)):
            logger.warning("training goes on without torch.compile, which fails here: %s", reason)
            args.torch_compile, args.torch_compile_backend, args.torch_compile_mode = False, None, None
        args.output_dir = named_folder(args, model)
        with warnings.catch_warnings():  # of the default, which is for rows with one label
            warnings.filterwarnings("ignore", "Label smoothing is not compatible")
            super().__init__(model, args, *given, **kwargs)
        self._complete(padded=not given[:1] and kwargs.get("data_collator") is None)
        if self.args.disable_tqdm:
            self.remove_callback(PrinterCallback)  # Trainer would print its logs instead of the bar
        self._speed_up(self.model)
        # Our loss is a mean over the batch: Trainer has to divide it by the accumulation steps.
        self.loss_is_scaled_for_ga = False
        self.add_callback(BestParameters(lambda: self.auxiliary))
        self._start()

    def _complete(self, padded: bool) -> None:
        """Bring what was not given, and what only the model tells; with `padded`, how batches are padded too."""
        config, args = self.model.config, self.args
        if args.learning_rate is None:
            args.learning_rate = default_learning_rate(config, adapted=is_adapted(self.model))
        if padded:
            known = self.processing_class
            self.data_collator = PaddingCollator(known if isinstance(known, PreTrainedTokenizerBase) else config)
        if not args.batch_eval_metrics:  # of which a function of somebody's own takes note
            usual = label_set_metrics(args.thresholds) if config.multi_label else trainer_metrics(config.labels)
            self.compute_metrics = self._watched(usual, self.compute_metrics)

    @property
    def train_dataset(self) -> Any:
        """The rows to train on, numbered."""
        return self._train_dataset

    @train_dataset.setter
    def train_dataset(self, rows: Any) -> None:
        self._train_dataset = None if rows is None else numbered(rows)

    def _start(self) -> None:
        """Make what follows from the arguments and the model, with nothing left of a training before."""
        config = self.model.config
        check_classification(vars(self.args))
        check_labels_a_row(self.args, config.multi_label)
        loss = auxiliary_loss(self.args, num_classes=len(config.labels), embedding_size=config.embedding_size)
        self.auxiliary = None if loss is None else AuxiliaryObjective(loss, self.args, trained_dtype(self.model))
        self._classify: ClassificationLoss | LabelSetLoss | None = None  # until the sizes of the classes are known
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
        if not model.training:
            outputs = model(**inputs)
            return (outputs.loss, outputs) if return_outputs else outputs.loss
        step = self.state.global_step
        if self.auxiliary is not None:
            self.auxiliary.before_forward(model, self._prepare_inputs, step)
        outputs = model(**(inputs := twice(inputs) if self.args.r_drop else inputs))
        if "labels" not in inputs or getattr(outputs, "embeddings", None) is None:
            raise UserError(lack(outputs, inputs))
        labels = inputs["labels"]
        # Under DataParallel, Trainer's way with several GPUs and no launcher, each GPU gives a loss of its own.
        outputs.loss = outputs.loss.mean()
        loss = outputs.loss if self._classify is None else self._classify(outputs.logits, labels)
        parts = {"ce_loss": loss}
        if self.args.r_drop:
            parts["r_drop_loss"] = disagreement(outputs.logits, self.model.config.multi_label)
            loss = loss + self.args.r_drop * parts["r_drop_loss"]
        if self.auxiliary is not None:
            once = slice(len(labels) // (2 if self.args.r_drop else 1))  # a row is no partner of itself
            pooled = outputs.embeddings[once], labels[once]
            term, of_metric = self.auxiliary.term(*pooled, rows, step, self.state.max_steps)
            loss = loss + term
            parts |= of_metric
        self._watch.step(step, parts, rows)
        plain = {} if self._classify is None else {"plain_ce_loss": outputs.loss}
        self._means.add(parts | plain | of_batch(outputs.logits, outputs.embeddings, labels))
        return (loss, outputs) if return_outputs else loss

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list, Any]:
        """The micro-batches of the next optimizer step, of which the objective takes note."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.auxiliary is not None:
            self.auxiliary.begin_step(batches)
        return batches, items

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As Trainer counts them; but it walks all modules at every step, 3 % of the time of a small encoder."""
        return (12 if self.args.r_drop else 6) * inputs["input_ids"].numel() * self._parameters_per_token

    @functools.cached_property
    def _parameters_per_token(self) -> int:
        return self.model.num_parameters(exclude_embeddings=True)

    def call_model_init(self, trial: Any = None) -> nn.Module:
        """A fresh model, as a search makes one for each trial."""
        model = super().call_model_init(trial)
        check_model(model)
        return self._speed_up(model)

    def _speed_up(self, model: nn.Module) -> nn.Module:
        use_fast_dropout(model)
        if self.args.fused_layers and self.args.device.type == "cpu" and not self.args.torch_compile:
            use_fused_layers(model)
        return model

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Trainer's optimizer, with groups of their own for what the auxiliary loss learns and for n-grams."""
        if self.optimizer is None:
            made = super().create_optimizer(model)
            set_apart(made, self._proxies, self.model, self.args.ngrams_learning_rate)
        return super().create_optimizer(model)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As Trainer's, with the parameters of the auxiliary loss beside the model."""
        super().save_model(output_dir, _internal_call)
        if self.auxiliary is not None and self.args.should_save:
            self.auxiliary.save(Path(output_dir or self.args.output_dir))

    def _watched(
        self, compute: Callable[[EvalPrediction], dict], more: Callable[[EvalPrediction], dict] | None
    ) -> Callable[[EvalPrediction], dict]:
        """`compute` and `more`, with a look at the classes that are predicted while the model trains."""

        def watched(prediction: EvalPrediction) -> dict:
            # The first epoch may well leave a class out, unless it is the only one.
            several = self.model.config.multi_label
            if self.is_in_train and not several and (self.state.epoch or 0) >= min(2, self.args.num_train_epochs):
                predicted, true = classes_of(prediction), np.asarray(prediction.label_ids)
                self._watch.evaluated(predicted, true, self.model.config.labels, self.args)
            return {**compute(prediction), **(more(prediction) if more else {})}

        return watched

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the parts of the loss to a log of the training loss."""
        if "loss" in logs and (means := self._means.take()):
            logs |= means
            self._watch.log(logs, self.args)
        super().log(logs, start_time)

    def get_train_dataloader(self) -> DataLoader:
        """Trainer's, or under `--tokens_per_batch` one with batches of many sizes."""
        if not self.args.tokens_per_batch:
            return super().get_train_dataloader()
        dataset, collate = self.train_dataset, self.data_collator
        if isinstance(dataset, datasets.Dataset):
            dataset = self._remove_unused_columns(dataset, description="Training")
        else:
            collate = self._get_collator_with_removed_columns(collate, description="Training")
        batches = cast(TokenBudgetSampler, self._get_train_sampler())
        return self.accelerator.prepare(whole_batches(dataset, batches, collate, self.args))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """As Trainer's, with every row: only training drops a last batch that is not full."""
        config = self.model.config
        check_evaluated(self.eval_dataset if eval_dataset is None else eval_dataset, config.labels, config.multi_label)
        with self._every_row():
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        """As `get_eval_dataloader`."""
        with self._every_row():
            return super().get_test_dataloader(test_dataset)

    @contextmanager
    def _every_row(self) -> Iterator[None]:
        asked, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            yield
        finally:
            self.args.dataloader_drop_last = asked

    # From here on private methods of Trainer, which has no public way to what they do.

    def _get_train_sampler(self, train_dataset: Any = None) -> BalancedLengthSampler:
        # Trainer takes a sampler from here alone; a loader of our own would have to repeat what else it does.
        dataset = self.train_dataset  # as it was given: what Trainer passes has lost the column of lengths
        names, several = self.model.config.labels, self.model.config.multi_label
        lengths, labels = lengths_of(dataset), labels_of(dataset, names, "train_dataset", several)
        if self.args.eval_strategy != "no":
            check_evaluated(self.eval_dataset, names, several)  # not an epoch later
        self._classify = classification_loss(self.args, labels, len(names))
        labels = rarest(labels) if several else labels
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        sampler: BalancedLengthSampler
        if self.args.tokens_per_batch:
            budget = self.args.tokens_per_batch
            sampler = TokenBudgetSampler(lengths, labels, budget, seed=seed, processes=world_size())
        else:
            sampler = BalancedLengthSampler(lengths, labels, self._train_batch_size, seed=seed)
        self.remove_callback(EpochOfSampler)
        self.add_callback(EpochOfSampler(sampler))
        return sampler

    def _set_signature_columns_if_needed(self) -> None:
        # Columns that `forward` does not name are dropped; `label_names` would have evaluation ask for rows too.
        super()._set_signature_columns_if_needed()
        if self._signature_columns is not None and "rows" not in self._signature_columns:
            self._signature_columns.append("rows")

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's checkpoint, sealed when all processes have written their parts; only then do older ones go."""
        # `on_save` is called when Trainer has already removed the older ones.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        run_dir = self._get_output_dir(trial=trial)
        folder = Path(run_dir) / f"checkpoint-{self.state.global_step}"
        wait_for_all()
        if self.args.should_save:
            if self.auxiliary is not None:
                self.auxiliary.save_memory(folder)
            seal(folder)
            rotate_checkpoints(run_dir, limit, self.state.best_model_checkpoint, use_mtime=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        # `train` finds out itself which checkpoint it means; a callback would come after the pickle has been read.
        folder = Path(resume_from_checkpoint)
        if (folder / WEIGHTS_NAME).is_file() and not (folder / SAFE_WEIGHTS_NAME).is_file():
            raise UserError(
                f"{folder} has its weights in {WEIGHTS_NAME}, a pickle, which can run code when it is read; resume "
                f"from a checkpoint with {SAFE_WEIGHTS_NAME}, which training writes"
            )
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.auxiliary is not None:
            self.auxiliary.load(folder)
            self.auxiliary.load_memory(folder)

    def _update_auto_batch_size(self, batch_size: int) -> None:
        """Start anew with the next smaller batch, as a run that had it from the beginning."""
        # Trainer goes on with the weights and the optimizer that the larger batch has left.
        again = batch_size != self._train_batch_size
        if again:
            logger.warning("out of memory with batches of %d; %d is tried", self._train_batch_size, batch_size)
        super()._update_auto_batch_size(batch_size)
        if not again:
            self._beginning = Beginning(self.model, self._proxies, self.args.device)
            return
        self.optimizer = self.lr_scheduler = None
        self._start()
        self._beginning.restore(self.model, self._proxies)

    @property
    def _proxies(self) -> list[nn.Parameter]:
        return [] if self.auxiliary is None else self.auxiliary.parameters

    def _hp_search_setup(self, trial: Any) -> None:
        """Take a trial's arguments; what was made once, from the arguments before it, is made again."""
        # Trainer sets the arguments of a trial in here, right before it trains.
        super()._hp_search_setup(trial)
        if self.hp_search_backend is None or trial is None:
            return
        set_seed(self.args.seed)  # as at the start of a trainer: a trial is the very run that its arguments make
        self._start()

    def _report_to_hp_search(self, trial: Any, step: int, metrics: dict[str, float]) -> None:
        # By epoch, which trials with batches of different sizes have in common, not by Trainer's step.
        super()._report_to_hp_search(trial, math.ceil(self.state.epoch or 0), metrics)
