"""The table of losses: that it says what constructors take, and that what a loss does not take is refused."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest
import torch
from places import ROOT

from emo_hf.arguments.dataclasses import MetricTrainingArguments
from emo_hf.errors import UserError
from emo_hf.losses import build_loss
from emo_hf.losses.arguments import Choice, Number, Switch
from emo_hf.losses.capabilities import AUX_FLAGS, CAPABILITIES, OWN_FLAGS, Capability, capability, check_taken, counted
from emo_hf.training.objective import auxiliary_loss

OURS = [row for row in CAPABILITIES.values() if row.loss_class is not None]
GUIDE = ROOT / "recipes" / "guides" / "losses.md"
FIELDS = {field.name: field for field in dataclasses.fields(MetricTrainingArguments)}


def arguments(tmp_path, **given: Any) -> MetricTrainingArguments:
    return MetricTrainingArguments(output_dir=str(tmp_path), **given)


@pytest.mark.parametrize("row", OURS, ids=lambda row: row.name)
def test_a_row_says_what_the_constructor_takes(row: Capability) -> None:
    assert list(row.arguments) == list(inspect.signature(row.loss_class).parameters)
    for name, values in row.arguments.items():
        good, bad = {
            Choice: (getattr(values, "words", ()), ["nonsense", "", 1, True, None]),
            Number: (
                [1, 0.25, *([] if getattr(values, "above", False) else [0])],
                [-1, "1", True, None, float("nan")],
            ),
            Switch: ([True, False], [0, 1, "no", "true", None]),
        }[type(values)]
        beside = {"mining": "hard"} if row.name == "triplet" and name == "soft" else {}
        for value in good:
            assert getattr(row.loss_class(**{name: value} | beside), name) == value
        for value in bad:
            with pytest.raises(UserError, match=f"^{name} of the {row.name} loss is ") as caught:
                row.loss_class(**{name: value} | beside)
            assert str(values) in str(caught.value) and "\n" not in str(caught.value)


def test_the_flags_of_losses_are_those_of_the_command_line() -> None:
    assert {name for name in FIELDS if name.startswith("aux_")} | set(OWN_FLAGS) == set(AUX_FLAGS)
    for name in OWN_FLAGS:
        assert inspect.signature(build_loss).parameters[name].default == FIELDS[name].default


@pytest.mark.parametrize("name", [name for name in AUX_FLAGS if name in OWN_FLAGS or name == "aux_kwargs"])
def test_help_names_the_losses_that_take_an_argument_and_its_values(name: str) -> None:
    said = FIELDS[name].metadata["help"]
    takers = {row.name for row in OURS if name in row.flags}
    assert takers == {row.name for row in OURS if row.name in said}
    for row in OURS:
        values = row.arguments.get(name)
        assert not isinstance(values, Choice) or all(word in said for word in values.words)
        assert name != "aux_kwargs" or f"{row.name} {', '.join(row.options)}" in said


def test_help_names_the_losses() -> None:
    assert all(name in FIELDS["aux"].metadata["help"] for name in CAPABILITIES)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"aux": "supcon", "mining": "nonsense"},
            "--mining is nonsense, but the supcon loss does not take it; it",
        ),
        (
            {"aux": "supcon", "margin": 0.3},
            "the supcon loss does not .* --aux_kwargs temperature, overlap; leave",
        ),
        ({"aux": "supcon", "distance": "cosine"}, "--distance is cosine, but"),
        ({"aux": "supcon", "aux_kwargs": {"soft": True}}, "--aux_kwargs has 'soft', but the supcon loss"),
        ({"aux": "triplet", "aux_kwargs": {"margin": 0.5}}, "has 'margin', which has a flag .*; give it as --margin"),
        ({"aux": "triplet", "aux_kwargs": {"soft": "no"}}, "soft of the triplet loss is 'no'; allowed: true, false"),
        ({"aux": "supcon", "aux_kwargs": {"temperature": "0.1"}}, "temperature of .* is '0.1'; allowed: above 0"),
        ({"aux": "none", "aux_memory": 100}, "--aux_memory is 100, but it needs an auxiliary loss: add --aux"),
        ({"aux": "none", "mining": "nonsense"}, "--mining is nonsense, but it needs an auxiliary loss"),
        ({"aux": "none", "aux_weight": 1.0}, "--aux_weight is 1.0, but it needs"),
        ({"aux": "none", "aux_kwargs": {"soft": True}}, "--aux_kwargs has 'soft', but it needs"),
        ({"aux": "pml:NTXentLoss", "mining": "sampled"}, "--mining is sampled, but the pml:NTXentLoss loss does not"),
        (
            {"aux": "pml:NTXentLoss", "margin": 0.1},
            "--margin is 0.1, but .* it takes .*, and in --aux_kwargs temp",
        ),
        ({"aux": "pml:ProxyAnchorLoss", "aux_memory": 64}, "--aux_memory is 64, but the pml:ProxyAnchorLoss loss"),
        ({"aux": "pml:ArcFaceLoss", "aux_memory": 64}, "--aux_memory is 64, but the pml:ArcFaceLoss loss"),
        ({"aux": "pml:NCALoss", "aux_memory": 64}, "--aux_memory is 64, but"),  # it would count a row as its own
        (
            {"aux": "pml:TripletMarginLoss", "aux_memory": 64, "aux_kwargs": {"triplets_per_anchor": 5}},
            "--aux_memory is 64, but",  # it draws triplets itself
        ),
        ({"aux": "pml:TripletMarginLoss", "aux_memory": 64, "aux_kwargs": {"swap": True}}, "--aux_memory is 64, but"),
        ({"aux": "pml:MultiSimilarityLoss", "aux_kwargs": {"gama": 1}}, "'gama', but .* alpha, beta, base"),
        ({"aux": "pml:SoftTripleLoss", "aux_kwargs": {"num_classes": 9}}, "--aux_kwargs has 'num_classes', but"),
        ({"aux": "pml:VICRegLoss"}, "pml:VICRegLoss can't be trained beside cross-entropy"),
        ({"aux": "pml:DynamicSoftMarginLoss"}, "pml:DynamicSoftMarginLoss can't be trained"),  # in its second step
        ({"aux": "pml:CircleLoss", "aux_kwargs": {"gamma": "high"}}, "pml:CircleLoss"),
    ],
)
def test_what_a_loss_does_not_take_is_refused_in_one_line(given: dict[str, Any], said: str, tmp_path) -> None:
    with pytest.raises(UserError, match=said) as caught:
        auxiliary_loss(arguments(tmp_path, **given), num_classes=3, embedding_size=8)
    assert "\n" not in str(caught.value)


def test_of_several_losses_one_has_to_take_an_argument() -> None:
    check_taken(["none", "supcon", "triplet"], {"margin": 0.5, "aux_kwargs": {"temperature": 0.2, "soft": True}})
    for given in ({"margin": 0.5}, {"aux_kwargs": {"soft": True}}):
        with pytest.raises(UserError, match="none of the losses none, supcon takes it; leave it out"):
            check_taken(["none", "supcon"], given)


def test_what_a_loss_does_not_take_does_not_count() -> None:
    given = {"margin": 0.5, "seed": 3, "aux_memory": 20, "aux_kwargs": {"temperature": 0.2, "soft": True}}
    assert counted("none", given) == {"seed": 3}
    assert counted("supcon", given) == {"seed": 3, "aux_memory": 20, "aux_kwargs": {"temperature": 0.2}}
    assert counted("contrastive", given) == {"margin": 0.5, "seed": 3, "aux_memory": 20, "aux_kwargs": None}
    assert counted("pml:ProxyAnchorLoss", {"aux_memory": 20, "aux_weight": 1.0}) == {"aux_weight": 1.0}


def test_rows_of_the_library_are_derived_from_its_classes() -> None:
    state = torch.random.get_rng_state()
    found = {
        name: capability(f"pml:{name}")
        for name in ("NTXentLoss", "TripletMarginLoss", "ProxyAnchorLoss", "SubCenterArcFaceLoss", "MarginLoss")
    }
    learned = capability("pml:MarginLoss", {"learn_beta": True})
    assert torch.equal(state, torch.random.get_rng_state())  # a run's draws are its own
    assert {name for name, row in found.items() if row.memory} == {"NTXentLoss", "TripletMarginLoss", "MarginLoss"}
    assert {name for name, row in found.items() if row.parameters} == {"ProxyAnchorLoss", "SubCenterArcFaceLoss"}
    assert learned.parameters and found["ProxyAnchorLoss"].options[:2] == ("margin", "alpha")
    assert all(row.rows == row.memory and row.accumulated for row in found.values())


def losses_markdown() -> str:
    """The table of the guide on losses, from the table of the code."""

    def values(row: Capability, name: str) -> str:
        return f"`{name}` ({row.arguments[name]})"

    lines = [
        "| `--aux` | Flags | In `--aux_kwargs` | Parameters to train | `--aux_memory` | `--aux_pool accumulated` |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows = [*CAPABILITIES.values(), *(capability(f"pml:{name}") for name in ("NTXentLoss", "ProxyAnchorLoss"))]
    for row in rows:
        own = [f"`--{name}` ({row.arguments[name]})" for name in OWN_FLAGS if name in row.flags]
        library = row.name.startswith("pml:")
        options = [f"`{name}`" if library else values(row, name) for name in row.options if "_reg_" not in name]
        works = ["yes" if value else "no" for value in (row.parameters, row.memory, row.accumulated)]
        cells = ["; ".join(own) or "–", "; ".join(options) or "–", *(works if row.loss_class else ["–"] * 3)]
        lines.append(f"| `{row.name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_guide_has_the_table_of_the_code() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    [table] = re.findall(r"(?s)<!-- table of losses -->\n(.*?)<!-- /table of losses -->", text)
    assert table == losses_markdown()
