"""A search for hyper-parameters on validation data alone: Trainer's own search, its Optuna study in one folder."""

from __future__ import annotations

import functools
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
from transformers import EarlyStoppingCallback

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments
from emo_hf.data.collation import PaddingCollator
from emo_hf.data.loading import EmotionData
from emo_hf.data.tokenization import tokenize_splits
from emo_hf.errors import UserError, first_line
from emo_hf.losses.capabilities import AUX_FLAGS, counted
from emo_hf.models.pretrained import default_learning_rate, load_tokenizer
from emo_hf.search.arguments import SearchArguments
from emo_hf.search.tables import best_yaml, trials_markdown
from emo_hf.storage.files import said_plainly, write_whole
from emo_hf.storage.lock import held
from emo_hf.storage.record import SCHEMA, environment, now
from emo_hf.study.space import Dimension, Range, default_space, ends, parse_space, suggest
from emo_hf.study.variations import OPTION, Settings, applied, check_losses, joined, split, takes
from emo_hf.training.classifier_loss import CLASSIFIER_DEFAULTS
from emo_hf.training.loaded import load_data
from emo_hf.training.lost_words import check_texts_known
from emo_hf.training.objective import AUX_DEFAULTS
from emo_hf.training.run import check_arguments, model_at_start, trainer_inputs
from emo_hf.training.trainer import MetricTrainer

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

STORAGE_FILE = "optuna.db"
SEARCH_FILE = "search.json"
TABLE_FILE = "trials.md"
BEST_FILE = "best.yaml"
# The arguments of losses as a trial has them that says nothing of them.
_OF_LOSSES: dict[str, Any] = AUX_DEFAULTS | CLASSIFIER_DEFAULTS | {"aux_kwargs": {}}
_STUDY: dict[str, Any] = {"study_name": "search", "direction": "maximize", "load_if_exists": True}


