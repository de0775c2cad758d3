"""Whether promises hold on the rows of real runs, what they give up, and what a temperature does to studies.

    python recipes/bench/promises.py runs/sample runs/kote3 --max_error 0.1 --coverage 0.9
    python recipes/bench/promises.py runs/sample --draws 200 --rounds 3
    python recipes/bench/promises.py --run runs/promising --on sample        # its promise on texts from elsewhere

STUDY is a folder of runs with a temperature. For the promises, the test rows of its first run are taken for the whole
world, whose rates are known. The validation rows are drawn from them anew, 1,000 times, two halves of --rows each: the
first chooses which thresholds are looked at, the second sets the promise. Counted is how often it is true of the
world. "Given up" is how much less is answered than at the best threshold of all, which only the world tells. (To test
on the rows that a draw leaves over would count their chance too: of two halves of the same rows, one has the errors
that the other lacks.) At the end prediction with and without promises, by turns. Writes runs/bench/promises.md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prediction import MAX_LENGTH, SEED, mixed_sentences
from scipy import stats
from transformers import AutoTokenizer

from emo_hf.arguments.bounds import check_number, positive
from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.arguments.promises import SETS
from emo_hf.arguments.words import CommandParser
from emo_hf.data.taxonomy import DEFAULT_LABELS
from emo_hf.encoders import encoder_path
from emo_hf.errors import UserError
from emo_hf.evaluation.abstaining import label_sets, set_scores, unanswered
from emo_hf.evaluation.calibration import softmax
from emo_hf.evaluation.promises import answers_of, binomial_interval, choose_sets, choose_threshold
from emo_hf.exit_codes import command
from emo_hf.export.export import export
from emo_hf.inference.predictions import predictions
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import load_predictions, read_record, read_records
from emo_hf.training.loaded import load_data
from emo_hf.training.progress import quiet_libraries


def calibrated(study: Path) -> list[dict[str, Any]]:
    """The records of a study's runs that were to have a temperature.

    Raises:
        UserError: there are none.
    """
    found = [record for record in read_records(study) if (record.get("calibration") or {}).get("test")]
    if not found:
        raise UserError(f"{study} holds no run with a temperature; run it again with --calibration temperature")
    return found


def changes(records: Sequence[dict[str, Any]]) -> list[str]:
    """Loss and calibration error before and after, means over the runs, their change with an interval over runs."""
    cells = [str(len(records))]
    for score, scale, digits in (("loss", 1, 3), ("ece", 100, 1)):
        before, after = (
            np.array([record["calibration"]["test"][name][score][0] for record in records])
            for name in ("before", "after")
        )
        change, count = scale * (after - before), len(records)
        half = stats.t.ppf(0.975, count - 1) * change.std(ddof=1) / count**0.5 if count > 1 else np.nan
        cells += [f"{scale * before.mean():.{digits}f}", f"{scale * after.mean():.{digits}f}"]
        cells.append(f"{change.mean():+.{digits}f} ± {half:.{digits}f}; lower in {(change < 0).sum()}")
    return cells


def risk_line(logits: np.ndarray, labels: np.ndarray, rows: int, max_error: float, draws: int) -> list[str]:
    """How often the promised share of errors is true of the world, and what is answered."""
    sure, right = answers_of(softmax(logits), labels)
    ranked, errors = np.sort(-sure), (~right[np.argsort(-sure, kind="stable")]).cumsum()
    risk = errors / np.arange(1, len(errors) + 1)
    last = np.append(ranked[1:] > ranked[:-1], True)  # rows of one probability are answered together
    good = np.flatnonzero((risk <= max_error) & last)
    best = (good[-1] + 1) / len(sure) if len(good) else 0.0
    random, kept, shares, nothing = np.random.default_rng(0), 0, [], 0
    for _ in range(draws):
        first, second = random.integers(len(sure), size=(2, rows))
        made = choose_threshold((sure[first], right[first]), (sure[second], right[second]), max_error)
        nothing += made.threshold is None
        count = 0 if made.threshold is None else int(np.searchsorted(ranked, -made.threshold, side="right"))
        kept += count == 0 or risk[count - 1] <= max_error
        shares.append(count / len(sure))
    return [
        f"errors ≤ {100 * max_error:g} %", _percent(kept / draws), f"answers {_percent(float(np.mean(shares)))}",
        f"best possible {_percent(best)}, given up {100 * (best - np.mean(shares)):.1f}; "
        f"nothing answered in {_percent(nothing / draws)} of the draws",
    ]  # fmt: skip


def sets_line(logits: np.ndarray, labels: np.ndarray, rows: int, coverage: float, kind: str, draws: int) -> list[str]:
    """How often sets hold their labels as promised in the world (of each class, for `class`), and their size."""
    probabilities = softmax(logits)
    scores, likeliest = set_scores(probabilities, kind), np.eye(logits.shape[1], dtype=bool)[logits.argmax(1)]
    classes = np.unique(labels) if kind == "class" else [None]
    random, kept, sizes, shares = np.random.default_rng(0), [], [], []
    for _ in range(draws):
        drawn = random.integers(len(labels), size=rows)
        made = choose_sets(probabilities[drawn], labels[drawn], coverage, kind)
        within = likeliest | (scores <= np.array(made.bounds))
        held = within[np.arange(len(labels)), labels]
        parts = [held if c is None else held[labels == c] for c in classes]
        kept.append(np.mean([part.mean() >= coverage for part in parts]))
        sizes.append(within.sum(1).mean())
        shares.append(held.mean())
    return [
        f"sets ≥ {100 * coverage:g} %, {kind}", _percent(float(np.mean(kept))),
        f"{np.mean(sizes):.2f} labels a set", f"hold {_percent(float(np.mean(shares)))}",
    ]  # fmt: skip


def speeds(texts: Sequence[str], rounds: int) -> list[tuple[str, str, float]]:
    """Sentences a second of a model's folder and of a static export with promises, over those without, by turns."""
    abstaining = {"abstention": {"threshold": 0.5}}
    arms = {"without": {}, "abstaining": abstaining}
    arms["abstaining, with sets"] = abstaining | {"label_sets": {"kind": "adaptive", "bounds": [0.8]}}
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for encoder in ("tiny-bert", "static"):
            torch.manual_seed(SEED)
            folder, path = Path(scratch) / encoder, encoder_path(encoder)
            EmotionModel.from_encoder(path, labels=DEFAULT_LABELS, pooling="mean").save_pretrained(folder)
            AutoTokenizer.from_pretrained(path, trust_remote_code=False).save_pretrained(folder)
            model = folder if encoder == "tiny-bert" else export(folder, "static", Path(scratch) / "tables")
            predictor = Predictor(model, max_length=MAX_LENGTH)
            seconds: dict[str, list[float]] = {name: [] for name in arms}
            for turn in range(rounds + 1):
                for name in sorted(arms, reverse=bool(turn % 2)):
                    predictor.promises = arms[name]
                    started = time.process_time()
                    for _ in predictions(predictor, range(len(texts)), [], texts):
                        pass
                    if turn:  # the first is the warm-up
                        seconds[name].append(time.process_time() - started)
            medians = {name: statistics.median(values) for name, values in seconds.items()}
            found += [(encoder, name, medians["without"] / medians[name]) for name in arms if name != "without"]
    return found


