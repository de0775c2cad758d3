"""Arguments and settings that are none, through the recipes: one line each, the very one that stands here."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from bad_files import put

from emo_hf.arguments.bounds import LIMITS
from emo_hf.arguments.dataclasses import DataArguments, MetricTrainingArguments, ModelArguments

# Every number of every argument: what it takes, and values that it does not.
WHOLE, BEYOND, REAL = (
    ("-1", "99999999999999999999"),
    ("0", "-1", "99999999999999999999"),
    ("-1", "nan", "inf", "1e308"),
)
SHARE = ("-1", "1", "nan", "1e308")
NUMBERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "embedding_size": ("1 to 65,536", BEYOND),
    "embedding_dropout": ("0 to below 1", SHARE),
    "ngrams": ("0 to 16", WHOLE),
    "max_length": ("1 to 1,000,000,000", BEYOND),
    "drop_labels_below": ("1 to 1,000,000,000", BEYOND),
    "validation_size": ("0 to below 1", SHARE),
    "test_size": ("0 to below 1", SHARE),
    "split_seed": ("0 to 4,294,967,295", WHOLE),
    "train_fraction": ("above 0 to 1", ("0", "-1", "nan", "1e308")),
    "shots": ("1 to 1,000,000,000", BEYOND),
    "shots_seed": ("0 to 4,294,967,295", WHOLE),
    "num_train_epochs": ("above 0 to 1,000,000", ("0", "-1", "nan", "1e308")),
    "max_steps": ("-1 to 1,000,000,000", ("-2", "99999999999999999999")),
    "per_device_train_batch_size": ("1 to 1,048,576", BEYOND),
    "per_device_eval_batch_size": ("1 to 1,048,576", BEYOND),
    "tokens_per_batch": ("0 to 1,000,000,000", WHOLE),
    "gradient_accumulation_steps": ("1 to 1,048,576", BEYOND),
    "eval_accumulation_steps": ("1 to 1,000,000,000", BEYOND),
    "learning_rate": ("0 to 1e+38", REAL),
    "ngrams_learning_rate": ("0 to 1e+38", REAL),
    "label_smoothing_factor": ("0 to below 1", SHARE),
    "warmup_steps": ("0 to 1,000,000,000", REAL),
    "weight_decay": ("0 to 1e+38", REAL),
    "adam_beta1": ("0 to below 1", SHARE),
    "adam_beta2": ("0 to below 1", SHARE),
    "adam_epsilon": ("above 0 to 1", ("0", "-1", "nan", "1e308")),
    "max_grad_norm": ("0 to 1e+38", REAL),
    "neftune_noise_alpha": ("0 to 1,000,000", REAL),
    "torch_empty_cache_steps": ("1 to 1,000,000,000", BEYOND),
    "logging_steps": ("0 to 1,000,000,000", REAL),
    "eval_steps": ("0 to 1,000,000,000", REAL),
    "save_steps": ("0 to 1,000,000,000", REAL),
    "eval_delay": ("0 to 1,000,000,000", REAL),
    "save_total_limit": ("1 to 1,000,000,000", BEYOND),
    "seed": ("0 to 4,294,967,295", WHOLE),
    "data_seed": ("0 to 4,294,967,295", WHOLE),
    "dataloader_num_workers": ("0 to 1,024", WHOLE),
    "dataloader_prefetch_factor": ("1 to 1,024", BEYOND),
    "ddp_bucket_cap_mb": ("1 to 1,000,000", BEYOND),
    "ddp_timeout": ("1 to 1,000,000,000", BEYOND),
    "aux_weight": ("0 to 1,000,000", REAL),
    "aux_warmup": ("0 to 1,000,000,000", REAL),
    "focal_gamma": ("0 to 100", REAL),
    "logit_adjustment": ("0 to 100", REAL),
    "effective_beta": ("0 to below 1", SHARE),
    "asymmetric_gamma": ("0 to 100", REAL),
    "asymmetric_clip": ("0 to below 1", SHARE),
    "r_drop": ("0 to 1,000,000", REAL),
    "max_error": ("above 0 to below 1", ("0", "1", "-1", "nan", "1e308")),
    "coverage": ("above 0 to below 1", ("0", "1", "-1", "nan", "1e308")),
    "aux_memory": ("0 to 16,777,216", WHOLE),
    "margin": ("0 to 1,000,000", REAL),
    "early_stopping_patience": ("1 to 1,000,000,000", BEYOND),
}
LAUNCHER = {"local_rank", "tpu_num_cores", "past_index"}  # set by launchers, where they are still known


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_its_limits(refused, name):
    allowed, values = NUMBERS[name]
    whole = "nan" not in values
    for value in values:
        shown = int(value) if whole else float(value)
        assert refused(f"--{name}={value}") == f"--{name} is {shown}; allowed: {allowed}"
    if whole:
        assert refused(f"--{name}=nan") == f"argument --{name}: invalid int value: 'nan'; see --help"


def test_every_number_has_its_limits():
    found = set()
    for cls in (ModelArguments, DataArguments, MetricTrainingArguments):
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kinds = set(typing.get_args(hints[field.name])) or {hints[field.name]}
            if field.init and kinds & {int, float}:
                found.add(field.name)
    assert found - LAUNCHER == set(NUMBERS) and set(NUMBERS) <= set(LIMITS)


WORDS: dict[str, tuple[str, list[str], str]] = {
    "an unknown argument": ("train", ["--poling", "mean"], "unknown argument '--poling'; did you mean --pooling?"),
    "an unknown calibration": (
        "train",
        ["--calibration", "platt"],
        "--calibration is 'platt'; allowed: temperature, none",
    ),
    "a sweep over an unknown calibration": (
        "compare",
        ["--over", "calibration=none,platt"],
        "--over calibration: --calibration is 'platt'; allowed: temperature, none",
    ),
    "unknown sets": (
        "train",
        ["--coverage", "0.9", "--coverage_sets", "raps"],
        "--coverage_sets is 'raps'; allowed: adaptive, split, class",
    ),
    "sets that nothing asks for": (
        "train",
        ["--coverage_sets", "class"],
        "--coverage_sets is class, but no sets are asked for; add --coverage 0.9, or leave it",
    ),
    "an unknown pooling": (
        "train",
        ["--pooling", "middle"],
        "--pooling is 'middle'; allowed: cls, mean, max, attention, last",
    ),
    "one column for both": (
        "train",
        ["--text_column", "label", "--label_column", "label"],
        "emotions.csv: column 'label' is both the text and the label; name two columns.",
    ),
    "a file that is not there": (
        "train",
        ["--data", "nowhere.csv"],
        "nowhere.csv does not exist; give a file (.csv .tsv .txt .xlsx .json .jsonl .parquet .zip), a folder, a "
        "Hub id "
        "'owner/name', or 'sample'.",
    ),
    "an address with a password": (
        "train",
        ["--data", "https://me:secret@host/x.csv"],
        "https://***@host/x.csv does not exist; give a file (.csv .tsv .txt .xlsx .json .jsonl .parquet .zip), a "
        "folder, "
        "a Hub id 'owner/name', or 'sample'.",
    ),
    "one label": (
        "train",
        ["--labels", "기쁨"],
        "labels names 기쁨: at least two are needed; name some of 분노 슬픔 불안 상처 당황 기쁨, or 'six', 'sixty', "
        "'all', or the labels of your own data.",
    ),
    "an unknown key of adapters": (
        "train",
        ["--lora", "r=8", "alhpa=3"],
        "--lora alhpa=3: no such key; allowed: r, alpha, dropout, target, weights; did you mean alpha?",
    ),
    "adapters of no rank": ("train", ["--lora", "r=0"], "--lora r=0: allowed: whole numbers, 1 to 4,096"),
    "adapters of half a rank": ("train", ["--lora", "r=1.5"], "--lora r=1.5: allowed: whole numbers, 1 to 4,096"),
    "adapters of no scale": ("train", ["--lora", "alpha=0"], "--lora alpha=0: allowed: above 0 to 1,000,000"),
    "all of what goes into adapters dropped": (
        "train",
        ["--lora", "dropout=1"],
        "--lora dropout=1: allowed: 0 to below 1",
    ),
    "a rank twice": ("train", ["--lora", "r=8", "r=9"], "--lora r is given twice; give it once"),
    "a rank without its key": (
        "train",
        ["--lora", "16"],
        "--lora 16: give a key and a value, as in --lora r=16 target=all-linear, or none",
    ),
    "frozen weights in an unknown type": (
        "train",
        ["--lora", "weights=int8"],
        "--lora weights=int8: allowed: fp32, bf16",
    ),
    "all layers and some": (
        "train",
        ["--lora", "target=all-linear,query"],
        "--lora target=all-linear,query: give all-linear, or names of layers as query,value",
    ),
    "a layer that there is not": (
        "train",
        ["--encoder", "tiny-bert", "--lora", "target=quary"],
        "--lora target=quary: tiny-bert has no linear layer quary; allowed: all-linear, or some of dense, "
        "key, query, value",
    ),
    "max_length above the positions": (
        "train",
        ["--encoder", "tiny-bert", "--max_length", "257"],
        "--max_length is 257, but tiny-bert takes at most 256 tokens",
    ),
    "two sizes of a batch": (
        "train",
        ["--tokens_per_batch", "900", "--auto_find_batch_size", "true"],
        "--auto_find_batch_size varies the rows of a batch; leave it or --tokens_per_batch out",
    ),
    "a NaN among the seeds": ("compare", ["--seeds", "nan"], "argument --seeds: invalid int value: 'nan'; see --help"),
    "a negative seed": ("compare", ["--seeds", "1", "-1"], "--seeds is -1; allowed: 0 to 4,294,967,295"),
    "no jobs": ("compare", ["--jobs", "0"], "--jobs is 0; allowed: 1 to 1,024"),
    "a sweep beyond the limits": (
        "compare",
        ["--over", "margin=1,nan"],
        "--over margin: --margin is nan; allowed: 0 to 1,000,000",
    ),
    "a sweep of nothing": (
        "compare",
        ["--over", "margin"],
        "--over margin: give a name and values, as in --over aux_weight=0.1,0.3,1",
    ),
    "no such model": (
        "predict",
        ["no/such/model", "x"],
        "model 'no/such/model' can't be loaded (there is no such folder); give the folder of a run, as runs/train/…, "
        "or a Hub id (which needs the network once)",
    ),
    "no sentences at once": ("predict", ["m", "x", "--batch_size", "0"], "--batch_size is 0; allowed: 1 to 1,048,576"),
    "sentences of no length": (
        "predict",
        ["m", "x", "--max_length", "-1"],
        "--max_length is -1; allowed: 1 to 1,000,000,000",
    ),
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fp16", "true"], "--fp16 needs a GPU; on a CPU leave it out for fp32, or give --bf16 true"),
        (["--bf16_full_eval", "true"], "it would leave the model that is saved in half precision; leave it at False"),
        (["--train_sampling_strategy", "sequential"], "is sequential, but batches hold rows of near-equal length"),
        (["--remove_unused_columns", "false"], "the model takes no columns but"),
        (["--prediction_loss_only", "true"], "the best epoch is chosen by scores"),
        (["--dataloader_persistent_workers", "true"], "needs --dataloader_num_workers of 1 or more"),
        (["--accelerator_config", '{"split_batches": true}'], "every process takes batches of its own"),
        (["--accelerator_config", '{"even_batches": false}'], "and as many as the others; leave them out"),
    ],
)
def test_what_trainer_has_and_a_run_has_not(refused, words, said):
    assert said in refused(*words)


@pytest.mark.parametrize("case", WORDS)
def test_words_that_are_wrong(refused, case):
    name, words, said = WORDS[case]
    assert refused(*words, recipe=name) == said


YAML: dict[str, tuple[str, str]] = {
    "unknown key": ("poling: mean", "TMP/a.yaml: unknown key 'poling'; did you mean pooling?"),
    "duplicate key": (
        "pooling: mean\naux: none\npooling: cls",
        "TMP/a.yaml, line 3: not valid YAML (the key 'pooling' twice)",
    ),
    "a tag that would run code": (
        "pooling: !!python/object/apply:os.system ['touch TAKEN']",
        "TMP/a.yaml, line 1: not valid YAML (could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system')",
    ),
    "aliases": ("a: &a [1]\nb: *a", "TMP/a.yaml, line 2: not valid YAML (alias *a; write it out)"),
    "a day that is none": ("seed: 2024-02-31", "TMP/a.yaml: not valid YAML (day is out of range for month)"),
    "a list": ("- pooling", "TMP/a.yaml: holds a list; it must be a mapping of argument names to values"),
    "without an end": (
        "pooling: [",
        "TMP/a.yaml, line 1: not valid YAML (expected the node content, but found '<stream end>')",
    ),
    "NaN": ("margin: .nan", "--margin is nan; allowed: 0 to 1,000,000"),
    "a mapping for a word": (
        "pooling: {a: b}",
        '--pooling is \'{"a": "b"}\'; allowed: cls, mean, max, attention, last',
    ),
    "a token": (
        "hub_token: hf_abcdefghijklmnopqrstuvwx",
        "--hub_token would be stored in plain text; log in with `hf auth login` or set HF_TOKEN instead",
    ),
    "2 MB": (
        "a: " + "x" * (2 << 20),
        "--config TMP/a.yaml: 2,097,155 bytes are no file of settings; at most 1,048,576 are read",
    ),
}


@pytest.mark.parametrize("case", YAML)
def test_settings_that_are_wrong(refused, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    text, said = YAML[case]
    assert refused("--config", str(put(tmp_path / "a.yaml", text.encode()))) == said
    assert not (tmp_path / "TAKEN").exists()


def test_yes_and_no_are_words_in_settings(refused, tmp_path):
    path = put(tmp_path / "a.yaml", b"eval_strategy: no\nearly_stopping_patience: 2\nload_best_model_at_end: yes")
    assert refused("--config", str(path)) == "--early_stopping_patience needs evaluations, but --eval_strategy is no"
