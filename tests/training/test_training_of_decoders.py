"""A decoder as an encoder, from training to export: `--pooling last` with padding on the left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from architectures import build
from compare import main as compare
from decoders import tiny_decoder
from lineage import start
from transformers import AutoTokenizer

from emo_hf.arguments.dataclasses import DataArguments, ModelArguments
from emo_hf.data.collation import PaddingCollator
from emo_hf.errors import UserError
from emo_hf.export.export import export
from emo_hf.inference.predictor import Predictor
from emo_hf.losses import build_loss
from emo_hf.models.modeling import EmotionModel
from emo_hf.training.gradient_cache import cache_step

TEXTS = ["오늘 학교에서 웃었어", "어제 집에서 하루 종일 울었어", "", "주말에 떨렸어"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory) -> str:
    return tiny_decoder(tmp_path_factory.mktemp("decoder") / "mini-qwen3")


@pytest.fixture(scope="module")
def learned(decoder, csv_file, tmp_path_factory):
    """A run with n-grams beside it, R-Drop and a metric loss, and its record."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    record = start(
        folder,
        ModelArguments(encoder=decoder, pooling="last", embedding_size=16, ngrams=2),
        DataArguments(data=csv_file, max_length=32),
        aux="triplet",
        r_drop=0.5,
        learning_rate=3e-3,
        num_train_epochs=3,
    )
    return folder, record


def alone(folder) -> list[list[float]]:
    """Probabilities of each text by itself, by its ids alone."""
    model, tokenizer = EmotionModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return [
            model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).logits[0].softmax(-1).tolist()
            for text in TEXTS
        ]


def test_a_run_predicts_as_each_text_alone(learned):
    folder, record = learned
    assert record["model"]["pooling"] == "last" and record["test"]["macro_f1"] > 0.6
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.padding_side == "left" and tokenizer.pad_token == tokenizer.eos_token
    found = Predictor(folder, batch_size=4).probabilities(TEXTS)
    torch.testing.assert_close(found, torch.tensor(alone(folder)), atol=1e-5, rtol=0)


def test_onnx_and_int8(learned, tmp_path):
    folder, _ = learned
    export(folder, "onnx", tmp_path / "onnx")
    found = Predictor(tmp_path / "onnx", batch_size=4).probabilities(TEXTS)
    torch.testing.assert_close(found, torch.tensor(alone(folder)), atol=1e-5, rtol=0)
    export(folder, "onnx-int8", tmp_path / "int8")
    assert Predictor(tmp_path / "int8").probabilities(TEXTS).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_sentence_transformers_read_it_as_we_do(learned, decoder, pooling, tmp_path):
    model = EmotionModel.from_encoder(decoder, labels=["a", "b"], pooling=pooling, embedding_size=16)
    model.save_pretrained(tmp_path / "plain")
    AutoTokenizer.from_pretrained(learned[0]).save_pretrained(tmp_path / "plain")
    folder = export(tmp_path / "plain", "sentence-transformers", tmp_path / "out")
    about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    assert about["fp32_check"]["max_embedding_difference"] < 1e-5


def test_a_stock_classifier_is_refused(learned, decoder, csv_file, tmp_path):
    with pytest.raises(UserError, match="no stock head has the model's character n-grams"):
        export(learned[0], "transformers", tmp_path / "out")
    model = EmotionModel.from_encoder(decoder, labels=["a", "b"], pooling="last")
    model.save_pretrained(tmp_path / "plain")
    AutoTokenizer.from_pretrained(learned[0]).save_pretrained(tmp_path / "plain")
    with pytest.raises(UserError, match="the stock head of qwen3 is not known to compute these logits"):
        export(tmp_path / "plain", "transformers", tmp_path / "out")


PIPELINE = """
import json, sys
sys.modules["emo_hf"] = None  # importing the package fails from here on
from transformers import AutoConfig, pipeline

texts, folder = json.loads(sys.argv[1]), sys.argv[2]
classify = pipeline("text-classification", model=folder, trust_remote_code=True, top_k=None)
labels = AutoConfig.from_pretrained(folder, trust_remote_code=True).labels
found = [{score["label"]: score["score"] for score in scores} for scores in classify(texts, batch_size=4)]
print(json.dumps([[scores[label] for label in labels] for scores in found]))
"""


def test_a_pipeline_without_the_package_reads_padded_batches(learned, tmp_path):
    folder, _ = learned
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE, json.dumps(TEXTS), str(folder)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = torch.tensor(json.loads(done.stdout.splitlines()[-1]))
    torch.testing.assert_close(found, torch.tensor(alone(folder)), atol=1e-5, rtol=0)


def test_it_is_trained_further_and_is_an_encoder(learned, csv_file, tmp_path):
    folder, _ = learned
    data = DataArguments(data=csv_file, max_length=32)
    further = start(tmp_path / "further", ModelArguments(init_from=str(folder)), data, num_train_epochs=1)
    assert further["model"]["pooling"] == "last"
    assert further["model"]["parent"]["kept"] == ["encoder", "pooling", "embedding", "classifier"]
    other = ModelArguments(encoder=str(folder), pooling="mean", embedding_size=16)
    assert start(tmp_path / "other", other, data, num_train_epochs=1)["status"] == "completed"


def test_a_gradient_cache_over_batches_of_other_padding_is_plain_autograd():
    """Two batches that are padded on the left to other lengths, against the rows one by one.

    Norms and turns of the layers are computed in fp32 whatever the weights are, so that the digits end there.
    """
    loss, labels = build_loss("triplet").double(), torch.tensor([0, 1, 0, 1, 2, 2, 0])
    generator = torch.Generator().manual_seed(3)
    rows = [torch.randint(5, 60, (length,), generator=generator) for length in (7, 3, 5, 2, 9, 4, 1)]

    def pooled(parts: list[torch.Tensor]):
        return loss(torch.cat(parts), labels)

    plain = build("qwen3", "last").double()
    pooled([plain(input_ids=row[None]).embeddings for row in rows]).loss.backward()
    cached = build("qwen3", "last").double()
    collate = PaddingCollator(SimpleNamespace(pad_token_id=0, padding_side="left"))
    batches = [collate([{"input_ids": row.tolist()} for row in part]) for part in (rows[:4], rows[4:])]
    step = cache_step(cached, batches, pooled)
    for batch in batches:
        step.restore_random_state()
        (step.surrogate(cached(**batch).embeddings) / len(batches)).backward()
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(cached.get_parameter(name).grad, parameter.grad, atol=1e-6, rtol=1e-4, msg=name)
    assert plain.get_input_embeddings().weight.grad.abs().max() > 1e-3


@pytest.mark.slow
def test_a_study_of_poolings(decoder, csv_file, tmp_path, capsys):
    words = ["--encoders", decoder, "--poolings", "mean", "last", "--aux", "none", "--seeds", "1", "--data", csv_file]
    words += ["--max_length", "32", "--embedding_size", "16", "--num_train_epochs", "1", "--bf16", "false"]
    assert compare([*words, "--study_dir", str(tmp_path / "study")]) == 0
    table = (tmp_path / "study" / "table.md").read_text(encoding="utf-8")
    assert "| 2 | mini-qwen3 | mean |" in table and "| 17 | mini-qwen3 | last |" in table
