"""What is tuned in which cell: the same draws for all, and what can't be tuned in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from places import recipe

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.errors import UserError
from emo_hf.study.grid import TUNING_SEED, Cell, GridArguments, Study
from emo_hf.study.space import Range, at, parse_space
from emo_hf.study.tuning import check_tuning, decides, draws, left_alone, rungs

SHARED = ("learning_rate", "embedding_dropout", "per_device_train_batch_size")


@pytest.fixture
def make(speck, tmp_path) -> Callable[..., Study]:
    def build(named: set[str] = frozenset(), training: dict[str, Any] | None = None, **grid: Any) -> Study:
        usual = {"encoders": [speck[0]], "poolings": ["cls", "mean"], "aux": ["none", "triplet"], "tune": 6}
        return Study(
            GridArguments(**(usual | grid), study_dir=str(tmp_path / "study")),
            ModelArguments(embedding_size=8),
            DataArguments(data=speck[1], max_length=16),
            given(MetricTrainingArguments(**(training or {}))),
            frozenset(named),
        )

    return build


def cells(study: Study) -> list[Cell]:
    return list(dict.fromkeys(map(Cell.of, study.tasks())))


def test_cells_have_the_same_draws_of_what_they_share(make):
    study = make(aux=["none", "contrastive", "triplet", "supcon"])
    check_tuning(study)
    found = {cell: [dict(draw) for draw in draws(study, cell)] for cell in cells(study)}
    assert len(found) == 8 and {len(tried) for tried in found.values()} == {6}
    for name in SHARED:
        tried = {tuple(draw[name] for draw in one) for one in found.values()}
        assert len(tried) == 1, name
        assert len(set(tried.pop())) > 2  # they vary
    of_loss = {cell.aux: tried for cell, tried in found.items()}
    assert [set(of_loss[aux][0]) - set(SHARED) for aux in ("none", "contrastive", "triplet", "supcon")] == [
        set(),
        {"aux_weight", "margin", "mining"},
        {"aux_weight", "margin", "mining"},
        {"aux_weight", "aux_kwargs.temperature"},
    ]
    for cell, tried in found.items():
        assert tried == of_loss[cell.aux]  # whatever the pooling
    for name in ("aux_weight", "margin"):
        assert [draw[name] for draw in of_loss["triplet"]] == [draw[name] for draw in of_loss["contrastive"]]
    assert {draw["mining"] for draw in of_loss["contrastive"]} <= {"all", "hard", "sampled"}


def test_a_longer_tuning_begins_with_the_draws_of_a_shorter_one(make):
    short, long = make(tune=3), make(tune=9)
    for cell in cells(short):
        assert draws(long, cell)[:3] == draws(short, cell)


def test_other_encoders_are_drawn_at_the_same_place_of_their_range(make, speck):
    study = make(encoders=[speck[0], "tiny-bert"], aux=["none"], poolings=["mean"])
    small, bundled = ([dict(draw)["learning_rate"] for draw in draws(study, cell)][1:] for cell in cells(study))
    assert bundled == pytest.approx([1e-4 * 20 ** math.log10(rate / 1e-5) for rate in small], rel=0.02)


def test_the_first_draw_is_the_settings_as_they_are(make):
    study = make(aux=["none", "triplet", "supcon"], training={"margin": 0.7, "mining": "hard"})
    first = {cell.aux: dict(draws(study, cell)[0]) for cell in cells(study)}
    assert first["none"] == {
        "learning_rate": 3e-5, "embedding_dropout": 0.1, "per_device_train_batch_size": 16,
    }  # fmt: skip
    assert first["triplet"] == first["none"] | {"aux_weight": 0.1, "margin": 0.7, "mining": "hard"}
    assert first["supcon"] == first["none"] | {"aux_weight": 0.1, "aux_kwargs.temperature": 0.1}
    cell = next(cell for cell in cells(study) if cell.aux == "supcon")
    model, _, training = study.arguments(cell)
    tuned = study.arguments(type(cell)(*cell_parts(cell), tuned=tuple(first["supcon"].items())))
    assert tuned[0] == model
    assert (tuned[2].learning_rate, tuned[2].aux_kwargs) == (3e-5, {"temperature": 0.1})
    assert (tuned[2].seed, training.seed) == (TUNING_SEED, TUNING_SEED)


def cell_parts(cell: Cell) -> tuple[Any, ...]:
    return cell.encoder, cell.pooling, cell.aux, cell.seed, cell.settings


def test_what_somebody_chose_is_not_tuned_unless_it_is_named(make):
    named = {"learning_rate", "margin", "seeds"}
    training = {"learning_rate": 3e-4, "aux_kwargs": {"temperature": 0.2}}
    study = make(named, training, aux=["none", "triplet", "supcon"])
    assert left_alone(study) == ["learning_rate", "margin", "aux_kwargs.temperature"]
    tried = {cell.aux: [dict(draw) for draw in draws(study, cell)] for cell in cells(study)}
    assert set(tried["triplet"][0]) == {"embedding_dropout", "per_device_train_batch_size", "aux_weight", "mining"}
    assert set(tried["supcon"][0]) == {"embedding_dropout", "per_device_train_batch_size", "aux_weight"}
    study = make(named, training, aux=["none", "supcon"], tune_space=["learning_rate=1e-4..1e-3"])
    assert left_alone(study) == []
    rates = [dict(draw)["learning_rate"] for draw in draws(study, cells(study)[0])]
    assert rates[0] == 3e-4 and len(set(rates)) == 6 and all(1e-4 <= rate <= 1e-3 for rate in rates)


def test_the_loss_of_the_classifier_is_tuned_where_it_counts(make):
    """By the sweep of a study, and by the draw itself where the loss is drawn too."""
    space = ["learning_rate=1e-4..1e-3", "focal_gamma=0.5..5"]
    swept = make(aux=["none"], over=["classification_loss=cross_entropy,focal"], tune_space=space)
    check_tuning(swept)
    named = {dict(cell.settings)["classification_loss"]: draws(swept, cell) for cell in cells(swept)}
    rates = {loss: [dict(draw)["learning_rate"] for draw in tried] for loss, tried in named.items()}
    assert rates["focal"] == rates["cross_entropy"]
    gammas = {loss: {dict(draw).get("focal_gamma") for draw in tried} for loss, tried in named.items()}
    assert gammas["cross_entropy"] == {None} and len(gammas["focal"]) == 6 and 2.0 in gammas["focal"]
    drawn = make(aux=["none"], tune_space=[*space, "classification_loss=cross_entropy,focal"])
    check_tuning(drawn)
    for draw in map(dict, draws(drawn, cells(drawn)[0])):
        assert ("focal_gamma" in draw) == (draw["classification_loss"] == "focal")
    with pytest.raises(UserError, match="--tune_space focal_gamma, but it counts with --classification_loss focal"):
        check_tuning(make(aux=["none"], tune_space=space))


def test_a_budget_of_tokens_leaves_no_rows_to_tune(make):
    study = make(training={"tokens_per_batch": 640})
    assert "per_device_train_batch_size" not in dict(draws(study, cells(study)[0])[0])


@pytest.mark.parametrize(
    ("epochs", "count", "ladder"),
    [
        (4.0, 8, [(1, 8), (2, 5), (4, 3)]),
        (5.0, 8, [(1, 8), (2, 5), (4, 3), (5, 2)]),
        (2.5, 5, [(1, 5), (2, 3), (2.5, 2)]),
        (1.0, 8, [(1, 8)]),
        (0.5, 3, [(0.5, 3)]),
        (16.0, 3, [(1, 3), (2, 2), (4, 2), (8, 2), (16, 2)]),
    ],
)
def test_rungs(epochs, count, ladder):
    assert rungs(epochs, count) == ladder


def test_values_of_a_range_are_within_it_and_have_three_digits():
    for word in ("learning_rate=1e-4..2e-3", "weight_decay=0..0.1", "aux_memory=10..1000", "margin=0.5,1,2"):
        [dimension] = parse_space([word]).values()
        found = [at(dimension, place) for place in (0.0, 0.1, 0.5, 0.9, 1 - 1e-12)]
        assert found == sorted(found)
        if isinstance(dimension, Range):
            assert found[0] == dimension.low and found[-1] == dimension.high
            assert all(value == float(f"{value:.3g}") for value in found)
        else:
            assert (found[0], found[-1]) == (0.5, 2.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tune", "0"], "--tune is 0; allowed: 2 to 10,000"),
        (["--tune", "-3"], "--tune is -3; allowed: 2 to 10,000"),
        (["--tune", "1"], "--tune is 1; allowed: 2 to 10,000"),
        (["--tune_space", "margin=1..2"], "--tune_space is margin=1..2, but nothing is tuned; add --tune 8"),
        (
            ["--tune", "4", "--seeds", "1", str(TUNING_SEED)],
            f"--seeds has {TUNING_SEED}, which is the seed that --tune",
        ),
        (["--tune", "4", "--tune_space", "learning_rate=1e-3"], "--tune has nothing to vary of mean + none"),
        (["--tune", "4", "--tune_space", "margin=0.5..1"], "--tune has nothing to vary of mean + none"),
        (
            ["--tune", "4", "--tune_space", "aux_memory=0,9", "--aux", "none"],
            "--tune_space aux_memory: it needs an aux",
        ),
        (["--tune", "4", "--tune_space", "aux_kwargs.temperature=0.1..1"], "no loss takes it, of none, triplet"),
        (
            ["--tune", "4", "--tune_space", "pooling=cls,mean"],
            "--tune_space pooling: the grid varies it; use --poolings",
        ),
        (["--tune", "4", "--tune_space", "seed=1,2"], "--tune_space seed: a search does not vary it"),
        (["--tune", "4", "--tune_space", "mining=1..2"], "mining takes words, not a range"),
        (["--tune", "4", "--tune_space", "learning_rate=-1..1"], "--learning_rate is -1.0; allowed: 0 to"),
        (
            ["--tune", "4", "--tune_space", "embedding_dropout=0..0.2", "mining=all,no"],
            "mining of the triplet loss is",
        ),
        (
            ["--tune", "4", "--over", "margin=0.5,1"],
            "--over margin: it is in the space of --tune too; give a --tune_space",
        ),
        (
            ["--tune", "4", "--over", "learning_rate=1e-3,1e-4", "--tune_space", "learning_rate=1e-4..1e-3"],
            "--over learning_rate: it is in the space of --tune too; leave it out of one of them",
        ),
        (
            ["--tune", "4", "--max_steps", "9"],
            "--max_steps is 9, but --tune compares the validation macro_f1 of epochs",
        ),
        (["--tune", "4", "--metric_for_best_model", "loss"], "--metric_for_best_model is loss, but --tune"),
        (["--tune", "4", "--load_best_model_at_end", "false"], "--load_best_model_at_end is False, but --tune"),
        (["--tune", "few"], "argument --tune: invalid int value: 'few'"),
    ],
)
def test_mistakes_are_said_in_one_line(words, said, speck, tmp_path, capsys):
    common = ["--encoders", speck[0], "--data", speck[1], "--poolings", "mean", "--aux", "none", "triplet"]
    folder = tmp_path / "study"
    assert recipe("compare").main([*common, "--max_length", "16", "--study_dir", str(folder), *words]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and said in line
    assert not folder.exists()


def test_another_tuning_is_another_study(make):
    make().claim_folder("abc", decides(make()))
    make(seeds=[1, 2, 3, 4]).claim_folder("abc", decides(make(seeds=[1, 2, 3, 4])))
    for other, said in (
        (make(tune=9), r"another tune \(6, now 9\)"),
        (make(tune=None), r"another tune \(6, now None\)"),
        (make(tune_space=["learning_rate=1e-4..1e-3"]), "another tune_space"),
        (make({"margin"}), r"another not_tuned \(\[\], now \['margin'\]\)"),
    ):
        with pytest.raises(UserError, match=said):
            other.claim_folder("abc", decides(other) if other.grid.tune else None)
