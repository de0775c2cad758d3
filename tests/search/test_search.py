"""A search: that a trial is the run that its arguments make, that test rows are never seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.errors import UserError
from emo_hf.losses import TripletLoss
from emo_hf.search.search import Search, SearchArguments, best_of
from emo_hf.search.tables import best_yaml
from emo_hf.storage.record import merge_history
from emo_hf.study.space import SEARCHABLE, parse_space
from emo_hf.study.variations import split
from emo_hf.training.objective import AuxiliaryObjective
from emo_hf.training.run import run
from emo_hf.training.trainer import MetricTrainer


@pytest.fixture
def make(encoders, csv_file, tmp_path) -> Callable[..., Search]:
    """A search over a tiny encoder and 144 sentences, one epoch a trial."""

    def build(
        *space: str,
        trials: int = 2,
        name: str = "search",
        data: str = csv_file,
        fraction: float = 1.0,
        **training: Any,
    ) -> Search:
        usual = {"num_train_epochs": 1, "bf16": False, "disable_tqdm": True, "learning_rate": 5e-3, "aux": "triplet"}
        return Search(
            SearchArguments(space=list(space), trials=trials, search_dir=str(tmp_path / name)),
            ModelArguments(encoder=encoders["bert"], pooling="mean", embedding_size=16),
            DataArguments(data=data, max_length=32, train_fraction=fraction),
            given(MetricTrainingArguments(**{**usual, **training})),
        )

    return build


@pytest.fixture
def histories(monkeypatch) -> Callable[[], list[list[dict[str, float]]]]:
    """The histories of all trainings so far, as records have them."""
    states = []
    log = MetricTrainer.log

    def noting(self: MetricTrainer, *args: Any) -> None:
        log(self, *args)
        if self.state not in states:
            states.append(self.state)

    monkeypatch.setattr(MetricTrainer, "log", noting)
    return lambda: [merge_history(state.log_history) for state in states]


@pytest.fixture
def made(monkeypatch) -> list[tuple[nn.Module, list[torch.Tensor]]]:
    """Every auxiliary loss that was made, with its parameters as they were then."""
    found = []
    begin = AuxiliaryObjective.__init__

    def noting(self: AuxiliaryObjective, *args: Any) -> None:
        begin(self, *args)
        found.append((self.loss, [parameter.detach().clone() for parameter in self.parameters]))

    monkeypatch.setattr(AuxiliaryObjective, "__init__", noting)
    return found


def without_seconds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture
def instant(monkeypatch) -> None:
    """Trials that train nothing: their score is the nearer to 1 the nearer the margin is to 1."""

    def train(self: MetricTrainer, trial: Any = None, **_: Any) -> None:
        margin = self.hp_space(trial).get("margin", 0.0)
        self.state.epoch = 1.0
        self.state.log_history = [{"eval_macro_f1": 1 / (1 + abs(margin - 1))}]
        self._report_to_hp_search(trial, 9, {"eval_macro_f1": 0.0})

    monkeypatch.setattr(MetricTrainer, "train", train)
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # after every trial: of no use here, and slow


# Together they hold every argument that a search can vary, each with a value that is no default.
CASES = [
    "pooling=max embedding_size=24 embedding_dropout=0.3 aux=contrastive aux_weight=0.7 margin=0.3 distance=cosine "
    "learning_rate=0.003 weight_decay=0.2 label_smoothing_factor=0.3 warmup_steps=3 lr_scheduler_type=cosine "
    "classification_loss=focal focal_gamma=0.7 max_grad_norm=0.1 num_train_epochs=2 aux_memory=20 "
    "ngrams=3 ngrams_learning_rate=0.02 lora=r=2 prefix=오늘_",
    "max_length=6 mining=hard aux_warmup=0.6 aux_weight=0.9 per_device_train_batch_size=8 adam_beta1=0.5 "
    "adam_beta2=0.8 adam_epsilon=0.01 optim=adamw_torch label_smoothing_factor=0 "
    "class_weights=effective effective_beta=0.9",
    "aux=supcon aux_kwargs.temperature=0.3 aux_weight=0.8 classification_loss=logit_adjusted logit_adjustment=0.6",
    "encoder=roberta gradient_accumulation_steps=3 aux_pool=accumulated aux=pml:ProxyAnchorLoss aux_weight=0.5",
]


def test_every_argument_of_a_space_stands_in_a_case() -> None:
    named = {word.partition("=")[0] for case in CASES for word in case.split()}
    of_sets = {"asymmetric_gamma", "asymmetric_clip"}  # for rows with several labels alone
    assert named | of_sets == {*SEARCHABLE, "aux_kwargs.temperature"}


@pytest.mark.parametrize("case", CASES)
def test_a_trial_is_the_run_that_its_arguments_make(make, encoders, histories, made, tmp_path, case) -> None:
    """Every loss and score of every epoch, to the last digit; and the second trial finds nothing of the first."""
    words = [word.replace("=roberta", f"={encoders['roberta']}").replace("=오늘_", "=오늘 ") for word in case.split()]
    search = make(*words, trials=2)
    search.check()
    rows = list(search.run())
    model, data, training = split(tuple((name, values[0]) for name, values in parse_space(words).items()))
    record = run(
        ModelArguments(**{**vars(search.model), **model}),
        DataArguments(**{**vars(search.data), **data}),
        MetricTrainingArguments(**{**search.training, **training, "output_dir": str(tmp_path / "run")}),
    )
    *trials, straight = histories()
    assert trials == [straight, straight] and straight == record["history"]
    assert [row["validation_macro_f1"] for row in rows] == pytest.approx(
        [record["best"]["validation_macro_f1"]] * 2, abs=1e-6
    )
    assert [row["epoch"] for row in rows] == [record["best"]["epoch"]] * 2
    assert {k: v for k, v in record["arguments"]["training"].items() if k in training} == training
    # Equal they would be too if neither trained its proxies.
    moved = [
        any((now - start).abs().max() > 1e-4 for now, start in zip(loss.parameters(), starts, strict=True))
        for loss, starts in made
    ]
    assert sum(moved) == (3 if "pml:" in case else 0)


def test_a_trial_of_rows_with_several_labels_is_the_run_that_its_arguments_make(
    make, histories, three_sets, tmp_path
) -> None:
    """With the classifier at the priors of the labels, and thresholds chosen for its scores."""
    space = "aux=supcon aux_weight=0.4 classification_loss=asymmetric asymmetric_gamma=2.5 asymmetric_clip=0.1"
    search = make(*space.split(), trials=1, data=three_sets)
    search.check()
    [row] = search.run()
    given = {"aux": "supcon", "aux_weight": 0.4, "classification_loss": "asymmetric"}
    given |= {"asymmetric_gamma": 2.5, "asymmetric_clip": 0.1}
    record = run(
        search.model,
        search.data,
        MetricTrainingArguments(**{**search.training, **given, "output_dir": str(tmp_path / "run")}),
    )
    trial, straight = histories()
    assert trial == straight == record["history"] and record["data"]["report"]["task"] == "multi"
    assert row["error"] is None
    assert row["validation_macro_f1"] == pytest.approx(record["best"]["validation_macro_f1"], abs=1e-6)


def test_a_loss_of_a_trial_takes_nothing_of_the_trial_before(make, made) -> None:
    """Nor of what all trials share, but the loss of this one does not take; and the best is a config file as it is."""
    search = make("aux=none,supcon,triplet", "margin=0.5,2", trials=6, aux="none", mining="hard", fraction=0.1)
    search.check()
    rows = list(search.run())
    assert [row["error"] for row in rows] == [None] * 6
    found = {row["settings"]["aux"]: set(row["settings"]) for row in rows}
    assert found == {"none": {"aux"}, "supcon": {"aux"}, "triplet": {"aux", "margin"}}
    order = [row["settings"]["aux"] for row in rows]
    assert {"none", "supcon"} <= set(order[order.index("triplet") :])
    assert {loss.mining for loss, _ in made if isinstance(loss, TripletLoss)} == {"hard"}
    for row in rows:
        content = yaml.safe_load(best_yaml(search.model, search.data, search.training, row, 6))
        assert ("mining" in content) == (row["settings"]["aux"] == "triplet")


def test_what_a_loss_alone_has_is_not_varied_without_one(make, instant) -> None:
    search = make("aux=none,triplet", "margin=0.2..2", trials=6, aux="none")
    search.check()
    rows = list(search.run())
    found = {row["settings"]["aux"]: set(row["settings"]) for row in rows}
    assert found == {"none": {"aux"}, "triplet": {"aux", "margin"}}


def test_test_rows_have_no_influence(make, csv_file, tmp_path) -> None:
    """Other sentences with wrong labels in the test set: the same trials, scores and epochs."""
    table = pd.read_csv(csv_file)
    test = table["split"] == "test"
    table.loc[test, "sentence"] = "그러게 " + table.loc[test, "sentence"]
    table.loc[test, "label"] = table.loc[test, "label"].map({"불안": "슬픔", "슬픔": "기쁨", "기쁨": "불안"})
    other = tmp_path / "other.csv"
    table.to_csv(other, index=False)
    space = ("learning_rate=3e-3..3e-2", "per_device_train_batch_size=4,8")
    first = without_seconds(make(*space, trials=3).run())
    second = without_seconds(make(*space, trials=3, name="other", data=str(other)).run())
    assert first == second
    assert len({row["validation_macro_f1"] for row in first}) > 1


@pytest.mark.parametrize(("best", "expected"), [(True, (0.9, 2)), (False, (0.5, 3))])
def test_the_objective_is_the_score_of_the_checkpoint_that_training_would_choose(
    make, monkeypatch, best, expected
) -> None:
    scores = iter([0.3, 0.9, 0.5] * 2)
    monkeypatch.setattr("emo_hf.training.trainer.trainer_metrics", lambda _: lambda _: {"macro_f1": next(scores)})
    search = make("margin=0.5,2", trials=2, fraction=0.4, num_train_epochs=3, load_best_model_at_end=best)
    assert [(row["validation_macro_f1"], row["epoch"]) for row in search.run()] == [expected] * 2


def test_early_stopping_counts_anew_in_every_trial(make) -> None:
    search = make(
        "embedding_dropout=0,0.1", trials=3, learning_rate=0.0, num_train_epochs=5, early_stopping_patience=1
    )
    assert [row["epochs"] for row in search.run()] == [2, 2, 2]


@pytest.mark.slow
def test_hopeless_trials_end_early(make) -> None:
    rows = list(make("learning_rate=1e-9,3e-2", trials=9, fraction=0.4, num_train_epochs=3).run())
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned and {row["epochs"] for row in pruned} == {2}
    assert {row["settings"]["learning_rate"] for row in pruned} == {1e-9}
    assert best_of(rows)["settings"]["learning_rate"] == 3e-2


def test_a_stopped_search_ends_as_a_straight_one(make, instant, monkeypatch) -> None:
    """Past the first ten trials, which are random, up to those that learn from the ones before."""
    straight = without_seconds(make("margin=0.1..10", trials=13).run())
    assert len({row["settings"]["margin"] for row in straight}) == 13
    assert [row["trial"] for row in straight] == list(range(1, 14))
    stopped = make("margin=0.1..10", trials=13, name="stopped")
    train, left = MetricTrainer.train, iter([True] * 7)

    def interrupted(self: MetricTrainer, **kwargs: Any) -> None:
        train(self, **kwargs)
        if not next(left, False):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MetricTrainer, "train", interrupted)
        list(stopped.run())
    assert len(stopped.rows()) == 7
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{stopped.folder / 'optuna.db'}")
    study.ask().suggest_float("margin", 0.1, 10, log=True)  # a process that was killed in its trial
    list(stopped.run())
    assert without_seconds(stopped.rows()) == straight
    other = make("margin=0.1..10", trials=3, name="seed", seed=7)
    assert without_seconds(other.run()) != straight[:3]


def test_a_folder_keeps_one_search(make, instant) -> None:
    assert len(list(make("margin=0.1..10", trials=2).run())) == 2
    assert [row["trial"] for row in make("margin=0.1..10", trials=4).run()] == [3, 4]
    for other, said in [
        (make("margin=0.1..5"), r"another space \(\['margin=0.1..10'\], now \['margin=0.1..5'\]\)"),
        (make("margin=0.1..10", weight_decay=0.5), "another weight_decay"),
    ]:
        with pytest.raises(UserError, match=said):
            list(other.run())
    (make().folder / "optuna.db").write_bytes(b"no database at all")
    with pytest.raises(UserError, match=r"optuna.db can't be used"):
        list(make("margin=0.1..10").run())


def test_a_second_search_in_one_folder_is_refused(make, instant) -> None:
    at_work = make("margin=0.1..10").run()
    next(at_work)
    with pytest.raises(UserError, match="is in use by process"):
        next(make("margin=0.1..10").run())


def test_a_failing_trial_does_not_stop_the_others(make) -> None:
    search = make("learning_rate=1e-3,1e30", trials=4, max_grad_norm=0.0)
    rows = list(search.run())
    states = {row["settings"]["learning_rate"]: row["state"] for row in rows}
    assert states == {1e-3: "complete", 1e30: "failed"}
    assert all(("lower --learning_rate" in (row["error"] or "")) == (row["state"] == "failed") for row in rows)
    good = [row for row in rows if row["state"] == "complete"]
    assert len({row["validation_macro_f1"] for row in good}) == 1  # a failed one leaves nothing behind
    assert without_seconds(search.rows()) == without_seconds(rows)
    with pytest.raises(UserError, match=r"no trial went well; the last one: .*lower --learning_rate"):
        list(make("learning_rate=1e30", trials=1, name="hopeless", max_grad_norm=0.0).run())
