"""Exports: the same numbers in every format, loaded by readers that have no emo_hf, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from places import recipe
from sklearn.metrics import f1_score
from test_export_heads import widen
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from emo_hf.arguments.dataclasses import DataArguments
from emo_hf.errors import UserError
from emo_hf.export import formats
from emo_hf.export.export import FORMATS, export
from emo_hf.export.heads import stock_classifier
from emo_hf.inference.backends import load_model
from emo_hf.inference.onnx import OnnxBackend
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.pooling import POOLINGS
from emo_hf.storage.record import write_record
from emo_hf.training.loaded import load_data

LABELS = ["불안", "슬픔", "기쁨"]
SENTENCES = [
    "오늘 학교에서 웃었어",
    "어제",
    "",
    "저녁에 회사에서 친구랑 같이 밥을 먹다가 나도 모르게 울었어",
    "모르는 낱말 뷁 " * 30,
]


def make_run(encoder: str, folder: Path, pooling: str) -> Path:
    model = EmotionModel.from_encoder(encoder, labels=LABELS, pooling=pooling, embedding_size=16)
    widen(model).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def runs(encoders, tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Folders as training leaves them, without a record, by layout and pooling."""
    root = tmp_path_factory.mktemp("runs")
    return {
        (layout, pooling): make_run(path, root / f"{layout}_{pooling}", pooling)
        for layout, path in encoders.items()
        for pooling in POOLINGS
    }


@pytest.fixture(scope="module")
def recorded(encoders, csv_file, tmp_path_factory) -> Path:
    """A run with the record that the measurement needs."""
    folder = make_run(encoders["bert"], tmp_path_factory.mktemp("recorded") / "run", "mean")
    data = DataArguments(data=csv_file, max_length=24)
    record = {"status": "completed", "arguments": {"data": asdict(data)}, "data": load_data(data).summary()}
    write_record(folder, record)
    return folder


