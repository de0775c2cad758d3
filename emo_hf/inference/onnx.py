"""An ONNX export at work: token ids to logits and embeddings by onnxruntime, without torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import promises_in
from emo_hf.inference.pieces import TOKENIZER_FILE, Pieces, json_object, labels_of, thresholds_in
from emo_hf.models.folders import ONNX_FILE, cant_load


class OnnxBackend:
    """An ONNX export on the CPU.

    Each batch is computed by one thread, and as many as torch uses, or would use, compute batches side by side: they
    never wait for each other.

    Attributes: as of `TorchBackend`; pieces, its tokenizer; session, of onnxruntime. The longest sequence stands with
    the tokenizer, where the export wrote it.

    Raises:
        UserError: files that can't be read, a device that is not the CPU, or onnxruntime is missing.
    """

    device = "cpu"
    max_tokens = None

    def __init__(self, folder: str | Path, *, device: str | None = None):
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"{folder} is an ONNX export, which needs onnxruntime; pip install onnxruntime, "
                "or give the folder of the run itself"
            ) from error
        if device not in (None, "cpu"):
            raise UserError(f"device is {device!r}, but the ONNX export {folder} computes on the CPU; leave it out")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = False  # it keeps a plan of every shape, of which there are thousands
        self.workers = _threads()
        try:
            config = json_object(Path(folder) / "config.json")
            self.labels = labels_of(config)
            self.thresholds = thresholds_in(config)
            self.promises = promises_in(config, len(self.labels))
            self.prefix = str(config.get("text_prefix") or "")
            self.pieces = Pieces(folder) if (Path(folder) / TOKENIZER_FILE).is_file() else _of_transformers(folder)
            self.session = onnxruntime.InferenceSession(
                Path(folder) / ONNX_FILE, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # neither onnxruntime's own nor those of tokenizers have another base class
            raise cant_load(folder, error) from error

    def outputs(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """input_ids and attention_mask (B, L) -> logits (B, C) and embeddings (B, D)."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        logits, embeddings = self.session.run(["logits", "embeddings"], inputs)
        return logits, embeddings


def _of_transformers(folder: str | Path) -> Any:
    """A tokenizer that only a class of transformers can read."""
    from emo_hf.inference.backends import TransformersPieces  # which needs torch too

    return TransformersPieces(folder)


def _threads() -> int:
    """As many as torch uses where it is imported already; else as OMP_NUM_THREADS says, or one a core."""
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
