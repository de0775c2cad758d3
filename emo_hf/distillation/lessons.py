"""The student's training on texts without labels, whose targets are what the teacher says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from emo_hf.distillation.objective import Pupil
from emo_hf.distillation.teacher import TeacherOutputs
from emo_hf.models.modeling import EmotionModel
from emo_hf.training.cpu.dropout import use_fast_dropout
from emo_hf.training.cpu.layers import use_fused_layers


class Lessons(Dataset):
    """The token ids of texts, with the places of the texts among the teacher's outputs."""

    def __init__(self, ids: Sequence[Sequence[int]]):
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"input_ids": self._ids[place], "place": place}


class _Steps(TrainerCallback):
    """Tells how many steps are done."""

    def __init__(self, progress: Callable[[int, int], object]):
        self._progress = progress

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._progress(state.global_step, state.max_steps)


def teach(
    student: EmotionModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    outputs: TeacherOutputs,
    *,
    folder: Path,
    max_length: int,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    temperature: float,
    embedding_weight: float,
    seed: int,
    use_cpu: bool,
    bf16: bool = False,
    progress: Callable[[int, int], object] = lambda done, steps: None,
) -> float:
    """Train the student in place on N texts; returns the mean loss.

    Args:
        student: with the labels of the outputs, in their order.
        tokenizer: that of the student.
        texts: those that the outputs are of, in their order.
        outputs: what the teacher says.
        folder: Trainer wants one; nothing is kept there.
        max_length: in tokens.
        epochs, batch_size, learning_rate: of AdamW with a linear decay, after a twentieth of the steps of warm-up.
        temperature, embedding_weight: as in `Pupil`.
        seed: of the order, of dropout, and of a new projection.
        use_cpu: whether an accelerator is left alone.
        bf16: whether products are computed in bfloat16.
        progress: is called with the steps that are done and all.
    """
    set_seed(seed)
    use_fast_dropout(student)
    if use_cpu or not torch.accelerator.is_available():
        use_fused_layers(student)
    pupil = Pupil(student, outputs.embedding_size, temperature=temperature, weight=embedding_weight)
    longest = min(max_length, tokenizer.model_max_length, student.config.max_tokens or max_length)
    encoded = tokenizer(list(texts), truncation=True, max_length=longest, return_token_type_ids=False)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=0.05,
        weight_decay=0.01,
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        seed=seed,
        use_cpu=use_cpu,
        bf16=bf16,
        dataloader_pin_memory=not use_cpu,
        disable_tqdm=True,
    )

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = tokenizer.pad({"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt")
        logits, embeddings = outputs.rows([row["place"] for row in rows])
        return {
            "input_ids": batch["input_ids"],
            "attention_mask": batch["attention_mask"],
            "teacher_logits": torch.from_numpy(logits),
            "teacher_embeddings": torch.from_numpy(embeddings),
        }

    trainer = Trainer(
        model=pupil,
        args=arguments,
        train_dataset=Lessons(encoded["input_ids"]),
        data_collator=collate,
        callbacks=[_Steps(progress)],
    )
    trainer.remove_callback(PrinterCallback)
    loss = float(trainer.train().training_loss)
    student.to("cpu")  # type: ignore[arg-type]  # transformers wraps it and loses its types
    student.eval()
    return loss
