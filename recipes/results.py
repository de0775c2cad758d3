"""Make the pages of `recipes/results`: the twelve models, tuned alike, and larger weights, on each corpus.

    python recipes/results.py                          # the bundled sample
    python recipes/results.py --kote FOLDER/val.tsv    # KOTE too, from its validation file as published

Studies stand in `runs/results`; what is done there is not done again. Of the corpora only scores are written.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import compare

from emo_hf.arguments.words import CommandParser
from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import Decision
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding
from emo_hf.report.answers import interval_text, verdict_text
from emo_hf.report.clusters import separations
from emo_hf.report.contrasts import Contrast
from emo_hf.report.taking import taking
from emo_hf.storage.files import said_plainly, write_whole
from emo_hf.storage.record import read_records

# What stands under a heading: a study, its text, and its picture if there is one.
PARTS = {
    "Findings": ("models", "findings.md", None),
    "The models": ("models", "table.md", "history_tiny-bert.png"),
    "What was tuned": ("models", "tuning.md", "tuning_tiny-bert.png"),
    "Do the embeddings cluster?": ("models", "clusters.md", "embeddings_tiny-bert.png"),
    "Would a larger weight have helped?": ("weights", "findings.md", "sweep_aux_weight.png"),
    "The weights": ("weights", "sweep.md", None),
}
# The rows of the table of verdicts: a question, the study that answers it, and what it is about there: factor, level
# and baseline of a contrast; or a score of the embeddings.
QUESTIONS = {
    "Do the models beat TF-IDF + logistic regression?": ("models", ("models", "*", "*")),
    "Does the best of them, corrected for having been chosen?": ("models", ("best", "*", "*")),
    "Does the contrastive loss help?": ("models", ("aux", "contrastive", "none")),
    "Does the triplet loss help?": ("models", ("aux", "triplet", "none")),
    "Is mean pooling better than CLS?": ("models", ("pooling", "mean", "cls")),
    "Is tiny-roberta better than tiny-bert?": ("models", ("encoder", "tiny-roberta", "tiny-bert")),
    "Is a weight of 0.3 better than 0.1?": ("weights", ("aux_weight", "aux_weight=0.3", "aux_weight=0.1")),
    "Is a weight of 1 better than 0.1?": ("weights", ("aux_weight", "aux_weight=1", "aux_weight=0.1")),
    "Does the contrastive loss separate the clusters? Silhouette": ("clusters", ("aux", "contrastive", "none")),
    "Does the triplet loss? Silhouette": ("clusters", ("aux", "triplet", "none")),
}
# Encoders alone, as in the published comparison, and as trained: a temperature leaves macro-F1 alone, and moves what a
# fixed threshold of 0.3 decides.
AS_PUBLISHED = ("--ngrams", "0", "--calibration", "none")
STUDIES = {
    "models": ("--tune", "8"),
    "weights": ("--encoders", "tiny-bert", "--aux", "contrastive", "triplet", "--over", "aux_weight=0.1,0.3,1"),
}
OTHER_MACHINES = "Another processor gives other digits; what the intervals say should hold there too."
KOTE_LABELS = {"5": "슬픔", "41": "불안", "42": "기쁨"}  # of its 44: 슬픔, 불안/걱정, 기쁨


@dataclass(frozen=True)
class Corpus:
    """Where a corpus comes from, in a sentence, what this recipe takes for it, and how `compare.py` reads it."""

    name: str
    title: str
    source: str
    asked: str = ""
    words: tuple[str, ...] = ()


SAMPLE = Corpus(
    "sample",
    "The bundled sample",
    "Invented utterances of daily life, three emotions in equal parts: 1,800 to train on, 360 for choices, 720 to "
    "test on (`emo_hf/data/sample/emotions.csv`, CC0).",
)


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Run what is due on each corpus and write its page; the status of compare.py where that fails."""
    parser = CommandParser(__doc__)
    parser.add_argument("--kote", type=Path, metavar="FILE", help="KOTE's validation file, val.tsv")
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="folder of the studies")
    parser.add_argument("--pages", type=Path, default=Path(__file__).parent / "results", help="folder of the pages")
    arguments = parser.parse_words(argv)
    make_folder(arguments.pages)
    corpora = [SAMPLE, *([kote(arguments.kote, arguments.runs)] if arguments.kote else [])]
    for corpus in corpora:
        for study, words in STUDIES.items():
            folder = arguments.runs / corpus.name / study
            if failed := compare.main([*words, *AS_PUBLISHED, *corpus.words, "--study_dir", str(folder)]):
                return failed
        print(f"wrote {write_page(corpus, arguments.runs, arguments.pages)}")
    path = write_whole(arguments.pages / "verdicts.md", verdicts(corpora, arguments.runs).encode())
    print(f"wrote {path}")
    return 0


def make_folder(pages: Path) -> None:
    """Make the folder of the pages, before hours of training."""
    with said_plainly(pages):
        pages.mkdir(parents=True, exist_ok=True)


