"""What a grid of several losses does with an argument that not all of them take."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments, given
from emo_hf.errors import UserError
from emo_hf.study.grid import GridArguments, Study
from emo_hf.study.variations import combinations, parse_over


@pytest.fixture
def study(tmp_path, speck):
    def make(aux: list[str], over: list[str] = (), **training: Any) -> Study:
        grid = {"encoders": [speck[0]], "poolings": ["cls"], "seeds": [1], "study_dir": str(tmp_path)}
        return Study(
            GridArguments(aux=aux, over=list(over), **grid),
            ModelArguments(),
            DataArguments(data=speck[1], max_length=32),
            given(MetricTrainingArguments(**training)),
        )

    return make


@pytest.mark.parametrize("aux", ["supcon", "pml:NTXentLoss", "none"])
def test_values_that_change_nothing_are_one_run(aux: str) -> None:
    over = parse_over(["margin=0.5,1", "mining=all,hard", "learning_rate=1e-3,1e-2"])
    assert combinations(over, aux) == [(aux, (("learning_rate", 1e-3),)), (aux, (("learning_rate", 1e-2),))]


def test_an_argument_counts_for_the_losses_that_take_it(study) -> None:
    of = study(["none", "supcon", "triplet"], ["margin=0.5,1"], mining="hard", aux_kwargs={"temperature": 0.2})
    of.check()
    found = {task.run_id.split("_cls_")[1]: of.arguments(task)[2] for task in of.tasks()}
    assert list(found) == ["none_seed1", "supcon_seed1", "triplet_margin=0.5_seed1", "triplet_margin=1.0_seed1"]
    assert [run.mining for run in found.values()] == ["all", "all", "hard", "hard"]
    assert [run.aux_kwargs for run in found.values()] == [None, {"temperature": 0.2}, None, None]


@pytest.mark.parametrize(
    ("aux", "over", "training", "said"),
    [
        (["supcon"], ["margin=0.5,1"], {}, "--over margin: no loss takes it, of supcon; leave it out"),
        (["none"], ["aux_weight=0,1"], {}, "--over aux_weight: it needs an auxiliary loss"),
        (["none", "pml:ProxyAnchorLoss"], ["aux_memory=0,9"], {}, "--over aux_memory: no loss takes it"),
        (["triplet"], ["aux_pool=batch,accumulated"], {}, "--over aux_pool: without accumulation its values make one"),
        (["none", "supcon"], [], {"mining": "hard"}, "--mining is hard, but none of the losses none, supcon takes it"),
        (["supcon"], [], {"margin": 0.2}, "--margin is 0.2, but the supcon loss does not take it"),
        (["contrastive", "triplet"], ["mining=all,semi-hard"], {}, "mining of the contrastive loss is 'semi-hard'"),
        (
            ["none"],
            ["focal_gamma=1,2"],
            {},
            "--over focal_gamma, but it counts with --classification_loss focal alone",
        ),
        (
            ["none"],
            ["class_weights=none,sqrt"],
            {"effective_beta": 0.9},
            "--effective_beta is 0.9, but it counts with",
        ),
        (["none"], ["classification_loss=focal,dice"], {}, "--classification_loss is 'dice'; allowed: cross_entropy"),
    ],
)
def test_what_no_loss_of_a_grid_takes_is_refused(study, aux, over, training, said) -> None:
    with pytest.raises(UserError, match=said) as caught:
        study(aux, over, **training).check()
    assert "\n" not in str(caught.value)


def test_what_the_loss_of_the_classifier_does_not_take_is_one_run(study) -> None:
    over = ["classification_loss=cross_entropy,focal", "focal_gamma=1,3", "class_weights=none,balanced"]
    of = study(["none"], over, focal_gamma=1.5)
    of.check()
    found = [
        (run.classification_loss, run.focal_gamma, run.class_weights)
        for run in (of.arguments(task)[2] for task in of.tasks())
    ]
    usual = MetricTrainingArguments().focal_gamma
    assert found == [
        ("cross_entropy", usual, "none"), ("cross_entropy", usual, "balanced"),
        *itertools.product(["focal"], [1, 3], ["none", "balanced"]),
    ]  # fmt: skip


def test_an_option_of_a_loss_is_swept_by_itself(study) -> None:
    """Beside the other options, and where no loss has it in one line."""
    of = study(["none", "supcon", "triplet"], ["aux_kwargs.temperature=0.1,0.2"], aux_kwargs={"reduction": "valid"})
    of.check()
    found = {task.run_id.split("_cls_")[1]: of.arguments(task)[2].aux_kwargs for task in of.tasks()}
    assert found == {
        "none_seed1": None,
        "supcon_aux_kwargs.temperature=0.1_seed1": {"temperature": 0.1},
        "supcon_aux_kwargs.temperature=0.2_seed1": {"temperature": 0.2},
        "triplet_seed1": {"reduction": "valid"},
    }
    for word, said in (
        ("aux_kwargs.temprature=0.1,0.2", "--over aux_kwargs.temprature: no loss takes it, of none, supcon"),
        ("aux_kwargs.temperature=0.1,NaN", "temperature of the supcon loss is nan"),
        ("aux_kwargs.temperature=cold", "temperature of the supcon loss is 'cold'"),
    ):
        with pytest.raises(UserError, match=said):
            study(["none", "supcon"], [word]).check()
    with pytest.raises(UserError, match="is given twice"):
        parse_over(["aux_kwargs.soft=true", "aux_kwargs.soft=false"])
