"""A grid of runs: what is due, running it, what is done."""

from __future__ import annotations

import itertools
import json
import logging
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.loading import EmotionData
from emo_hf.errors import UserError
from emo_hf.redaction import redacted
from emo_hf.storage.files import write_whole
from emo_hf.storage.record import RECORD_FILE, STUDY_FILE, TEST_FILE, is_done, read_record
from emo_hf.study.arguments import TUNING_SEED, GridArguments
from emo_hf.study.variations import Settings, applied, check_losses, combinations, parse_over
from emo_hf.training.classifier_loss import check_labels_a_row
from emo_hf.training.loaded import drawn_by, load_data
from emo_hf.training.run import check_arguments
from emo_hf.training.run_names import encoder_names, run_name

logger = logging.getLogger(__name__)

TUNING_FOLDER = "tuning"


@dataclass(frozen=True)
class Task:
    """One cell of the grid with one seed, its values of what a sweep varies, and those that tuning has chosen.

    `name` is what the encoder is called in the study, where the last part of its path is another's too.
    """

    encoder: str
    pooling: str
    aux: str
    seed: int
    settings: Settings = ()
    tuned: Settings = ()
    name: str = field(default="", compare=False)

    @property
    def run_id(self) -> str:
        """The name of the run's folder in the study."""
        return run_name(self.name or self.encoder, self.pooling, self.aux, self.seed, self.settings)


@dataclass(frozen=True)
class Cell(Task):
    """A cell of the grid as it is tuned, for all its seeds and with none of them."""

    @classmethod
    def of(cls, task: Task) -> Cell:
        """The cell that a task belongs to."""
        return cls(task.encoder, task.pooling, task.aux, TUNING_SEED, task.settings, name=task.name)

    @property
    def run_id(self) -> str:
        """The folder of its tuning in the study."""
        return f"{TUNING_FOLDER}/{run_name(self.name or self.encoder, self.pooling, self.aux, None, self.settings)}"


