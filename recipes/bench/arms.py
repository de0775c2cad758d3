"""The ways to train an encoder that recipes/bench/training.py times, each as one epoch over the same rows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import EmotionData
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.encoders import encoder_path
from emo_hf.models.pretrained import build_model, load_tokenizer
from emo_hf.training.loaded import load_data
from emo_hf.training.run import trainer_inputs
from emo_hf.training.trainer import MetricTrainer

OURS, ORIGINAL, SENTENCE_TRANSFORMERS, SETFIT = "emo_hf", "the original's manner", "sentence-transformers", "SetFit"
GROUPED, FP32 = "Trainer, group_by_length", "emo_hf, fp32"
LEARNING_RATE = 5e-4


@dataclass(frozen=True)
class Work:
    """What all arms train on."""

    encoder: str
    data: str
    rows: int
    batch_size: int
    max_length: int
    threads: int
    classes: Sequence[str] | None = None

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Flags for all of it."""
        parser.add_argument("--encoder", default="tiny-bert", help="bundled one, folder or Hub id")
        parser.add_argument("--data", default="sample", help="as --data of train.py")
        parser.add_argument("--rows", type=positive, default=512, help="rows of an epoch")
        parser.add_argument("--batch_size", type=positive, default=32)
        parser.add_argument("--max_length", type=positive, default=128)
        parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
        parser.add_argument("--classes", nargs="+", metavar="LABEL", help="as --labels of train.py")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Work:
        """What the flags say."""
        return cls(**{name: getattr(arguments, name) for name in cls.__dataclass_fields__})

    def texts(self) -> tuple[list[str], list[int], list[str]]:
        """The sentences of the first rows in a random order, their classes, the label names."""
        data = self.loaded()
        rows = self.drawn(data.splits)
        return rows["text"][:], rows["label"][:], list(data.labels)

    def loaded(self) -> EmotionData:
        """All rows that there are."""
        given = {"labels": list(self.classes)} if self.classes else {}
        return load_data(DataArguments(data=[self.data], **given))

    def drawn(self, splits: datasets.DatasetDict) -> datasets.Dataset:
        """The rows to train on: of the training split, or of all splits where more are asked for than it has."""
        rows = splits["train"]
        if self.rows > len(rows):
            rows = datasets.concatenate_datasets([part.with_format(None) for part in splits.values()])
        return rows.shuffle(seed=42).select(range(min(self.rows, len(rows))))


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


def our_trainer(
    work: Work,
    folder: str,
    *,
    aux: str = "triplet",
    trainer: type[MetricTrainer] = MetricTrainer,
    fast_collator: bool = True,
    ngrams: int = 0,
    **training: Any,
) -> Callable[[], MetricTrainer]:
    """What makes a `MetricTrainer`, or the kind of it that is given, as recipes/train.py sets it up."""
    model_arguments = ModelArguments(encoder=work.encoder, pooling="mean", ngrams=ngrams)
    data, tokenizer = work.loaded(), load_tokenizer(model_arguments)
    tokens = work.drawn(tokenize_splits(data, tokenizer, max_length=work.max_length, cache_dir=None))
    inputs = trainer_inputs(datasets.DatasetDict(train=tokens, validation=tokens), tokenizer)
    if not fast_collator:
        inputs["data_collator"] = DataCollatorWithPadding(tokenizer)
    arguments = _plain(work, folder) | {"aux": aux, "eval_strategy": "no", "learning_rate": LEARNING_RATE} | training
    return lambda: trainer(build_model(model_arguments, data.labels), MetricTrainingArguments(**arguments), **inputs)


def ours(work: Work, folder: str, *, sort: bool = True, **changed: Any) -> Epoch:
    """Our trainer, but for what is switched off."""
    return _trained(our_trainer(work, folder, trainer=MetricTrainer if sort else Unsorted, **changed))


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
        arguments = TrainingArguments(**_plain(work, folder), learning_rate=LEARNING_RATE, **training)
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
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
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
    "emo_hf, with character n-grams": (ours, {"ngrams": 4}),
    "emo_hf, batches in random order": (ours, {"sort": False}),
    "emo_hf, fp32 and random order": (ours, {"bf16": False, "sort": False}),
    "emo_hf, transformers' layers": (ours, {"fused_layers": False}),
    "emo_hf, transformers' collator": (ours, {"fast_collator": False}),
    "emo_hf, AdamW not fused": (ours, {"optim": "adamw_torch"}),
}
NEEDS = {SENTENCE_TRANSFORMERS: "sentence-transformers", SETFIT: "setfit"}
