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

import functools
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
Classes = np.ndarray  # of the test rows
Made = Callable[[], Classes]


@dataclass(frozen=True)
class Corpus:
    """A corpus that a curve is drawn on, and how its models are trained."""

    data: EmotionData
    max_length: int
    epochs: float

    model = ModelArguments(encoder="tiny-bert", pooling="mean", ngrams=0)

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


def curve(corpus: Corpus, strategy: str, sizes: Sequence[int], seed: int, pool: int) -> Classes:
    """The classes of the test rows after each step (sizes, N); one seed has the same first rows for all strategies."""
    order = np.random.default_rng(seed).permutation(corpus.rows)
    labelled, left = order[: sizes[0]], order[sizes[0] :]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for step, size in enumerate(sizes):
            trainer = corpus.trained(np.sort(labelled), seed, folder)
            found.append(corpus.tested(trainer))
            if step + 1 < len(sizes):
                candidates, said = left[:pool], corpus.asked(trainer, left[:pool])
                more = sizes[step + 1] - size
                places = pick(strategy, softmax(said.logits), said.embeddings, more, seed=seed + step)
                labelled = np.concatenate([labelled, candidates[places]])
                left = np.delete(left, places)
    return np.stack(found)


def of_random(corpus: Corpus, size: int, seed: int) -> Classes:
    """The classes of the test rows (N,) after so many random rows; fewer are a part of more."""
    order = np.random.default_rng(seed).permutation(corpus.rows)
    with tempfile.TemporaryDirectory() as folder:
        return corpus.tested(corpus.trained(np.sort(order[:size]), seed, folder))


def kept(path: Path, settings: dict[str, Any], made: Made) -> Classes:
    """The classes that stand in a file, if it is of these settings; else `made()`, which is written there."""
    said = json.dumps(settings, sort_keys=True)
    if path.exists():
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["settings"]) == said:
                found: Classes = arrays["classes"]
                return found
    found = made()
    with writing_whole(path) as file:
        np.savez_compressed(file, classes=found, settings=np.array(said))
    return found


def points(effect: Effect, sign: str = "") -> str:
    """`70.1 [66.2, 74.0]`, in points; a difference with its sign."""
    values = (effect.estimate, effect.low, effect.high)
    return "{} [{}, {}]".format(*(f"{100 * value:{sign}.1f}" for value in values))


def doubled(sizes: Sequence[int], rows: int) -> list[int]:
    """The sizes of random rows: those of the strategies, and twice as many, if there are so many rows."""
    return sorted({*sizes, *(2 * size for size in sizes[1:] if 2 * size <= rows)})


def needed(sizes: Sequence[int], scores: Sequence[float], wanted: float) -> str:
    """So many random rows reach a score, by straight lines between the sizes; `> 480` where none of them do."""
    for (low, high), (before, after) in zip(itertools.pairwise(sizes), itertools.pairwise(scores), strict=True):
        if before >= wanted:
            return f"≤ {low}"
        if after >= wanted:
            return f"{low + (high - low) * (wanted - before) / (after - before):.0f}"
    return f"> {sizes[-1]}"


def table(curves: Mapping[tuple[str, int], np.ndarray], labels: np.ndarray) -> list[str]:
    """Scores at each size, what each strategy gains over random rows, and how it does with half of their number.

    Args:
        curves: the classes (S, N) of the test rows over seeds, by strategy and size.
        labels: the true classes (N,).
    """
    bootstrap = MultiBootstrap(curves, labels)
    names = list(dict.fromkeys(name for name, _ in curves))
    others = [name for name in names if name != "random"]
    sizes, of_others = (sorted({size for name, size in curves if name in some}) for some in (["random"], others))
    reached = [float(bootstrap.scores["random", size].mean()) for size in sizes]

    def of(name: str, size: int) -> str:
        return points(bootstrap.effect({(name, size): 1})) if (name, size) in curves else ""

    def less(name: str, size: int, other: int) -> str:
        return points(bootstrap.effect({(name, size): 1, ("random", other): -1}), "+")

    def same(name: str, size: int) -> str:
        return needed(sizes, reached, float(bootstrap.scores[name, size].mean()))

    scores = [[str(size), *(of(name, size) for name in names)] for size in sizes]
    gains = [[str(size), *(less(name, size, size) for name in others)] for size in of_others[1:]]
    halves = [
        [f"{size}, {2 * size}", *(f"{less(name, size, 2 * size)}; {same(name, size)}" for name in others)]
        for size in of_others[1:]
        if 2 * size in sizes
    ]
    return [
        *_lines(["rows", *names], scores),
        *["", "Less as many random rows:", "", *_lines(["rows", *others], gains)],
        *["", "Less twice as many random rows; and how many random rows reach the same:", ""],
        *_lines(["rows, random", *others], halves),
    ]


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---:"] * len(header), *rows)]