@dataclass(frozen=True)
class Study:
    """A grid over settings that all its runs share: `training` holds the arguments of `MetricTrainingArguments`.

    `given` names the arguments that somebody chose, which tuning leaves as they are unless it is told otherwise.
    """

    grid: GridArguments
    model: ModelArguments
    data: DataArguments
    training: dict[str, Any]
    given: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        """Where the runs and the report stand."""
        return Path(self.grid.study_dir)

    def tasks(self) -> list[Task]:
        """Every run of the grid, seed by seed, so that a stopped study is balanced."""
        grid, over = self.grid, parse_over(self.grid.over)
        # CLS pooling trains the fastest: with long runs first, the workers end at about the same time.
        poolings = sorted(grid.poolings, key=lambda pooling: pooling == "cls")
        arms = [arm for aux in grid.aux for arm in combinations(over, aux, self.training)]
        if over:  # a weight of 0 under two losses is one run
            arms = list(dict.fromkeys(arms))
        names = encoder_names(grid.encoders)
        found = [
            Task(encoder, pooling, aux, seed, settings, name=names[encoder])
            for seed, encoder, pooling, (aux, settings) in itertools.product(grid.seeds, grid.encoders, poolings, arms)
        ]
        folders = [task.run_id for task in found]
        if twice := sorted({name for name in folders if folders.count(name) > 1}):
            raise UserError(f"the grid holds {twice[0]} twice; name each encoder, pooling, loss and seed once")
        return found

    def check(self) -> None:
        """Raise the `UserError` that some run of the grid would end with before it starts."""
        check_losses(self.grid.aux, self.training, parse_over(self.grid.over), "--over")
        first, grid = self.tasks()[0], self.grid
        for task in (
            *(replace(first, encoder=encoder) for encoder in grid.encoders),
            *(replace(first, pooling=pooling) for pooling in grid.poolings),
            *self._losses(),
        ):
            check_arguments(*self.arguments(task))

    def check_rows(self, multi_label: bool) -> None:
        """Raise the `UserError` that some run would end with on rows of several labels each, or of one."""
        for task in self._losses():
            check_labels_a_row(self.arguments(task)[2], multi_label)

    def _losses(self) -> list[Task]:
        """A run of each loss with each of its settings."""
        return list({(task.aux, task.settings): task for task in self.tasks()}.values())

    def arguments(self, task: Task, **own: Any) -> tuple[ModelArguments, DataArguments, MetricTrainingArguments]:
        """What a task runs with; `own` are further arguments of its training."""
        model, data, training = self._applied(task)
        return model, data, MetricTrainingArguments(**training | own)

    def model_and_data(self, task: Task) -> tuple[ModelArguments, DataArguments]:
        """The first two of `arguments`, without the third, which sets up the device of the process."""
        return self._applied(task)[:2]

    def _applied(self, task: Task) -> tuple[ModelArguments, DataArguments, dict[str, Any]]:
        model = replace(self.model, encoder=task.encoder, pooling=task.pooling)
        settings = task.settings + task.tuned
        model, data, training = applied(
            settings, model, self.data, self.training | {"aux": task.aux, "seed": task.seed}
        )
        return model, drawn_by(data, task.seed), training

    @property
    def shots(self) -> list[int]:
        """How few rows a label the runs of the study are trained on, where they are; several numbers of a sweep."""
        return parse_over(self.grid.over).get("shots", [] if self.data.shots is None else [self.data.shots])

    def due(self) -> list[Task]:
        """The runs without a completed record; one that is damaged is named in a warning.

        Raises:
            UserError: a run that is done is of another encoder, whose folder has the same name.
        """
        due = []
        for task in self.tasks():
            folder = self.folder / task.run_id
            if not is_done(folder, warn=True):
                due.append(task)
                continue
            encoder = ((read_record(folder) or {}).get("model") or {}).get("encoder")
            if _is_other(str(encoder), task.encoder):
                raise UserError(
                    f"{folder} is a run of the encoder {encoder}, not of {task.encoder}; give another --study_dir"
                )
        return due

    def claim_folder(
        self,
        fingerprint: str,
        tuning: dict[str, Any] | None = None,
        seen: dict[str, int] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Note the study's settings in its folder, or refuse a folder that holds a study of other settings.

        `tuning` is what decides about the tuning of its models, if they are tuned; `seen` counts the rows that no
        model is scored on, as one of them was trained on their texts; `more` are settings that not every study has.
        """
        training = vars(MetricTrainingArguments(**self.training))  # with what this machine's device decides
        absent = [name for name in ("init_from", "lora") if not getattr(self.model, name)]  # as studies before them
        of_grid = {"encoder", "pooling", *absent}
        of_data = {"unseen_by", *(name for name in ("shots", "shots_seed") if getattr(self.data, name) is None)}
        settings = {
            **({"rows_seen_before": seen} if seen else {}),
            **({"study": more} if more else {}),
            "data_fingerprint": fingerprint,
            "model": {k: v for k, v in asdict(self.model).items() if k not in of_grid},
            "data": {k: v for k, v in asdict(self.data).items() if k not in of_data},  # but for what comes of them
            "training": {k: training[k] for k in self.training if k not in ("aux", "seed", "output_dir")},
            **({"tuning": tuning} if tuning else {}),
        }
        settings = redacted(json.loads(json.dumps(settings, ensure_ascii=False, default=str)))
        path = self.folder / STUDY_FILE
        if (self.folder / RECORD_FILE).exists():
            raise UserError(f"{self.folder} is the folder of a run, which is no study; give another --study_dir")
        if path.exists():
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise UserError(f"{path} can't be read; delete it and start again, done runs are kept") from None
            if stored != settings:
                raise UserError(
                    f"{self.folder} holds a study with another {_difference(stored, settings)}; "
                    "give another --study_dir, or delete that folder"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(settings, ensure_ascii=False, indent=2) + "\n").encode())

    def note_test_rows(self, data: EmotionData) -> None:
        """Write the test rows into the study's folder, in the order of all predictions, for the report to show."""
        test, fingerprint = data.splits["test"], data.fingerprint
        if self.shots:  # each run has training rows of its own, and all have these test rows
            fingerprint = load_data(self.model_and_data(self.tasks()[0])[1]).fingerprint
        content = {"fingerprint": fingerprint, **{name: test[name][:] for name in test.column_names}}
        write_whole(self.folder / TEST_FILE, (json.dumps(content, ensure_ascii=False) + "\n").encode())


def _is_other(recorded: str, encoder: str) -> bool:
    """Whether two encoders are known to be different ones; a folder that is gone may have been moved."""
    there, here = Path(recorded), Path(encoder)
    return there.is_dir() and here.is_dir() and not there.samefile(here)


def _difference(stored: dict[str, Any], wanted: dict[str, Any]) -> str:
    for part in {**wanted, **stored}:
        old, new = stored.get(part), wanted.get(part)
        if part == "tuning":  # of a study that is not tuned there is none
            old, new = old or {}, new or {}
        if part == "rows_seen_before" and old != new:
            return f"set of rows to score on, as an encoder was trained on some of their texts ({old}, now {new})"
        if old != new:
            if isinstance(new, dict) and isinstance(old, dict):
                key = next(k for k in {**new, **old} if new.get(k) != old.get(k))
                return f"{key} ({old.get(key)!r}, now {new.get(key)!r})"
            return f"{part.replace('_', ' ')} (the files changed)" if part == "data_fingerprint" else part
    return "setting"