def elsewhere(run: Path, source: str) -> list[str]:
    """How the promises of a run do on the test rows of its own data, and on those of another source.

    Raises:
        UserError: a run without a promise, or data with other labels.
    """
    record = read_record(run) or {}
    if not (promised := record.get("promises")):
        raise UserError(f"{run} promises nothing; train one with --max_error 0.1 or --coverage 0.9")
    predictor = Predictor(run)
    data = load_data(DataArguments(data=[source], labels=predictor.labels))
    texts, labels = data.splits["test"]["text"][:], np.asarray(data.splits["test"]["label"][:])
    probabilities = predictor.scores(texts)
    lines = []
    if abstention := promised.get("abstention"):
        answered = ~unanswered(probabilities, abstention)
        wrong = int((probabilities.argmax(1) != labels)[answered].sum())
        there = [wrong / max(answered.sum(), 1), *binomial_interval(wrong, int(answered.sum()))]
        own = abstention["test"]["errors"] or [0.0, 0.0, 1.0]
        lines.append(
            f"- errors ≤ {100 * abstention['max_error']:g} %: of its own test rows {_interval(own)}, "
            f"of {len(labels):,} of {source} {_interval(there)}; answered {_percent(answered.mean())}"
        )
    if sets := promised.get("label_sets"):
        held = int(label_sets(probabilities, sets)[np.arange(len(labels)), labels].sum())
        there = [held / len(labels), *binomial_interval(held, len(labels))]
        lines.append(
            f"- sets ≥ {100 * sets['coverage']:g} %: of its own test rows {_interval(sets['test']['coverage'])}, of "
            f"{len(labels):,} of {source} {_interval(there)}"
        )
    return lines


