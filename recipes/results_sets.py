"""Make the pages of `recipes/results` for rows with several labels: GoEmotions-Korean and KOTE, as published.

    python recipes/results_sets.py --goemotions FOLDER    # with train.tsv, dev.tsv and label.txt
    python recipes/results_sets.py --kote FILE            # KOTE's val.tsv, with labels44.txt beside it: a name a line
    python recipes/results_sets.py --kote FILE --studies distilled --texts FILE…    # and three models taught into one

Studies stand in `runs/results`; what is done there is not done again. `--studies aux losses` makes these sections of a
page anew and keeps its others as they stand. Of the corpora only scores are written.
"""

from __future__ import annotations

from emo_hf.exit_codes import command  # the first import: Ctrl-C among the others is told as any other

# isort: split

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compare
import distill
import numpy as np
import pandas as pd
from results import AS_PUBLISHED, OTHER_MACHINES, in_short, made_with, make_folder, markdown, needed

from emo_hf.arguments.words import CommandParser
from emo_hf.data.text import text_keys
from emo_hf.errors import UserError
from emo_hf.evaluation.statistics import MultiBootstrap
from emo_hf.evaluation.thresholds import decide, sigmoid
from emo_hf.report.analysis import Analysis
from emo_hf.report.answered import Finding
from emo_hf.report.answers import with_interval
from emo_hf.report.predictions import LINEAR, Arrays, answers
from emo_hf.storage.files import said_plainly, write_whole
from emo_hf.storage.record import TEST_FILE, is_done, load_predictions, read_record, read_records

FIXED = 0.3  # the threshold of the published scores of GoEmotions-Korean
LOSSES = "classification_loss=cross_entropy,focal,asymmetric,logit_adjusted"
WEIGHTS = "class_weights=none,sqrt,effective"
ONE_MODEL = ("--encoders", "tiny-bert", "--poolings", "mean")
# What stands on a page: a question, its study, and the words that make it beside those of the corpus.
STUDIES = {
    "best": ("A model at its best", ("--aux", "none", "--r_drop", "2")),
    "aux": ("Do metric losses help?", ("--aux", "none", "contrastive", "triplet", "supcon")),
    "losses": ("Do other losses of the classifier?", ("--aux", "none", "--over", LOSSES)),
    "weights": ("Do weights of the labels?", ("--aux", "none", "--over", WEIGHTS)),
}
DISTILLED = "Three models in one"  # a section of its own: the runs of "best" teach one student each seed
STUDENT = ("--student", "tiny-bert", "--distill_epochs", "4", "--calibration", "none")


@dataclass(frozen=True)
class Corpus:
    """Where a corpus comes from, in a sentence, how `compare.py` reads it, and what its studies have of their own."""

    name: str
    title: str
    source: str
    asked: str
    words: tuple[str, ...]
    studies: dict[str, tuple[str, ...]]
    student: tuple[str, ...]  # the words of its training on labelled rows, after its teachers
    published: Path | None = None  # training rows, where some of their texts are test rows as well


@command(stopped="stopped; the same command goes on with the runs that are left")
def main(argv: Sequence[str]) -> int:
    """Run what is due on each corpus and write its page; the status of compare.py where that fails."""
    parser = CommandParser(__doc__)
    parser.add_argument("--goemotions", type=Path, metavar="FOLDER", help="GoEmotions-Korean: its data folder")
    parser.add_argument(
        "--kote",
        type=Path,
        metavar="FILE",
        help="KOTE's validation file, val.tsv; beside it labels44.txt, the names of its labels, one a line",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="folder of the studies")
    parser.add_argument("--pages", type=Path, default=Path(__file__).parent / "results", help="folder of the pages")
    parser.add_argument(
        "--studies",
        nargs="+",
        choices=[*STUDIES, "distilled"],
        default=list(STUDIES),
        help="sections to make (default: all but distilled)",
    )
    parser.add_argument(
        "--texts", nargs="+", metavar="FILE", help="for distilled: texts without labels, as distill.py's"
    )
    arguments = parser.parse_words(argv)
    made = {"goemotions": goemotions, "kote": kote}
    corpora = [make(given, arguments.runs) for name, make in made.items() if (given := getattr(arguments, name))]
    if not corpora:
        raise UserError("nothing to do; give --goemotions FOLDER, --kote FILE or both")
    if "distilled" in arguments.studies and not arguments.texts:
        raise UserError("--studies distilled needs texts without labels; give --texts FILE")
    make_folder(arguments.pages)
    for corpus in corpora:
        path = arguments.pages / f"{corpus.name}.md"
        asked = [study for study in corpus.studies if study in arguments.studies]
        kept = sections(path)
        for study in asked:
            folder = arguments.runs / corpus.name / study
            given = [*ONE_MODEL, *STUDIES[study][1], *AS_PUBLISHED, *corpus.words, *corpus.studies[study]]
            if failed := compare.main([*given, "--study_dir", str(folder)]):
                return failed
            kept[STUDIES[study][0]] = section(corpus, study, folder)
        if "distilled" in arguments.studies:
            kept[DISTILLED] = distilled(corpus, arguments.texts, arguments.runs / corpus.name)
        print(f"wrote {write_whole(path, page(corpus, kept).encode())}")
    return 0