def kote(published: Path, runs: Path) -> Corpus:
    """KOTE3, the rows with exactly one of three labels, as CSV among the runs.

    Raises:
        UserError: a file that is not KOTE's.
    """
    try:
        rows = list(csv.reader(io.StringIO(published.read_text(encoding="utf-8"), newline=""), delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--kote {published} can't be read ({error}); give val.tsv of KOTE") from None
    found = []
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            raise UserError(f"--kote {published}, row {number}: {len(row)} columns; KOTE has an id, a text and labels")
        labels = [KOTE_LABELS[label] for label in row[2].split(",") if label in KOTE_LABELS]
        if len(labels) == 1:
            found.append((row[1], labels[0]))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("sentence", "label"), *found])
    with said_plainly(runs):
        runs.mkdir(parents=True, exist_ok=True)
        path = write_whole(runs / "kote3.csv", table.getvalue().encode())
    return Corpus(
        "kote3",
        "Online comments: KOTE3",
        f"{len(found):,} Korean online comments that have exactly one of the labels 불안/걱정, 슬픔 and 기쁨: of the "
        "validation file of KOTE (Jeon et al. 2022, arXiv 2205.05300; `val.tsv` of github.com/searle-j/KOTE, MIT). "
        "60 % to train on, 15 % for choices, 25 % to test on.",
        " ARGS='--kote FOLDER/val.tsv'",
        ("--data", str(path), "--validation_size", "0.15", "--test_size", "0.25"),
    )


def write_page(corpus: Corpus, runs: Path, pages: Path) -> Path:
    """Write what the studies of a corpus found as markdown, its pictures beside it, and return the path."""
    lines = [f"# {corpus.title}", corpus.source, made_by(f"make results{corpus.asked}", runs / corpus.name / "models")]
    for heading, (study, name, picture) in PARTS.items():
        folder = runs / corpus.name / study
        lines += [f"## {heading}", (folder / name).read_text(encoding="utf-8").strip()]
        if picture:
            copy = write_whole(pages / f"{corpus.name}_{picture}", (folder / picture).read_bytes())
            lines.append(f"![{heading}]({copy.name})")
    return write_whole(pages / f"{corpus.name}.md", ("\n\n".join(lines) + "\n").encode())


def made_by(command: str, study: Path) -> str:
    """What a page says of how its studies came to be, by the record of a run."""
    return f"Made by `{command}` with {made_with(study)}. {OTHER_MACHINES}"


def made_with(study: Path) -> str:
    """ "emo_hf 0.1.0 on 2 CPU cores in bfloat16", by the record of a run."""
    record = next(one for one in read_records(study) if one["kind"] == "model")
    precision = "bfloat16" if record["hardware"].get("bf16") else "float32"
    return f"emo_hf {record['versions']['emo_hf']} on {record['hardware']['cpus']} CPU cores in {precision}"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table of cells, its head and the line below it first."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(corpora: Sequence[Corpus], runs: Path) -> str:
    """A row each question, a column each corpus: the difference, the interval that decides, and the verdict."""
    answers = [corpus_answers(runs / corpus.name) for corpus in corpora]
    lines = [["", *(f"[{corpus.title}]({corpus.name}.md)" for corpus in corpora)], ["---"] * (len(corpora) + 1)]
    lines += [[question, *(found.get(key, "–") for found in answers)] for question, key in QUESTIONS.items()]
    return markdown(lines) + "\n"


def corpus_answers(folder: Path) -> dict[tuple[str, tuple[str, str, str]], str]:
    """The answers of a corpus's studies, by the study and what is asked."""
    models = Analysis.read(folder / "models")
    found = {}
    for study, analysis in {"models": models, "weights": Analysis.read(folder / "weights")}.items():
        for one in [*analysis.against_baseline, *analysis.findings]:
            if isinstance(one, Finding) and one.asked.under is None:
                text = in_short(one.effect, one.decision, analysis.equal_within)
                found[study, asked_about(one.asked)] = text + needed(one, analysis)
    for one in separations(models, "silhouette"):
        found["clusters", asked_about(one.asked)] = in_short(one.effect, one.decision, None, scale=1, decimals=3)
    return found


def needed(one: Finding, analysis: Analysis) -> str:
    """ "; 1.0 would take 9 seeds of these 720 sentences", of an undecided question."""
    said = taking(one, analysis)
    return f"; {said.rsplit('; ', 1)[-1]}" if said else ""


def asked_about(asked: Contrast) -> tuple[str, str, str]:
    """Factor, level and baseline; of the linear baseline the factor alone tells."""
    return (asked.factor, "*", "*") if asked.about_baseline else (asked.factor, asked.level, asked.baseline)


def in_short(effect: Effect, decision: Decision, within: float | None, scale: float = 100, decimals: int = 1) -> str:
    """ "+0.8 [-0.3, +1.9] **undecided**"."""
    intervals = " and ".join(interval_text(one, scale, decimals) for one in decision.intervals)
    verdict = verdict_text(decision.verdict, within, strong="**")
    return f"{scale * effect.estimate:+z.{decimals}f} {intervals} {verdict}"


if __name__ == "__main__":
    sys.exit(main())