@dataclass(frozen=True)
class Search:
    """Trials around settings that they share: `training` holds the arguments of `MetricTrainingArguments`."""

    arguments: SearchArguments
    model: ModelArguments
    data: DataArguments
    training: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the study and what is written of it stand."""
        return Path(self.arguments.search_dir)

    @property
    def words(self) -> list[str]:
        """The space as it is typed."""
        return self.arguments.space or default_space(
            self.model.encoder,
            self.training["aux"],
            self.training["distance"],
            self.model.encoder_revision,
            adapted=bool(self.model.lora),
        )

    @functools.cached_property
    def space(self) -> dict[str, Dimension]:
        """The space by name; raises `UserError` for words that make none."""
        return parse_space(self.words)

    @property
    def losses(self) -> list[str]:
        """The auxiliary losses that trials may have."""
        space = self.space.get("aux", (self.training["aux"],))
        return [] if isinstance(space, Range) else list(space)

    def check(self) -> None:
        """Raise the `UserError` that would else come after the data were read."""
        _optuna()
        space, training = self.space, MetricTrainingArguments(**self.training)
        if training.world_size > 1:
            raise UserError("a search runs in one process; start it with python, not with accelerate launch")
        if training.metric_for_best_model != "macro_f1" or training.eval_strategy != "epoch":
            raise UserError(
                "a search maximises the validation macro_f1 of an epoch; leave --metric_for_best_model and "
                "--eval_strategy out"
            )
        check_losses(self.losses, self.training, space, "--space")
        check_arguments(*self._with(()))
        for name, dimension in space.items():
            losses = self.losses if name in AUX_FLAGS or name.startswith(OPTION) else self.losses[:1]
            for aux, value in itertools.product(losses, ends(dimension)):
                settings = {"aux": aux, name: value}
                if takes(name, aux, self.training.get("aux_kwargs")):
                    check_arguments(*self._with(tuple(settings.items())))

    def run(self, begin: Callable[[int], object] = lambda done: None) -> Iterator[dict[str, Any]]:
        """Run the trials that are due and give each as it ends, as `search.json` has it, which is written anew.

        `begin` is called with the number of trials that are done once nothing stands in the way of the others.

        A trial is the run that its arguments make, up to its validation scores. It depends on the seed and on the
        trials before it alone, so that a search that was stopped ends as one that was not.

        Raises:
            UserError: a folder that holds another search, or in which one is at work; no trial that went well.
        """
        optuna = _optuna()
        with said_plainly(self.folder), held(self.folder, "wait for it, or give another --search_dir"):
            data = load_data(self.data)
            encoders = self.space.get("encoder", (self.model.encoder,))
            for encoder in () if isinstance(encoders, Range) else encoders:
                check_texts_known(data.splits["train"]["text"], replace(self.model, encoder=encoder))
            study = self._study()
            self._claim(study, data.fingerprint)
            for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # of a process that was killed
            begin(len(self._rows(study)))
            trainer = self._trainer(data)
            while len(rows := self._rows(study)) < self.arguments.trials:
                self._try(trainer, study, len(rows) + 1)
                rows = self._rows(study)
                self._write(study, rows)
                yield rows[-1]
        if best_of(rows) is None:
            raise UserError(f"no trial went well; the last one: {rows[-1]['error']}")

    def rows(self) -> list[dict[str, Any]]:
        """The trials that are done, in their order, as `search.json` has them."""
        return self._rows(self._study()) if self.folder.is_dir() else []

    def _rows(self, study: optuna.Study) -> list[dict[str, Any]]:
        failed = study.user_attrs.get("failed", {})
        found: list[dict[str, Any]] = []
        for trial in study.get_trials(deepcopy=False):
            state = trial.state.name.lower()
            error = failed.get(str(trial.number))
            if state not in ("complete", "pruned") and error is None:
                continue  # stopped from outside
            values = [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)]
            score = trial.value if state == "complete" else None
            found.append(
                {
                    "trial": len(found) + 1,
                    "state": {"fail": "failed"}.get(state, state),
                    "settings": {name: trial.params[name] for name in self.space if name in trial.params},
                    "validation_macro_f1": score,
                    "epoch": values.index(score) + 1 if score in values else None,
                    "epochs": len(values),
                    "seconds": round(trial.duration.total_seconds(), 2) if trial.duration else 0.0,
                    "error": error,
                }
            )
        return found

    def _rate(self, **model: Any) -> float:
        given = self.training["learning_rate"]
        return default_learning_rate(replace(self.model, **model)) if given is None else given

    def _with(self, settings: Settings) -> tuple[ModelArguments, DataArguments, MetricTrainingArguments]:
        model, data, training = applied(settings, self.model, self.data, self.training)
        return model, data, MetricTrainingArguments(**training)

    def _suggested(self, trial: optuna.Trial) -> Settings:
        return suggest(self.space, trial, self.training)

    def _study(self) -> optuna.Study:
        """The study in the folder, a new one if there is none."""
        optuna, path = _optuna(), self.folder / STORAGE_FILE
        try:
            return optuna.create_study(storage=f"sqlite:///{path}", **_STUDY)
        except Exception as error:  # of the database, of every kind
            raise UserError(
                f"{path} can't be used ({first_line(error)}); delete it, or give another --search_dir"
            ) from error

    def _claim(self, study: optuna.Study, fingerprint: str) -> None:
        """Note the settings in the study, or refuse a folder that holds a search of other settings."""
        settings = {**asdict(self.model), **asdict(self.data), **self.training}
        settings |= {"space": self.words, "data_fingerprint": fingerprint}
        settings = json.loads(
            json.dumps({k: v for k, v in settings.items() if k != "output_dir" and (k != "lora" or v)}, default=str)
        )
        stored = study.user_attrs.get("settings")
        if stored is None:
            study.set_user_attr("settings", settings)
        elif stored != settings:
            name = next(k for k in {**settings, **stored} if settings.get(k) != stored.get(k))
            raise UserError(
                f"{self.folder} holds a search with another {name} ({stored.get(name)!r}, now {settings.get(name)!r})"
                "; give another --search_dir, or delete that folder"
            )

    def _trainer(self, data: EmotionData) -> MetricTrainer:
        """One trainer for all trials, of the training and validation rows: it never holds a test row."""
        seen = replace(data, splits=datasets.DatasetDict({k: data.splits[k] for k in ("train", "validation")}))
        trainer: MetricTrainer | None = None

        def inputs(model: ModelArguments, given: DataArguments) -> dict[str, Any]:
            tokenizer = load_tokenizer(model)
            tokens = tokenize_splits(seen, tokenizer, max_length=given.max_length, cache_dir=given.data_cache_dir)
            return trainer_inputs(tokens, tokenizer)

        def model_init(trial: optuna.Trial | None) -> Any:
            """The model of a trial; Trainer asks for it first, so that the trial's rows come with it."""
            settings = self._suggested(trial) if trial is not None else ()
            model, given, _ = self._with(settings)
            if trainer is not None:
                of_trial = inputs(model, given)
                for name, value in of_trial.items():
                    setattr(trainer, name, value)
                trainer.data_collator = PaddingCollator(of_trial["processing_class"])
            return model_at_start(model, data)

        training = {
            **self.training,
            "learning_rate": self._rate(),
            "output_dir": str(self.folder),
            "save_strategy": "no",  # the objective is the best epoch's score; its weights are of no use
            "load_best_model_at_end": False,
            "disable_tqdm": True,
        }
        patience = self.training["early_stopping_patience"]
        trainer = MetricTrainer(
            None,
            MetricTrainingArguments(**counted(training["aux"], training)),
            model_init=model_init,
            callbacks=[EarlyStoppingCallback(patience)] if patience else [],  # it counts anew in every trial
            **inputs(self.model, self.data),
        )
        return trainer

    def _try(self, trainer: MetricTrainer, study: optuna.Study, number: int) -> None:
        """One trial; an error is noted, so that the others go on."""
        tuning = _optuna()

        def space(trial: optuna.Trial) -> dict[str, Any]:
            model, _, training = split(self._suggested(trial))
            rate = self._rate(**model)
            together = joined(self.training, training)
            taken = {name: value for name, value in counted(together["aux"], together).items() if value is not None}
            # The trainer keeps what it is told: what the loss of the trial before took has to go.
            of_loss = {name: taken.get(name, usual) for name, usual in _OF_LOSSES.items()}
            return {"learning_rate": rate, "run_name": f"trial-{number}", **training, **of_loss}

        def objective(metrics: dict[str, float]) -> float:
            """The score of the checkpoint that train.py would choose, had it ended here."""
            if not self.training["load_best_model_at_end"]:
                return metrics["eval_macro_f1"]
            return max(entry["eval_macro_f1"] for entry in trainer.state.log_history if "eval_macro_f1" in entry)

        before = len(study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence([self.training["seed"], number]).generate_state(1)[0])
        try:
            trainer.hyperparameter_search(
                hp_space=space,
                compute_objective=objective,
                n_trials=1,
                backend="optuna",
                hp_name=lambda _: f"trial-{number}",
                sampler=tuning.samplers.TPESampler(seed=seed),
                pruner=tuning.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
                storage=f"sqlite:///{self.folder / STORAGE_FILE}",
                **_STUDY,
            )
        except Exception as error:
            trials = study.get_trials(deepcopy=False)
            if len(trials) == before:
                raise  # not of a trial
            if not isinstance(error, UserError):
                logger.warning("trial %d failed", number, exc_info=True)
            said = f"{type(error).__name__}: {error}".removeprefix("UserError: ").splitlines()[0]
            study.set_user_attr("failed", {**study.user_attrs.get("failed", {}), str(trials[-1].number): said})

    def _write(self, study: optuna.Study, rows: list[dict[str, Any]]) -> None:
        best = best_of(rows)
        content = {
            "schema": SCHEMA,
            "kind": "search",
            "written": now(),
            **environment(),
            "settings": study.user_attrs["settings"],
            "best": best,
            "trials": rows,
        }
        text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
        write_whole(self.folder / SEARCH_FILE, (text + "\n").encode())
        write_whole(self.folder / TABLE_FILE, trials_markdown(rows).encode())
        if best is not None:
            text = best_yaml(self.model, self.data, self.training, best, len(rows))
            write_whole(self.folder / BEST_FILE, text.encode())


def best_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The trial of the best validation score, the first of several; None if none is complete."""
    complete = [row for row in rows if row["state"] == "complete"]
    return max(complete, key=lambda row: row["validation_macro_f1"], default=None)


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise UserError("a search needs optuna; pip install 'emo-hf[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would say of every study that it is there
    return optuna
