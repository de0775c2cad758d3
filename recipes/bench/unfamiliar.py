"""Does a model notice texts that are unlike its training texts? Scores of texts from elsewhere against its own.

    python recipes/bench/unfamiliar.py sample=runs/compare kote3=runs/kote3 goemotions3=runs/goemotions3

NAME=STUDY names two studies or more, each of models of one corpus with the same labels. Every model scores the test
texts of its own corpus and those of each other one; AUROC says how often one from elsewhere has the larger score of
two drawn at random: 50 is a coin, 100 always. Intervals of 95 % are over seeds and over the texts of both corpora, by
the multi-bootstrap. At most --rows texts of a corpus are taken, its first ones, and as many training texts as the demo
takes. Then, where studies have models with and without a metric loss, what it changes. Writes
runs/bench/unfamiliar.md.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emo_hf.arguments.bounds import positive
from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import MultiBootstrap, row_weights
from emo_hf.evaluation.unfamiliar import Familiar, auroc, scores
from emo_hf.exit_codes import command
from emo_hf.inference.neighbours import stratified, training_data
from emo_hf.inference.predictor import Predictor
from emo_hf.report.analysis import Analysis
from emo_hf.report.answers import with_interval
from emo_hf.report.contrasts import Cell
from emo_hf.storage.files import write_whole
from emo_hf.training.progress import quiet_libraries

RESAMPLES = 500
SCORES = ("softmax", "Mahalanobis", "nearest neighbours", "class means")
Found = dict[str, dict[Cell, np.ndarray]]  # by score and model: AUROC of its runs (S, 1 + RESAMPLES)


@command()
def main(argv: Sequence[str]) -> None:
    """Score every model's own texts and those of the other corpora; print and write tables."""
    parser = CommandParser(__doc__)
    parser.add_argument("studies", nargs="+", metavar="NAME=STUDY", help="a corpus and its folder of runs")
    parser.add_argument("--rows", type=positive, default=2000, help="test texts of a corpus (default 2,000)")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"), help="folder of the table")
    arguments = parser.parse_words(argv)
    quiet_libraries()
    studies = named(arguments.studies)
    texts = {name: _test_texts(study, arguments.rows) for name, study in studies.items()}
    heads = ["trained on", "texts of", "model", *SCORES, "Mahalanobis less softmax"]
    lines = [f"| {' | '.join(heads)} |", f"| --- | --- | --- |{' ---: |' * (len(SCORES) + 1)}"]
    changes = [
        "| trained on | texts of | loss | AUROC of Mahalanobis, less that without |",
        "| --- | --- | --- | ---: |",
    ]
    for home, study in studies.items():
        for away, found in measured(study, home, texts).items():
            rows = len(texts[home]) + len(texts[away])
            boots = {score: MultiBootstrap.of_scores(found[score], rows) for score in SCORES}
            for cell in found["softmax"]:
                each = [with_interval(boot.effect({cell: 1.0})) for boot in boots.values()]
                both = {"m": found["Mahalanobis"][cell], "s": found["softmax"][cell]}
                less = MultiBootstrap.of_scores(both, rows).effect({"m": 1.0, "s": -1.0})
                lines.append(
                    f"| {home} | {away} | {' '.join(cell[:3])} | {' | '.join(each)} | {with_interval(less, '+')} |"
                )
            plain = next((cell for cell in found["softmax"] if cell[2] == "none"), None)
            for cell in found["softmax"]:
                if plain is not None and cell[2] != "none" and cell[:2] == plain[:2]:
                    change = boots["Mahalanobis"].effect({cell: 1.0, plain: -1.0})
                    changes.append(f"| {home} | {away} | {cell[2]} | {with_interval(change, '+')} |")
            print("\n".join(lines[-len(found["softmax"]) :]), flush=True)
    table = "\n".join([*lines, *(["", *changes] if changes[2:] else [])]) + "\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"\n{table}\nwrote {write_whole(arguments.output / 'unfamiliar.md', table.encode())}")


def named(given: Sequence[str]) -> dict[str, Analysis]:
    """The studies by their names.

    Raises:
        UserError: a word that is no NAME=STUDY, fewer than two, other labels, or several labels a text.
    """
    parts = [word.partition("=") for word in given]
    if bad := [word for word, (name, _, study) in zip(given, parts, strict=True) if not (name and study)]:
        raise UserError(f"{bad[0]!r} is no NAME=STUDY; give one such as kote3=runs/kote3")
    if len({name for name, *_ in parts}) < 2:
        raise UserError(
            "one corpus has no texts from elsewhere; give two studies or more, each with a name of its own"
        )
    found = {name: Analysis.read(study) for name, _, study in parts}
    first = next(iter(found.values()))
    for name, one in found.items():
        if one.multi_label or one.labels != first.labels:
            raise UserError(
                f"{name}: its labels are {', '.join(one.labels)}; allowed: one of {', '.join(first.labels)} a text"
            )
    return found


def _test_texts(study: Analysis, rows: int) -> list[str]:
    data = training_data(study.models[0].runs[0])
    return list(data.splits["test"]["text"][:rows])


def measured(study: Analysis, home: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Found]:
    """AUROC of all scores of a study's models over each of the other corpora."""
    data = training_data(study.models[0].runs[0])
    known, labels = stratified(data.splits["train"]["text"][:], data.splits["train"]["label"][:])
    weights = {name: row_weights(len(one), RESAMPLES, place) for place, (name, one) in enumerate(texts.items())}
    found: dict[str, Found] = {away: {} for away in texts if away != home}
    for model in study.models:
        runs: dict[tuple[str, str], list[np.ndarray]] = {}
        for run in model.runs:
            predictor = Predictor(run["directory"])
            familiar = Familiar(predictor.scores_and_embeddings(known)[1], np.asarray(labels))
            own = {name: _scored(predictor, familiar, one) for name, one in texts.items()}
            for away, score in itertools.product(found, own[home]):
                area = auroc(own[home][score], own[away][score], weights[home], weights[away])
                runs.setdefault((away, score), []).append(area)
        for (away, score), areas in runs.items():
            found[away].setdefault(score, {})[model.cell] = np.stack(areas)
    return found


def _scored(predictor: Predictor, familiar: Familiar, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
    probabilities, embeddings = predictor.scores_and_embeddings(list(texts))
    return scores(familiar, embeddings, probabilities)


if __name__ == "__main__":
    sys.exit(main())
