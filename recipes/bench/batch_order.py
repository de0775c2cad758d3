"""What the speed of training costs: macro-F1 of the defaults less that of random batches in fp32, over seeds.

    python recipes/bench/batch_order.py
    python recipes/bench/batch_order.py --data sample comments.csv --seeds 1 2 3 4 5 --aux triplet contrastive

The defaults are sorted batches, bf16 where the processor has it, and on a CPU fused layers; the other arm has none of
these. Both train all epochs on the same splits and are scored on the test set after the last one. Writes
runs/bench/order.md: the difference with its 95 % interval over seeds (Welch 1947).
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import joblib
import torch
from arms import Unsorted
from transformers import set_seed

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.words import CommandParser
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.evaluation.metrics import ClassificationScores
from emo_hf.evaluation.statistics import seed_effect
from emo_hf.exit_codes import command
from emo_hf.models.pretrained import build_model, default_learning_rate, load_tokenizer
from emo_hf.storage.files import write_whole
from emo_hf.training.loaded import load_data
from emo_hf.training.progress import quiet_libraries
from emo_hf.training.run import trainer_inputs
from emo_hf.training.trainer import MetricTrainer

ARMS = {"the defaults": (MetricTrainer, {}), "random, fp32": (Unsorted, {"bf16": False, "fused_layers": False})}
# Carved out of data without splits; the seeds of the training leave them alone.
SIZES = {"validation_size": 0.15, "test_size": 0.25}


def score(data: str, aux: str, seed: int, arm: str, encoder: str, pooling: str, threads: int) -> float:
    """Test macro-F1 in percent of one training."""
    quiet_libraries()
    torch.set_num_threads(threads)
    trainer_class, own = ARMS[arm]
    model_arguments = ModelArguments(encoder=encoder, pooling=pooling, ngrams=0)
    loaded, tokenizer = load_data(DataArguments(data=data, **SIZES)), load_tokenizer(model_arguments)
    with tempfile.TemporaryDirectory() as folder:
        arguments = MetricTrainingArguments(
            output_dir=folder,
            aux=aux,
            seed=seed,
            learning_rate=default_learning_rate(model_arguments),
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **own,
        )
        set_seed(seed)
        tokens = tokenize_splits(loaded, tokenizer, max_length=128)
        model = build_model(model_arguments, loaded.labels)
        trainer = trainer_class(model, arguments, **trainer_inputs(tokens, tokenizer))
        trainer.train()
        told = trainer.predict(tokens["test"], ignore_keys=["hidden_states", "attentions"])
    found = ClassificationScores().compute(
        predictions=told.predictions[0].argmax(-1), references=told.label_ids, labels=loaded.labels
    )
    return 100 * found["macro_f1"]


@command()
def main(argv: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("--data", nargs="+", default=["sample"], help="as --data of train.py, several")
    parser.add_argument("--aux", nargs="+", default=["triplet"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--encoder", default="tiny-bert")
    parser.add_argument("--pooling", default="mean")
    parser.add_argument("--jobs", type=positive, default=joblib.cpu_count(only_physical_cores=True))
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    quiet_libraries()
    cells = list(itertools.product(arguments.data, arguments.aux, arguments.seeds, ARMS))
    threads = max(1, joblib.cpu_count() // arguments.jobs)
    for data in arguments.data:
        load_data(DataArguments(data=data, **SIZES))
    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads):
        found = joblib.Parallel(n_jobs=arguments.jobs)(
            joblib.delayed(score)(*cell, arguments.encoder, arguments.pooling, threads) for cell in cells
        )
    scores = dict(zip(cells, found, strict=True))
    lines = []
    for data, aux in itertools.product(arguments.data, arguments.aux):
        by_arm = {arm: [scores[data, aux, seed, arm] for seed in arguments.seeds] for arm in ARMS}
        effect = seed_effect(by_arm, dict(zip(ARMS, (1, -1), strict=True)))
        means = ", ".join(f"{arm} {sum(values) / len(values):.1f}" for arm, values in by_arm.items())
        lines.append(
            f"- {Path(data).name}, {arguments.pooling}, {aux}, {len(arguments.seeds)} seeds: {means}; "
            f"difference {effect.estimate:+.1f} [{effect.low:+.1f}, {effect.high:+.1f}] points of macro-F1"
        )
    said = "\n".join(lines) + "\n"
    print(said, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'order.md', said.encode())}")


if __name__ == "__main__":
    sys.exit(main())
