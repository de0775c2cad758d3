"""The data of a run: read once a process, without rows to score on that a run before it was trained on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.data.loading import EmotionData, load_emotion_data
from emo_hf.data.reading import SourceFiles, source_files
from emo_hf.data.seen_texts import TooManySeen, without_seen
from emo_hf.errors import UserError
from emo_hf.models.parents import Parent, parent_of


def load_data(arguments: DataArguments) -> EmotionData:
    """The data of a run; runs of one process share it, while they name the same data and its files don't change.

    Raises:
        UserError: data that can't be used, or that leave too little to score on.
    """
    parents = tuple(parent_of(name) for name in arguments.unseen_by)
    plain = asdict(replace(arguments, unseen_by=[])).values()
    values = (tuple(value) if isinstance(value, list) else value for value in plain)
    named = [arguments.label_names] if arguments.label_names else []
    files = (*arguments.data, *named, *(arguments.label_map or ()))  # a label map may be a file too
    return _load_data(parents, tuple(source_files(name) for name in files), *values)


def drawn_by(arguments: DataArguments, seed: int) -> DataArguments:
    """The arguments of a run of this seed: few rows are drawn by it, unless another seed is given for them."""
    if arguments.shots is None or arguments.shots_seed is not None:
        return arguments
    return replace(arguments, shots_seed=seed)


@functools.lru_cache(maxsize=8)  # a sweep may vary the data
def _load_data(parents: tuple[Parent, ...], files: tuple[SourceFiles, ...], *values: Any) -> EmotionData:
    given = DataArguments(*values)
    if parents:
        return _unseen(given, parents)
    labels = given.labels[0] if len(given.labels) == 1 else given.labels
    return load_emotion_data(
        given.data,
        train_fraction=given.train_fraction,
        shots=given.shots,
        shots_seed=given.shots_seed or 0,
        labels=labels,
        label_names=given.label_names,
        label_map=given.label_map,
        drop_labels_below=given.drop_labels_below,
        on_bad_rows=given.on_bad_rows,
        task=given.task,
        several_labels=given.several_labels,
        text_column=given.text_column,
        label_column=given.label_column,
        header=given.header,
        sheet=given.sheet,
        turns=given.turns,
        validation_size=given.validation_size,
        test_size=given.test_size,
        seed=given.split_seed,
        revision=given.data_revision,
    )


def _unseen(arguments: DataArguments, parents: Sequence[Parent]) -> EmotionData:
    """The data without the rows to score on that one of the runs was trained on."""
    seen = {parent.name: parent.texts for parent in parents}
    try:
        return without_seen(load_data(arguments), seen)
    except TooManySeen as error:
        helps = ""
        for seed in {parent.split_seed for parent in parents if parent.split_seed is not None}:
            with contextlib.suppress(UserError):
                without_seen(load_data(replace(arguments, split_seed=seed)), seen)
                helps = f", as --split_seed {seed} leaves them, by which its own data were cut"
        raise TooManySeen(f"{error}{helps}") from error


def forget_data() -> None:
    """Have `load_data` read again: in a process that outlives a study, a data set of the Hub may have changed."""
    _load_data.cache_clear()
