"""The tables of a study of transfer: as cells for every writer, as markdown, and as CSV of plain numbers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo_hf.escaping import csv_name, markdown_name
from emo_hf.evaluation.statistics import Effect
from emo_hf.evaluation.verdicts import Decision
from emo_hf.report.answers import interval_text, level_text, points, verdict_text
from emo_hf.report.table import MISSING
from emo_hf.report.transfer import Arm, Question, TransferAnalysis
from emo_hf.report.transfer_words import TRANSFER_WORDS
from emo_hf.report.wording import WORDS
from emo_hf.storage.files import write_whole

NOTHING = Effect(math.nan)


@dataclass(frozen=True)
class Table:
    """A heading, rows of cells, of which the first `names` are names, and what is said below."""

    title: str
    header: list[str]
    rows: list[list[str]]
    names: int
    note: str = ""


@dataclass(frozen=True)
class Style:
    """How cells are written: the language, names of others, what stands on both sides of a verdict, a new line."""

    lang: str = "en"
    name: Callable[[str], str] = str
    strong: str = ""
    newline: str = " "

    @property
    def words(self) -> dict[str, str]:
        """The words of the language."""
        return TRANSFER_WORDS[self.lang]


def tables(analysis: TransferAnalysis, style: Style) -> list[Table]:
    """All tables: who does how well where, what is lost, what rows of the target bring, and the corpora."""
    found = [_matrix(analysis, style), _losses(analysis, style)]
    if analysis.rows:
        found.append(_curves(analysis, style))
    return [*found, _corpora(analysis, style)]


def _matrix(analysis: TransferAnalysis, style: Style) -> Table:
    words = style.words
    rows = []
    for source in analysis.lines:
        cells = []
        for target in analysis.targets:
            if (source, target) not in analysis.cells:
                cells.append(MISSING)
                continue
            linear = analysis.score(target, Arm(source, linear=True))
            below = f"{style.newline}({words['linear']} {scored(linear)})" if linear else ""
            cells.append(scored(analysis.score(target, Arm(source))) + below)
        rows.append([style.name(source), *cells])
    header = [f"{words['trained_on']} ↓ {words['tested_on']} →", *map(style.name, analysis.targets)]
    return Table(words["matrix"], header, rows, 1, words["matrix_note"])


def _losses(analysis: TransferAnalysis, style: Style) -> Table:
    words = style.words
    rows = []
    for target in analysis.targets:
        for source in sorted(analysis.lines, key=lambda name: name != target):
            if (source, target) in analysis.cells:
                rows.append(
                    [
                        style.name(target),
                        words["own"] if source == target else style.name(source),
                        scored(analysis.score(target, Arm(source))),
                        decided(analysis.losses.get((source, target)), analysis, style),
                        decided(analysis.over_linear.get((source, target)), analysis, style),
                    ]
                )
    header = [words[key] for key in ("target", "source", "macro_f1", "own_less", "over_linear")]
    return Table(words["losses"], header, rows, 2, note_of(analysis, style.lang))


def _curves(analysis: TransferAnalysis, style: Style) -> Table:
    words = style.words
    rows = []
    for target in analysis.targets:
        for count in [0, *analysis.rows]:
            for source in ["", *(name for name in analysis.sources if name != target)]:
                score = analysis.score(target, Arm(source, count)) if source or count else None
                if score is not None:
                    gain = decided(analysis.gains.get((source, target, count)), analysis, style)
                    rows.append(
                        [style.name(target), style.name(source) or words["alone"], f"{count:,}", scored(score), gain]
                    )
    header = [words[key] for key in ("target", "source", "rows", "macro_f1", "gain")]
    note = words["curves_note"].format(epochs=f"{analysis.told['row_epochs']:g}")
    return Table(words["curves"], header, rows, 2, note)


def _corpora(analysis: TransferAnalysis, style: Style) -> Table:
    words, name_of, rows = style.words, style.name, []
    pairs = []
    for name, corpus in analysis.told["corpora"].items():
        counts = [
            f"{sum(of_split.values()):,} ({', '.join(f'{name_of(label)} {n:,}' for label, n in of_split.items())})"
            for of_split in corpus["counts"].values()
        ]
        gone = {target: n for target, n in corpus["removed"].items() if n}
        pairs += [
            words["removed_pair"].format(source=name_of(name), target=name_of(target), n=f"{n:,}")
            for target, n in gone.items()
        ]
        rows.append([name_of(name), *counts, f"{sum(gone.values()):,}"])
    header = [words[key] for key in ("corpus", "train", "validation", "test", "removed")]
    note = words["removed_note"].format(pairs="; ".join(pairs)) if pairs else words["none_removed"]
    return Table(words["corpora"], header, rows, 1, note)


def note_of(analysis: TransferAnalysis, lang: str) -> str:
    """What the verdicts mean; of single runs why there are none."""
    words = TRANSFER_WORDS[lang]
    if not any(math.isfinite(one.effect.standard_error) for one in analysis.over_linear.values()):
        return words["one_seed_note"]
    verdicts = WORDS[lang]["verdicts"].format(within=points(analysis.equal_within))
    return words["note"].format(verdicts=verdicts)


def about(analysis: TransferAnalysis, lang: str) -> str:
    """The model and how many seeds it has, in a line."""
    words, model = TRANSFER_WORDS[lang], analysis.told["model"]
    encoder = str(model["encoder"]).rstrip("/\\").replace("\\", "/").split("/")[-1]
    named = f"{encoder}, {model['pooling']}, {model['aux']}"
    return words["about"].format(model=named, seeds=seeds_of(analysis, lang))


def seeds_of(analysis: TransferAnalysis, lang: str) -> str:
    """ "3 seeds", "2–3 seeds"."""
    counts = {
        len(runs) for arms in analysis.predicted.values() for arm, runs in arms.items() if not arm.linear
    }  # fmt: skip
    if counts == {1}:
        return TRANSFER_WORDS[lang]["one_seed"]
    shown = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)}–{max(counts)}"
    return TRANSFER_WORDS[lang]["some_seeds"].format(n=shown)


def scored(score: Effect | None) -> str:
    """ "80.6 [78.2, 83.0]"; of a single run without an interval."""
    if score is None:
        return MISSING
    text = f"{100 * score.estimate:.1f}"
    return text if math.isnan(score.low) else f"{text} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def decided(question: Question | None, analysis: TransferAnalysis, style: Style) -> str:
    """ "+4.5 [+2.8, +6.2] (98.3 %) different"; of single runs the difference alone."""
    if question is None:
        return MISSING
    estimate = f"{100 * question.effect.estimate:+z.1f}"
    decision = question.decision
    if not decision.intervals:
        return estimate
    intervals = ", ".join(f"{interval_text(one)} ({level_text(one.level)})" for one in decision.intervals)
    verdict = verdict_text(decision.verdict, analysis.equal_within, lang=style.lang, strong=style.strong)
    return f"{estimate} {intervals} {verdict}"


def write_transfer_markdown(analysis: TransferAnalysis, path: Path, *, lang: str = "en") -> Path:
    """Write all tables as markdown and return the path."""
    parts = [about(analysis, lang)]
    for table in tables(analysis, Style(lang, markdown_name, "**")):
        parts += [f"## {table.title}", _markdown(table), table.note]
    return write_whole(path, ("\n\n".join(parts) + "\n").encode("utf-8"))


def _markdown(table: Table) -> str:
    lines = [
        table.header,
        ["---"] * table.names + ["---:"] * (len(table.header) - table.names),
        *table.rows,
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


COLUMNS = (
    "source", "target", "rows", "model", "macro_f1", "low", "high", "seeds", "test_rows", "less_than", "difference",
    "difference_low", "difference_high", "p", "p_equal", "verdict",
)  # fmt: skip


def write_transfer_csv(analysis: TransferAnalysis, path: Path) -> Path:
    """Write a line each model and target, and each difference, as fractions, and return the path.

    A line of a difference says with `less_than` what it is compared with: `own` (how much the target's own model is
    better), `rows alone` or `TF-IDF` (how much the model is better). The interval of a difference has 95 %; the
    verdict rests on that which its family leaves to it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in _csv_lines(analysis):
        writer.writerow(line)
    return write_whole(path, buffer.getvalue().encode("utf-8-sig"))


