"""What the space of a search says: ranges, choices, defaults, and mistakes in it."""

from __future__ import annotations

import pytest

from emo_hf.errors import UserError
from emo_hf.study.space import Range, default_space, default_tuning, parse_space


def test_a_range_is_logarithmic_from_a_decade_on_and_values_have_the_types_of_their_arguments() -> None:
    space = parse_space(
        [
            "learning_rate=1e-4..1e-3", "weight_decay=0..0.1", "aux_weight=0.03..0.2", "embedding_size=64..256",
            "aux_memory=10..1000", "num_train_epochs=2..6", "pooling=cls,mean", "margin=0.5,1",
            "lr_scheduler_type=linear,cosine",
        ]
    )  # fmt: skip
    assert space == {
        "learning_rate": Range(1e-4, 1e-3, log=True, whole=False),
        "weight_decay": Range(0.0, 0.1, log=False, whole=False),
        "aux_weight": Range(0.03, 0.2, log=False, whole=False),
        "embedding_size": Range(64, 256, log=False, whole=True),
        "aux_memory": Range(10, 1000, log=True, whole=True),
        "num_train_epochs": Range(2, 6, log=False, whole=True),
        "pooling": ("cls", "mean"),
        "margin": (0.5, 1.0),
        "lr_scheduler_type": ("linear", "cosine"),
    }
    assert type(space["lr_scheduler_type"][0]) is str


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("aux_kwargs.temperature=0.05..0.5", Range(0.05, 0.5, log=True, whole=False)),
        ("aux_kwargs.alpha=16..64", Range(16, 64, log=False, whole=False)),
        ("aux_kwargs.soft=true,false", (True, False)),
        ("aux_kwargs.reduction=active,valid", ("active", "valid")),
        ("aux_kwargs.temperature=0.05,{},null", (0.05, "{}", "null")),
    ],
)
def test_an_option_of_a_loss_has_numbers_or_words(word, found) -> None:
    assert list(parse_space([word]).values()) == [found]


def test_the_space_of_a_tuning_has_what_the_loss_has_and_no_epochs() -> None:
    def names(aux: str, options: dict | None = None) -> set[str]:
        return set(parse_space(default_tuning("tiny-bert", aux, options=options)))

    shared = {"learning_rate", "embedding_dropout", "per_device_train_batch_size"}
    assert names("none") == shared
    assert names("triplet") == names("contrastive") == {*shared, "aux_weight", "margin", "mining"}
    assert names("supcon") == {*shared, "aux_weight", "aux_kwargs.temperature"}
    assert names("pml:CircleLoss") == {*shared, "aux_weight"}
    assert parse_space(default_tuning("tiny-bert", "triplet"))["mining"] == ("all", "semi-hard", "hard", "sampled")
    assert parse_space(default_tuning("tiny-bert", "contrastive"))["mining"] == ("all", "hard", "sampled")


@pytest.mark.parametrize("encoder", ["tiny-bert", "klue/bert-base"])
def test_the_space_has_a_default(encoder) -> None:
    names = {aux: set(parse_space(default_space(encoder, aux))) for aux in ("none", "supcon", "triplet")}
    assert names["none"] == {"learning_rate", "embedding_dropout"}
    assert names["supcon"] == {*names["none"], "aux_weight"}
    assert names["triplet"] == {*names["supcon"], "margin"}


@pytest.mark.parametrize(("distance", "high"), [("normalized_euclidean", 1.6), ("cosine", 1.6), ("euclidean", 30)])
def test_margins_are_searched_where_the_distance_makes_sense_of_them(distance, high) -> None:
    for space in (default_space("tiny-bert", "triplet", distance), default_tuning("tiny-bert", "triplet", distance)):
        assert parse_space(space)["margin"].high == high


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("margin", "--space margin: give a name and values"),
        ("margni=1..2", "--space margni: no such argument; did you mean margin?"),
        ("seed=1,2", "--space seed: a search does not vary it; it can vary adam_beta1, "),
        ("train_fraction=0.1..1", "--space train_fraction: a search does not vary it"),
        ("margin=2..1", "--space margin=2..1: the first end of a range must be below the second"),
        ("margin=1..1", "the first end of a range must be below the second"),
        ("margin=0..inf", "--margin is inf; allowed: 0 to 1,000,000"),
        ("margin=low..high", "--space margin: argument --margin: invalid float value: 'low..high'"),
        ("embedding_size=8.5..16", "invalid int value: '8.5'"),
        ("num_train_epochs=1..2.5", "epochs are searched in whole numbers"),
        ("pooling=1..2", "--space pooling=1..2: pooling takes words, not a range; give --space pooling=A,B"),
        ("aux_weight=-1..1", "--aux_weight is -1.0; allowed: 0 to 1,000,000"),
    ],
)
def test_mistakes_of_a_space_are_named(word, said) -> None:
    with pytest.raises(UserError) as error:
        parse_space([word])
    assert said in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match="given twice"):
        parse_space(["pooling=cls,max", "pooling=mean,max"])
