"""Make recipes/results/transfer.md: the bundled sample, KOTE3 and GoEmotions-Korean's three classes, each on all.

    python recipes/results_transfer.py --kote3 runs/results/kote3.csv --goemotions FOLDER --rows 0 50 200

The study stands in `runs/results`; what is done there is not done again. Of the corpora only scores are written.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import sys
from collections.abc import Sequence
from pathlib import Path

import transfer
import yaml
from results import made_by, make_folder
from results_sets import copied

from emo_hf.arguments.words import CommandParser
from emo_hf.report.transfer_report import CURVES, HEAT_MAP
from emo_hf.storage.files import said_plainly, write_whole

# The emotions of GoEmotions that its authors count to three of Ekman's, under the names of the other corpora.
EKMAN = {
    "기쁨": (
        "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride", "admiration",
        "desire", "caring",
    ),
    "슬픔": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "불안": ("fear", "nervousness"),
}  # fmt: skip
SHARE = 0.15  # of GoEmotions' training rows: so many as the others have
TITLE = "Trained on one corpus, tested on another"
SOURCES = {
    "sample": "the bundled sample: invented utterances of daily life (`emo_hf/data/sample/emotions.csv`, CC0)",
    "kote3": "Korean online comments that have exactly one of the labels 불안/걱정, 슬픔 and 기쁨, of the validation "
    "file of KOTE (Jeon et al. 2022, arXiv 2205.05300; github.com/searle-j/KOTE, MIT); a tenth each for choices and "
    "tests",
    "goemotions3": "GoEmotions-Korean: Reddit comments, translated by machine (monologg, from Demszky et al. 2020, "
    "arXiv 2005.00547; Apache-2.0; github.com/monologg/GoEmotions-Korean). Rows of one class, of the emotions that "
    f"its authors count to Ekman's joy, sadness and fear; {SHARE:.0%} of those of `train.tsv`, so that it is about as "
    "large as the others, and all of `dev.tsv` as the test set",
}


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Run what is due and write the page with its pictures; the status of transfer.py where that fails."""
    parser = CommandParser(__doc__)
    parser.add_argument(
        "--kote3", type=Path, metavar="FILE", required=True, help="KOTE3, as results.py --kote writes it: kote3.csv"
    )
    parser.add_argument(
        "--goemotions", type=Path, metavar="FOLDER", required=True, help="GoEmotions-Korean: its data folder"
    )
    parser.add_argument("--rows", nargs="+", default=["0"], metavar="N", help="as --rows of transfer.py; default 0")
    parser.add_argument("--seeds", nargs="+", default=["1", "2", "3"], metavar="N", help="default 1 2 3")
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="folder of the study")
    parser.add_argument("--pages", type=Path, default=Path(__file__).parent / "results", help="folder of the page")
    arguments = parser.parse_words(argv)
    make_folder(arguments.pages)
    corpora = ["sample", f"kote3={arguments.kote3}", f"goemotions3={goemotions(arguments.goemotions, arguments.runs)}"]
    study = arguments.runs / "transfer"
    words = ["--sources", *corpora, "--targets", *corpora, "--pooling", "mean", "--ngrams", "0"]
    words += ["--study_dir", str(study)]
    more = ["--rows", *arguments.rows, "--seeds", *arguments.seeds]
    if failed := transfer.main([*words, *more]):
        return failed
    asked = f"--kote3 FILE --goemotions FOLDER {' '.join(more)}"
    print(f"wrote {write_page(study, arguments.pages, asked)}")
    return 0


def goemotions(published: Path, runs: Path) -> Path:
    """The YAML file that tells how GoEmotions-Korean is read, with its files beside it.

    Raises:
        UserError: a folder without its files.
    """
    folder = runs / "goemotions3_data"
    copied(
        published, {"train.tsv": "train.tsv", "dev.tsv": "test.tsv", "label.txt": "label.txt"}, folder, "--goemotions"
    )
    settings = {
        "data": [str(folder / name) for name in ("train.tsv", "test.tsv")],
        "label_names": str(folder / "label.txt"),
        "label_map": [f"{name}={label}" for label, names in EKMAN.items() for name in names],
        "task": "single",
        "several_labels": "drop",
        "on_bad_rows": "drop",
        "train_fraction": SHARE,
    }
    with said_plainly(folder):
        return write_whole(folder / "goemotions3.yaml", yaml.safe_dump(settings, allow_unicode=True).encode())


def write_page(study: Path, pages: Path, asked: str) -> Path:
    """Write what the study found as markdown, its pictures beside it, and return the path."""
    lines = [f"# {TITLE}", "\n".join(f"- **{name}**: {source}." for name, source in SOURCES.items())]
    lines.append(made_by(f"python recipes/results_transfer.py {asked}", study))
    for name, shown in ((HEAT_MAP, "Macro-F1 of each model on each corpus"), (CURVES, "After rows of the target")):
        if (study / name).exists():
            copy = write_whole(pages / name, (study / name).read_bytes())
            lines.append(f"![{shown}]({copy.name})")
    lines.append((study / "transfer.md").read_text(encoding="utf-8").strip())
    return write_whole(pages / "transfer.md", ("\n\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
