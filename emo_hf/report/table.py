"""The table of a study: one row a model, mean ± sd over seeds, as markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo_hf.escaping import csv_name, latex_name, markdown_name
from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import ModelRuns, Record
from emo_hf.report.wording import WORDS, baseline_name
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import PLAIN_LOSSES, classifier_loss, loss_name

MISSING = "–"
LOWER_IS_BETTER = ("test_loss", "ece", "coverage_error", "test_loss_before", "ece_before")
PRINTED = {
    "test_loss": (3, 1),
    "test_loss_before": (3, 1),
    "coverage_error": (1, 1),
}  # decimals and scale; of all else one, in percent
OF_SETS = ("macro_f1", "micro_f1", "sample_f1", "mean_average_precision", "lrap", "coverage_error")
MOST_LABELS = 12  # of rows with several labels, that a table shows one by one; CSV has them all


@dataclass(frozen=True)
class Score:
    """Mean and standard deviation (n − 1) of one score over the seeds; sd is None for a single seed."""

    mean: float | None
    sd: float | None

    @classmethod
    def over(cls, values: Sequence[float | None]) -> Score:
        """Summarise one value a seed; the score is missing as soon as one of them is."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        if len(known) < len(values):
            return cls(None, None)
        return cls(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


NO_SCORE = Score(None, None)


def scores(model: ModelRuns) -> dict[str, Score]:
    """All scores of a row as fractions: accuracy, macro_f1, f1_<label> for each class, test_loss, ece.

    The last two also as they were before a temperature (`test_loss_before`, `ece_before`), where one was fitted. Where
    rows may have several labels, those of `OF_SETS` stand in place of the first two.
    """
    tests = [run["test"] for run in model.runs]
    of_all = OF_SETS if model.multi_label else ("accuracy", "macro_f1")
    return {
        **{column: Score.over([test[column] for test in tests]) for column in of_all},
        **{f"f1_{label}": Score.over([test["per_class"][label]["f1"] for test in tests]) for label in model.labels},
        "test_loss": Score.over([test["loss"] for test in tests]),
        "ece": Score.over([test.get("ece") for test in tests]),
        **_before(model),
    }


def _before(model: ModelRuns) -> dict[str, Score]:
    """Loss and ECE of the test rows without the temperatures of the runs; nothing where no run was to have one."""
    found = [((run.get("calibration") or {}).get("test") or {}).get("before") for run in model.runs]
    if not any(found):
        return {}
    return {
        f"{column}_before": Score.over([scores[name][0] if scores else None for scores in found])
        for column, name in (("test_loss", "loss"), ("ece", "ece"))
    }


def all_columns(analysis: Analysis) -> list[str]:
    """The scores that any model of a study has."""
    return list(dict.fromkeys(column for model in analysis.models for column in scores(model)))


def shown_columns(analysis: Analysis) -> list[str]:
    """The scores that a table to read shows: of sets of many labels not the F1 of each."""
    columns = all_columns(analysis)
    if not analysis.multi_label or len(analysis.labels) <= MOST_LABELS:
        return columns
    return [column for column in columns if not column.startswith("f1_")]


def write_table(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write the table as markdown and return the path."""
    return write_whole(path, markdown_table(analysis, lang=lang).encode("utf-8"))


def write_csv_table(analysis: Analysis, path: Path) -> Path:
    """Write the table as CSV, with a byte order mark that makes Excel read Hangul, and return the path."""
    return write_whole(path, csv_table(analysis).encode("utf-8-sig"))


def write_latex_table(analysis: Analysis, path: Path, *, lang: str = "en") -> Path:
    """Write the table for LaTeX and return the path."""
    return write_whole(path, latex_table(analysis, lang=lang).encode("utf-8"))


def markdown_table(analysis: Analysis, *, lang: str = "en") -> str:
    """The table as markdown: percent with one digit, loss with three, best mean of the models in bold."""
    header, *rows = _cells(analysis, lang, markdown_name, "**{}**")
    # The four columns that name the model read from the left, numbers from the right.
    lines = [header, ["---"] * 4 + ["---:"] * (len(header) - 4), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{_note(analysis, lang, markdown_name)}\n"


def latex_table(analysis: Analysis, *, lang: str = "en") -> str:
    """The same table for LaTeX with booktabs, a rule between encoders and above the baselines."""
    header, *rows = _cells(analysis, lang, latex_name, r"\textbf{{{}}}")
    encoders = [model.encoder if model.number is not None else None for model in analysis.rows]
    lines = [
        r"% \usepackage{booktabs}, and \usepackage{kotex} for Hangul",
        rf"\begin{{tabular}}{{llll{'r' * (len(header) - 4)}}}",
    ]
    lines += [r"\toprule", " & ".join(header) + r" \\", r"\midrule"]
    for place, row in enumerate(rows):
        if place and encoders[place] != encoders[place - 1]:
            lines.append(r"\midrule")
        lines.append(" & ".join(cell.replace(" ± ", r" $\pm$ ").replace(MISSING, "--") for cell in row) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", f"% {_note(analysis, lang, latex_name)}"]
    return "\n".join(lines) + "\n"


def _cells(analysis: Analysis, lang: str, name: Callable[[str], str], bold: str) -> list[list[str]]:
    """Header and rows: percent with one digit, loss with three, the best mean of the models bold."""
    words, columns = WORDS[lang], shown_columns(analysis)
    header = [words[key] for key in ("model", "encoder", "pooling", "aux", *(["settings"] if analysis.swept else []))]
    header += [score_name(column, lang, name) for column in columns] + [words["seeds"]]
    best = best_means(analysis.models)
    rows = []
    for model in analysis.rows:
        is_model = model.number is not None
        shown = model.encoder if is_model else baseline_name(model.encoder, lang)
        cells = [
            name(str(value)) if value is not None else MISSING
            for value in (model.number, shown, model.pooling, model.aux)
        ]
        if analysis.swept:
            cells.append(name(model.setting_text()) or MISSING)
        found = scores(model)
        for column in columns:
            score = found.get(column, NO_SCORE)
            text = printed(column, score)
            is_best = score.mean is not None and printed_mean(column, score) == best.get(column)
            cells.append(bold.format(text) if is_model and is_best else text)
        rows.append([*cells, str(len(model.runs))])
    return [header, *rows]


def score_name(column: str, lang: str, name: Callable[[str], str] = str) -> str:
    """What stands above a column of scores."""
    words = WORDS[lang]
    return words.get(column) or f"{words['f1']} {name(column.removeprefix('f1_'))}"


def _note(analysis: Analysis, lang: str, name: Callable[[str], str]) -> str:
    words = WORDS[lang]
    return words["note_sets" if analysis.multi_label else "note"].format(
        rows=_rows(analysis.rows, words["rows"])
    ) + more_notes(analysis, lang, name)


def more_notes(analysis: Analysis, lang: str, name: Callable[[str], str] = str) -> str:
    """What is said below the table of this study alone: classes without test rows, the classifiers' loss.

    Of sets of many labels also where the F1 of each stands.
    """
    hidden = len(shown_columns(analysis)) < len(all_columns(analysis))
    of_labels = " " + WORDS[lang]["labels_in_csv"].format(n=len(analysis.labels)) if hidden else ""
    before = " " + WORDS[lang]["before_note"] if "ece_before" in all_columns(analysis) else ""
    return of_labels + before + _absent_note(analysis, lang, name) + _classifier_note(analysis, lang, name)


def _classifier_note(analysis: Analysis, lang: str, name: Callable[[str], str]) -> str:
    """What the classifiers were trained with, where all have one loss that is not plain cross-entropy."""
    found = {classifier_loss(run["model"]) for model in analysis.models for run in model.runs}
    alike = len(found) == 1 and found.isdisjoint(map(loss_name, PLAIN_LOSSES))
    return " " + WORDS[lang]["classifier_loss"].format(name(found.pop())) if alike else ""


def _absent_note(analysis: Analysis, lang: str, name: Callable[[str], str]) -> str:
    """Which classes the test rows lack, so that macro-F1 is the mean over the others; nothing where they have all."""
    tested = [run["test"]["per_class"] for model in analysis.models for run in model.runs]
    absent = [label for label in analysis.labels if not any(scores[label]["support"] for scores in tested)]
    key = "absent_sets" if analysis.multi_label else "absent"
    return " " + WORDS[lang][key].format(", ".join(map(name, absent))) if absent else ""


def csv_table(analysis: Analysis) -> str:
    """The table as CSV with plain numbers: scores as fractions in columns <score>_mean and <score>_sd."""
    columns = all_columns(analysis)
    tuned = list(dict.fromkeys(name for model in analysis.rows for name in model.tuned))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["model", "encoder", "pooling", "loss", *(["settings"] if analysis.swept else [])]
        + [csv_name(f"{column}_{part}") for column in columns for part in ("mean", "sd")]
        + ["seeds", *(csv_name(f"tuned_{name}") for name in tuned)]
    )
    for model in analysis.rows:
        row = [str(model.number or ""), *(csv_name(name) for name in (model.encoder, model.pooling, model.aux))]
        if analysis.swept:
            row.append(csv_name(model.setting_text()))
        found = scores(model)
        for score in (found.get(column, NO_SCORE) for column in columns):
            row += ["" if value is None else f"{value:.6f}" for value in (score.mean, score.sd)]
        row += [str(len(model.runs)), *(csv_name(str(model.tuned.get(name, ""))) for name in tuned)]
        writer.writerow(row)
    return buffer.getvalue()


def printing(column: str) -> tuple[int, int]:
    """The decimals and the scale that a score is printed with."""
    return PRINTED.get(column, (1, 100))


def printed_mean(column: str, score: Score) -> str | None:
    """The mean as every table shows it, or None."""
    if score.mean is None:
        return None
    decimals, scale = printing(column)
    return f"{scale * score.mean:.{decimals}f}"


def printed(column: str, score: Score) -> str:
    """A score as every table shows it: mean ± standard deviation."""
    mean = printed_mean(column, score)
    if mean is None or score.sd is None:
        return mean or MISSING
    decimals, scale = printing(column)
    return f"{mean} ± {scale * score.sd:.{decimals}f}"


def best_means(models: list[ModelRuns]) -> dict[str, str]:
    """The best mean of each column as it is printed, so that two rows that read the same are both bold."""
    best: dict[str, tuple[float, str]] = {}
    for model in models:
        for column, score in scores(model).items():
            if score.mean is None or (text := printed_mean(column, score)) is None:
                continue
            rank = -score.mean if column in LOWER_IS_BETTER else score.mean
            if column not in best or rank > best[column][0]:
                best[column] = rank, text
    return {column: text for column, (_, text) in best.items()}


def _rows(models: list[ModelRuns], words: str) -> str:
    """How many test rows the scores rest on; nothing when the runs disagree."""
    sizes = {_tested(run, model.multi_label) for model in models for run in model.runs}
    return words.format(n=f"{sizes.pop():,}") if len(sizes) == 1 else ""


def _tested(run: Record, multi_label: bool) -> int:
    """The test rows of a run."""
    return run["data"]["report"]["rows"]["test"] if multi_label else sum(map(sum, run["test"]["confusion_matrix"]))
