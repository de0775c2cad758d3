"""What teachers say of texts, computed once: chunks on the disk, each whole or absent, read as they are needed."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from emo_hf.errors import UserError
from emo_hf.inference.predictor import Predictor
from emo_hf.storage.files import write_whole

logger = logging.getLogger(__name__)

CHUNK = 2048  # texts of a file
_WEIGHTS = ("*.safetensors", "*.onnx", "*.npy")


class TeacherOutputs:
    """Logits (N, C) and embeddings (N, E) of N texts, memory-mapped.

    Attributes: folder, labels (C,) in the order of the logits, embedding_size E.
    """

    def __init__(self, folder: Path, count: int, labels: list[str]):
        self.folder, self.labels = folder, labels
        starts = range(0, count, CHUNK)
        self._logits = [np.load(_file(folder, "logits", start), mmap_mode="r", allow_pickle=False) for start in starts]
        self._embeddings = [
            np.load(_file(folder, "embeddings", start), mmap_mode="r", allow_pickle=False) for start in starts
        ]
        self.embedding_size: int = self._embeddings[0].shape[1]

    def rows(self, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Logits (B, C) and embeddings (B, E) of B texts by their places, in fp32."""
        logits = [self._logits[place // CHUNK][place % CHUNK] for place in places]
        embeddings = [self._embeddings[place // CHUNK][place % CHUNK] for place in places]
        return np.stack(logits).astype(np.float32), np.stack(embeddings).astype(np.float32)


def teacher_outputs(
    teachers: Sequence[str | Path],
    texts: Sequence[str],
    cache: Path,
    *,
    max_length: int,
    progress: Callable[[int, int], object] = lambda done, count: None,
) -> TeacherOutputs:
    """What the teachers say of the texts: the mean of their logits, and their embeddings side by side.

    The chunks stand in a folder of `cache` that is named after the weights of the teachers, the texts and the length,
    so that the same question is answered once, and a stopped process goes on with the chunks that are missing.

    Args:
        teachers: folders of runs with the same labels.
        texts: (N,), N > 0.
        cache: folder of all such folders.
        max_length: longest sequence in tokens.
        progress: is called with the texts that are done and all, after each chunk.

    Raises:
        UserError: a teacher that can't be loaded, or labels that differ.
    """
    predictors = [Predictor(teacher, max_length=max_length) for teacher in teachers]
    first = predictors[0]
    for teacher, other in zip(teachers, predictors, strict=True):
        if sorted(other.labels) != sorted(first.labels) or (other.thresholds is None) != (first.thresholds is None):
            raise UserError(
                f"{teacher} has other labels than {teachers[0]}; the mean of their logits needs teachers of one task"
            )
    orders = [[predictor.labels.index(label) for label in first.labels] for predictor in predictors]
    folder = cache / _key(teachers, texts, max_length)
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(texts), CHUNK):
        embeddings_file = _file(folder, "embeddings", start)  # written last
        if not embeddings_file.exists():
            found = [predictor.logits(list(texts[start : start + CHUNK])) for predictor in predictors]
            logits = [values.numpy()[:, order] for (values, _), order in zip(found, orders, strict=True)]
            embeddings = np.concatenate([values.numpy() for _, values in found], axis=1)
            mean = np.asarray(np.mean(logits, axis=0, dtype=np.float64), dtype=np.float32)
            _write(_file(folder, "logits", start), mean)
            _write(embeddings_file, embeddings.astype(np.float16))
        progress(min(start + CHUNK, len(texts)), len(texts))
    return TeacherOutputs(folder, len(texts), first.labels)


def _key(teachers: Sequence[str | Path], texts: Sequence[str], max_length: int) -> str:
    digest = hashlib.blake2b(str(max_length).encode(), digest_size=10)
    for teacher in teachers:
        for path in sorted(path for pattern in _WEIGHTS for path in Path(teacher).glob(pattern)):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _file(folder: Path, kind: str, start: int) -> Path:
    return folder / f"{kind}-{start:09d}.npy"


def _write(path: Path, values: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_whole(path, buffer.getvalue())
