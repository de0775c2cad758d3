"""How the models of a study were tuned: what was chosen, and what more or fewer draws would have found."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo_hf.escaping import markdown_name
from emo_hf.evaluation.expected_best import expected_best_with
from emo_hf.report.analysis import Analysis
from emo_hf.report.grouping import ModelRuns, setting_text
from emo_hf.report.summary import duration
from emo_hf.report.table import MISSING
from emo_hf.report.tuning_words import TUNING_WORDS
from emo_hf.report.wording import WORDS
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import RECORD_FILE, read_record

logger = logging.getLogger(__name__)

FOLDER = "tuning"
_OPTION = "aux_kwargs."  # as the names of a loss's options begin


@dataclass(frozen=True)
class Tuned:
    """The tuning of one model.

    Attributes:
        model: the row of the table.
        scores: the best validation macro-F1 of each draw (N,), a fraction; 0 of one that failed. The first is of the
            settings that the model has anyway, the others are random.
        chosen: the number of the best, from 1 on.
        rungs: up to which epoch how many draws were trained.
        failed: how many draws were.
        seconds: what it took.
    """

    model: ModelRuns
    scores: np.ndarray
    chosen: int
    settings: dict[str, Any]
    rungs: tuple[tuple[float, int], ...]
    failed: int
    seconds: float

    @property
    def curve(self) -> np.ndarray:
        """The expected best score after 1, 2, … N draws (N,)."""
        return expected_best_with(self.scores[0], self.scores[1:])


def tuned_models(analysis: Analysis) -> list[Tuned]:
    """The models whose tuning can be read, in the order of the table; none of a study without."""
    records = [read_record(path.parent) for path in sorted((analysis.folder / FOLDER).glob(f"*/{RECORD_FILE}"))]
    found = {
        _cell(record["model"]): record
        for record in records
        if record and record.get("status") == "completed" and isinstance(record.get("model"), dict)
    }
    tuned = []
    for model in analysis.models:
        record = found.get(_cell(model.runs[0]["model"]))
        if record is None:
            continue
        try:
            tuned.append(_read(model, record))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            logger.warning("the record of the tuning %s is damaged and is left out", record.get("run_id"))
    return tuned


def _cell(model: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(model.get(name)) for name in ("encoder", "pooling", "aux", "settings"))


def _read(model: ModelRuns, record: dict[str, Any]) -> Tuned:
    draws = record["draws"]
    scores = [0.0 if draw["error"] else max(map(float, draw["validation_macro_f1"]), default=0.0) for draw in draws]
    return Tuned(
        model,
        np.array(scores),
        int(record["chosen"]),
        dict(draws[record["chosen"] - 1]["settings"]),
        tuple((float(rung["epochs"]), int(rung["draws"])) for rung in record["rungs"]),
        sum(bool(draw["error"]) for draw in draws),
        sum(float(draw["wall_seconds"]) for draw in draws),
    )


def chosen_text(settings: dict[str, Any]) -> str:
    """ "learning_rate=0.0003, temperature=0.1"."""
    return setting_text([(name.removeprefix(_OPTION), value) for name, value in settings.items()])


def counts_shown(tuned: Sequence[Tuned]) -> list[int]:
    """After how many draws the tables show what was to be expected: 1, 2, 4, … and all."""
    most = max(len(one.scores) for one in tuned)
    doubled = [2**power for power in range(most.bit_length()) if 2**power < most]
    return [*doubled, most]


def write_tuning(analysis: Analysis, tuned: Sequence[Tuned], path: Path, *, lang: str = "en") -> Path:
    """Write what was chosen as markdown and return the path."""
    return write_whole(path, tuning_markdown(analysis, tuned, lang=lang).encode("utf-8"))


def tuning_markdown(analysis: Analysis, tuned: Sequence[Tuned], *, lang: str = "en") -> str:
    """One row a model: the expected best validation score after some draws, and the settings that were chosen."""
    words, counts = WORDS[lang] | TUNING_WORDS[lang], counts_shown(tuned)
    swept = ["settings"] if analysis.swept else []
    header = [words[key] for key in ("model", "encoder", "pooling", "aux", *swept)]
    header += [words["best_of"].format(n=count) for count in counts]
    lines = [
        [*header, words["draw"], words["chosen"]],
        ["---"] * (4 + len(swept)) + ["---:"] * (len(counts) + 1) + ["---"],
    ]
    for one in tuned:
        model = one.model
        names = [str(model.number), model.encoder, str(model.pooling), str(model.aux)]
        names += [model.setting_text() or MISSING] if swept else []
        scores = [score_text(one, count) for count in counts]
        lines.append([*map(markdown_name, names), *scores, str(one.chosen), markdown_name(chosen_text(one.settings))])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{tuning_note(tuned, lang)}\n"


def score_text(one: Tuned, count: int) -> str:
    """The expected best score after so many draws, in percent."""
    return f"{100 * one.curve[count - 1]:.1f}" if count <= len(one.scores) else MISSING


def tuning_note(tuned: Sequence[Tuned], lang: str) -> str:
    """How the models were tuned, and what has to be known of the scores."""
    words = TUNING_WORDS[lang]
    ladders = list(dict.fromkeys(one.rungs for one in tuned))
    rungs = "; ".join(
        ", ".join(words["rung"].format(draws=draws, epochs=f"{epochs:g}") for epochs, draws in ladder)
        for ladder in ladders
    )
    cost = duration(sum(one.seconds for one in tuned), lang)
    failed = [words["failed"].format(model=name_of(one), n=one.failed) for one in tuned if one.failed]
    return " ".join([words["note"].format(n=counts_shown(tuned)[-1], rungs=rungs, cost=cost), *failed])


def name_of(one: Tuned) -> str:
    """ "tiny-bert mean triplet"."""
    parts = [one.model.encoder, one.model.pooling, one.model.aux, one.model.setting_text()]
    return " ".join(str(part) for part in parts if part)
