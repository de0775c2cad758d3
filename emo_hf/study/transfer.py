"""Trained on one corpus, tested on others, as it comes and after some rows of theirs: the runs of such a study."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from emo_hf.arguments.bounds import check_numbers
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import EmotionData
from emo_hf.errors import UserError
from emo_hf.models.parents import DEFAULTS
from emo_hf.redaction import redacted
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import TRANSFER_FILE, is_done
from emo_hf.study.arguments import GridArguments
from emo_hf.study.baselines import run_baselines
from emo_hf.study.corpora import Rows, Splits, first_rows, kept_apart, splits_of
from emo_hf.study.grid import Study, Task
from emo_hf.training.loaded import load_data

DATA_FOLDER = "data"  # of a study: what its runs read
BASELINES_FOLDER = "{source}_baselines"


@dataclass
class TransferArguments:
    """Which corpora are trained on, and which are tested on."""

    sources: list[str] = field(
        default_factory=list,
        metadata={"help": "corpora to train on, each as --data has it, or a YAML file of its own; NAME=PATH names it"},
    )
    targets: list[str] = field(
        default_factory=list, metadata={"help": "corpora to test on, likewise; their own models are trained too"}
    )
    rows: list[int] = field(
        default_factory=lambda: [0],
        metadata={"help": "training rows of the target that a source's model is trained further on; 0: as it comes"},
    )
    row_epochs: float = field(
        default=10.0, metadata={"help": "epochs of the training on such rows; its last one is taken"}
    )
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3], metadata={"help": "one run of each model a seed"})
    study_dir: str = field(default="runs/transfer", metadata={"help": "folder of the study"})
    jobs: int | None = field(
        default=None, metadata={"help": "runs side by side on this machine; default one a CPU core, or one a GPU"}
    )

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("rows", "seeds"):
            values = getattr(self, name)
            if (twice := next((value for value in values if values.count(value) > 1), None)) is not None:
                raise UserError(f"--{name} names {twice} twice; name each once")


@dataclass(frozen=True)
class Leg(Task):
    """One run: a source's own, or on some rows of a target, after a source's (`source`) or without one ("").

    `rows` is 0 for a source's own run, which no target is part of.
    """

    source: str = ""
    target: str = ""
    rows: int = 0

    @property
    def run_id(self) -> str:
        """The name of the run's folder in the study."""
        if not self.rows:
            return f"{self.source}_seed{self.seed}"
        after = f"{self.source}_then_" if self.source else ""
        return f"{after}{self.rows}_{self.target}_seed{self.seed}"


