"""A trainer made by hand, in the manner of courses: it brings what is not given, and says what it can't use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from conftest import LABELS, sentences
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    TrainingArguments,
    default_data_collator,
)

from emo_hf import EmotionModel, MetricTrainer, MetricTrainingArguments, UserError
from emo_hf.data.collation import PaddingCollator
from emo_hf.encoders import encoder_path
from emo_hf.inference.predictor import Predictor

TEXTS = [text for label in LABELS for text in sentences(label)[:12]]
CLASSES = [place for place in range(3) for _ in range(12)]


class TorchRows(torch.utils.data.Dataset):
    """As the courses have it: encodings and labels, a tensor each."""

    def __init__(self, encodings: Any, labels: list[int]):
        self.encodings, self.labels = encodings, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = {name: torch.tensor(values[index]) for name, values in self.encodings.items()}
        return row | {"labels": torch.tensor(self.labels[index])}


class Hand:
    """What a test makes a trainer of."""

    def __init__(self, encoder: str, folder: Path):
        self.encoder, self.folder = encoder, folder
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)

    def rows(self, label: str = "label", **options: Any) -> datasets.Dataset:
        data = datasets.Dataset.from_dict({"sentence": TEXTS, label: CLASSES})
        return data.map(lambda batch: self.tokenizer(batch["sentence"], truncation=True, **options), batched=True)

    def model(self) -> EmotionModel:
        torch.manual_seed(0)
        return EmotionModel.from_encoder(self.encoder, labels=LABELS, pooling="mean", embedding_size=16)

    def trainer(self, **given: Any) -> MetricTrainer:
        own = {name: given.pop(name) for name in list(given) if name in MetricTrainingArguments.__dataclass_fields__}
        settings = {"output_dir": str(self.folder / "run"), "aux": "triplet", "num_train_epochs": 1, "bf16": False}
        arguments = MetricTrainingArguments(**(settings | {"report_to": [], "disable_tqdm": True} | own))
        if "model_init" not in given:
            given.setdefault("model", self.model())
        return MetricTrainer(args=arguments, **given)


@pytest.fixture
def hand(encoders: dict[str, str], tmp_path: Path) -> Hand:
    return Hand(encoders["bert"], tmp_path)


def weights(trainer: MetricTrainer) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trainer.model.state_dict().items()}


def as_list(hand: Hand) -> list[dict[str, Any]]:
    return [dict(row) for row in hand.rows("labels")]


def as_torch(hand: Hand) -> TorchRows:
    return TorchRows(hand.tokenizer(TEXTS), CLASSES)


WAYS: dict[str, Callable[[Hand], dict[str, Any]]] = {
    "label": lambda hand: {"train_dataset": hand.rows(), "processing_class": hand.tokenizer},
    "labels": lambda hand: {"train_dataset": hand.rows("labels"), "processing_class": hand.tokenizer},
    "without tokenizer": lambda hand: {"train_dataset": hand.rows()},
    "their collator": lambda hand: {
        "train_dataset": hand.rows(),
        "data_collator": DataCollatorWithPadding(hand.tokenizer),
    },
    "torch format": lambda hand: {"train_dataset": hand.rows().with_format("torch")},
    "columns of torch": lambda hand: {
        "train_dataset": hand.rows("labels").with_format("torch", columns=["input_ids", "attention_mask", "labels"]),
        "data_collator": DataCollatorWithPadding(hand.tokenizer),
    },
    "list of dictionaries": lambda hand: {"train_dataset": as_list(hand)},
    "list and their collator": lambda hand: {
        "train_dataset": as_list(hand),
        "data_collator": DataCollatorWithPadding(hand.tokenizer),
    },
    "torch data set": lambda hand: {"train_dataset": as_torch(hand)},
    "with lengths": lambda hand: {"train_dataset": hand.rows("labels", return_length=True)},
}


@pytest.mark.parametrize("budget", [0, 100])
@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_every_kind_of_rows_trains_to_the_same_weights(hand, way, budget):
    """Lengths and classes are found in each, so the batches are the same ones."""
    found = []
    for kind in ("label", way):
        trainer = hand.trainer(**WAYS[kind](hand), eval_strategy="no", tokens_per_batch=budget, aux="contrastive")
        trainer.train()
        found.append(weights(trainer))
    untrained = hand.model().state_dict()
    assert all(torch.equal(found[1][name], tensor) for name, tensor in found[0].items())
    assert not torch.equal(found[0]["embedding.weight"], untrained["embedding.weight"])


def test_rows_that_are_padded_already_train_as_they_would_unpadded(hand):
    found = []
    for options in ({}, {"padding": "max_length", "max_length": 24}):
        rows = hand.rows("labels", **options)
        # One batch: the order of padded rows, which are all alike in length, is another.
        trainer = hand.trainer(train_dataset=rows, eval_strategy="no", per_device_train_batch_size=36, aux="none")
        with torch.no_grad():
            batch = next(iter(trainer.get_train_dataloader()))
            rows = batch.pop("rows")
            logits = trainer.model.eval()(**batch).logits
        found.append(logits[rows.argsort()])
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_padded_rows_go_through_the_default_collator(hand):
    rows = hand.rows(padding="max_length", max_length=24)
    trainer = hand.trainer(train_dataset=rows, eval_dataset=rows, data_collator=default_data_collator)
    assert trainer.train().metrics["epoch"] == 1
    assert trainer.evaluate()["eval_macro_f1"] >= 0


def test_it_chooses_evaluates_and_predicts(hand, tmp_path):
    rows = hand.rows()
    trainer = hand.trainer(train_dataset=rows, eval_dataset=rows, processing_class=hand.tokenizer, num_train_epochs=2)
    trainer.train()
    scores = [entry["eval_macro_f1"] for entry in trainer.state.log_history if "eval_macro_f1" in entry]
    assert len(scores) == 2 and trainer.state.best_metric == max(scores)
    told = trainer.predict(rows)
    assert told.predictions.shape == (36, 3) and told.label_ids.tolist() == CLASSES
    assert trainer.evaluate()["eval_accuracy"] == (told.predictions.argmax(1) == np.array(CLASSES)).mean()
    unlabelled = trainer.predict(rows.remove_columns("label"))
    assert np.allclose(unlabelled.predictions, told.predictions, atol=1e-5) and unlabelled.label_ids is None
    trainer.save_model(str(tmp_path / "saved"))
    predicted = Predictor(tmp_path / "saved").probabilities(TEXTS)
    assert torch.allclose(predicted, torch.tensor(told.predictions).softmax(-1), atol=1e-4)


def test_metrics_of_ones_own_come_on_top(hand):
    rows = hand.rows()

    def compute(prediction):
        return {"right": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}

    trainer = hand.trainer(train_dataset=rows, eval_dataset=rows, compute_metrics=compute)
    trainer.train()
    found = trainer.evaluate()
    assert found["eval_right"] == found["eval_accuracy"]
    scores = [step["eval_macro_f1"] for step in trainer.state.log_history if "eval_macro_f1" in step]
    assert trainer.state.best_metric == max(scores[:-1])  # the last is of the evaluation above
    classes = hand.trainer(
        train_dataset=rows, eval_dataset=rows, preprocess_logits_for_metrics=lambda logits, _: logits.argmax(-1)
    )
    assert 0 <= classes.evaluate()["eval_macro_f1"] <= 1


def test_without_rows_to_choose_by_it_ends_with_its_last_step(hand, caplog):
    trainer = hand.trainer(train_dataset=hand.rows())
    trainer.train()
    assert trainer.state.best_model_checkpoint is None and trainer.state.global_step == 3
    assert (
        caplog.messages.count(
            "no eval_dataset is given: nothing is evaluated, and the training ends with its last step"
        )
        == 1
    )


@pytest.mark.parametrize(("name", "rate"), [("tiny-bert", 5e-4), ("tiny-roberta", 5e-4), (None, 3e-5)])
def test_the_learning_rate_is_that_of_the_encoder(hand, name, rate):
    encoder = encoder_path(name) if name else hand.encoder
    model = EmotionModel.from_encoder(encoder, labels=LABELS)
    trainer = hand.trainer(model=model, train_dataset=hand.rows(), eval_strategy="no")
    assert trainer.args.learning_rate == rate
    given = hand.trainer(model=model, train_dataset=hand.rows(), eval_strategy="no", learning_rate=1e-3)
    assert given.args.learning_rate == 1e-3


def test_a_model_may_be_made_by_a_function(hand):
    rows = hand.rows()
    trainer = hand.trainer(model_init=hand.model, train_dataset=rows, eval_dataset=rows)
    assert trainer.train().metrics["epoch"] == 1 and trainer.evaluate()["eval_macro_f1"] >= 0
    with pytest.raises(UserError, match="and BertForSequenceClassification is none"):
        hand.trainer(model_init=lambda: plain_bert(hand), train_dataset=rows, eval_dataset=rows)


def test_the_default_folder_is_named_after_the_run(hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = hand.trainer(train_dataset=hand.rows(), eval_strategy="no", output_dir="runs/train/{name}")
    assert trainer.args.output_dir == "runs/train/mini-bert_mean_triplet_seed42"
    assert Path(trainer.args.output_dir).is_dir() and not Path("runs/train/{name}").exists()


def plain_bert(hand: Hand) -> BertForSequenceClassification:
    return BertForSequenceClassification.from_pretrained(hand.encoder, num_labels=3)


class WithoutEmbeddings(EmotionModel):
    def forward(self, input_ids: Any = None, attention_mask: Any = None, labels: Any = None) -> Any:
        output = super().forward(input_ids, attention_mask, labels=labels)
        output.embeddings = None
        return output


def train(hand: Hand, **given: Any) -> None:
    hand.trainer(**({"train_dataset": hand.rows(), "eval_strategy": "no"} | given)).train()


REFUSED: dict[str, tuple[Callable[[Hand], Any], str]] = {
    "another model": (
        lambda hand: train(hand, model=plain_bert(hand)),
        "MetricTrainer trains an EmotionModel, and BertForSequenceClassification is none: its config lacks labels "
        "(the names of its labels) and embedding_size (the dimension of its embeddings), and its output the "
        "embeddings that a metric loss compares; build one on the same encoder: EmotionModel.from_encoder('ENCODER', "
        "labels=['LABEL_0', 'LABEL_1', 'LABEL_2'])",
    ),
    "a module": (
        lambda hand: train(hand, model=torch.nn.Linear(2, 2)),
        "MetricTrainer trains an EmotionModel, and Linear is none: its config lacks labels (the names of its labels) "
        "and embedding_size (the dimension of its embeddings), and its output the embeddings that a metric loss "
        "compares; build one on the same encoder: EmotionModel.from_encoder('klue/bert-base', labels=['…'])",
    ),
    "an output without embeddings": (
        lambda hand: train(hand, model=WithoutEmbeddings(hand.model().config)),
        "the model's output (EmotionOutput) has no embeddings (B, D), which a metric loss compares; train an "
        "EmotionModel",
    ),
    "arguments of Trainer": (
        lambda hand: MetricTrainer(hand.model(), TrainingArguments(str(hand.folder)), train_dataset=hand.rows()),
        "args is a TrainingArguments; give MetricTrainingArguments, which takes the same and more",
    ),
    "a stream": (
        lambda hand: train(hand, train_dataset=hand.rows().to_iterable_dataset()),
        "train_dataset is a stream (IterableDataset), but batches are made of rows of near-equal length and several "
        "classes, for which all rows have to be known; give a Dataset: datasets.Dataset.from_list(list(stream))",
    ),
    "several data sets": (
        lambda hand: train(hand, train_dataset=datasets.DatasetDict(train=hand.rows(), test=hand.rows())),
        "train_dataset holds several data sets (train, test); give one of them",
    ),
    "texts alone": (
        lambda hand: train(hand, train_dataset=hand.rows().select_columns(["sentence", "label"])),
        "train_dataset has no column input_ids, but sentence, label, rows; tokenize the texts first: rows.map(lambda "
        "batch: tokenizer(batch['text'], truncation=True), batched=True)",
    ),
    "a list of pairs": (
        lambda hand: train(hand, train_dataset=list(zip(TEXTS, CLASSES, strict=True))),
        "train_dataset: a row must be a dictionary with input_ids, but the first is a tuple; tokenize the texts "
        "first: rows.map(lambda batch: tokenizer(batch['text'], truncation=True), batched=True)",
    ),
    "no labels": (
        lambda hand: train(hand, train_dataset=hand.rows("emotion")),
        "train_dataset has no column labels, but sentence, emotion, input_ids, token_type_ids, attention_mask, rows; "
        "rename the column of class indices: rows.rename_column(NAME, 'labels')",
    ),
    "names of labels": (
        lambda hand: train(hand, train_dataset=hand.rows().map(lambda row: {"label": LABELS[row["label"]]})),
        "train_dataset: column label holds names of labels, not their indices; give those: rows.map(lambda row: "
        "{'label': model.config.label2id[row['label']]})",
    ),
    "fractions": (
        lambda hand: train(hand, train_dataset=hand.rows().cast_column("label", datasets.Value("float64"))),
        "train_dataset: column label holds fractions, as 0.0; allowed is one whole number a row, the index of its "
        "class",
    ),
    "several labels a row": (
        lambda hand: train(hand, train_dataset=hand.rows("x").map(lambda row: {"labels": [row["x"], 1]})),
        "train_dataset: column labels holds lists or words, as [0, 1]; allowed is one whole number a row, the "
        "index of its class; a model of several labels a row is made with multi_label=True",
    ),
    "a class too many": (
        lambda hand: train(hand, train_dataset=hand.rows().map(lambda row: {"label": row["label"] + 1})),
        "train_dataset: column label holds 3, but the model has 3 labels, 0 to 2; give the model the names of all: "
        "labels=[…]",
    ),
    "a class too many to choose by": (
        lambda hand: train(
            hand,
            eval_strategy="epoch",
            eval_dataset=hand.rows().map(lambda row: {"label": row["label"] + 1}),
        ),
        "eval_dataset: column label holds 3, but the model has 3 labels, 0 to 2; give the model the names of all: "
        "labels=[…]",
    ),
    "a collator without labels": (
        lambda hand: train(
            hand,
            data_collator=lambda rows: {
                name: part for name, part in PaddingCollator(hand.tokenizer)(rows).items() if name != "labels"
            },
        ),
        "data_collator gives batches without labels, but input_ids, attention_mask, token_type_ids; it must give (B,) "
        "class indices",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_can_not_use_is_one_line(hand, case):
    make, said = REFUSED[case]
    with pytest.raises(UserError) as caught:
        make(hand)
    assert str(caught.value).replace(hand.encoder, "ENCODER") == said


def test_the_advice_of_the_lines_works(hand):
    stream = hand.rows().to_iterable_dataset()
    train(hand, train_dataset=datasets.Dataset.from_list(list(stream)))
    named = hand.rows().map(lambda row: {"label": LABELS[row["label"]]})
    ids = hand.model().config.label2id
    train(hand, train_dataset=named.map(lambda row: {"label": ids[row["label"]]}))
    train(hand, train_dataset=hand.rows("emotion").rename_column("emotion", "labels"))
    names = ["LABEL_0", "LABEL_1", "LABEL_2"]
    train(hand, model=EmotionModel.from_encoder(plain_bert(hand).config._name_or_path, labels=names))
    assert isinstance(plain_bert(hand).config, BertConfig)
