"""One run, from arguments to a record: the entry point that recipes and studies share."""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import (
    EarlyStoppingCallback,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    set_seed,
)

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.lora import parse_lora
from emo_hf.data.loading import EmotionData
from emo_hf.data.reading import check_source
from emo_hf.data.seen_texts import trained_on
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.distributed import wait_for_all
from emo_hf.errors import UserError, first_line
from emo_hf.models.lora import add_lora, check_lora
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.parents import OF_PARENT, Parent, is_ours, own_name, parent_of, settled
from emo_hf.models.pooling import POOLINGS
from emo_hf.models.pretrained import (
    build_model,
    check_encoder,
    config_of,
    default_learning_rate,
    hub_commit,
    load_tokenizer,
    prefix_of,
    with_ngrams,
)
from emo_hf.storage.files import said_plainly, write_whole
from emo_hf.storage.model_numbers import original_number
from emo_hf.storage.record import (
    PREDICTIONS_FILE,
    RECORD_FILE,
    TEXTS_FILE,
    texts_content,
    write_record,
)
from emo_hf.training.adapted import merged, refuse_shards
from emo_hf.training.calibrated import fit_to_validation
from emo_hf.training.checkpoints import (
    MadeWith,
    check_same_arguments,
    checkpoint_to_resume,
    newest_sound,
    remove_checkpoints,
)
from emo_hf.training.classifier_loss import check_classification, check_labels_a_row, loss_of_sets
from emo_hf.training.diagnostics import explain
from emo_hf.training.going_on import check_folder, refuse_finished, trained_further
from emo_hf.training.loaded import drawn_by, load_data
from emo_hf.training.lost_words import look_at_tokens
from emo_hf.training.objective import auxiliary_loss
from emo_hf.training.outcome import (
    by_length,
    named,
    predict_in_order,
    progress,
    save_whole,
    score_test_rows,
    warn_of_one_class,
)
from emo_hf.training.promised import halved
from emo_hf.training.run_names import run_name
from emo_hf.training.run_record import begun_record, ended
from emo_hf.training.trackers import check_trackers, finish_trackers
from emo_hf.training.trainer import MetricTrainer

logger = logging.getLogger(__name__)


def check_arguments(model: ModelArguments, data: DataArguments, training: MetricTrainingArguments) -> None:
    """Find in a second what would else fail after the data were read.

    Raises:
        UserError: unknown pooling, loss, distance, mining or tracker; no such encoder; a max_length beyond its
            positions; a tracker that is not installed; all that `check_encoder` finds.
    """
    check_trackers(training.report_to)
    if model.pooling not in POOLINGS:
        raise UserError(f"--pooling is {model.pooling!r}; allowed: {', '.join(POOLINGS)}")
    auxiliary_loss(training, num_classes=2, embedding_size=model.embedding_size)
    check_classification(vars(training))
    for source in data.data:
        check_source(source)  # before an encoder is looked for on the Hub
    if model.init_from:
        settled(model, data, OF_PARENT)
    check_encoder(model, data)
    if lora := parse_lora(model.lora):
        check_lora(config_of(model).encoder, lora, model.encoder)


