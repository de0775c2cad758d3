"""Settings come from a YAML file and the command line, and a mistake is said in one line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from transformers import TrainingArguments

from emo_hf.arguments import dataclasses as arguments
from emo_hf.arguments.dataclasses import (
    DataArguments,
    MetricTrainingArguments,
    ModelArguments,
    given,
    plain,
)
from emo_hf.arguments.parsing import parse_arguments
from emo_hf.arguments.precision import precision
from emo_hf.errors import UserError

ALL = [ModelArguments, DataArguments, MetricTrainingArguments]


@dataclass
class Grid:
    """As a study has it, beside the other arguments."""

    encoders: list[str] = field(default_factory=lambda: ["a", "b"])
    seeds: list[int] = field(default_factory=lambda: [1, 2])
    aux: list[str] = field(default_factory=lambda: ["none"])


@pytest.fixture
def yaml_file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def parse(*words: str) -> tuple[ModelArguments, DataArguments, MetricTrainingArguments]:
    return parse_arguments(ALL, list(words))


def test_defaults():
    model, data, training = parse()
    assert (model.encoder, model.pooling, model.embedding_size) == ("tiny-bert", "cls", 256)
    assert (data.data, data.labels, data.max_length) == (["sample"], ["불안", "슬픔", "기쁨"], 128)
    assert (training.aux, training.aux_weight, training.margin) == ("none", 0.1, 1.0)
    assert training.greater_is_better is True


def test_the_file_gives_defaults_and_the_command_line_wins(yaml_file):
    path = yaml_file("""
        pooling: mean
        labels: [기쁨, 슬픔]
        learning_rate: 2e-5
        num_train_epochs: 3
        bf16: false
        load_best_model_at_end: no
        lr_scheduler_kwargs: {num_cycles: 2}
        aux: triplet
        encoder_revision: null
    """)
    for words in (["--config", path, "--aux", "supcon"], ["--aux=supcon", f"--config={path}"]):
        model, data, training = parse(*words)
        assert model.pooling == "mean"
        assert model.encoder_revision is None
        assert data.labels == ["기쁨", "슬픔"]
        assert training.learning_rate == 2e-5  # a string to YAML
        assert training.num_train_epochs == 3.0
        assert training.bf16 is False
        assert training.load_best_model_at_end is False
        assert training.lr_scheduler_kwargs == {"num_cycles": 2}
        assert training.aux == "supcon"
    assert parse("--config", path, "--labels", "불안", "분노")[1].labels == ["불안", "분노"]
    assert parse("--config", yaml_file(""))[0] == ModelArguments()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poling: mean", "unknown key 'poling'; did you mean pooling?"),
        ("max_len: 3", "unknown key 'max_len'; did you mean max_length?"),
        ("zzzz: 3", "unknown key 'zzzz'; see --help"),
        ("num_train_epochs: five", "--num_train_epochs: invalid float value: 'five'"),
        ("embedding_size: 2.5", "--embedding_size: invalid int value: '2.5'"),
        ("embedding_size: [8, 16]", "embedding_size takes one value, but a list of 2 is given"),
        ("bf16: perhaps", "--bf16"),
        ("labels: []", "--labels: expected at least one argument"),
        ("- pooling", "holds a list; it must be a mapping"),
        ("pooling: mean\n  aux: [", "line 2: not valid YAML"),
    ],
)
def test_mistakes_in_the_file(yaml_file, text, message):
    path = yaml_file(text)
    with pytest.raises(UserError) as error:
        parse("--config", path)
    assert message in str(error.value)
    assert path in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--poling", "mean"], "unknown argument '--poling'; did you mean --pooling?"),
        (["--poling=mean"], "did you mean --pooling?"),
        (["--aux_wight", "1"], "did you mean --aux_weight?"),
        (["mean"], "unknown argument 'mean'"),
        (["--pool", "mean"], "did you mean --pooling?"),  # no abbreviations, which change as arguments are added
        (["--max_length", "many"], "--max_length: invalid int value: 'many'"),
        (["--aux_weight", "-1"], "--aux_weight is -1.0; allowed: 0 to 1,000,000"),
        (["--hub_token", "hf_secret"], "--hub_token would be stored in plain text"),
        (["--eval_strategy", "sometimes"], "sometimes"),
        (["--save_strategy", "steps"], "load_best_model_at_end"),
        (["--eval_strategy", "no", "--early_stopping_patience", "2"], "--early_stopping_patience needs evaluations"),
        (["--config", "missing.yaml"], "--config missing.yaml: cannot be read (FileNotFoundError)"),
    ],
)
def test_mistakes_on_the_command_line(words, message):
    with pytest.raises(UserError) as error:
        parse(*words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_token_is_not_repeated_in_the_error(yaml_file):
    for words in (["--hub_token", "hf_secret"], ["--config", yaml_file("hub_token: hf_secret")]):
        with pytest.raises(UserError) as error:
            parse(*words)
        assert "hf_secret" not in str(error.value)


def test_arguments_of_two_parsers(yaml_file):
    path = yaml_file("encoders: one\nseeds: 7\npooling: mean\naux: [none, triplet]\nmargin: 0.5")
    grid, words, settings = parse_arguments(
        [Grid], ["--config", path, "--seeds", "3", "4", "--max_length", "64"], partial=True
    )
    assert (grid.encoders, grid.seeds, grid.aux) == (["one"], [3, 4], ["none", "triplet"])
    model, data, training = parse_arguments(ALL, words, settings=settings)
    assert (model.pooling, data.max_length, training.margin, training.aux) == ("mean", 64, 0.5, "none")
    grid, *_ = parse_arguments([Grid], ["--config", path], partial=True)
    assert grid.seeds == [7]  # one value where several are allowed, not its letters
    with pytest.raises(UserError, match="did you mean pooling"):
        _, words, settings = parse_arguments([Grid], ["--config", yaml_file("poolin: cls")], partial=True)
        parse_arguments(ALL, words, settings=settings)


@pytest.mark.parametrize("native", [True, False])
def test_bf16_is_used_where_it_is_native(monkeypatch, native):
    monkeypatch.setattr(arguments, "bf16_is_native", lambda cpu: native)
    assert MetricTrainingArguments(use_cpu=True).bf16 is native
    assert MetricTrainingArguments(use_cpu=True, bf16=False).bf16 is False
    assert MetricTrainingArguments(use_cpu=True, bf16=True).bf16 is True
    assert parse("--bf16", "false")[2].bf16 is False


def test_fp16_rules_bf16_out(monkeypatch):
    monkeypatch.setattr(arguments, "bf16_is_native", lambda cpu: True)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)  # fp16 is refused on a CPU
    assert MetricTrainingArguments(fp16=True).bf16 is False


CHOICES: list[dict[str, Any]] = [
    {},
    {"aux": "triplet", "mining": "sampled", "bf16": False, "seed": 7, "output_dir": "somewhere"},
    {"eval_strategy": "no", "save_strategy": "steps", "save_steps": 0.5, "logging_strategy": "no"},
    {"lr_scheduler_kwargs": {"num_cycles": 2}, "lr_scheduler_type": "cosine", "warmup_steps": 10, "optim": "sgd"},
    {"metric_for_best_model": "loss", "early_stopping_patience": 3, "label_smoothing_factor": 0.1, "debug": ""},
]


@pytest.mark.parametrize("choice", CHOICES)
def test_given_arguments_make_an_equal_object(choice):
    first = MetricTrainingArguments(**choice)
    second = MetricTrainingArguments(**given(first))
    assert second.to_dict() == first.to_dict()
    assert given(second) == given(first)
    assert given(MetricTrainingArguments(**(given(first) | {"seed": 99})))["seed"] == 99


def test_plain_arguments_hold_no_secret_and_no_object():
    found = plain(MetricTrainingArguments(aux="triplet"))
    assert json.loads(json.dumps(found)) == found
    assert found["aux"] == "triplet"
    assert not [name for name in found if name.endswith("_token")] and found["tokens_per_batch"] == 0


def test_the_docstring_names_every_default_that_differs():
    ours, theirs = MetricTrainingArguments.__dataclass_fields__, TrainingArguments.__dataclass_fields__
    differing = [name for name in theirs if ours[name].default != theirs[name].default]
    assert {"output_dir", "learning_rate", "eval_strategy"} <= set(differing)
    assert not [name for name in differing if f"`{name}`" not in MetricTrainingArguments.__doc__]


def test_every_argument_has_a_help_text():
    for cls in ALL:
        own = [f for name, f in cls.__dataclass_fields__.items() if name in cls.__annotations__ and f.init]
        assert own and all(f.metadata.get("help") for f in own)


def test_help_shows_both_parsers(capsys):
    with pytest.raises(SystemExit) as end:
        parse_arguments([Grid], ["--help"], partial=True, others=ALL, description="What it does.")
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "--seeds" in shown and "--aux_weight" in shown and "What it does." in shown


def test_what_neither_parser_knows_is_an_error_of_the_first(yaml_file):
    for words in (["--seds", "1"], ["--config", yaml_file("seds: [1]")]):
        with pytest.raises(UserError, match=r"unknown .*seds'; did you mean (--)?seeds"):
            parse_arguments([Grid], words, partial=True, others=ALL)
    known = ["--no_bf16", "--max-length", "3", "--seeds", "4"]
    _, words, _ = parse_arguments([Grid], known, partial=True, others=ALL)
    assert words == ["--no_bf16", "--max-length", "3"]


def test_the_precision_of_a_run_is_said_with_its_reason(monkeypatch, tmp_path):
    for module in ("dataclasses", "precision"):
        monkeypatch.setattr(f"emo_hf.arguments.{module}.bf16_is_native", lambda cpu: True)
    taken = MetricTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    assert precision(taken) == "bf16, which it multiplies natively (--bf16 false for fp32)"
    assert precision(MetricTrainingArguments(output_dir=str(tmp_path), use_cpu=True, bf16=False)) == "fp32"
    for module in ("dataclasses", "precision"):
        monkeypatch.setattr(f"emo_hf.arguments.{module}.bf16_is_native", lambda cpu: False)
    assert precision(MetricTrainingArguments(output_dir=str(tmp_path), use_cpu=True)) == "fp32"
    asked = MetricTrainingArguments(output_dir=str(tmp_path), use_cpu=True, bf16=True)
    assert precision(asked) == "bf16, as asked, though it has no instructions for it (--bf16 false for fp32)"
