"""What a run can be told: the arguments of model, data and training, with their defaults."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import TrainingArguments

from emo_hf.arguments.bounds import check_few_rows, check_numbers
from emo_hf.arguments.lora import checked_words
from emo_hf.arguments.precision import bf16_is_native
from emo_hf.arguments.promises import PromiseArguments, check_promises
from emo_hf.data.taxonomy import DEFAULT_LABELS
from emo_hf.errors import UserError, first_line

AUX_POOLS = ("batch", "accumulated")


@dataclass
class ModelArguments:
    """The encoder and what stands on it."""

    encoder: str = field(
        default="tiny-bert",
        metadata={
            "help": "`tiny-bert`, `tiny-roberta`, `static`, `multilingual-e5-small`, a folder, or a Hub id as "
            "klue/bert-base; of a run its encoder is taken"
        },
    )
    encoder_revision: str | None = field(default=None, metadata={"help": "branch, tag or commit of a Hub encoder"})
    init_from: str | None = field(
        default=None,
        metadata={
            "help": "a run, or a Hub model of ours, to train further: its encoder, pooling and embedding layer, and "
            "its classifier where the labels are the same"
        },
    )
    pooling: str = field(default="cls", metadata={"help": "cls, mean, max, attention or last (of decoders)"})
    embedding_size: int = field(default=256, metadata={"help": "dimension of the embedding"})
    embedding_dropout: float = field(default=0.1, metadata={"help": "dropout on the pooled vector"})
    ngrams: int | None = field(
        default=None, metadata={"help": "letters of the longest n-grams beside it; default 4 beside tiny ones, else 0"}
    )
    prefix: str | None = field(
        default=None, metadata={"help": "put before every text, as 'query: '; '': nothing; default: as the encoder's"}
    )
    lora: list[str] | None = field(
        default=None, metadata={"help": "adapters of the frozen encoder: r=16 target=all-linear alpha dropout weights"}
    )

    def __post_init__(self) -> None:
        check_numbers(self)
        self.lora = checked_words(self.lora)


@dataclass
class DataArguments:
    """The utterances, their labels, and how they are cut into tokens."""

    data: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={
            "help": "`sample`, a file or several, a folder or zip (also AI Hub's as downloaded), or a Hub data set id"
        },
    )
    data_revision: str | None = field(default=None, metadata={"help": "branch, tag or commit of a Hub data set"})
    labels: list[str] = field(
        default_factory=lambda: list(DEFAULT_LABELS),
        metadata={"help": "label names in the order of the logits; or `six`, `sixty`, `all`"},
    )
    label_names: str | None = field(
        default=None,
        metadata={"help": "file of the names of label ids: one a line, the first of id 0, or YAML or JSON"},
    )
    label_map: list[str] | None = field(
        default=None,
        metadata={"help": "new names of labels, as 0=부정 1=긍정, or a YAML file of such; equal ones join"},
    )
    drop_labels_below: int | None = field(
        default=None, metadata={"help": "leave out labels that have fewer rows than this"}
    )
    on_bad_rows: str = field(
        default="auto",
        metadata={
            "help": "rows that are empty, of an unknown label, or contradict themselves: drop, error, or auto, which "
            "drops up to a fifth of a split"
        },
    )
    task: str = field(default="auto", metadata={"help": "one label a row: single; several: multi; auto: by the data"})
    several_labels: str = field(
        default="error",
        metadata={"help": "what --task single does with rows of several labels: error, first (of them) or drop"},
    )
    text_column: str | None = field(
        default=None, metadata={"help": "text column, if not a usual name: its name, or its number from 1"}
    )
    label_column: str | None = field(
        default=None, metadata={"help": "label column, if not a usual name: its name, or its number from 1"}
    )
    header: str | None = field(
        default=None, metadata={"help": "row of the column names, from 1, or none; default: found out"}
    )
    sheet: str | None = field(default=None, metadata={"help": "sheet of a workbook; default: found out"})
    turns: str = field(default="first", metadata={"help": "human turns of a dialogue to use: first or all"})
    max_length: int = field(default=128, metadata={"help": "longest sequence in tokens; longer texts are cut"})
    validation_size: float = field(default=0.1, metadata={"help": "share of training carved out where it is missing"})
    test_size: float = field(default=0.1, metadata={"help": "share carved out where no test split is given"})
    split_seed: int = field(default=42, metadata={"help": "seed of the carving; the same for all runs of a study"})
    data_cache_dir: str | None = field(default=None, metadata={"help": "folder of the token cache"})
    train_fraction: float = field(
        default=1.0, metadata={"help": "share of each label's training rows, for learning curves"}
    )
    shots: int | None = field(default=None, metadata={"help": "training rows of each label, to train on few"})
    shots_seed: int | None = field(default=None, metadata={"help": "seed that draws them; default: --seed"})
    unseen_by: list[str] = field(
        default_factory=list,
        metadata={
            "help": "runs whose training texts are left out of validation and test; those of --encoder, --encoders "
            "and --init_from are, unasked"
        },
    )

    def __post_init__(self) -> None:
        if isinstance(self.data, str):
            self.data = [self.data]
        check_numbers(self)
        check_few_rows(self.shots, self.train_fraction)

    @property
    def source(self) -> str:
        """What the data are called in a sentence."""
        return " ".join(self.data)


# What Trainer has and a run can't do without harm, each with the reason.
_REFUSED = {
    "train_sampling_strategy": "batches hold rows of near-equal length and two rows of two classes or more",
    "remove_unused_columns": "the model takes no columns but those of tokens and labels",
    "prediction_loss_only": "the best epoch is chosen by scores",
    "bf16_full_eval": "it would leave the model that is saved in half precision",
    "fp16_full_eval": "it would leave the model that is saved in half precision",
}


@dataclass
class MetricTrainingArguments(PromiseArguments, TrainingArguments):
    """`TrainingArguments` plus the auxiliary metric loss and what comes after the training.

    Defaults that differ from `TrainingArguments`: `output_dir` (named after the run), `num_train_epochs` 4,
    `per_device_train_batch_size` 16, `per_device_eval_batch_size` 128, `learning_rate` by encoder (5e-4 for a bundled
    one, else 3e-5), `label_smoothing_factor` 0.1, `warmup_steps` 0.1 (a share), `weight_decay` 0.01, `eval_strategy`,
    `save_strategy` and `logging_strategy` epoch, `save_total_limit` 1, `load_best_model_at_end` with
    `metric_for_best_model` macro_f1, `bf16` where the processor computes it natively (`--bf16 false` for fp32),
    `use_cpu` where there is no accelerator, `dataloader_pin_memory` only with one.
    """

    output_dir: str = field(
        default="runs/train/{name}",
        metadata={"help": "folder of the run; {name} stands for encoder, pooling, loss and seed"},
    )
    num_train_epochs: float = field(default=4.0, metadata={"help": "epochs"})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "rows of a batch on one device"})
    per_device_eval_batch_size: int = field(default=128, metadata={"help": "rows of an evaluation batch"})
    learning_rate: float | None = field(  # type: ignore[assignment]  # until the encoder is known
        default=None,
        metadata={"help": "peak learning rate; default 5e-4 bundled, else 3e-5; --lora: 2e-3, 3e-4"},
    )
    ngrams_learning_rate: float = field(
        default=0.04, metadata={"help": "peak learning rate of the n-grams' vectors, zeros first"}
    )
    label_smoothing_factor: float = field(
        default=0.1, metadata={"help": "share of the target spread over all classes (Szegedy et al. 2016); 0 for none"}
    )
    warmup_steps: float = field(default=0.1, metadata={"help": "steps, or a share of all below 1"})
    weight_decay: float = field(default=0.01, metadata={"help": "decoupled weight decay"})
    eval_strategy: str = field(default="epoch", metadata={"help": "no, steps or epoch"})
    save_strategy: str = field(default="epoch", metadata={"help": "no, steps, epoch or best"})
    logging_strategy: str = field(default="epoch", metadata={"help": "no, steps or epoch"})
    save_total_limit: int | None = field(default=1, metadata={"help": "checkpoints kept beside the best"})
    load_best_model_at_end: bool | None = field(  # type: ignore[assignment]  # as flags with a value have it
        default=True, metadata={"help": "end with the best checkpoint"}
    )
    metric_for_best_model: str | None = field(default="macro_f1", metadata={"help": "chosen on validation data"})
    bf16: bool | None = field(  # type: ignore[assignment]  # until the device is known
        default=None, metadata={"help": "bfloat16 autocast; default: where it is native"}
    )
    label_names: list[str] | None = field(default=None, init=False)  # Trainer's, which needs none: a run's are names

    fused_layers: bool = field(
        default=True,
        metadata={"help": "on a CPU, our form of the layers of BERT, RoBERTa and ELECTRA, which is faster"},
    )

    tokens_per_batch: int = field(
        default=0,
        metadata={"help": "tokens of a batch, padding included, instead of its rows"},
    )

    classification_loss: str = field(
        default="cross_entropy",
        metadata={
            "help": "loss of the classifier: cross_entropy; focal, which turns to the rows that it gets wrong (Lin et "
            "al. 2017); logit_adjusted, by the shares of the classes (Menon et al. 2021); or, of rows with several "
            "labels, asymmetric, which turns from the labels that a row clearly lacks (Ridnik et al. 2021)"
        },
    )
    focal_gamma: float = field(default=2.0, metadata={"help": "how far the focal loss turns from easy rows; 0: not"})
    logit_adjustment: float = field(
        default=1.0, metadata={"help": "how far the logit-adjusted loss goes by the shares of the classes; 0: not"}
    )
    asymmetric_gamma: float = field(
        default=4.0, metadata={"help": "how far the asymmetric loss turns from labels that a row lacks; 0: not"}
    )
    asymmetric_clip: float = field(
        default=0.05, metadata={"help": "up to which probability the asymmetric loss leaves a label that is lacked"}
    )
    class_weights: str = field(
        default="none",
        metadata={
            "help": "weights of the rows by the size n of their class: none; balanced, 1/n; sqrt, its square root; or "
            "effective, by the effective number of rows (Cui et al. 2019)"
        },
    )
    effective_beta: float = field(
        default=0.999, metadata={"help": "of effective class weights: nearer to 1 is nearer to balanced, 0 is none"}
    )

    r_drop: float = field(
        default=0.0,
        metadata={
            "help": "weight of the disagreement of two passes of a batch under other dropout (R-Drop, Liang et al. "
            "2021), at twice the time and memory; 0: one pass"
        },
    )

    thresholds: str = field(
        default="label",
        metadata={
            "help": "from which probability on a row has a label, where it may have several: of each label by itself, "
            "one global threshold, both chosen on validation rows, or 0.5"
        },
    )

    aux: str = field(default="none", metadata={"help": "none, contrastive, triplet, supcon, or pml:NAME"})
    aux_kwargs: dict | str | None = field(
        default=None,
        metadata={
            "help": "further arguments of the auxiliary loss, as JSON, '{\"temperature\": 0.05}': contrastive "
            "balanced, overlap; triplet reduction, soft, overlap; supcon temperature, overlap; of a pml loss as its "
            "documentation has them"
        },
    )
    aux_weight: float = field(default=0.1, metadata={"help": "weight of the auxiliary loss beside cross-entropy"})
    aux_warmup: float = field(
        default=0.0, metadata={"help": "the weight grows from 0 over these steps, or over this share of all below 1"}
    )
    margin: float = field(default=1.0, metadata={"help": "margin of the contrastive or triplet loss"})
    distance: str = field(
        default="normalized_euclidean",
        metadata={
            "help": "contrastive and triplet: normalized_euclidean or cosine, whatever the length of the embeddings, "
            "or euclidean or squared_euclidean, of the embeddings as they are"
        },
    )
    mining: str = field(
        default="all",
        metadata={
            "help": "contrastive and triplet: all pairs or triplets, hard, semi-hard (triplet alone), or sampled, one "
            "an anchor"
        },
    )
    aux_pool: str = field(
        default="batch",
        metadata={"help": "under gradient accumulation, pairs of one `batch` or `accumulated` over the step"},
    )
    aux_memory: int = field(
        default=0,
        metadata={"help": "past embeddings kept as partners of a batch, for losses of pairs"},
    )
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "evaluations without a better score before it stops"}
    )

    def __post_init__(self) -> None:
        if self.hub_token is not None:
            raise UserError(
                "--hub_token would be stored in plain text; log in with `hf auth login` or set HF_TOKEN instead"
            )
        check_numbers(self)
        check_promises(self)
        # A run on another machine starts from what was asked, not from what this machine's device made of it.
        self._asked = {name: getattr(self, name) for name in ("use_cpu", "dataloader_pin_memory", "bf16")}
        if not torch.accelerator.is_available():
            self.use_cpu = True
            self.dataloader_pin_memory = False
        if self.bf16 is None:
            self.bf16 = not self.fp16 and bf16_is_native(cpu=bool(self.use_cpu))
        if isinstance(self.aux_kwargs, str):
            with contextlib.suppress(ValueError):
                self.aux_kwargs = json.loads(self.aux_kwargs)
        if not isinstance(self.aux_kwargs, dict | None):
            raise UserError(f"--aux_kwargs is {self.aux_kwargs!r}; it must be a JSON object, as '{{\"soft\": true}}'")
        if self.aux_pool not in AUX_POOLS:
            raise UserError(f"--aux_pool is {self.aux_pool!r}; allowed: {', '.join(AUX_POOLS)}")
        if self.r_drop and self.aux_pool == "accumulated":
            raise UserError("--r_drop takes a batch twice, but --aux_pool accumulated keeps one pass; leave one out")
        if self.tokens_per_batch and self.auto_find_batch_size:
            raise UserError("--auto_find_batch_size varies the rows of a batch; leave it or --tokens_per_batch out")
        if self.eval_strategy == "no":
            self.load_best_model_at_end = False
            if self.early_stopping_patience:
                raise UserError("--early_stopping_patience needs evaluations, but --eval_strategy is no")
        for name, reason in _REFUSED.items():
            default = self.__dataclass_fields__[name].default
            if getattr(self, name) != default:
                raise UserError(f"--{name} is {getattr(self, name)}, but {reason}; leave it at {default}")
        if self.fp16 and self.use_cpu:
            raise UserError("--fp16 needs a GPU; on a CPU leave it out for fp32, or give --bf16 true")
        if self.dataloader_persistent_workers and not self.dataloader_num_workers:
            raise UserError("--dataloader_persistent_workers needs --dataloader_num_workers of 1 or more")
        try:
            super().__post_init__()
        except (ValueError, TypeError, KeyError, AttributeError, ImportError, OSError, RuntimeError) as error:
            # Trainer's own checks; what they don't foresee, as a list for an object, fails somewhere inside.
            raise UserError(first_line(error)) from error
        dealt: Any = self.accelerator_config  # an object by now
        if dealt.split_batches or dealt.dispatch_batches or not dealt.even_batches:
            raise UserError(
                "--accelerator_config sets split_batches, dispatch_batches or even_batches, but every process takes "
                "batches of its own and as many as the others; leave them out"
            )


def plain(arguments: TrainingArguments) -> dict[str, Any]:
    """The arguments as JSON takes them, without secrets."""
    kept = (str, int, float, bool, list, dict)
    return {k: v for k, v in arguments.to_dict().items() if not k.endswith("_token") and isinstance(v, kept)}


def given(arguments: MetricTrainingArguments) -> dict[str, Any]:
    """The arguments with which an equal object can be made in another process, or on a machine with other devices."""
    return {f.name: getattr(arguments, f.name) for f in dataclasses.fields(arguments) if f.init} | arguments._asked