def _csv_lines(analysis: TransferAnalysis) -> list[list[str]]:
    lines = []
    against: Sequence[tuple[str, Callable[[str, str, int], Question | None]]] = (
        ("own", lambda source, target, rows: None if rows else analysis.losses.get((source, target))),
        ("rows alone", lambda source, target, rows: analysis.gains.get((source, target, rows))),
        ("TF-IDF", lambda source, target, rows: None if rows else analysis.over_linear.get((source, target))),
    )
    for target in analysis.targets:
        arms = [arm for arm in analysis.predicted[target] if arm.source in ("", *analysis.sources, target)]
        for arm in sorted(arms, key=lambda arm: (arm.linear, arm.rows, arm.source)):
            start = [csv_name(arm.source), csv_name(target), str(arm.rows), "TF-IDF" if arm.linear else "model"]
            start += _numbers(analysis.score(target, arm) or NOTHING)
            start += [str(analysis.seeds(target, arm)), str(len(analysis.labels[target]))]
            asked = [] if arm.linear else [(name, of(arm.source, target, arm.rows)) for name, of in against]
            lines.append([*start, *[""] * 7])
            lines += [[*start, name, *_difference(one.effect, one.decision)] for name, one in asked if one]
    return lines


def _difference(effect: Effect, decision: Decision) -> list[str]:
    p = ["" if math.isnan(value) else f"{value:.6g}" for value in (decision.p, decision.p_equal)]
    return [*_numbers(effect), *p, decision.verdict.name.lower() if decision.intervals else ""]


def _numbers(effect: Effect) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.6f}" for value in (effect.estimate, effect.low, effect.high)]