def _interval(shares: Sequence[float]) -> str:
    return "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * share for share in shares))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@command()
def main(argv: Sequence[str]) -> None:
    """Draw, count, print, write."""
    parser = CommandParser(__doc__)
    parser.add_argument("studies", nargs="*", type=Path, metavar="STUDY", help="folder of runs")
    parser.add_argument("--run", type=Path, help="a run that promises something")
    parser.add_argument("--on", metavar="DATA", help="other data with its labels, as train.py's --data")
    parser.add_argument("--max_error", type=float, default=0.1)
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("--rows", type=positive, help="of each half that is drawn; default half of the world's")
    parser.add_argument("--draws", type=positive, default=1000)
    parser.add_argument("--sentences", type=positive, default=2048, help="of the measurement of speed")
    parser.add_argument("--rounds", type=positive, default=7, help="of the measurement of speed")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_words(argv)
    for name in ("max_error", "coverage"):
        check_number(name, getattr(arguments, name))
    if bool(arguments.run) != bool(arguments.on) or bool(arguments.run) == bool(arguments.studies):
        raise UserError("give folders of studies, or --run RUN and --on DATA")
    quiet_libraries()
    if arguments.run:
        print("\n".join(elsewhere(arguments.run, arguments.on)))
        return
    lines = [
        "| study | runs | loss before | after | change | ECE before (%) | after | change |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    found = {study: calibrated(study) for study in arguments.studies}
    lines += [f"| {study.name} | {' | '.join(changes(records))} |" for study, records in found.items()]
    lines += ["", "| study | rows of the world, drawn | promise | true in | | |", "|---|---:|---|---:|---|---|"]
    for study, records in found.items():
        arrays = load_predictions(records[0])
        logits, labels = arrays["logits"], arrays["labels"]
        if labels.ndim > 1:
            lines.append(f"| {study.name} | {len(labels):,} | none: its texts have several labels each | | | |")
            continue
        rows = arguments.rows or len(labels) // 2
        for cells in (
            risk_line(logits, labels, rows, arguments.max_error, arguments.draws),
            *(sets_line(logits, labels, rows, arguments.coverage, kind, arguments.draws) for kind in SETS),
        ):
            lines.append(f"| {study.name} | {len(labels):,}, {rows:,} | {' | '.join(cells)} |")
    lines += ["", f"{arguments.draws:,} draws a line. Speed over that without promises, of the processor's time:", ""]
    texts = mixed_sentences(arguments.sentences)
    lines += [f"- {encoder}, {name}: {ratio:.2f}×" for encoder, name, ratio in speeds(texts, arguments.rounds)]
    table = "\n".join(lines) + "\n"
    print(table, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"wrote {write_whole(arguments.output / 'promises.md', table.encode())}")


if __name__ == "__main__":
    sys.exit(main())