def goemotions(published: Path, runs: Path) -> Corpus:
    """GoEmotions-Korean; a tenth of its training rows are for choices, its dev.tsv is the test set.

    Raises:
        UserError: a folder without its files.
    """
    names = {"train.tsv": "train.tsv", "dev.tsv": "test.tsv", "label.txt": "label.txt"}
    folder = runs / "goemotions_data"
    copied(published, names, folder, "--goemotions")
    return Corpus(
        "goemotions",
        "GoEmotions-Korean: 28 labels",
        "Reddit comments, translated by machine (monologg, from Demszky et al. 2020, arXiv 2005.00547; Apache-2.0; "
        "github.com/monologg/GoEmotions-Korean). A tenth of `train.tsv` is for choices; `dev.tsv` is the test set. "
        "Training texts that stand in it, too, are left out.",
        "--goemotions FOLDER",
        ("--data", str(folder / "train.tsv"), str(folder / "test.tsv"), "--label_names", str(folder / "label.txt"),
         "--labels", "all", "--per_device_train_batch_size", "32"),
        {"best": ("--class_weights", "effective", *epochs(5)), "aux": epochs(2), "losses": epochs(2)},
        # On validation rows an epoch on labelled rows cost a student 0.8 points of macro-F1; one such step nothing.
        ("--max_steps", "1", "--learning_rate", "1e-6", "--per_device_train_batch_size", "32"),
        published / "train.tsv",
    )  # fmt: skip


def kote(published: Path, runs: Path) -> Corpus:
    """KOTE's validation file, as rows to train on, to choose by and to test on.

    Raises:
        UserError: a file that can't be read, or whose names of labels don't stand beside it.
    """
    folder = runs / "kote_data"
    copied(published.parent, {published.name: "kote.tsv", "labels44.txt": "labels.txt"}, folder, "--kote")
    return Corpus(
        "kote",
        "KOTE: 44 labels",
        "5,000 Korean online comments, eight labels each: the validation file of KOTE (Jeon et al. 2022, "
        "arXiv 2205.05300; `val.tsv` of github.com/searle-j/KOTE, MIT). 70 % to train on, 15 % for choices, 15 % to "
        "test on.",
        "--kote FOLDER/val.tsv",
        ("--data", str(folder / "kote.tsv"), "--label_names", str(folder / "labels.txt"), "--labels", "all",
         "--validation_size", "0.15", "--test_size", "0.15"),
        {"best": epochs(8), "aux": epochs(3), "losses": epochs(3), "weights": epochs(3)},
        (*epochs(2), "--learning_rate", "1e-4"),
    )  # fmt: skip


def epochs(number: int) -> tuple[str, ...]:
    """The words of a study that say how long it trains."""
    return ("--num_train_epochs", str(number))


def copied(published: Path, names: dict[str, str], folder: Path, flag: str) -> None:
    """Copy files, by their published names, into a folder of the runs under names that say what they are."""
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, own in names.items():
            try:
                content = (published / name).read_bytes()
            except OSError as error:
                reason = error.strerror or error
                raise UserError(f"{flag}: {published / name} can't be read ({reason}); it must stand there") from None
            write_whole(folder / own, content)


def page(corpus: Corpus, found: dict[str, str]) -> str:
    """A page as markdown: what each study found, by its question."""
    made = f"Made by `python recipes/results_sets.py {corpus.asked}`. {OTHER_MACHINES}"
    lines = [f"# {corpus.title}", corpus.source, f"{made} Three seeds of tiny-bert with mean pooling."]
    for question in [*(STUDIES[study][0] for study in corpus.studies), DISTILLED]:
        if question in found:
            lines += [f"## {question}", found[question]]
    return "\n\n".join(lines) + "\n"


def section(corpus: Corpus, study: str, folder: Path) -> str:
    """What a study found, below its words."""
    analysis = Analysis.read(folder)
    said = f"`{' '.join([*STUDIES[study][1], *corpus.studies[study]])}` with {made_with(folder)}"
    if study == "best":
        answer = at_its_best(analysis, analysis.models[0].runs, corpus.published)
    else:
        answer = verdicts(analysis)
    return "\n\n".join([said, answer, (folder / "table.md").read_text(encoding="utf-8").strip()])


