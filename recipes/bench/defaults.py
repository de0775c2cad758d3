"""Do the losses do harm as they are by default? Macro-F1 and the F1 of each class, of every loss less that of none.

    python recipes/bench/defaults.py
    python recipes/bench/defaults.py --data kote3.csv --validation_size 0.15 --test_size 0.25 --study_dir runs/kote3

Further words go to compare.py, as these do. 80 models: both bundled encoders, CLS and mean pooling, five seeds. Means
over encoders and poolings, with 95 % intervals, not corrected for their number. Writes defaults.md into the study.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from emo_hf.arguments.words import CommandParser
from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.exit_codes import command
from emo_hf.report.analysis import Analysis
from emo_hf.report.contrasts import contrasts
from emo_hf.storage.files import write_whole

COMPARE = Path(__file__).parents[1] / "compare.py"
USUAL = ("--ngrams", "0", "--aux", "none", "contrastive", "triplet", "supcon", "--seeds", "1", "2", "3", "4", "5")


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Run what is due of the study, and write the table; the status of compare.py where that fails."""
    parser = CommandParser(__doc__)
    parser.add_argument("--study_dir", type=Path, default=Path("runs/defaults"), help="folder of the study")
    own, others = parser.parse_known_args(argv)
    words = [sys.executable, str(COMPARE), *USUAL, *others, "--study_dir", str(own.study_dir)]
    if failed := subprocess.run(words).returncode:
        return failed
    text = table(Analysis.read(own.study_dir))
    path = write_whole(own.study_dir / "defaults.md", text.encode())
    print(f"{text}\nwrote {path}")
    return 0


def table(analysis: Analysis) -> str:
    """A row each loss: differences to none in points."""
    asked = [one for one in contrasts(list(analysis.classes)) if one.factor == "aux" and one.under is None]
    columns = {"Macro-F1": "macro_f1", **{f"F1 {name}": place for place, name in enumerate(analysis.labels)}}
    found = {
        name: MultiBootstrap(analysis.classes, analysis.true_classes, metric=metric)
        for name, metric in columns.items()
    }
    lines = [["Loss, less none", *columns], ["---", *["---:"] * len(columns)]]
    for one in asked:
        effects = [bootstrap.effect(one.weights) for bootstrap in found.values()]
        lines.append(
            [one.level, *(f"{100 * e.estimate:+.1f} [{100 * e.low:+.1f}, {100 * e.high:+.1f}]" for e in effects)]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