@dataclass(frozen=True)
class Transfer(Study):
    """The runs of a study of transfer; the attributes of `Study` hold for all of them, `data` for all corpora.

    Attributes:
        corpora: the data of each corpus.
        sources, targets: their names; a target's own model is trained whether it is a source or not.
        rows: how many rows of a target are trained on, further or alone; 0 is no training.
        row_epochs: of these trainings.
        labels: those of all corpora, in the order of the logits.
    """

    corpora: Mapping[str, EmotionData] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    row_epochs: float = 10.0
    labels: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        words: TransferArguments,
        settings: tuple[ModelArguments, DataArguments, dict[str, Any]],
        corpora: Mapping[str, EmotionData],
        names: tuple[Sequence[str], Sequence[str]],
        labels: tuple[str, ...],
    ) -> Transfer:
        """The study that the words ask for, of corpora that have been read; `names` of the sources and the targets.

        Raises:
            UserError: more rows of a target than it has to train on, or fewer than labels; a target without test rows.
        """
        model, data, training = settings
        grid = GridArguments(
            encoders=[model.encoder],
            poolings=[model.pooling],
            aux=[training["aux"]],
            seeds=words.seeds,
            study_dir=words.study_dir,
            jobs=words.jobs,
        )
        sources, targets = map(tuple, names)
        made = cls(
            grid, model, data, training, frozenset(), corpora, sources, targets, tuple(words.rows), words.row_epochs,
            labels,
        )  # fmt: skip
        made.check_targets()
        return made

    def check_targets(self) -> None:
        """See that each target has the rows that are asked of it."""
        for target in self.targets:
            if not len(self._splits[target]["test"]):
                raise UserError(f"target {target} has no test rows; leave it out of --targets")
            most = len(self._splits[target]["train"])
            for rows in filter(None, self.rows):
                if rows > most:
                    raise UserError(f"--rows is {rows}, but {target} has {most:,} training rows; give at most so many")
                if rows < len(self.labels):
                    raise UserError(
                        f"--rows is {rows}, fewer than the {len(self.labels)} labels; give 0, or one row a label at "
                        "least"
                    )

    @cached_property
    def _splits(self) -> dict[str, Splits]:
        return {name: splits_of(data) for name, data in self.corpora.items()}

    @cached_property
    def _apart(self) -> tuple[dict[str, Splits], dict[str, dict[str, int]]]:
        return kept_apart(self._splits, self.targets)

    def tasks(self) -> list[Task]:
        """Every run, those of the sources first, which others start from; each kind seed by seed."""
        shared = (self.model.encoder, self.model.pooling, self.grid.aux[0])
        legs = [Leg(*shared, seed, source=name) for seed in self.grid.seeds for name in self.corpora]
        for seed in self.grid.seeds:
            for target in self.targets:
                for rows in filter(None, self.rows):
                    legs.append(Leg(*shared, seed, target=target, rows=rows))
                    for source in self.sources:
                        if source != target:
                            start = self.folder / Leg(*shared, seed, source=source).run_id
                            legs.append(Leg(str(start), *shared[1:], seed, source=source, target=target, rows=rows))
        folders = [leg.run_id for leg in legs]
        if twice := next((name for name in folders if folders.count(name) > 1), None):
            raise UserError(f"two runs would be called {twice}; give a corpus another name, as NAME=PATH")
        return [replace(leg, settings=_settings(leg)) for leg in legs]

    def arguments(self, task: Task, **own: Any) -> tuple[ModelArguments, DataArguments, MetricTrainingArguments]:
        """What a run runs with; `own` are further arguments of its training."""
        model, data = self.model_and_data(task)
        training = self.training | {"aux": task.aux, "seed": task.seed}
        if isinstance(task, Leg) and task.rows:  # with so few rows nobody has others to choose an epoch by
            training |= {"num_train_epochs": self.row_epochs, "eval_strategy": "no", "save_strategy": "no"}
            training |= {"early_stopping_patience": None, "load_best_model_at_end": False}
        return model, data, MetricTrainingArguments(**training | own)

    def model_and_data(self, task: Task) -> tuple[ModelArguments, DataArguments]:
        """The first two of `arguments`."""
        assert isinstance(task, Leg), "a study of transfer has no other runs"
        model = self.model
        if task.rows and task.source:  # its encoder is the source's run
            model = replace(model, encoder=str(DEFAULTS["encoder"]), encoder_revision=None, init_from=task.encoder)
        return model, self._read_as(f"{task.rows}_{task.target}" if task.rows else task.source)

    def _read_as(self, stem: str) -> DataArguments:
        """How the rows in one of the study's own files are read: as they are."""
        return DataArguments(
            data=[str(self.folder / DATA_FOLDER / f"{stem}.parquet")],
            labels=list(self.labels),
            text_column="text",
            label_column="label",
            task="single",
            on_bad_rows="error",
            max_length=self.data.max_length,
            data_cache_dir=self.data.data_cache_dir,
        )

    def due(self) -> list[Task]:
        """The runs without a completed record; whose model they are of, the folder of the study says."""
        return [task for task in self.tasks() if not is_done(self.folder / task.run_id, warn=True)]

    def _model_told(self) -> dict[str, str]:
        return {"encoder": self.model.encoder, "pooling": self.model.pooling, "aux": self.grid.aux[0]}

    def claim(self) -> None:
        """Note the settings in the study's folder, or refuse one of other settings, and write what its runs read."""
        fingerprints = {name: data.fingerprint for name, data in self.corpora.items()}
        own = {
            **self._model_told(),
            "corpora": list(self.corpora),
            "targets": self.targets,
            "row_epochs": self.row_epochs,
        }
        self.claim_folder(hashlib.sha256(json.dumps(fingerprints).encode()).hexdigest(), more=own)
        write_whole(self.folder / TRANSFER_FILE, (json.dumps(self.described(), ensure_ascii=False) + "\n").encode())
        self._write_rows()

    def described(self) -> dict[str, Any]:
        """What the report has to know of the study beside its runs."""
        stops, start = {}, 0
        for target in self.targets:
            stops[target] = [start, start := start + len(self._splits[target]["test"])]
        apart, removed = self._apart
        return redacted(
            {
                "sources": self.sources,
                "targets": self.targets,
                "rows": self.rows,
                "row_epochs": self.row_epochs,
                "labels": self.labels,
                "model": self._model_told(),
                "corpora": {
                    name: {
                        "source": data.report["source"],
                        "counts": {split: rows.counts(self.labels) for split, rows in apart[name].items()},
                        "removed": removed[name],
                        "baselines": BASELINES_FOLDER.format(source=name),
                    }
                    for name, data in self.corpora.items()
                },
                "places": stops,
            }
        )

    def _write_rows(self) -> None:
        """A file for each source, whose test rows are those of all targets, and for each number of target rows."""
        folder = self.folder / DATA_FOLDER
        folder.mkdir(exist_ok=True)
        apart, _ = self._apart
        tested = [self._splits[target]["test"] for target in self.targets]
        for name, splits in apart.items():
            _write(folder / f"{name}.parquet", [splits["train"]], [splits["validation"]], tested)
        for target in self.targets:
            splits = self._splits[target]
            order = first_rows(splits["train"], self.labels, self.data.split_seed)
            for rows in filter(None, self.rows):
                few = splits["train"].only(order[:rows])
                _write(folder / f"{rows}_{target}.parquet", [few], [splits["validation"]], [splits["test"]])

    def fit_baselines(self) -> None:
        """TF-IDF with logistic regression on each source, tested on the rows of all targets."""
        for name in self.corpora:
            run_baselines(load_data(self._read_as(name)), self.folder / BASELINES_FOLDER.format(source=name))


def plain_study(study: Transfer) -> Study:
    """The same model and training on one corpus, to be checked before anything is written."""
    return Study(study.grid, study.model, study.data, study.training)


def _settings(leg: Leg) -> tuple[tuple[str, Any], ...]:
    """What the record of a run says beside its model."""
    found = {"source": leg.source, "target": leg.target, "rows": leg.rows}
    return tuple((name, value) for name, value in found.items() if value)


def _write(path: Path, *splits: Sequence[Rows]) -> None:
    """A file of rows with their splits: train, validation, test. One that holds just these stays."""
    parts = [
        pd.DataFrame({"text": rows.texts, "label": rows.labels, "split": split})
        for split, given in zip(("train", "validation", "test"), splits, strict=True)
        for rows in given
    ]
    buffer = io.BytesIO()
    pd.concat(parts, ignore_index=True).to_parquet(buffer, index=False)
    if not path.exists() or path.read_bytes() != buffer.getvalue():
        write_whole(path, buffer.getvalue())