def sections(path: Path) -> dict[str, str]:
    """The sections of a page by their headings; none where there is no page."""
    parts = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.exists() else []
    return {heading: text.strip() for heading, text in (part.split("\n", 1) for part in parts)}


def distilled(corpus: Corpus, texts: Sequence[str], runs: Path) -> str:
    """What the students of the runs of the study "best" reach; those that are not there yet are taught.

    Raises:
        UserError: no such runs are there, or distill.py failed.
    """
    best = Analysis.read(runs / "best")
    teachers = [str(run["directory"]) for run in best.models[0].runs]
    folders = [runs / "distilled" / f"seed{seed}" for seed in range(1, len(teachers) + 1)]
    for seed, folder in enumerate(folders, start=1):
        words = ["--texts", *texts, *STUDENT, *corpus.student, "--seed", str(seed), "--output_dir", str(folder)]
        if not is_done(folder) and distill.main([*teachers, *words, "--cache_dir", str(runs / "distilled" / "cache")]):
            raise UserError(f"{folder}: no student came of it; the lines above say why")
    students = [record for record in read_records(runs / "distilled") if record["kind"] == "model"]
    seen = (read_record(folders[0].parent / "starts" / folders[0].name) or {})["texts"]
    said = (
        f"`{' '.join([*STUDENT, *corpus.student])}` with {made_with(runs / 'best')}: by the mean of their logits the "
        f"models of the first section teach one student each seed on {seen:,} texts, their training rows and "
        f"{', '.join(Path(name).name for name in texts)}."
    )
    return "\n\n".join([said, at_its_best(best, students, corpus.published)])


def at_its_best(analysis: Analysis, runs: Sequence[dict[str, Any]], published: Path | None) -> str:
    """Macro-F1 of the runs, of TF-IDF and their difference, with intervals, at chosen thresholds and a fixed one.

    With training rows as `published`, without the test rows whose text is among them too.
    """
    linear = next(one for one in analysis.baselines if one.encoder == LINEAR)
    found = [[load_predictions(run) for run in one] for one in (runs, linear.runs)]
    rules: dict[str, Callable[[Arrays], np.ndarray]] = {
        "thresholds of each label, chosen on validation rows": answers,
        f"threshold {FIXED} for all": lambda arrays: decide(sigmoid(arrays["logits"]), FIXED),
    }
    parts = {"": np.full(len(analysis.true_classes), True)}
    if published is not None:
        own = ~seen(analysis.folder, published)
        parts[f", without {(~own).sum()} test rows whose text stands in `{published.name}`"] = own
    lines = [["macro-F1", "tiny-bert, mean", "TF-IDF", "difference"], ["---", "---:", "---:", "---:"]]
    for (name, rule), (part, rows) in itertools.product(rules.items(), parts.items()):
        sets = [np.stack([rule(run)[rows] for run in runs]) for runs in found]
        both = dict(zip(("model", "tf-idf"), sets, strict=True))
        bootstrap = MultiBootstrap(both, analysis.true_classes[rows], deterministic=["tf-idf"])
        effects = [bootstrap.effect(weights) for weights in ({"model": 1.0}, {"tf-idf": 1.0})]
        effects.append(bootstrap.effect({"model": 1.0, "tf-idf": -1.0}))
        lines.append([name + part, *map(with_interval, effects, ("", "", "+"))])
    return markdown(lines)


def seen(study: Path, published: Path) -> np.ndarray:
    """Which test rows (N,) of a study have a text of the published training rows."""
    texts = pd.Series(json.loads((study / TEST_FILE).read_text(encoding="utf-8"))["text"])
    lines = published.read_text(encoding="utf-8").split("\n")
    return text_keys(texts).isin(text_keys(pd.Series([line.split("\t")[0] for line in lines]))).to_numpy()


def verdicts(analysis: Analysis) -> str:
    """A row each finding: the difference to the plain one, the interval that decides, and the verdict."""
    lines = [["against the plain one, points of macro-F1", ""], ["---", "---"]]
    for one in analysis.findings:
        if isinstance(one, Finding) and one.asked.under is None:
            text = in_short(one.effect, one.decision, analysis.equal_within)
            level, plain = (name.rpartition("=")[2] for name in (one.asked.level, one.asked.baseline))
            lines.append([f"{level} – {plain}", text + needed(one, analysis)])
    return markdown(lines)


if __name__ == "__main__":
    sys.exit(main())
