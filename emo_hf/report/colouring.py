"""What a map is coloured by: the class of each row or, of sets of labels, whether it has one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emo_hf.report.analysis import Analysis
from emo_hf.report.wording import WORDS


@dataclass(frozen=True)
class Colouring:
    """The names of what has a colour, and of sets of labels the label (its place) that rows have or lack."""

    names: list[str]
    label: int | None = None

    def of(self, classes: np.ndarray) -> np.ndarray:
        """Which of the names (N,) classes (N,), or sets of labels (N, C), have: those with the label come first."""
        return classes if self.label is None else 1 - (classes[:, self.label] > 0).astype(int)


def colouring(analysis: Analysis, lang: str = "en") -> Colouring:
    """What the maps of a study are coloured by."""
    if analysis.map_label is None:
        return Colouring(analysis.labels)
    words = WORDS[lang]
    names = [words[key].format(analysis.map_label) for key in ("with_label", "without_label")]
    return Colouring(names, analysis.labels.index(analysis.map_label))
