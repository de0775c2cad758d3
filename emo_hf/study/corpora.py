"""Several corpora of one set of labels: as they are named, read, kept apart and drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from emo_hf.arguments.config_file import read_config
from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.data.loading import EmotionData
from emo_hf.data.seen_texts import text_hashes
from emo_hf.data.splits import SPLITS
from emo_hf.errors import UserError, few
from emo_hf.storage.files import file_stem
from emo_hf.training.loaded import load_data
from emo_hf.training.run_names import encoder_name

YAML = (".yaml", ".yml")
HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Rows:
    """Rows of a split: their texts (N,), the names of their labels (N,) and hashes of the texts (N,)."""

    texts: np.ndarray
    labels: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def only(self, chosen: np.ndarray) -> Rows:
        """Those of a mask (N,), or at places, in the given order."""
        return Rows(self.texts[chosen], self.labels[chosen], self.hashes[chosen])

    def counts(self, labels: Sequence[str]) -> dict[str, int]:
        """The rows of each label."""
        found = Counter(self.labels.tolist())
        return {label: found[label] for label in labels}


Splits = dict[str, Rows]


def read_corpora(words: Sequence[str], base: DataArguments, flag: str) -> dict[str, DataArguments]:
    """How each of the corpora that `words` name is read, by its name.

    A word is what `--data` takes, or a YAML file of arguments of the data that are this corpus's own beside those of
    `base`; in front of it may stand a name, as `news=comments.csv`.

    Raises:
        UserError: a corpus twice, or two of one name.
    """
    found: dict[str, DataArguments] = {}
    for word in words:
        name, source = _named(word)
        arguments = _own_arguments(source, base) if source.lower().endswith(YAML) else replace(base, data=[source])
        if name not in found:
            found[name] = arguments
        elif found[name] == arguments:
            raise UserError(f"{flag} names {name} twice; name each corpus once")
        else:
            raise UserError(f"{flag}: two corpora are called {name}; give one another name, as {name}2={source}")
    return found


def joined(sources: Mapping[str, DataArguments], targets: Mapping[str, DataArguments]) -> dict[str, DataArguments]:
    """All corpora, the sources first.

    Raises:
        UserError: one name for two corpora; fewer than two corpora.
    """
    for name in sources.keys() & targets.keys():
        if sources[name] != targets[name]:
            raise UserError(
                f"the source {name} is {sources[name].source}, the target {name} is {targets[name].source}; give one "
                f"of them another name, as {name}2={targets[name].source}"
            )
    found = {**sources, **targets}
    if len(found) < 2:
        raise UserError(
            f"{next(iter(found))} is the only corpus; name two or more, as --sources sample mine.csv --targets sample "
            "mine.csv"
        )
    return found


def load_corpora(corpora: Mapping[str, DataArguments]) -> tuple[dict[str, EmotionData], tuple[str, ...]]:
    """The data of each corpus, and the labels that all have.

    Raises:
        UserError: what can't be read, with the corpus; rows of several labels; labels that are not those of all.
    """
    found: dict[str, EmotionData] = {}
    for name, arguments in corpora.items():
        try:
            found[name] = load_data(arguments)
        except UserError as error:
            raise UserError(f"corpus {name}: {error}") from error
        if found[name].multi_label:
            raise UserError(
                f"corpus {name} has rows of several labels, and transfer is measured on rows of one; keep the rows of "
                "one label by --task single --several_labels drop, or in a YAML file of this corpus"
            )
    first, *rest = found
    for other in rest:
        here, there = found[first].labels, found[other].labels
        if set(here) != set(there):
            sides = ((first, here, there), (other, there, here))
            more = [(name, [label for label in own if label not in its]) for name, own, its in sides]
            said = "; ".join(f"{name} alone has {few(labels)}" for name, labels in more if labels)
            raise UserError(
                f"the corpora must have the same labels, but {said}; name those of all with --labels, or "
                "give a corpus other names of its labels: a YAML file with data and label_map in place of its path"
            )
    return found, found[first].labels


def splits_of(data: EmotionData) -> Splits:
    """The rows of each split."""
    names = np.asarray(data.labels, dtype=object)
    found = {}
    for split in SPLITS:
        texts = data.splits[split]["text"][:]
        labels = names[np.asarray(data.splits[split]["label"][:], dtype=np.int64)] if len(texts) else names[:0]
        found[split] = Rows(np.asarray(texts, dtype=object), labels, text_hashes(texts))
    return found


def kept_apart(
    corpora: Mapping[str, Splits], targets: Collection[str]
) -> tuple[dict[str, Splits], dict[str, dict[str, int]]]:
    """The corpora without training rows whose texts are held out of another target, and how many went, by target.

    Rows leave the training side, never a test set: so all models of a column are scored on the same rows. Of training
    goes what stands in the validation or test rows of a target, of validation what stands in its test rows: a model
    is neither fitted to, nor chosen by, rows of its examination. `{source: {target: rows}}` counts both; a row that
    two targets hold out counts for each.
    """
    held = {
        target: {split: set(corpora[target][split].hashes.tolist()) for split in HELD_OUT} for target in targets
    }  # fmt: skip
    found: dict[str, Splits] = {}
    counts: dict[str, dict[str, int]] = {}
    for name, splits in corpora.items():
        others = [target for target in targets if target != name]
        counts[name] = dict.fromkeys(others, 0)
        found[name] = dict(splits)
        for split, against in (("train", HELD_OUT), ("validation", ("test",))):
            rows = splits[split]
            gone = np.zeros(len(rows), dtype=bool)
            for target in others:
                mine = np.isin(rows.hashes, list(set().union(*(held[target][other] for other in against))))
                counts[name][target] += int(mine.sum())
                gone |= mine
            found[name][split] = rows.only(~gone)
    return found, counts


def first_rows(rows: Rows, labels: Sequence[str], seed: int) -> np.ndarray:
    """The places (N,) of training rows in the order in which they are drawn, the labels in equal shares throughout.

    However many are taken from the front, they are a stratified sample, and part of any larger one. One row of each
    label comes first.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    frame = pd.DataFrame({"place": order, "label": rows.labels[order]})
    rank = frame.groupby("label").cumcount()
    share = (rank + 0.5) / frame["label"].map(frame["label"].value_counts())
    first = pd.Series([labels.index(label) for label in frame["label"]], frame.index) - len(labels)
    key = share.where(rank > 0, first)
    return frame["place"].to_numpy()[np.argsort(key.to_numpy(), kind="stable")]


def _named(word: str) -> tuple[str, str]:
    """The name of a corpus and what is read of it."""
    name, sign, source = word.partition("=")
    if sign and name and source and not Path(word).exists():
        return _checked(name, word), source
    last = encoder_name(word)
    known = Path(last).suffix if Path(word).is_file() or word.lower().endswith(YAML) else ""
    return _checked(last.removesuffix(known), word), word


def _checked(name: str, word: str) -> str:
    if file_stem(name) != name or len(name.encode()) > 60:
        raise UserError(
            f"corpus {word!r}: {name!r} can't be a part of the names of folders; give it a short name of letters and "
            "digits, as mine=PATH"
        )
    return name


def _own_arguments(path: str, base: DataArguments) -> DataArguments:
    """The arguments of a corpus as its YAML file has them, the others as `base` has them."""
    (own,) = parse_arguments([DataArguments], ["--config", path])
    given = {key: getattr(own, key) for key, value in read_config(path).items() if value is not None}
    if "data" not in given:
        raise UserError(f"{path}: it names no corpus; write a line as `data: comments.csv`")
    return replace(base, **given)