def tokens(folder: Path, texts: list[str]) -> dict[str, torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return dict(tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt"))


@torch.no_grad()
def numbers(run: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and embeddings of the model itself."""
    output = load_model(run)(**tokens(run, texts))
    assert output.logits.std(0).min() > 0.05  # the sentences differ
    return output.logits.numpy(), output.embeddings.numpy()


BLOCKED = """
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
texts = json.loads(sys.argv[1])
{code}
"""


def read_elsewhere(folder: Path, code: str, blocked: tuple[str, ...] = ("emo_hf",)) -> dict:
    """What `code` prints as JSON, in a process that stands in the export and can't import `blocked`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(blocked=blocked, code=code), json.dumps(SENTENCES)],
        cwd=folder,
        env=environment | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "newly initialized" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def use(folder: Path) -> str:
    """The Python of the export's README."""
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    return code


@pytest.mark.parametrize("layout", ["bert", "roberta"])
def test_a_transformers_export_needs_no_emo_hf(runs, layout, tmp_path):
    run = runs[layout, "cls"]
    folder = export(run, "transformers", tmp_path / "out")
    code = """
from transformers import AutoModelForSequenceClassification, AutoTokenizer
inputs = AutoTokenizer.from_pretrained(".")(texts, padding=True, truncation=True, return_tensors="pt")
logits = AutoModelForSequenceClassification.from_pretrained(".").eval()(**inputs).logits.tolist()
"""
    shown = 'print(json.dumps([logits, classify("어제")]))'
    logits, [scores] = read_elsewhere(folder, code + use(folder) + shown)
    expected, _ = numbers(run, SENTENCES)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    [best] = Predictor(run)(["어제"])
    assert {row["label"]: row["score"] for row in scores} == pytest.approx(best, abs=1e-5)
    about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    assert about["fp32_check"]["max_logit_difference"] < 1e-5 and about["labels"] == LABELS
    assert not list(folder.glob("*.py"))


@pytest.mark.parametrize(
    ("layout", "pooling"),
    [
        ("bert", "mean"),
        pytest.param("roberta", "max", marks=pytest.mark.slow),  # each imports a large package once more
        pytest.param("bert", "cls", marks=pytest.mark.slow),
    ],
)
def test_a_sentence_transformers_export_needs_no_emo_hf(runs, layout, pooling, tmp_path):
    run = runs[layout, pooling]
    folder = export(run, "sentence-transformers", tmp_path / "out")
    shown = (
        "print(json.dumps([model.encode(texts).tolist(), model.max_seq_length, [type(m).__name__ for m in model]]))"
    )
    embeddings, length, modules = read_elsewhere(folder, use(folder) + shown)
    _, expected = numbers(run, SENTENCES)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    assert length == 64 and modules == ["Transformer", "Pooling", "Dense"]


@pytest.mark.parametrize("layout", ["bert", "roberta"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_onnx_gives_logits_and_embeddings_of_any_batch_and_length(runs, layout, pooling, tmp_path):
    run = runs[layout, pooling]
    folder = export(run, "onnx", tmp_path / "out")
    session = OnnxBackend(folder).session
    for texts in (SENTENCES, SENTENCES[4:], SENTENCES[1:3], SENTENCES * 7):
        inputs = {name: tokens(run, texts)[name].numpy() for name in ("input_ids", "attention_mask")}
        logits, embeddings = session.run(["logits", "embeddings"], inputs)
        with torch.no_grad():
            expected = load_model(run)(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        np.testing.assert_allclose(logits, expected.logits.numpy(), atol=1e-5)
        np.testing.assert_allclose(embeddings, expected.embeddings.numpy(), atol=1e-5)
    torch.testing.assert_close(
        Predictor(folder, batch_size=2).probabilities(SENTENCES),
        Predictor(run).probabilities(SENTENCES),
        atol=1e-5,
        rtol=0,
    )
    assert Predictor(folder).max_length == Predictor(run).max_length == 64


def test_an_onnx_export_needs_neither_torch_nor_transformers(runs, tmp_path):
    run = runs["roberta", "attention"]
    folder = export(run, "onnx", tmp_path / "out")
    code = use(folder).replace("드디어 합격했어!", SENTENCES[4])  # longer than the model takes
    shown = "print(json.dumps([logits.tolist(), embeddings.tolist()]))"
    logits, embeddings = read_elsewhere(folder, code + shown, blocked=("emo_hf", "torch", "transformers"))
    expected = numbers(run, SENTENCES)
    np.testing.assert_allclose(logits[0], expected[0][4], atol=1e-5)
    np.testing.assert_allclose(embeddings[0], expected[1][4], atol=1e-5)


def test_int8_is_measured_on_the_test_set_of_the_run(recorded, csv_file, tmp_path, monkeypatch):
    monkeypatch.setattr("emo_hf.export.measurement.ROUNDS", 1)
    steps: list[str] = []
    folder = export(recorded, "onnx-int8", tmp_path / "int8", progress=steps.append)
    assert [step.split()[0] for step in steps] == ["writing", "quantising", "measuring"]
    assert "60 test sentences" in steps[2]
    fp32 = export(recorded, "onnx", tmp_path / "fp32")
    rows = json.loads((folder / "export.json").read_text(encoding="utf-8"))["measured"]
    assert [row["name"] for row in rows] == ["torch", "onnx", "onnx-int8"]
    assert rows[2]["bytes"] == (folder / "model.onnx").stat().st_size < 0.9 * (fp32 / "model.onnx").stat().st_size
    test = load_data(DataArguments(data=csv_file, max_length=24)).splits["test"]
    labels = {}
    for row, model in zip(rows, (recorded, fp32, folder), strict=True):
        scores = Predictor(model, batch_size=32, max_length=24).probabilities(list(test["text"]))
        labels[row["name"]] = scores.argmax(-1).numpy()
        assert row["macro_f1"] == pytest.approx(f1_score(test["label"], labels[row["name"]], average="macro"))
        assert row["changed"] == (labels[row["name"]] != labels["torch"]).sum()
        assert row["sentences_per_second"] > 0 and row["sentences"] == 60
        assert f"| {row['name']} | {100 * row['macro_f1']:.2f} |" in (folder / "README.md").read_text(encoding="utf-8")
    assert len(set(labels["torch"])) > 1
    exact, rounded = (Predictor(path).probabilities(list(test["text"])) for path in (fp32, folder))
    assert 1e-5 < (exact - rounded).abs().max() < 0.2  # it is quantised, and it is the same model
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "export.json", "model.onnx", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_int8_without_the_runs_own_data_is_refused(recorded, runs, tmp_path):
    with pytest.raises(UserError, match=r"holds no record\.json of a completed run"):
        export(runs["bert", "mean"], "onnx-int8", tmp_path / "out")
    record = json.loads((recorded / "record.json").read_text(encoding="utf-8"))
    record["data"]["fingerprint"] = "other"
    changed = shutil.copytree(recorded, tmp_path / "changed")
    write_record(changed, record)
    with pytest.raises(UserError, match="has changed since"):
        export(changed, "onnx-int8", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(runs, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for place in (tmp_path, runs["bert", "mean"], tmp_path / "thesis.txt"):
        with pytest.raises(UserError, match="holds something that is no export"):
            export(runs["bert", "mean"], "onnx", place)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_export_is_replaced_as_a_whole_or_kept(runs, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()  # an empty folder will do
    export(runs["bert", "cls"], "onnx", folder)
    export(runs["bert", "cls"], "transformers", folder)
    assert not (folder / "model.onnx").exists() and (folder / "model.safetensors").exists()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def wrong(model: EmotionModel):
        stock, between = stock_classifier(model)
        stock.classifier.bias.data[1] += 1e-3
        return stock, between

    monkeypatch.setattr(formats, "stock_classifier", wrong)
    with pytest.raises(UserError, match=r"logits differ from the model's by up to 1\.0e-03"):
        export(runs["bert", "cls"], "transformers", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_recipe_and_the_name_of_its_folder(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert recipe("export").main([str(runs["bert", "cls"]), "--to", "onnx"]) == 0
    assert "written to" in capsys.readouterr().out
    folder = Path("runs/export/bert_cls_onnx")
    assert {"model.onnx", "README.md"} <= {path.name for path in folder.iterdir()}
    assert recipe("predict").main([str(folder), *SENTENCES[:2]]) == 0
    exported = capsys.readouterr().out
    assert recipe("predict").main([str(runs["bert", "cls"]), *SENTENCES[:2]]) == 0
    assert exported == capsys.readouterr().out and exported.count("\n") == 2


def test_mistakes_are_one_line(runs, tmp_path, capsys, monkeypatch):
    main, run, out = recipe("export").main, str(runs["bert", "attention"]), ["--output", str(tmp_path / "out")]
    tiny = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    BertForSequenceClassification(tiny).save_pretrained(tmp_path / "plain")
    capsys.readouterr()  # a bar
    for words, said in {
        (run, "--to", "tflite"): f"allowed: {', '.join(FORMATS)}",
        (run, "--to", "transformers"): "pooling is attention",
        (run, "--to", "sentence-transformers"): "pooling is attention",
        (run, "--to", "onnx-int8"): "holds no record.json",
        (str(tmp_path / "nothing"), "--to", "onnx"): "can't be loaded",
        (str(tmp_path / "plain"), "--to", "onnx"): "plain bert checkpoint",
    }.items():
        assert main([*words, *out]) == 2
        captured = capsys.readouterr().err
        assert said in captured and captured.count("\n") == 1
    exported = export(runs["bert", "cls"], "onnx", tmp_path / "onnx")
    with pytest.raises(UserError, match="computes on the CPU"):
        Predictor(exported, device="cuda")
    (exported / "model.onnx").write_bytes(b"broken")
    with pytest.raises(UserError, match="can't be loaded"):
        Predictor(exported)
    for name in ("onnx", "onnxruntime", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    cls = str(runs["bert", "cls"])
    assert main([cls, "--to", "onnx", *out]) == main([cls, "--to", "sentence-transformers", *out]) == 2
    assert recipe("predict").main([str(exported), "오늘"]) == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert "pip install onnx onnxruntime" in first and "pip install sentence-transformers" in second
    assert "pip install onnxruntime" in third
    assert not (tmp_path / "out").exists()
