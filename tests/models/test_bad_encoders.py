"""Encoders that do not fit, and batches that do not fit into memory: one line each, the very one that stands here."""

from __future__ import annotations

import functools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from bad_files import put
from decoders import tiny_decoder
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, T5Config

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.errors import UserError
from emo_hf.models import pretrained
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pretrained import check_encoder

GIVE = (
    "give tiny-bert, tiny-roberta, static, a folder with config.json, weights and tokenizer, or a Hub id (which needs "
    "the network once)"
)


def without(folder: Path, *kept: str) -> None:
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


def other_vocabulary(folder: Path) -> None:
    config = BertConfig.from_pretrained(folder, vocab_size=20)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def other_weights(folder: Path) -> None:
    save_file({"x": torch.zeros(3)}, folder / "model.safetensors", metadata={"format": "pt"})


def words_alone(folder: Path, **special: str) -> None:
    """A tokenizer of whole words, which starts no text with CLS."""
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    without(folder, "config.json", "model.safetensors")
    backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", **special).save_pretrained(folder)


def own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "x.Config", "AutoModel": "x.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "x.py").write_text(f"open({str(folder / 'TAKEN')!r}, 'w')\n")


ENCODERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "without tokenizer": (
        lambda folder: without(folder, "config.json", "model.safetensors"),
        "encoder 'TMP/own' has no tokenizer; put tokenizer.json (or vocab.txt) and tokenizer_config.json of the same "
        "model into its folder",
    ),
    "with another vocabulary size": (
        other_vocabulary,
        "encoder 'TMP/own' knows 20 tokens, but the tokenizer beside it counts up to 159: it is another model's; take "
        "both from one model",
    ),
    "without weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "encoder 'TMP/own' has no weights; model.safetensors is missing from its folder; copy or download it again",
    ),
    "with pickle weights only": (
        pickled,
        "encoder 'TMP/own' has its weights in pytorch_model.bin only, a pickle, which can run code when it is read; "
        "needed is model.safetensors: if you trust the file, load it with AutoModel.from_pretrained(FOLDER) in a "
        "Python "
        "of its own and write it with .save_pretrained(OTHER_FOLDER), or take a revision that has safetensors",
    ),
    "with cut weights": (
        lambda folder: put(folder / "model.safetensors", b"no"),
        "encoder 'TMP/own': Error while deserializing header: header too small",
    ),
    "with the weights of another": (
        other_weights,
        "encoder 'TMP/own': the weights lack 37 tensors, as embeddings.LayerNorm.bias; they are another model's",
    ),
    "with a tokenizer without CLS": (
        lambda folder: words_alone(folder, pad_token="[PAD]"),
        "--pooling cls takes the state of a CLS token, but the tokenizer of 'TMP/own' starts no text with one; use "
        "--pooling mean",
    ),
    "with a decoder beside it": (
        lambda folder: T5Config(vocab_size=200).save_pretrained(folder),
        "encoder 'TMP/own': t5 is an encoder with a decoder beside it; give an encoder alone, as bert or modernbert, "
        "or a decoder alone, as qwen3",
    ),
    "with a tokenizer without padding": (
        words_alone,
        "encoder 'TMP/own': its tokenizer has no padding token, so no batch can be made; name one as pad_token in its "
        "tokenizer_config.json",
    ),
    "with code of its own": (
        own_code,
        "encoder 'TMP/own' needs code from its own repository, and no foreign code is run here; give an encoder of a "
        "type that transformers has, as bert or roberta",
    ),
    "with a broken config.json": (
        lambda folder: put(folder / "config.json", b"{"),
        "encoder 'TMP/own' can't be loaded (It looks like the config file at 'TMP/own/config.json' is not a "
        "valid JSON "
        f"file.); {GIVE}",
    ),
    "without anything": (
        without,
        "encoder 'TMP/own' can't be loaded (Unrecognized model in TMP/own. Should have a `model_type` key in its "
        f"config.json.); {GIVE}",
    ),
}