def trainer_inputs(tokens: datasets.DatasetDict, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What a trainer is given of the data: the rows to train on, those to choose by, and their tokenizer."""
    return {
        "train_dataset": tokens["train"],
        "eval_dataset": by_length(tokens["validation"])[0],
        "processing_class": tokenizer,
    }


def run(
    model_arguments: ModelArguments,
    data_arguments: DataArguments,
    training_arguments: MetricTrainingArguments,
    callbacks: Sequence[TrainerCallback] = (),
    settings: Sequence[tuple[str, Any]] = (),
    tuned: Sequence[tuple[str, Any]] = (),
) -> dict[str, Any]:
    """Train, choose the best checkpoint by validation, test once, save the model and its record; return the record.

    The folder `training_arguments.output_dir`, where {name} stands for that of the run, then holds the model, its
    tokenizer, `record.json` and `predictions.npz`. A run that fails or is stopped leaves a record that says so. The
    arguments stay as they were given. The record notes which are a sweep's (`settings`), and which were `tuned`.

    Raises:
        UserError: data, encoder or arguments that can't be used.
    """
    model_arguments, data_arguments = settled(model_arguments, data_arguments)
    data_arguments = drawn_by(data_arguments, training_arguments.seed)
    name = run_name(model_arguments.encoder, model_arguments.pooling, training_arguments.aux, training_arguments.seed)
    training_arguments = copy.copy(training_arguments)  # what is decided here, and by Trainer, is this run's alone
    training_arguments.output_dir = training_arguments.output_dir.replace("{name}", name)
    run_dir = Path(training_arguments.output_dir)
    check_folder(model_arguments, run_dir)
    number = None if model_arguments.lora else original_number(model_arguments.pooling, training_arguments.aux)
    tracked = f"{run_dir.name} (Model {number})" if number else run_dir.name
    training_arguments.run_name = training_arguments.run_name or tracked  # trackers would draw one, twice
    started = time.monotonic()
    record = begun_record(model_arguments, data_arguments, training_arguments, settings, tuned)
    writes = training_arguments.process_index == 0
    # The record of an earlier run stays until this one replaces its files.
    begun = not (run_dir / RECORD_FILE).exists()
    parent, texts = None, None
    try:
        with said_plainly(run_dir):
            prepared = _prepare(model_arguments, data_arguments, training_arguments, run_dir, callbacks)
            begun = True
            record["arguments"]["training"]["learning_rate"] = training_arguments.learning_rate
            if prepared[1].multi_label:
                record["arguments"]["training"]["label_smoothing_factor"] = 0.0  # sets of labels are not smoothed
                record["model"]["classifier_loss"] = loss_of_sets(vars(training_arguments))
            if prefix := prefix_of(model_arguments):
                record["model"]["prefix"] = prefix
            if commit := hub_commit(model_arguments.encoder, model_arguments.encoder_revision):
                record["model"]["encoder_commit"] = commit
            if is_ours(model_arguments.encoder, model_arguments.encoder_revision):
                parent = parent_of(own_name(model_arguments))
                record["model"]["parent"] = parent.summary() | {"kept": _kept(model_arguments, *_task(prepared[1]))}
            texts = _texts(prepared[1], parent)
            details, predictions = _train_and_test(*prepared, run_dir, texts, model_arguments)
            record |= details
            # What --auto_find_batch_size found.
            batch_size = training_arguments.per_device_train_batch_size
            record["arguments"]["training"]["per_device_train_batch_size"] = batch_size
            record["model"] |= record.pop("model_details")
            record |= {"status": "completed"} | ended(started)
            if writes:
                write_record(run_dir, record, predictions)
    except (Exception, KeyboardInterrupt) as error:
        explained = explain(error, training_arguments)
        record["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        record |= {"error": first_line(explained)} | ended(started)
        if writes and begun and run_dir.exists():
            with contextlib.suppress(OSError):  # the disk may be what has failed
                if (checkpoint := newest_sound(run_dir)) is not None:
                    record["checkpoint"] = checkpoint.name
                    if texts is not None:  # so that a run may start from the checkpoint, too
                        write_whole(run_dir / TEXTS_FILE, texts)
                write_record(run_dir, record)
        if explained is not error:
            raise explained from error
        raise
    if writes:
        remove_checkpoints(run_dir)  # not before: until the record stands, a run goes on from them
    return record


def _kept(model: ModelArguments, labels: Sequence[str], multi_label: bool) -> list[str]:
    """The parts of its parent that a run starts with."""
    if not model.init_from:
        return ["encoder"]
    own = config_of(model)
    same = sorted(labels) == sorted(own.labels) and multi_label == own.multi_label
    return ["encoder", "pooling", "embedding", *(["classifier"] if same else [])]


def _task(data: EmotionData) -> tuple[Sequence[str], bool]:
    return data.labels, data.multi_label


def _texts(data: EmotionData, parent: Parent | None) -> bytes:
    """The file of the texts that a run is trained on, and was through its parents."""
    before = None if parent is None else parent.texts
    return texts_content(trained_on(data, before), parent is None or parent.whole)


def model_at_start(arguments: ModelArguments, data: EmotionData) -> EmotionModel:
    """The model that a run starts with, adapters included; a new classifier of sets of labels at their priors."""
    model = build_model(arguments, data.labels, multi_label=data.multi_label)
    if data.multi_label and "classifier" not in _kept(arguments, *_task(data)):
        model.start_at([count / data.report["rows"]["train"] for count in data.report["counts"]["train"].values()])
    lora = parse_lora(arguments.lora)
    return add_lora(model, lora) if lora else model


def make_trainer(
    model_arguments: ModelArguments,
    data_arguments: DataArguments,
    training_arguments: MetricTrainingArguments,
    data: EmotionData,
    callbacks: Sequence[TrainerCallback] = (),
) -> tuple[MetricTrainer, datasets.DatasetDict]:
    """A trainer at its start, whose every draw follows from the seed, and the tokens of all splits of `data`."""
    check_labels_a_row(training_arguments, data.multi_label)  # before it takes long
    tokenizer = load_tokenizer(model_arguments)
    set_seed(training_arguments.seed)
    model = model_at_start(model_arguments, data)
    if model_arguments.init_from and "classifier" not in _kept(model_arguments, *_task(data)):
        own = config_of(model_arguments)
        others = f"its labels are others ({', '.join(own.labels)})"
        a_row = f"it gives {'several labels' if own.multi_label else 'one label'} a row"
        logger.warning(
            "the classifier of %s is not kept, for %s; a new one is trained",
            model_arguments.init_from,
            others if sorted(own.labels) != sorted(data.labels) else a_row,
        )
    tokens = tokenize_splits(
        data, tokenizer, max_length=data_arguments.max_length, cache_dir=data_arguments.data_cache_dir
    )
    tokens = halved(tokens, training_arguments, data_arguments.split_seed)
    trainer = MetricTrainer(
        model=model,
        args=training_arguments,
        callbacks=list(callbacks),
        **trainer_inputs(tokens, tokenizer),
    )
    if model_arguments.lora:
        refuse_shards(trainer)
    trainer.remove_callback(PrinterCallback)  # without bars, Trainer would print a dict for every log
    return trainer, tokens


def _prepare(
    model_arguments: ModelArguments,
    data_arguments: DataArguments,
    training_arguments: MetricTrainingArguments,
    run_dir: Path,
    callbacks: Sequence[TrainerCallback],
) -> tuple[MetricTrainer, EmotionData, datasets.DatasetDict, dict[str, Any], str | None]:
    """The trainer, the data, their tokens and shares of them, and the checkpoint to go on from; nothing is written."""
    check_arguments(model_arguments, data_arguments, training_arguments)
    if training_arguments.learning_rate is None:
        training_arguments.learning_rate = default_learning_rate(model_arguments)
    if model_arguments.prefix is None and (prefix := prefix_of(model_arguments)):
        _say_prefix(model_arguments.encoder, prefix)
    refuse_finished(model_arguments, data_arguments, training_arguments, run_dir)
    data = load_data(data_arguments)
    made_with = MadeWith(
        with_ngrams(model_arguments)
        | {"data_fingerprint": data.fingerprint, "max_length": data_arguments.max_length}
        | training_arguments.to_dict()
        | {"processes": training_arguments.world_size}
    )
    checkpoint = checkpoint_to_resume(training_arguments.resume_from_checkpoint, run_dir)
    if checkpoint is not None:
        way_on = functools.partial(
            trained_further, Path(checkpoint), model_arguments, data_arguments, training_arguments
        )
        check_same_arguments(Path(checkpoint), made_with, way_on)
    patience = training_arguments.early_stopping_patience
    own = [made_with, *([EarlyStoppingCallback(patience)] if patience else [])]
    trainer, tokens = make_trainer(model_arguments, data_arguments, training_arguments, data, [*callbacks, *own])
    tokenizer: Any = trainer.processing_class
    most = trainer.model.config.max_tokens
    shares, data = look_at_tokens(data, tokens["train"], tokenizer, model_arguments, data_arguments.max_length, most)
    return trainer, data, tokens, shares, checkpoint


@functools.cache  # once for all runs of a study
def _say_prefix(encoder: str, prefix: str) -> None:
    logger.warning("%s wants %r before every text, and gets it; --prefix '' leaves it out", encoder, prefix)


def _train_and_test(
    trainer: MetricTrainer,
    data: EmotionData,
    tokens: datasets.DatasetDict,
    shares: dict[str, Any],
    checkpoint: str | None,
    run_dir: Path,
    texts: bytes,
    arguments: ModelArguments,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train, merge adapters, and test what is saved; what the record says of it, and the predictions."""
    wait_for_all()
    if trainer.is_world_process_zero():
        # Of an earlier run: Trainer would count them as its own.
        remove_checkpoints(run_dir, but_sound=checkpoint is not None)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.args.per_device_train_batch_size = trainer.state.train_batch_size // max(1, trainer.args.n_gpu)
    fitted = fit_to_validation(trainer, tokens)  # first: adapters are kept with their classifier
    adapter, of_adapters = merged(trainer, arguments)
    predicted = predict_in_order(trainer, tokens["test"], fitted.thresholds)
    scores = score_test_rows(predicted, data.labels)
    if trainer.is_world_process_zero():
        warn_of_one_class(run_dir.name, predicted, data.labels)
    finish_trackers(
        trainer,
        predicted.embeddings,
        {
            "sentence": data.splits["test"]["text"][:],
            "label": named(predicted.labels, data.labels),
            "prediction": predicted.names(data.labels),
        },
    )
    save_whole(trainer, run_dir, {TEXTS_FILE: texts, **adapter})
    model = trainer.model
    details = {
        "model_details": {
            "parameters": model.num_parameters(),
            **of_adapters,
            "embedding_size": model.config.embedding_size,
        },
        "data": data.summary(),
        "tokens": shares,
        **progress(trainer),
        "test": scores,
        **fitted.summary(predicted),
        "files": {"predictions": PREDICTIONS_FILE, "texts": TEXTS_FILE},
    }
    return details, predicted.arrays()
