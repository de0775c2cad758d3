"""Whether the words that an explanation names are those that the model goes by, and how long it takes.

    python recipes/bench/explaining.py runs/train/tiny-bert_mean_none_seed42 runs/export/…_onnx-int8
    python recipes/bench/explaining.py RUN --rows 100 --random 5

On test texts of a run, by deletion and insertion (Petsiuk et al. 2018): the probability of the label that a model
finds likeliest, the mean over the words that are taken away one by one, those first that speak most for it; and that
over the words put back one by one into an empty text. The explanation is right about the model where deletion is low
and insertion high, beside the same words in random order (the mean of --random orders). Intervals are over the texts.
A text of one word has no order and is left out. The seconds are medians of one text at a time, its explanation alone.
Every model has to have the first one's labels; its record says which data they are.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.exit_codes import command
from emo_hf.inference.explaining import Explanation, explain
from emo_hf.inference.neighbours import training_data
from emo_hf.inference.predictor import Predictor
from emo_hf.storage.record import read_record
from emo_hf.training.progress import quiet_libraries

SEED = 0


@command()
def main(argv: Sequence[str]) -> None:
    """Measure each model and print a table."""
    parser = CommandParser(__doc__)
    parser.add_argument("models", nargs="+", help="folder of a run, then of its exports if you like")
    parser.add_argument("--rows", type=positive, default=300, help="test texts, the first ones (default 300)")
    parser.add_argument("--random", type=positive, default=3, help="random orders a text (default 3)")
    arguments = parser.parse_words(argv)
    quiet_libraries()
    data = training_data(read_record(Path(arguments.models[0])))
    texts = [text for text in data.splits["test"]["text"][: arguments.rows] if len(text.split()) > 1]
    if len(texts) < 2:
        raise UserError(f"{len(texts)} of {arguments.rows} test texts have two words; give a larger --rows")
    print(f"{len(texts):,} texts of {data.report['source']}\n")
    print("| model | | the explanation's order | random order | difference | seconds a text |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for model in arguments.models:
        predictor = Predictor(model)
        if list(predictor.labels) != list(data.labels):
            raise UserError(f"{model} has the labels {', '.join(predictor.labels)}; allowed: {', '.join(data.labels)}")
        for line in measured(predictor, texts, arguments.random):
            print(f"| {model} | {' | '.join(line)} |", flush=True)


def measured(predictor: Predictor, texts: Sequence[str], random: int) -> list[list[str]]:
    """A line for deletion and one for insertion."""
    found, seconds = [], []
    for text in texts:
        begun = time.perf_counter()
        found += list(explain(predictor, [text]))
        seconds.append(time.perf_counter() - begun)
    generator, lines = np.random.default_rng(SEED), []
    drawn = [[generator.permutation(len(one.words)) for _ in range(random)] for one in found]
    for insert, name in ((False, "deletion ↓"), (True, "insertion ↑")):
        named = np.array([area(predictor, one, np.argsort(-np.array(one.weights)), insert=insert) for one in found])
        chance = np.array(
            [np.mean([area(predictor, one, order, insert=insert) for order in orders])
             for one, orders in zip(found, drawn, strict=True)]
        )  # fmt: skip
        cells = [f"{100 * each.mean():.1f}" for each in (named, chance)]
        lines.append([name, *cells, interval(100 * (named - chance)), f"{statistics.median(seconds):.3f}"])
    return lines


def area(predictor: Predictor, found: Explanation, order: np.ndarray, *, insert: bool) -> float:
    """The mean probability of the explained label while words are taken away, or put back, in an order."""
    count = len(found.words)
    texts = []
    for step in range(count + 1):
        touched = set(order[:step].tolist())
        texts.append(" ".join(word for place, word in enumerate(found.words) if (place in touched) == insert))
    scores = predictor.scores(texts)[:, predictor.labels.index(found.label)]
    return float(np.trapezoid(scores, dx=1 / count))


def interval(differences: np.ndarray) -> str:
    """ "-30.1 [-32.0, -28.2]": the mean of some differences with its 95 % interval."""
    mean, count = differences.mean(), len(differences)
    half = stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / count**0.5
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


if __name__ == "__main__":
    sys.exit(main())
