"""Trainers whose steps are kept, to be computed again in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import AutoTokenizer, TrainerCallback

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.data.collation import PaddingCollator
from emo_hf.evaluation.trainer_metrics import trainer_metrics
from emo_hf.models.modeling import EmotionModel
from emo_hf.training.trainer import MetricTrainer

LABELS = ["불안", "슬픔", "기쁨"]


def recorded_trainer(
    encoder: str,
    tokens: datasets.DatasetDict,
    output_dir: Path,
    rows: int | None = None,
    dropout: bool = False,
    **arguments: Any,
) -> MetricTrainer:
    """A trainer of a fresh model without dropout; its steps are recorded in `trainer.steps`."""
    torch.manual_seed(1)
    model = EmotionModel.from_encoder(encoder, labels=LABELS, pooling="mean", embedding_size=16)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
    settings = {
        "output_dir": str(output_dir),
        "eval_strategy": "no",
        "save_strategy": "no",
        "bf16": False,
        "max_grad_norm": 0.0,
        "disable_tqdm": True,
        "learning_rate": 1e-3,
        "label_smoothing_factor": 0.0,
    }
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    trainer = MetricTrainer(
        model=model,
        args=MetricTrainingArguments(**(settings | arguments)),
        train_dataset=tokens["train"].shuffle(seed=0).select(range(rows)) if rows else tokens["train"],
        eval_dataset=tokens["validation"],
        processing_class=tokenizer,
        data_collator=PaddingCollator(tokenizer),
        compute_metrics=trainer_metrics(LABELS),
    )
    trainer.steps = record_steps(trainer)
    return trainer


def record_steps(trainer: MetricTrainer) -> list[dict[str, Any]]:
    """The inputs, output and loss of every training step, and the gradients before every optimizer step."""
    steps: list[dict[str, Any]] = []
    compute = trainer.compute_loss

    def recording(model, inputs, return_outputs=False, **kwargs):
        loss, outputs = compute(model, inputs, return_outputs=True, **kwargs)
        if model.training:
            kept = {name: value.detach().clone() for name, value in inputs.items()}
            steps.append({"inputs": kept, "loss": loss.item(), "gradients": None})
            steps[-1] |= {"logits": outputs.logits.detach(), "embeddings": outputs.embeddings.detach()}
        return (loss, outputs) if return_outputs else loss

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            steps[-1]["gradients"] = {name: p.grad.clone() for name, p in model.named_parameters()}

    trainer.compute_loss = recording
    trainer.add_callback(Gradients())
    return steps


def logged(trainer: MetricTrainer) -> list[dict[str, float]]:
    return [entry for entry in trainer.state.log_history if "loss" in entry]
