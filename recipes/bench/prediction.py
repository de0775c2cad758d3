"""Sentences a second of Predictor beside transformers' own pipeline, on the same sentences in one run.

    python recipes/bench/prediction.py
    python recipes/bench/prediction.py --model runs/train/mine --exports runs/export/mine_onnx runs/export/mine_int8

Without --model it is tiny-bert with a fresh head: speed does not depend on what was learned. The texts are of mixed
lengths, 1 to 8 sentences of the bundled sample each. All arms run in turn, interleaved, after a warm-up; the median is
kept. Writes runs/bench/predict.md.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer, pipeline

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.data.loading import load_emotion_data
from emo_hf.data.taxonomy import DEFAULT_LABELS
from emo_hf.encoders import encoder_path
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.export.export import EXPORT_FILE
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries

Arm = Callable[[list[str]], np.ndarray]
MAX_LENGTH = 128
PLAIN = "pipeline, its defaults"
SEED = 42


def arms(model: str, exports: Sequence[str] = ()) -> dict[str, Arm]:
    """Name -> function of N sentences that returns their probabilities (N, C).

    `exports` are folders of ONNX exports of the model.
    """
    device = str(torch.accelerator.current_accelerator() or "cpu")  # named, so that torch has the first ones too
    predictor = Predictor(model, max_length=MAX_LENGTH, device=device)
    # Of the model that is loaded already, on its device; cut as Predictor cuts, so that all do the same work.
    classify = pipeline(
        "text-classification",
        model=predictor.backend.model,
        tokenizer=predictor.tokenizer,
        device=predictor.backend.device,
        top_k=None,
        truncation=True,
        max_length=MAX_LENGTH,
    )

    def by_pipeline(batch_size: int) -> Arm:
        def probabilities(texts: list[str]) -> np.ndarray:
            found = [{part["label"]: part["score"] for part in row} for row in classify(texts, batch_size=batch_size)]
            return np.array([[row[label] for label in predictor.labels] for row in found])

        return probabilities

    return {
        "Predictor": by_predictor(predictor),
        PLAIN: by_pipeline(1),
        "pipeline, batch_size=32": by_pipeline(32),
        **{by_export(folder): by_predictor(Predictor(folder, max_length=MAX_LENGTH)) for folder in exports},
    }


def by_predictor(predictor: Predictor) -> Arm:
    """Its probabilities as an array."""
    return lambda texts: predictor.probabilities(texts).numpy()


def by_export(folder: str) -> str:
    """The name of an export's arm."""
    try:
        return f"Predictor, {json.loads((Path(folder) / EXPORT_FILE).read_text(encoding='utf-8'))['format']}"
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"--exports {folder}: no export; make one with recipes/export.py --to onnx") from error


def mixed_sentences(rows: int) -> list[str]:
    """Texts of 1 to 8 sentences of the sample, short ones more often than long ones."""
    texts = load_emotion_data("sample").splits["train"]["text"][:]
    generator = np.random.default_rng(SEED)
    return [" ".join(generator.choice(texts, size=generator.choice([1, 1, 1, 1, 2, 2, 4, 8]))) for _ in range(rows)]


def measure(arms: dict[str, Arm], texts: list[str], rounds: int) -> dict[str, float]:
    """Median sentences a second of each arm, all in turn in every round.

    Raises:
        UserError: if an arm gives other probabilities than the first.
    """
    expected: np.ndarray | None = None
    for name, arm in arms.items():  # the warm-up
        found = arm(texts[:256])
        expected = found if expected is None else expected
        # Weights in int8 are other weights: how much that costs stands in the card of the export.
        if not name.endswith("int8") and not np.allclose(found, expected, atol=1e-4):
            raise UserError(f"{name} differs from the first arm by {np.abs(found - expected).max():.1e}")
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            started = time.perf_counter()
            arm(texts)
            seconds[name].append(time.perf_counter() - started)
    return {name: len(texts) / statistics.median(values) for name, values in seconds.items()}


def table(speeds: dict[str, float]) -> str:
    """Markdown: sentences a second, and as a multiple of the plain pipeline's."""
    lines = [f"| {name} | {speed:,.0f} | {speed / speeds[PLAIN]:.1f}× |" for name, speed in speeds.items()]
    return "\n".join(["| | sentences/s | of the plain pipeline |", "|---|---:|---:|", *lines]) + "\n"


def fresh_model(folder: str) -> str:
    """A model on tiny-bert with a random head, as `save_pretrained` leaves it."""
    torch.manual_seed(SEED)
    path = encoder_path("tiny-bert")
    EmotionModel.from_encoder(path, labels=DEFAULT_LABELS, pooling="mean").save_pretrained(folder)
    AutoTokenizer.from_pretrained(path, trust_remote_code=False).save_pretrained(folder)
    return folder


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--model", help="folder of a run, or a Hub id; default: tiny-bert with a fresh head")
    parser.add_argument("--exports", nargs="*", default=[], help="folders of ONNX exports of the model")
    parser.add_argument("--rows", type=positive, default=1024)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        measured = arms(arguments.model or fresh_model(folder), arguments.exports)
        texts = mixed_sentences(arguments.rows)
        speeds = measure(measured, texts, arguments.rounds)
    device = torch.accelerator.current_accelerator() or f"the CPU with torch's threads at {arguments.threads}"
    said = (
        f"{arguments.model or 'tiny-bert, fresh head'}, {arguments.rows:,} sentences of mixed lengths (median "
        f"{statistics.median(map(len, texts)):.0f}, longest {max(map(len, texts))} characters, at most {MAX_LENGTH} "
        f"tokens), on {device}; median of {arguments.rounds} interleaved rounds; torch {torch.__version__}, "
        f"transformers {transformers.__version__}.\n\n"
    )
    print(said + table(speeds), end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = write_whole(arguments.output / "predict.md", (said + table(speeds)).encode())
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
