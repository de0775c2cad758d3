"""A student of trained models: taught on texts without labels, and saved where a run can start from it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from emo_hf.arguments.bounds import check_numbers
from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.data.loading import EmotionData
from emo_hf.data.seen_texts import SCORED, text_hashes
from emo_hf.data.text_files import texts_of_files
from emo_hf.distillation.lessons import teach
from emo_hf.distillation.students import STATIC, build_student, layers_of
from emo_hf.distillation.teacher import teacher_outputs
from emo_hf.errors import UserError
from emo_hf.inference.backends import load_model
from emo_hf.models.parents import parent_of
from emo_hf.models.pretrained import check_encoder, default_learning_rate
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import SCHEMA, TEXTS_FILE, environment, now, read_record, texts_content, write_record
from emo_hf.training.loaded import load_data

_STATIC_RATE = 2e-3


@dataclass
class DistillArguments:
    """What a student is, and how it learns from its teacher."""

    texts: list[str] = field(
        default_factory=list, metadata={"help": "files of texts without labels, of every kind that predict.py reads"}
    )
    text_column: str | None = field(
        default=None, metadata={"help": "column of the texts in those files, if not a usual name"}
    )
    student: str = field(
        default=STATIC,
        metadata={"help": "static; layers=N, the teacher with N of its layers; or an encoder, as --encoder"},
    )
    temperature: float = field(default=2.0, metadata={"help": "by which logits are divided before they are compared"})
    embedding_weight: float = field(default=1.0, metadata={"help": "of the embeddings beside the logits; 0: none"})
    distill_epochs: float = field(default=3.0, metadata={"help": "epochs over the texts without labels"})
    distill_batch_size: int = field(default=32, metadata={"help": "texts of a batch"})
    distill_learning_rate: float | None = field(
        default=None, metadata={"help": "peak learning rate there; default 2e-3 for static, else as --learning_rate"}
    )
    cache_dir: str = field(
        default="runs/distill/cache", metadata={"help": "where the teachers' outputs are kept, to be computed once"}
    )

    def __post_init__(self) -> None:
        check_numbers(self)
        layers_of(self.student)


def teachers_data(teachers: Sequence[str]) -> DataArguments:
    """The data that the first teacher was trained on, by its record.

    Raises:
        UserError: no teacher, one without a completed record, or data that are not those of the record any more.
    """
    if not teachers:
        raise UserError("no teacher is given; name the folder of a run first, as in: distill.py RUN --texts FILE")
    for teacher in teachers:
        record = read_record(Path(teacher)) or {}
        if record.get("kind") != "model" or record.get("status") != "completed":
            raise UserError(
                f"{teacher} holds no record.json of a completed run, which says what it was trained on; give the "
                "folder that train.py wrote"
            )
    record = read_record(Path(teachers[0])) or {}
    arguments = DataArguments(**record["arguments"]["data"])
    if load_data(arguments).fingerprint != record["data"]["fingerprint"]:
        raise UserError(
            f"{record['data']['source']} is not what {teachers[0]} was trained on any more (another fingerprint), so "
            "its test rows can't be told; bring the file back"
        )
    return arguments


def texts_to_learn(paths: Sequence[str], text_column: str | None, data: EmotionData) -> tuple[list[str], int]:
    """The texts of files and of the training rows, without those of rows that score, and how many those were.

    Raises:
        UserError: files that can't be read, or of which nothing is left.
    """
    if not paths:
        raise UserError("--texts is missing; give files of texts, which need no labels")
    texts = texts_of_files(paths, text_column)
    scored = np.concatenate([text_hashes(data.splits[split]["text"][:]) for split in SCORED])
    known = np.isin(text_hashes(texts), scored)
    kept = [text for text, seen in zip(texts, known, strict=True) if not seen]
    if not kept:
        raise UserError(
            f"--texts {' '.join(paths)}: all texts there are those of validation or test rows; give others"
        )
    return list(dict.fromkeys([*kept, *data.splits["train"]["text"][:]])), int(known.sum())


def distill(
    teachers: Sequence[str],
    arguments: DistillArguments,
    folder: Path,
    *,
    seed: int = 42,
    use_cpu: bool = True,
    bf16: bool = False,
    progress: Callable[[str, int, int], object] = lambda what, done, count: None,
) -> dict[str, Any]:
    """Teach a student and save it in `folder`, as a run's parent is saved; its record comes back.

    The record names the teachers, and `train_texts.npz` beside it all texts that they or the student have seen, so
    that a run that starts from it is not scored on one of them.

    Args:
        teachers: folders of runs of one task; their mean teaches.
        arguments: what the student is, and its texts.
        folder: of the student.
        seed: of its training.
        use_cpu: whether an accelerator is left alone.
        bf16: whether its products are computed in bfloat16.
        progress: is called with what is being done, and how much of how much is.

    Raises:
        UserError: teachers, texts or a student that can't be used.
    """
    of_teacher = teachers_data(teachers)
    data = load_data(of_teacher)
    texts, left_out = texts_to_learn(arguments.texts, arguments.text_column, data)
    teacher = load_model(teachers[0]).float()
    tokenizer = AutoTokenizer.from_pretrained(teachers[0], trust_remote_code=False)
    if arguments.student != STATIC and layers_of(arguments.student) is None:
        model = ModelArguments(encoder=arguments.student, pooling=teacher.config.pooling)
        check_encoder(model, of_teacher)
    torch.manual_seed(seed)
    student, own_tokenizer = build_student(arguments.student, teacher, tokenizer)
    outputs = teacher_outputs(
        teachers,
        texts,
        Path(arguments.cache_dir),
        max_length=of_teacher.max_length,
        progress=lambda done, count: progress("asking the teacher", done, count),
    )
    rate = arguments.distill_learning_rate
    if rate is None:
        rate = _STATIC_RATE if arguments.student == STATIC else default_learning_rate(student.config)
    with tempfile.TemporaryDirectory() as scratch:
        loss = teach(
            student,
            own_tokenizer,
            texts,
            outputs,
            folder=Path(scratch),
            max_length=of_teacher.max_length,
            epochs=arguments.distill_epochs,
            batch_size=arguments.distill_batch_size,
            learning_rate=rate,
            temperature=arguments.temperature,
            embedding_weight=arguments.embedding_weight,
            seed=seed,
            use_cpu=use_cpu,
            bf16=bf16,
            progress=lambda done, steps: progress("teaching", done, steps),
        )
    return _saved(folder, student, own_tokenizer, teachers, texts, data, {"left_out": left_out, "loss": loss})


def _saved(
    folder: Path,
    student: Any,
    tokenizer: Any,
    teachers: Sequence[str],
    texts: Sequence[str],
    data: EmotionData,
    details: dict[str, Any],
) -> dict[str, Any]:
    parents = [parent_of(teacher) for teacher in teachers]
    seen = [parent.texts for parent in parents if parent.texts is not None]
    folder.mkdir(parents=True, exist_ok=True)
    student.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    hashes = np.unique(np.concatenate([text_hashes(texts), *seen]))
    write_whole(folder / TEXTS_FILE, texts_content(hashes, all(parent.whole for parent in parents)))
    record = {
        "schema": SCHEMA,
        "run_id": folder.name,
        "kind": "student",
        "status": "completed",
        "finished": now(),
        "distilled_from": [parent.summary() for parent in parents],
        "texts": len(texts),
        **details,
        "data": {"fingerprint": data.fingerprint},
        **environment(),
    }
    write_record(folder, record)
    return record
