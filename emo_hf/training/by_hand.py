"""What a trainer made by hand is given: a model that it can train, arguments that fit, rows to choose by or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers.trainer_utils import IntervalStrategy

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.errors import UserError
from emo_hf.training.run_names import encoder_name, run_name

logger = logging.getLogger(__name__)

_NEEDED = {"labels": "the names of its labels", "embedding_size": "the dimension of its embeddings"}


def check_arguments(args: Any) -> None:
    """Refuse arguments that know nothing of a metric loss."""
    if not isinstance(args, MetricTrainingArguments):
        raise UserError(
            f"args is a {type(args).__name__}; give MetricTrainingArguments, which takes the same and more"
        )


def check_model(model: nn.Module) -> None:
    """Refuse a model that has no embeddings for a metric loss.

    Raises:
        UserError: names what it lacks, and the model to build in its place.
    """
    config = getattr(model, "config", None)
    lacking = [f"{name} ({said})" for name, said in _NEEDED.items() if getattr(config, name, None) is None]
    if not lacking:
        return
    names = list((getattr(config, "id2label", None) or {0: "…"}).values())
    shown = ", ".join(map(repr, names[:4])) + (", …" if len(names) > 4 else "")
    encoder = getattr(config, "_name_or_path", "") or "klue/bert-base"
    raise UserError(
        f"MetricTrainer trains an EmotionModel, and {type(model).__name__} is none: its config lacks "
        f"{' and '.join(lacking)}, and its output the embeddings that a metric loss compares; build one on the same "
        f"encoder: EmotionModel.from_encoder({encoder!r}, labels=[{shown}])"
    )


def lack(outputs: Any, inputs: Mapping[str, Any]) -> str:
    """What a batch or what a model made of it has not, for a message."""
    if "labels" not in inputs:
        return f"data_collator gives batches without labels, but {', '.join(inputs)}; it must give (B,) class indices"
    return (
        f"the model's output ({type(outputs).__name__}) has no embeddings (B, D), which a metric loss compares; train "
        "an EmotionModel"
    )


def evaluates(args: MetricTrainingArguments, rows: Any) -> None:
    """Leave out evaluations, and what is chosen by them, where there are no rows for it; said in a warning."""
    if rows is not None or args.eval_strategy == "no":
        return
    logger.warning("no eval_dataset is given: nothing is evaluated, and the training ends with its last step")
    args.eval_strategy = IntervalStrategy.NO
    args.load_best_model_at_end = args.do_eval = False


def named_folder(args: MetricTrainingArguments, model: nn.Module | None) -> str:
    """The folder of a run, in which {name}, as the default has it, stands for that of encoder, pooling, loss, seed."""
    config = getattr(model, "config", None)
    encoder = getattr(config, "encoder", config)
    name = encoder_name(getattr(encoder, "_name_or_path", "") or getattr(encoder, "model_type", "model"))
    pooling = getattr(config, "pooling", "model")
    return args.output_dir.replace("{name}", run_name(name, pooling, args.aux, args.seed))