def digest(settings: dict[str, Any]) -> str:
    """A part of a file's name that tells settings apart."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def said(name: str, make: Callable[..., Classes], *given: Any) -> Classes:
    """What `make` makes of what is given, after a line that says what it is."""
    print(name, file=sys.stderr, flush=True)
    return make(*given)


@command(stopped="stopped; the same command goes on with the curves that are left")
def main(argv: Sequence[str]) -> None:
    """Draw the curves that are due, and write the tables."""
    parser = CommandParser(__doc__)
    parser.add_argument("corpus", metavar="CORPUS", help="as transfer.py has it; NAME=PATH names it")
    parser.add_argument("--strategies", nargs="+", default=["margin", "diverse", "badge"], choices=STRATEGIES[1:])
    parser.add_argument("--sizes", nargs="+", type=positive, default=list(SIZES), help="rows that are labelled")
    parser.add_argument("--random", nargs="+", type=positive, help="random rows; default these, and twice as many")
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
    if missing := [size for size in own.sizes if size not in (own.random or own.sizes)]:
        raise UserError(f"--random lacks {missing[0]}, which --sizes has; a strategy is compared with as many rows")
    if max([*own.sizes, *(own.random or ())]) > corpus.rows:
        raise UserError(f"--sizes and --random may be up to {corpus.rows}, as many as there are training rows")
    if own.pool < max(more - size for size, more in itertools.pairwise(own.sizes)):
        raise UserError(f"--pool is {own.pool}, which is fewer rows than a step of --sizes labels; give more")
    of_training = {"fingerprint": data.fingerprint, "epochs": own.epochs, "max_length": own.max_length}
    of_picking = of_training | {"sizes": own.sizes, "pool": own.pool}
    curves: dict[tuple[str, int], list[Classes]] = {}
    with said_plainly(own.runs):
        (own.runs / name).mkdir(parents=True, exist_ok=True)
        for seed in own.seeds:  # in this order a stopped run has whole seeds
            for size in own.random or doubled(own.sizes, corpus.rows):
                path = own.runs / name / f"random_seed{seed}_{size}_{digest(of_training)}.npz"
                made = functools.partial(said, path.stem, of_random, corpus, size, seed)
                curves.setdefault(("random", size), []).append(kept(path, of_training, made))
            for strategy in own.strategies:
                path = own.runs / name / f"{strategy}_seed{seed}_{digest(of_picking)}.npz"
                made = functools.partial(said, path.stem, curve, corpus, strategy, own.sizes, seed, own.pool)
                for size, classes in zip(own.sizes, kept(path, of_picking, made), strict=True):
                    curves.setdefault((strategy, size), []).append(classes)
    labels = np.asarray(data.splits["test"]["label"][:])
    head = (
        f"{name}: {corpus.rows:,} training rows, {len(labels):,} test rows, {len(own.seeds)} seeds, {own.epochs:g} "
        "epochs; macro-F1 with 95 % intervals, not corrected for their number."
    )
    text = "\n".join([head, "", *table({key: np.stack(found) for key, found in curves.items()}, labels)]) + "\n"
    with writing_whole(own.runs / f"{name}.md") as file:
        file.write(text.encode())
    print(f"{text}\nwrote {own.runs / f'{name}.md'}")


if __name__ == "__main__":
    sys.exit(main())