@pytest.mark.parametrize("case", ENCODERS)
def test_an_encoder_that_does_not_fit(refused, encoders, tmp_path, case):
    change, said = ENCODERS[case]
    folder = tmp_path / "own"
    shutil.copytree(encoders["bert"], folder)
    change(folder)
    assert refused("--encoder", str(folder)) == said
    assert not (folder / "TAKEN").exists()


def test_the_first_token_of_a_decoder(refused, tmp_path):
    folder = tiny_decoder(tmp_path / "own")
    assert refused("--encoder", folder) == (
        "--pooling cls takes the state of the first token, which sees no other in 'TMP/own', a causal qwen3; use "
        "--pooling last or mean"
    )


def test_the_last_token_where_no_text_has_an_end(refused, encoders, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(encoders["bert"], folder)
    words_alone(folder, pad_token="[PAD]")
    assert refused("--encoder", str(folder), "--pooling", "last") == (
        "--pooling last takes the state of the token that ends a text, but the tokenizer of 'TMP/own' has none; name "
        "one as eos_token in its tokenizer_config.json, or use --pooling mean"
    )


def out_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A device on which no more than `most` rows are trained on at once; the sizes that were tried, as they come."""
    real, tried = EmotionModel.forward, []

    @functools.wraps(real)
    def forward(self, input_ids=None, **inputs):
        tried.append(len(input_ids))
        if self.training and len(input_ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(self, input_ids=input_ids, **inputs)

    monkeypatch.setattr(EmotionModel, "forward", forward)
    return tried


def test_out_of_memory_suggests_a_smaller_batch(refused, csv_file, monkeypatch):
    out_of_memory(monkeypatch, 4)
    assert refused("--data", csv_file, "--disable_tqdm", "true") == (
        "out of memory: lower --per_device_train_batch_size, which is 16 (--per_device_eval_batch_size is 128), or "
        "--max_length, or let --auto_find_batch_size true find the largest that fits"
    )


def test_the_largest_batch_that_fits_is_found_on_demand(mains, encoders, csv_file, tmp_path, monkeypatch):
    """And the run is the one that had it from the beginning, to the last bit."""
    words = ["--data", csv_file, "--encoder", encoders["bert"], "--aux", "pml:ProxyAnchorLoss", "--bf16", "false"]
    words += ["--max_steps", "6", "--max_length", "32", "--embedding_size", "16", "--disable_tqdm", "true"]
    words += ["--dataloader_drop_last", "true"]
    straight, found = tmp_path / "straight", tmp_path / "found"
    assert mains["train"]([*words, "--output_dir", str(straight), "--per_device_train_batch_size", "4"]) == 0
    tried = out_of_memory(monkeypatch, 4)
    words += ["--per_device_train_batch_size", "6", "--auto_find_batch_size", "true"]
    assert mains["train"]([*words, "--output_dir", str(found)]) == 0
    assert tried[:3] == [6, 5, 4]
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (found, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    record = json.loads((found / "record.json").read_text(encoding="utf-8"))
    assert record["arguments"]["training"]["per_device_train_batch_size"] == 4


@pytest.mark.parametrize("name", ["./models/kobert", "~/kobert", "models/ko/bert", "models\\kobert"])
def test_a_path_that_leads_nowhere_is_not_looked_for_on_the_hub(name, monkeypatch):
    monkeypatch.setattr(pretrained, "reach_hub", lambda *_: pytest.fail("the Hub was asked"))
    with pytest.raises(UserError) as caught:
        check_encoder(ModelArguments(encoder=name), DataArguments())
    assert str(caught.value) == f"encoder {name!r} can't be loaded (there is no such folder); {GIVE}"


def test_a_hub_that_can_not_be_reached_is_asked_once(monkeypatch, caplog, tmp_path):
    """Its client tries each file six times, for half a minute, and tells of each."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        check_encoder(ModelArguments(encoder="owner/kobert"), DataArguments())
    said = str(caught.value)
    assert said.startswith("encoder 'owner/kobert' can't be loaded (no such folder is here, and the Hub ")
    assert said.endswith(GIVE) and "\n" not in said
    assert time.monotonic() - started < 5 and not caplog.messages
