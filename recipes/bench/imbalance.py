"""Which loss of the classifier, and which weights, suit classes of 60 to 1? Macro-F1 and the F1 of the rarest class.

    python recipes/bench/imbalance.py

The training rows of the bundled sample, cut to 600, 77 and 10 of a class; validation and test rows as they are, of
equal classes. One model (tiny-bert, mean pooling), five seeds, 10 epochs: as many steps as the whole sample has in 4.
Each choice less plain cross-entropy, with 95 % intervals that are not corrected for their number. Further words go to
compare.py. Writes imbalance.md into the folder.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from emo_hf.arguments.words import CommandParser
from emo_hf.data.loading import load_emotion_data
from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.exit_codes import command
from emo_hf.report.analysis import Analysis
from emo_hf.storage.files import said_plainly, write_whole

COMPARE = Path(__file__).parents[1] / "compare.py"
SIZES = (600, 77, 10)  # of the classes in the order of their labels, the last the rarest
MODEL = ("--encoders", "tiny-bert", "--poolings", "mean", "--aux", "none", "--ngrams", "0")
USUAL = ("--labels", "all", *MODEL, "--num_train_epochs", "10")
STUDIES = {
    "losses": "classification_loss=cross_entropy,focal,logit_adjusted",
    "weights": "class_weights=none,sqrt,balanced,effective",
}


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Run what is due of the studies, and write the table; the status of compare.py where that fails."""
    parser = CommandParser(__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/imbalance"), help="folder of the studies")
    own, others = parser.parse_known_args(argv)
    with said_plainly(own.runs):
        own.runs.mkdir(parents=True, exist_ok=True)
        data = write_whole(own.runs / "cut.csv", cut().encode())
    seeds = () if "--seeds" in others else ("--seeds", "1", "2", "3", "4", "5")
    for study, over in STUDIES.items():
        words = [*USUAL, *seeds, "--data", str(data), "--over", over, *others, "--study_dir", str(own.runs / study)]
        if failed := subprocess.run([sys.executable, str(COMPARE), *words]).returncode:
            return failed
    text = table([Analysis.read(own.runs / study) for study in STUDIES])
    path = write_whole(own.runs / "imbalance.md", text.encode())
    print(f"{text}\nwrote {path}")
    return 0


def cut() -> str:
    """The bundled sample as CSV, with as many training rows of each class as `SIZES` says."""
    sample = load_emotion_data("sample")
    taken: Counter[int] = Counter()
    rows = []
    for split, part in sample.splits.items():
        for text, label in zip(part["text"][:], part["label"][:], strict=True):
            taken[label] += split == "train"
            if split != "train" or taken[label] <= SIZES[label]:
                rows.append({"sentence": text, "label": sample.labels[label], "split": split})
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def table(analyses: Sequence[Analysis]) -> str:
    """A row each choice: differences to plain cross-entropy in points."""
    lines = []
    for analysis in analyses:
        labels = analysis.labels
        rarest = min(labels, key=analysis.models[0].runs[0]["data"]["counts"]["train"].get)
        columns = {"Macro-F1": "macro_f1", f"F1 {rarest}": labels.index(rarest)}
        found = {
            name: MultiBootstrap(analysis.classes, analysis.true_classes, metric=metric)
            for name, metric in columns.items()
        }
        if not lines:
            lines = [["Less plain cross-entropy", *columns], ["---", *["---:"] * len(columns)]]
        for one in analysis.questions:
            if one.under is None:
                effects = [bootstrap.effect(one.weights) for bootstrap in found.values()]
                cells = (f"{100 * e.estimate:+.1f} [{100 * e.low:+.1f}, {100 * e.high:+.1f}]" for e in effects)
                lines.append([f"`--{one.level.replace('=', ' ')}`", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
