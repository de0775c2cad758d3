"""Which words carried a decision: what the model says of a text without each of them, and of each of them alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emo_hf.data.text import clean
from emo_hf.inference.predictor import Predictor

TOLD = 5  # words of an explanation that is told in a line
ROWS = 128  # texts whose variants are computed together
_LEAST = 1e-6  # of a probability: beyond it, rounding decides


@dataclass(frozen=True)
class Explanation:
    """The words of a text, and how much each of them speaks for the label that the model finds likeliest.

    Attributes:
        label: that label.
        words: the text's eojeols, parted by white space, in order.
        weights: by how much each word raises the log odds of the label; below 0 it speaks against the label.
    """

    label: str
    words: tuple[str, ...]
    weights: tuple[float, ...]

    def ranked(self) -> list[tuple[str, float]]:
        """The words with their weights, those that matter most first."""
        both = list(zip(self.words, self.weights, strict=True))
        return sorted(both, key=lambda one: -abs(one[1]))

    def told(self) -> str:
        """ "합격했어 +2.3, 드디어 +0.4": the words that matter most."""
        return ", ".join(f"{word} {weight:+.1f}" for word, weight in self.ranked()[:TOLD])


def explain(predictor: Predictor, sentences: Sequence[str]) -> Iterator[Explanation]:
    """What carried the decision about each text: erasure (Zeiler & Fergus 2014; Li et al. 2016), word by word.

    A word weighs the mean of what it adds to nothing and of what it adds to all others: the first and the last of the
    additions whose mean, over all subsets of the words, is its Shapley value (1953), so that two words which say the
    same both weigh. Of one or two words it is that value. A text of N words is computed 2 N + 1 times, by whatever the
    predictor computes with: exports explain too.
    """
    nothing = log_odds(predictor.scores([""])[0].astype(np.float64)) if sentences else np.empty(0)
    for start in range(0, len(sentences), ROWS):
        parts = [tuple(clean(sentence).split()) for sentence in sentences[start : start + ROWS]]
        given = [[" ".join(words), *without_each(words), *words] for words in parts]
        odds = log_odds(predictor.scores(list(itertools.chain.from_iterable(given))).astype(np.float64))
        place = 0
        for words, texts in zip(parts, given, strict=True):
            found, count = odds[place : place + len(texts)], len(words)
            place += len(texts)
            label = int(found[0].argmax())
            whole, without, alone = np.split(found[:, label], [1, 1 + count])
            weights = ((whole - without) + (alone - nothing[label])) / 2
            yield Explanation(predictor.labels[label], words, tuple(weights.tolist()))


def without_each(words: Sequence[str]) -> list[str]:
    """The text of some words without the first, without the second, and so on."""
    return [" ".join([*words[:place], *words[place + 1 :]]) for place in range(len(words))]


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), of probabilities that are kept from 0 and 1."""
    kept = np.clip(probabilities, _LEAST, 1 - _LEAST)
    found: np.ndarray = np.log(kept / (1 - kept))
    return found
