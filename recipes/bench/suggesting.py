"""Do labels bring more where suggest.py picks the rows? Curves of macro-F1, beside those of random rows.

    python recipes/bench/suggesting.py kote3.csv
    python recipes/bench/suggesting.py goemotions3=goemotions3.yaml --strategies margin badge --seeds 1 2 3

CORPUS is what --data takes, or a YAML file of arguments, as transfer.py has it. Of its training rows --sizes are
labelled step by step: the first at random, the others as a strategy picks them by the model of the step before. Each
step trains a new model (tiny-bert, mean pooling, the last epoch) and scores it on the test rows, the same for all.
Intervals are over seeds (first rows, training, picking) and test rows. What is done is kept in --runs and not done
again. Writes NAME.md there.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import hashlib
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import PrinterCallback, set_seed

from emo_hf.arguments.bounds import check_number, positive
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.arguments.words import CommandParser
from emo_hf.data.loading import EmotionData
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.errors import UserError
from emo_hf.evaluation.calibration import softmax
from emo_hf.evaluation.statistics import Effect, MultiBootstrap
from emo_hf.models.pretrained import default_learning_rate, load_tokenizer
from emo_hf.storage.files import said_plainly, writing_whole
from emo_hf.study.corpora import read_corpora
from emo_hf.suggesting.strategies import STRATEGIES, pick
from emo_hf.training.loaded import load_data
from emo_hf.training.outcome import Predicted, predict_in_order
from emo_hf.training.progress import quiet_libraries
from emo_hf.training.run import model_at_start
from emo_hf.training.trainer import MetricTrainer

SIZES = (60, 120, 180, 240, 360, 480)
Curve = np.ndarray  # (sizes, test rows) predicted classes


@dataclass(frozen=True)
class Corpus:
    """A corpus that a curve is drawn on, and how its models are trained."""

    data: EmotionData
    max_length: int
    epochs: float

    model = ModelArguments(encoder="tiny-bert", pooling="mean")

    @cached_property
    def tokens(self) -> datasets.DatasetDict:
        """The token ids of all splits."""
        return tokenize_splits(self.data, load_tokenizer(self.model), max_length=self.max_length, cache_dir=None)

    @property
    def rows(self) -> int:
        """The rows that there are to label."""
        return len(self.data.splits["train"])

    def trained(self, rows: np.ndarray, seed: int, folder: str) -> MetricTrainer:
        """A trainer whose model was trained on these training rows."""
        arguments = MetricTrainingArguments(
            output_dir=folder, aux="none", num_train_epochs=self.epochs, seed=seed, disable_tqdm=True,
            learning_rate=default_learning_rate(self.model), eval_strategy="no", save_strategy="no",
            logging_strategy="no", load_best_model_at_end=False, report_to="none",
        )  # fmt: skip
        set_seed(seed)
        trainer = MetricTrainer(
            model=model_at_start(self.model, self.data),
            args=arguments,
            train_dataset=self.tokens["train"].select(rows),
            processing_class=load_tokenizer(self.model),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return trainer

    def asked(self, trainer: MetricTrainer, rows: np.ndarray) -> Predicted:
        """What a model says of training rows that are not labelled yet."""
        return predict_in_order(trainer, self.tokens["train"].select(rows))

    def tested(self, trainer: MetricTrainer) -> np.ndarray:
        """The classes that a model gives the test rows (N,)."""
        return predict_in_order(trainer, self.tokens["test"]).classes


def curve(corpus: Corpus, strategy: str, sizes: Sequence[int], seed: int, pool: int) -> Curve:
    """The classes of the test rows after each step; one seed has the same first rows for all strategies."""
    order = np.random.default_rng(seed).permutation(corpus.rows)
    labelled, left = order[: sizes[0]], order[sizes[0] :]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for step, size in enumerate(sizes):
            trainer = corpus.trained(np.sort(labelled), seed, folder)
            found.append(corpus.tested(trainer))
            if step + 1 < len(sizes):
                candidates, more = left[:pool], sizes[step + 1] - size
                # Random rows are the next in random order already: nobody need be asked.
                places = np.arange(more)
                if strategy != "random":
                    said = corpus.asked(trainer, candidates)
                    places = pick(strategy, softmax(said.logits), said.embeddings, more, seed=seed + step)
                labelled = np.concatenate([labelled, candidates[places]])
                left = np.delete(left, places)
    return np.stack(found)


def kept_curve(path: Path, settings: dict[str, Any], made: Callable[[], Curve]) -> Curve:
    """The curve that stands in a file, if it is of these settings; else `made()`, which is written there."""
    said = json.dumps(settings, sort_keys=True)
    if path.exists():
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["settings"]) == said:
                found: Curve = arrays["classes"]
                return found
    found = made()
    with writing_whole(path) as file:
        np.savez_compressed(file, classes=found, settings=np.array(said))
    return found


def points(effect: Effect, sign: str = "") -> str:
    """`70.1 [66.2, 74.0]`, in points; a difference with its sign."""
    values = (effect.estimate, effect.low, effect.high)
    return "{} [{}, {}]".format(*(f"{100 * value:{sign}.1f}" for value in values))


def needed(sizes: Sequence[int], scores: Sequence[float], wanted: float) -> str:
    """So many random rows reach a score, by straight lines between the sizes; `> 480` where none of them do."""
    for (low, high), (before, after) in zip(itertools.pairwise(sizes), itertools.pairwise(scores), strict=True):
        if before >= wanted:
            return f"≤ {low}"
        if after >= wanted:
            return f"{low + (high - low) * (wanted - before) / (after - before):.0f}"
    return f"> {sizes[-1]}"


def table(curves: Mapping[tuple[str, int], np.ndarray], labels: np.ndarray, sizes: Sequence[int]) -> list[str]:
    """Scores at each size, what each strategy gains over random rows, and how it does with half of their number."""
    bootstrap = MultiBootstrap(curves, labels)
    names = list(dict.fromkeys(name for name, _ in curves))
    others = [name for name in names if name != "random"]
    lines = [f"| rows | {' | '.join(names)} |", "|---:|" + "---:|" * len(names)]
    lines += [
        f"| {size} | {' | '.join(points(bootstrap.effect({(name, size): 1})) for name in names)} |" for size in sizes
    ]
    lines += [
        "",
        "Less as many random rows:",
        "",
        f"| rows | {' | '.join(others)} |",
        "|---:|" + "---:|" * len(others),
    ]
    for size in sizes[1:]:
        cells = [points(bootstrap.effect({(name, size): 1, ("random", size): -1}), "+") for name in others]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    lines += ["", "Less twice as many random rows, and random rows that reach the same:", ""]
    lines += [f"| rows, random | {' | '.join(others)} |", "|---|" + "---:|" * len(others)]
    of_random = [float(bootstrap.scores["random", size].mean()) for size in sizes]
    for size in sizes:
        if size == sizes[0] or 2 * size not in sizes:
            continue
        cells = []
        for name in others:
            less = points(bootstrap.effect({(name, size): 1, ("random", 2 * size): -1}), "+")
            same = needed(sizes, of_random, float(bootstrap.scores[name, size].mean()))
            cells.append(f"{less}; {same}")
        lines.append(f"| {size}, {2 * size} | {' | '.join(cells)} |")
    return lines


@command(stopped="stopped; the same command goes on with the curves that are left")
def main(argv: Sequence[str]) -> None:
    """Draw the curves that are due, and write the tables."""
    parser = CommandParser(__doc__)
    parser.add_argument("corpus", metavar="CORPUS", help="as transfer.py has it; NAME=PATH names it")
    parser.add_argument("--strategies", nargs="+", default=["margin", "diverse", "badge"], choices=STRATEGIES)
    parser.add_argument("--sizes", nargs="+", type=positive, default=list(SIZES), help="rows that are labelled")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=float, default=20, help="of each training")
    parser.add_argument("--max_length", type=positive, default=128, help="in tokens")
    parser.add_argument("--pool", type=positive, default=2000, help="rows that are asked about at a step, at most")
    parser.add_argument("--runs", type=Path, default=Path("runs/suggesting"))
    own = parser.parse_words(argv)
    for seed in own.seeds:
        check_number("seeds", seed)
    check_number("num_train_epochs", own.epochs)
    if sorted(set(own.sizes)) != own.sizes or len(own.sizes) < 2:
        raise UserError(f"--sizes {' '.join(map(str, own.sizes))} must rise; give two sizes or more, as 60 120 240")
    quiet_libraries()
    [(name, arguments)] = read_corpora([own.corpus], DataArguments(), "CORPUS").items()
    data = load_data(arguments)
    if data.multi_label:
        raise UserError(f"{own.corpus} has rows of several labels; this is measured on rows of one")
    corpus = Corpus(data, own.max_length, own.epochs)
    if own.sizes[-1] > corpus.rows:
        raise UserError(f"--sizes ends at {own.sizes[-1]}, but there are {corpus.rows} training rows; give fewer")
    if own.pool < max(more - size for size, more in itertools.pairwise(own.sizes)):
        raise UserError(f"--pool is {own.pool}, which is fewer rows than a step of --sizes labels; give more")
    settings = {
        "fingerprint": data.fingerprint, "sizes": own.sizes, "epochs": own.epochs, "max_length": own.max_length,
        "pool": own.pool,
    }  # fmt: skip
    folder = own.runs / name
    runs: dict[str, list[Curve]] = {}
    with said_plainly(own.runs):
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        for seed in own.seeds:  # in this order a stopped run has whole seeds
            for strategy in dict.fromkeys(["random", *own.strategies]):

                def made(strategy: str = strategy, seed: int = seed) -> Curve:
                    print(f"{name}: {strategy}, seed {seed}", file=sys.stderr, flush=True)
                    return curve(corpus, strategy, own.sizes, seed, own.pool)

                path = folder / f"{strategy}_seed{seed}_{digest}.npz"
                runs.setdefault(strategy, []).append(kept_curve(path, settings, made))
    of_sizes = {
        (strategy, size): np.stack([run[place] for run in found])
        for strategy, found in runs.items()
        for place, size in enumerate(own.sizes)
    }
    labels = np.asarray(data.splits["test"]["label"][:])
    head = (
        f"{name}: {corpus.rows:,} training rows, {len(labels):,} test rows, {len(own.seeds)} seeds, {own.epochs:g} "
        "epochs; macro-F1 with 95 % intervals, not corrected for their number."
    )
    text = "\n".join([head, "", *table(of_sizes, labels, own.sizes)]) + "\n"
    with writing_whole(own.runs / f"{name}.md") as file:
        file.write(text.encode())
    print(f"{text}\nwrote {own.runs / f'{name}.md'}")


if __name__ == "__main__":
    sys.exit(main())
