"""int8 exports: the same bytes whatever the company and the order, in every kind of model; products of integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from test_export_heads import widen
from transformers import AutoTokenizer

from emo_hf.export.export import export
from emo_hf.export.int8 import _Rewritten, quantize
from emo_hf.inference.predictor import Predictor
from emo_hf.models.modeling import EmotionModel
from emo_hf.models.prefix import with_prefix

LABELS = ["불안", "슬픔", "기쁨"]
WORDS = [
    "오늘",
    "어제",
    "저녁에",
    "학교에서",
    "회사에서",
    "친구랑",
    "밥을",
    "먹다가",
    "나도",
    "울었어",
    "웃었어",
    "뷁",
]
LONG = " ".join(WORDS * 8)
STORED = ("table", "layer", "head", "bias")
KINDS = ("plain", "sets", "ngrams", "prefix")


def texts_of(count: int) -> list[str]:
    chosen = np.random.default_rng(0)
    return [" ".join(chosen.choice(WORDS, size=chosen.integers(1, 14))) for _ in range(count)]


@pytest.fixture(scope="module", params=KINDS)
def models(request, encoders, tmp_path_factory) -> tuple[Path, Path, Path]:
    """A run, and its ONNX export in fp32 and in int8."""
    root = tmp_path_factory.mktemp(request.param)
    tokenizer = AutoTokenizer.from_pretrained(encoders["bert"])
    prefix = "하루 종일 " if request.param == "prefix" else ""
    model = EmotionModel.from_encoder(
        encoders["bert"],
        labels=LABELS,
        pooling="mean",
        embedding_size=16,
        tokenizer=tokenizer,
        multi_label=request.param == "sets",
        ngrams=3 if request.param == "ngrams" else 0,
        text_prefix=prefix,
    )
    if request.param == "sets":
        model.config.thresholds = [0.3, 0.5, 0.6]
    if prefix:
        tokenizer = with_prefix(tokenizer, prefix)
    widen(model).save_pretrained(root / "run")
    tokenizer.save_pretrained(root / "run")
    (root / "int8").mkdir()
    quantize(export(root / "run", "onnx", root / "onnx"), root / "int8", texts_of(64), 48)
    return root / "run", root / "onnx", root / "int8"


def test_company_and_order_change_no_byte(models):
    texts = [*texts_of(150), LONG, "", "뷁"]
    predictor = Predictor(models[2])
    logits, embeddings = predictor.logits(texts)
    assert logits.std(0).min() > 0.05  # the texts differ
    order = np.random.default_rng(1).permutation(len(texts)).tolist()
    shuffled = predictor.logits([texts[place] for place in order])
    assert torch.equal(shuffled[0], logits[order]) and torch.equal(shuffled[1], embeddings[order])
    for place, text in enumerate(texts[:40]):
        for found in (predictor.logits([text]), predictor.logits([text, LONG])):
            assert torch.equal(found[0][0], logits[place]) and torch.equal(found[1][0], embeddings[place])
    for size in (1, 7):
        assert torch.equal(Predictor(models[2], batch_size=size).logits(texts)[0], logits)
    assert np.array_equal(predictor.scores(texts[:50]), predictor.scores(texts)[:50])


def test_it_is_the_same_model(models):
    texts = texts_of(150)
    exact, rounded = (Predictor(model).scores(texts) for model in models[1:])
    assert 1e-6 < np.abs(exact - rounded).mean() < 0.1
    assert (exact.argmax(1) != rounded.argmax(1)).sum() <= 20


def test_fp32_is_the_run_one_text_after_the_other(models):
    texts = [*texts_of(150), LONG]
    tokenizer, model = AutoTokenizer.from_pretrained(models[0]), EmotionModel.from_pretrained(models[0]).eval()
    with torch.no_grad():
        logits = torch.cat([
            model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=64)).logits for text in texts
        ])  # fmt: skip
    alone = (logits.sigmoid() if model.config.multi_label else logits.softmax(-1)).numpy()
    for size in (None, 5):
        predictor = Predictor(models[0], batch_size=size, device="cpu")
        found = predictor.scores(texts)
        np.testing.assert_allclose(found, alone, atol=1e-6)
        assert [*map(predictor.named, found.tolist())] == [*map(predictor.named, alone.tolist())]
        np.testing.assert_allclose(Predictor(models[1], batch_size=size).scores(texts), alone, atol=1e-5)


def test_every_product_with_weights_is_one_of_integers(models, tmp_path):
    """As onnxruntime computes the graph; tables are bytes, too."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(models[2] / "model.onnx", options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimized.onnx").graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    floats = [node.name for node in graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in stored]
    kinds = [node.op_type for node in graph.node]
    assert not floats and kinds.count("MatMulIntegerToFloat") >= 6 and kinds.count("MatMulInteger") == 2
    matrices = [tensor for tensor in stored.values() if len(tensor.dims) == 2 and min(tensor.dims) >= 8]
    assert matrices and all(tensor.data_type != TensorProto.FLOAT for tensor in matrices)


def test_numbers_of_a_graph_of_one_layer_and_one_head():
    """Beside a plain loop in fp64, with a range that the text to be predicted leaves."""
    draw = np.random.default_rng(0)
    table, layer, head = (draw.normal(size=size).astype(np.float32) for size in ((9, 8), (8, 5), (3, 5)))
    layer[:, 2] = 0
    bias = draw.normal(size=3).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["found"]),
        helper.make_node("MatMul", ["found", "layer"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["pooled", "head", "bias"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(*pair) for pair in zip((table, layer, head, bias), STORED, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ranges = {"found": (-1.5, 2.0), "pooled": (0.0, 3.0)}
    _Rewritten(model.graph, ranges).replace()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = draw.integers(0, 9, size=(6, 4))

    def on_scale(value: float, low: float, high: float) -> float:
        step = np.float32((high - low) / 255)
        zero = round(-low / float(step))
        return (min(max(round(value / float(step)) + zero, 0), 255) - zero) * float(step)

    def rounded(column: np.ndarray, steps: int) -> np.ndarray:
        step = float(np.float32(np.abs(column).max() / steps)) or 1.0
        return np.array([round(float(value) / step) * step for value in column])

    rows = [rounded(row, 127) for row in table]
    columns = [rounded(layer[:, place], 63) for place in range(5)]
    heads = [rounded(row, 63) for row in head]
    for text, found in zip(ids, session.run(None, {"ids": ids})[0], strict=True):
        found_rows = [[on_scale(value, *ranges["found"]) for value in rows[piece]] for piece in text]
        wide = [[float(np.dot(row, column)) for column in columns] for row in found_rows]
        pooled = [on_scale(max(values), *ranges["pooled"]) for values in zip(*wide, strict=True)]
        expected = [
            float(b) + sum(value * weight for value, weight in zip(pooled, row, strict=True))
            for row, b in zip(heads, bias, strict=True)
        ]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_export_of_an_earlier_version_goes_on_working(models, tmp_path):
    for path in models[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    quantize_dynamic(models[1] / "model.onnx", tmp_path / "model.onnx", weight_type=QuantType.QInt8)
    texts = texts_of(60)
    exact, rounded = (Predictor(model).scores(texts) for model in (models[1], tmp_path))
    assert 1e-6 < np.abs(exact - rounded).mean() < 0.1


def test_few_texts_are_enough_and_the_export_is_clean(models, tmp_path):
    quantize(models[1], tmp_path, ["어제 웃었어"], 48)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in models[2].iterdir()}
    assert not [path for path in models[1].iterdir() if "watched" in path.name]
    assert np.isfinite(Predictor(tmp_path).scores([LONG])).all()
